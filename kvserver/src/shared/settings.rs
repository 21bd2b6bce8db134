//! What can be changed while the server runs.
//!
//! Owns: the values behind `CONFIG SET` that concern the server itself. Those of the store are the store's:
//! they are only remembered here as they were written.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::events::Classes;
use crate::options::ServerOptions;

/// The settings of a running server.
#[derive(Debug)]
pub struct Settings {
    /// Most clients at a time.
    pub clients_max: AtomicUsize,
    /// Seconds after which a silent client is disconnected; 0 is never.
    pub idle_timeout_s: AtomicU64,
    /// Microseconds above which a command is kept by `SLOWLOG`; negative is never.
    pub slow_us: AtomicI64,
    /// Commands that `SLOWLOG` keeps.
    pub slow_entries_max: AtomicUsize,
    /// Milliseconds above which `LATENCY` notes an event; 0 is never.
    pub latency_ms: AtomicU64,
    /// Bytes that a client may have sent ahead.
    pub query_bytes_max: AtomicUsize,
    /// Bytes that the buffers of all clients may take.
    pub clients_bytes_max: AtomicUsize,
    /// Bytes of messages that wait for a subscriber, above which it is disconnected.
    pub push_bytes_max: AtomicUsize,
    /// Longest argument in bytes.
    pub bulk_bytes_max: AtomicU64,
    /// Limit on the memory of the store in bytes; 0 is none.
    pub memory_max: AtomicU64,
    /// Whether the store holds more than the limit, so that writes are refused until it does not.
    pub is_over_memory_max: AtomicBool,
    /// Whether the store evicts.
    pub evicts: AtomicBool,
    /// Whether `DEL` of one key answers its value.
    pub del_returns_value: AtomicBool,
    /// Whether only commands free what has expired (`DEBUG SET-ACTIVE-EXPIRE`).
    pub expires_lazily: AtomicBool,
    /// Whether looking after clients stands still (`DEBUG PAUSE-CRON`).
    pub pauses_checks: AtomicBool,
    notified: AtomicU32,
    /// Settings that clients and tools read back, and that mean nothing here: name and value.
    pub kept: Mutex<Vec<(&'static str, String)>>,
}

impl Settings {
    /// What a server begins with.
    pub fn new(options: &ServerOptions) -> Settings {
        Settings {
            clients_max: AtomicUsize::new(options.clients_max),
            idle_timeout_s: AtomicU64::new(options.idle_timeout_s),
            slow_us: AtomicI64::new(10_000),
            slow_entries_max: AtomicUsize::new(128),
            latency_ms: AtomicU64::new(0),
            query_bytes_max: AtomicUsize::new(options.query_bytes_max),
            clients_bytes_max: AtomicUsize::new(options.clients_bytes_max),
            push_bytes_max: AtomicUsize::new(options.push_bytes_max),
            bulk_bytes_max: AtomicU64::new(options.bulk_bytes_max),
            memory_max: AtomicU64::new(0),
            is_over_memory_max: AtomicBool::new(false),
            evicts: AtomicBool::new(options.evicts),
            del_returns_value: AtomicBool::new(options.resp_del_returns_value),
            expires_lazily: AtomicBool::new(false),
            pauses_checks: AtomicBool::new(false),
            notified: AtomicU32::new(0),
            kept: Mutex::default(),
        }
    }

    /// Which events are published.
    #[inline]
    pub fn notified(&self) -> Classes {
        Classes(self.notified.load(Ordering::Relaxed))
    }

    /// Changes which events are published.
    pub fn set_notified(&self, classes: Classes) {
        self.notified.store(classes.0, Ordering::Relaxed);
    }
}
