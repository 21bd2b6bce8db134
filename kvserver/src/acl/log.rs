//! What was refused to whom (`ACL LOG`).

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

/// Within this time the same refusal counts up an entry and adds none.
const SAME_WITHIN_MS: i64 = 60_000;

/// Why something was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The user or the password is wrong.
    Auth,
    /// The command is not allowed.
    Command,
    /// A key is not allowed.
    Key,
    /// A channel is not allowed.
    Channel,
}

impl Reason {
    /// Its name in `ACL LOG`.
    pub fn name(self) -> &'static str {
        match self {
            Reason::Auth => "auth",
            Reason::Command => "command",
            Reason::Key => "key",
            Reason::Channel => "channel",
        }
    }
}

/// Where it was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Context {
    /// Right away.
    Toplevel,
    /// In a transaction.
    Multi,
}

impl Context {
    /// Its name in `ACL LOG`.
    pub fn name(self) -> &'static str {
        match self {
            Context::Toplevel => "toplevel",
            Context::Multi => "multi",
        }
    }
}

/// A refusal.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its number, which rises.
    pub id: u64,
    /// How often.
    pub count: u64,
    /// Why.
    pub reason: Reason,
    /// Where.
    pub context: Context,
    /// The command, the key or the channel.
    pub object: Vec<u8>,
    /// The user.
    pub user: String,
    /// The client, as `CLIENT LIST` describes it.
    pub client: String,
    /// The first and the last time, in Unix milliseconds.
    pub created_ms: i64,
    /// As `created_ms`.
    pub updated_ms: i64,
}

/// The last refusals.
#[derive(Debug)]
pub struct AclLog {
    entries: Mutex<(VecDeque<Entry>, u64)>,
    /// How many are kept.
    pub most: AtomicUsize,
}

impl Default for AclLog {
    fn default() -> Self {
        AclLog { entries: Mutex::default(), most: AtomicUsize::new(128) }
    }
}

impl AclLog {
    /// Notes a refusal.
    pub fn add(&self, mut entry: Entry) {
        let mut entries = self.entries.lock();
        let same = |old: &Entry| {
            (old.reason, old.context) == (entry.reason, entry.context)
                && old.object == entry.object
                && old.user == entry.user
                && entry.updated_ms - old.updated_ms <= SAME_WITHIN_MS
        };
        if let Some(at) = entries.0.iter().position(same)
            && let Some(mut old) = entries.0.remove(at)
        {
            old.count += 1;
            old.updated_ms = entry.updated_ms;
            old.client = entry.client;
            entries.0.push_front(old);
            return;
        }
        entry.id = entries.1;
        entries.1 += 1;
        entries.0.push_front(entry);
        entries.0.truncate(self.most.load(Ordering::Relaxed));
    }

    /// The newest ones.
    pub fn newest(&self, count: usize) -> Vec<Entry> {
        self.entries.lock().0.iter().take(count).cloned().collect()
    }

    /// Forgets all.
    pub fn clear(&self) {
        self.entries.lock().0.clear();
    }
}
