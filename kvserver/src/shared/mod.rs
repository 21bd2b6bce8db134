//! What all front ends and all threads of a server share.
//!
//! Owns: [`Shared`], with the store, the options, who is connected, who wants to be told of what, the
//! counters, and the signal to stop. It is read from every thread and has no lock of its own.

mod attempts;
pub mod clients;
mod committer;
pub mod counters;
pub mod events;
pub mod eviction;
mod follower;
mod latency;
pub mod pause;
pub mod pubsub;
mod reach;
mod settings;
pub mod slowlog;
pub mod tracking;
mod turns;
mod watched;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicUsize, Ordering};

use kvcore::{Options, Stats, Store};
use tokio::sync::watch;

pub use attempts::{Attempts, Turn};
pub use committer::Committer;
pub use settings::Settings;
pub use turns::{Turn as ServedTurn, Turns};
pub use watched::{Dirty, Watched};

use crate::acl::{self, Acl};
use crate::commands::table;
use crate::options::ServerOptions;
use crate::resp::Replies;
use crate::tls::Tls;
use clients::{ClientHandle, Clients};
use counters::Counters;
use events::Classes;
use eviction::Eviction;
use follower::Follower;
pub use latency::{Latency, Samples};
use pause::{Pause, Paused};
use pubsub::PubSub;
use slowlog::SlowLog;
use tracking::Tracking;

/// Bits of [`Shared::observers`]: who has to be told of changes.
pub mod observer {
    /// Events are published.
    pub const EVENTS: u32 = 1;
    /// A client keeps a cache.
    pub const TRACKING: u32 = 1 << 1;
    /// A client watches a key.
    pub const WATCH: u32 = 1 << 2;
    /// A client sees every command.
    pub const MONITOR: u32 = 1 << 3;
    /// Clients have to wait.
    pub const PAUSE: u32 = 1 << 4;
    /// Room has to be made before commands.
    pub const EVICTION: u32 = 1 << 5;
    /// Only commands free what has expired.
    pub const LAZY_EXPIRY: u32 = 1 << 6;
}

/// What all front ends and all threads share.
#[derive(Debug)]
pub struct Shared {
    /// The store of this process, on which the Redis protocol works. That of a gateway is empty and tells the time.
    pub store: Store,
    /// The store of HTTP and gRPC: the same one, or that on other servers behind a gateway.
    pub data: libkv::Store,
    /// How the server was started.
    pub options: ServerOptions,
    /// What can be changed while it runs.
    pub settings: Settings,
    /// Who is connected.
    pub clients: Clients,
    /// Who is subscribed to what.
    pub pubsub: PubSub,
    /// Who keeps a cache of what.
    pub tracking: Tracking,
    /// Who watches what for a transaction.
    pub watched: Watched,
    /// Users and what they may do.
    pub acl: Acl,
    /// Who has sent wrong passwords.
    pub attempts: Attempts,
    /// TLS, if it is spoken.
    pub tls: Option<Tls>,
    /// What the operator should know of how the server was started, line by line.
    pub notices: Vec<String>,
    /// What is counted.
    pub counters: Counters,
    /// Commands that took long.
    pub slowlog: SlowLog,
    /// Events that took long.
    pub latency: Latency,
    /// Whether clients have to wait.
    pub pause: Pause,
    /// How room is made, if not by the store.
    pub eviction: Eviction,
    /// Who of the clients that ask for much is served next.
    pub turns: Turns,
    /// Waits for the disk.
    pub committer: Committer,
    /// When the server was started, in Unix milliseconds.
    pub started_ms: i64,
    /// Whether a snapshot is being written.
    pub is_saving: AtomicBool,
    /// When the last snapshot that was asked for was written, in Unix seconds.
    pub last_save_s: AtomicI64,
    /// What this server is known by: forty hexadecimal digits.
    pub run_id: String,
    /// Clients that see every command.
    pub monitors: AtomicUsize,
    observers: AtomicU32,
    follower: Follower,
    stop: watch::Sender<bool>,
}

impl Shared {
    /// Everything for a server of this store.
    ///
    /// # Errors
    /// What the system says if it has no thread to give; `InvalidInput` for a file of certificates or of users
    /// that cannot be used, with what is wrong and the remedy.
    pub fn new(store: Store, options: ServerOptions) -> io::Result<Arc<Shared>> {
        let data = libkv::Store::Local(store.clone());
        Shared::build(store, data, options)
    }

    /// Everything for a gateway: HTTP and gRPC over a store on other servers.
    ///
    /// # Errors
    /// As [`new`](Shared::new); `InvalidInput` if the Redis protocol is switched on, whose commands and
    /// promises are those of a store of its own.
    pub fn gateway(data: libkv::Store, options: ServerOptions) -> io::Result<Arc<Shared>> {
        if options.resp.is_some() {
            let message = "a gateway does not speak the Redis protocol: switch it off, and send its clients to \
                           the servers themselves";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let one_shard = Options::new().with("shards", "1").and_then(Store::memory);
        Shared::build(one_shard.map_err(io::Error::other)?, data, options)
    }

    fn build(store: Store, data: libkv::Store, options: ServerOptions) -> io::Result<Arc<Shared>> {
        let now_ms = store.now_ms();
        let invalid = |message: String| io::Error::new(io::ErrorKind::InvalidInput, message);
        let acl = Acl::new(options.password.as_deref());
        if let Some(path) = &options.users_file {
            let users = acl::read_file(path).map_err(invalid)?;
            acl.replace(users);
        }
        let (tls, notices) = match options.tls.clone() {
            None => (None, Vec::new()),
            Some(tls) => {
                Tls::open(tls, &store).map(|(tls, told)| (Some(tls), told)).map_err(invalid)?
            }
        };
        store.allow_eviction(options.evicts).map_err(io::Error::other)?;
        let notified = Classes::parse(&options.notify_keyspace_events).unwrap_or_default();
        let shared = Arc::new(Shared {
            settings: Settings::new(&options),
            clients: Clients::default(),
            pubsub: PubSub::default(),
            tracking: Tracking::default(),
            watched: Watched::default(),
            acl,
            attempts: Attempts::new(options.auth_backoff_max_ms),
            tls,
            notices,
            counters: Counters::new(options.threads.max(1), table::count()),
            slowlog: SlowLog::default(),
            latency: Latency::default(),
            pause: Pause::default(),
            eviction: Eviction::default(),
            turns: Turns::new(options.threads),
            committer: Committer::start()?,
            started_ms: now_ms,
            is_saving: AtomicBool::new(false),
            last_save_s: AtomicI64::new(now_ms / 1000),
            run_id: random_hex(40),
            monitors: AtomicUsize::new(0),
            observers: AtomicU32::new(0),
            follower: Follower::default(),
            stop: watch::Sender::new(false),
            store,
            data,
            options,
        });
        let memory_max = shared.store.max_memory().map_err(io::Error::other)?;
        shared.settings.memory_max.store(memory_max, Ordering::Relaxed);
        if notified != Classes::default() {
            shared.set_notified(notified);
        }
        Ok(shared)
    }

    /// Who has to be told of changes: bits of [`observer`].
    #[inline]
    pub fn observers(&self) -> u32 {
        self.observers.load(Ordering::Relaxed)
    }

    /// Finds out again who has to be told of changes. To be called behind every change of that.
    pub fn find_observers(self: &Arc<Self>) {
        self.follower.adjust(self, || {
            let classes = self.settings.notified();
            let tracks = self.tracking.clients() > 0;
            let bits = [
                (observer::EVENTS, classes.publishes(Classes(u32::MAX))),
                (observer::TRACKING, tracks),
                (observer::WATCH, !self.watched.is_empty()),
                (observer::MONITOR, self.monitors.load(Ordering::SeqCst) > 0),
                (observer::PAUSE, self.pause.kind().is_some()),
                (observer::EVICTION, self.eviction.choice().is_some()),
                (observer::LAZY_EXPIRY, self.settings.expires_lazily.load(Ordering::SeqCst)),
            ];
            let set = bits.iter().filter(|(_, on)| *on).fold(0, |set, (bit, _)| set | bit);
            self.observers.store(set, Ordering::SeqCst);
            tracks || classes.publishes(Classes(Classes::EXPIRED.0 | Classes::EVICTED.0))
        });
    }

    /// Makes clients wait, at least until a Unix time in milliseconds. Nothing that expires is freed meanwhile.
    ///
    /// # Errors
    /// Those of the store.
    pub fn pause_clients(self: &Arc<Self>, kind: Paused, until_ms: i64) -> kvcore::Result<()> {
        self.pause.begin(kind, until_ms);
        self.find_observers();
        self.hold_expired()
    }

    /// Ends that.
    ///
    /// # Errors
    /// Those of the store.
    pub fn resume_clients(self: &Arc<Self>) -> kvcore::Result<()> {
        self.pause.end();
        self.find_observers();
        self.hold_expired()
    }

    /// Ends that if its time is over.
    ///
    /// # Errors
    /// Those of the store.
    pub fn resume_clients_in_time(self: &Arc<Self>) -> kvcore::Result<()> {
        if !self.pause.end_if_over(self.store.now_ms()) {
            return Ok(());
        }
        self.find_observers();
        self.hold_expired()
    }

    /// Has only commands free what has expired, or lets the store do it by itself again.
    ///
    /// # Errors
    /// Those of the store.
    pub fn expire_lazily(self: &Arc<Self>, lazily: bool) -> kvcore::Result<()> {
        self.settings.expires_lazily.store(lazily, Ordering::SeqCst);
        self.find_observers();
        self.hold_expired()
    }

    fn hold_expired(&self) -> kvcore::Result<()> {
        let lazily = self.settings.expires_lazily.load(Ordering::SeqCst);
        self.store.hold_expired(lazily || self.pause.kind().is_some())
    }

    /// Bytes that are in use, as `INFO` tells them.
    pub fn used_memory(&self, stats: &Stats) -> u64 {
        stats.memory_bytes + self.clients.memory_bytes() as u64 + stats.pinned_bytes
    }

    /// Bytes that count for the limit on memory when the server makes room: evicting keys would not free what
    /// values in flight and watches hold.
    ///
    /// # Errors
    /// Those of the store.
    pub fn limited_memory(&self) -> kvcore::Result<u64> {
        Ok(self.store.memory_bytes()? + self.clients.memory_bytes() as u64)
    }

    /// Puts a message into the mailbox of a client. If too many wait there, or all clients together take too
    /// much, those who do not read go.
    pub fn post(&self, client: &ClientHandle, write: impl FnOnce(&mut Replies)) {
        client.post(self.settings.push_bytes_max.load(Ordering::Relaxed), write);
        self.shed_clients();
    }

    /// Tells those clients to go that take most memory, if all together take too much.
    pub fn shed_clients(&self) {
        let told = self.clients.shed(self.settings.clients_bytes_max.load(Ordering::Relaxed));
        if told > 0 {
            self.counters.evicted_clients.fetch_add(told, Ordering::Relaxed);
        }
    }

    /// Whether clients take so much memory that those who do not read are served no more.
    #[inline]
    pub fn are_clients_tight(&self) -> bool {
        self.clients.are_tight(self.settings.clients_bytes_max.load(Ordering::Relaxed))
    }

    /// Whether clients take too much memory, and some were told to go for it, who should do so before others take more.
    #[inline]
    pub fn are_clients_leaving(&self) -> bool {
        self.clients.are_leaving(self.settings.clients_bytes_max.load(Ordering::Relaxed))
    }

    /// Whether clients take so much memory that some have to go.
    #[inline]
    pub fn are_clients_crowded(&self) -> bool {
        self.clients.are_crowded(self.settings.clients_bytes_max.load(Ordering::Relaxed))
    }

    /// Changes which events are published.
    pub fn set_notified(self: &Arc<Self>, classes: Classes) {
        self.settings.set_notified(classes);
        self.find_observers();
    }

    /// Keys have changed, by what the client with this number did, which has read those of `read` since.
    pub fn keys_changed(&self, keys: &[&[u8]], by: u64, read: &[&[u8]]) {
        let observers = self.observers();
        if observers & observer::WATCH != 0 {
            keys.iter().for_each(|key| self.watched.touch(key));
        }
        if observers & observer::TRACKING != 0 {
            self.tracking.invalidate(self, keys, by, read);
        }
    }

    /// Tells all front ends to stop.
    pub fn stop(&self) {
        self.stop.send_replace(true);
        self.follower.end();
    }

    /// Whether the server is stopping.
    pub fn is_stopping(&self) -> bool {
        *self.stop.borrow()
    }

    /// Waits until the server is told to stop.
    pub async fn stopped(&self) {
        let mut stop = self.stop.subscribe();
        // The sender lives as long as this.
        let _ = stop.wait_for(|stop| *stop).await;
    }
}

/// Random hexadecimal digits, to tell things apart. Not for secrets.
pub fn random_hex(digits: usize) -> String {
    (0..digits).filter_map(|_| char::from_digit(crate::random::below(16), 16)).collect()
}
