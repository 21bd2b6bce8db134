//! Which client caches what, and telling them when it changes (`CLIENT TRACKING`).
//!
//! Owns: the keys that clients have read, the prefixes they named, and the messages of invalidation.
//! Invariants: a key is noted before it is read, so that no change behind the read is missed; a client is
//! told once of a key and then has to read it again; of more than `tracking-table-max-keys` keys clients are
//! told though they have not changed, which is harmless; nobody is told of a key by its prefix that its user
//! may not know of.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ahash::HashMap;
use parking_lot::Mutex;

use super::Shared;
use super::clients::{ClientHandle, flag};
use crate::resp::Replies;

/// Keys that are noted at most, at first.
const KEYS_MAX: usize = 1_000_000;

/// Keys that are forgotten at a time when there are too many.
const FORGOTTEN_AT_ONCE: usize = 256;

/// The channel by which clients of the second version of the protocol are told.
pub const CHANNEL: &[u8] = b"__redis__:invalidate";

/// How a client wants to be told.
#[derive(Debug, Clone, Default)]
pub struct TrackingMode {
    /// Whether it wants to be at all.
    pub is_on: bool,
    /// By prefixes rather than by what it reads.
    pub broadcast: bool,
    /// Only of what it reads behind `CLIENT CACHING YES`.
    pub opt_in: bool,
    /// Not of what it reads behind `CLIENT CACHING NO`.
    pub opt_out: bool,
    /// Not of its own changes.
    pub no_loop: bool,
    /// Through this client; 0 is itself.
    pub redirect: u64,
    /// The prefixes.
    pub prefixes: Vec<Vec<u8>>,
}

/// Who is to be told of what.
#[derive(Debug)]
pub struct Tracking {
    table: Mutex<Table>,
    /// How many clients want to be told.
    clients: AtomicUsize,
    /// Keys that are noted at most; 0 is as many as there are.
    keys_max: AtomicUsize,
}

impl Default for Tracking {
    fn default() -> Self {
        Tracking {
            table: Mutex::default(),
            clients: AtomicUsize::new(0),
            keys_max: AtomicUsize::new(KEYS_MAX),
        }
    }
}

#[derive(Debug, Default)]
struct Table {
    keys: HashMap<Vec<u8>, BTreeSet<u64>>,
    /// Clients noted for keys, all together.
    items: usize,
    prefixes: BTreeMap<Vec<u8>, BTreeSet<u64>>,
}

/// How much is noted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Noted {
    /// Clients that want to be told.
    pub clients: usize,
    /// Keys.
    pub keys: usize,
    /// Clients noted for keys.
    pub items: usize,
    /// Prefixes.
    pub prefixes: usize,
}

impl Tracking {
    /// A client wants to be told from now on, or in another way.
    pub fn start(&self, client: &ClientHandle, mode: &TrackingMode) {
        if !client.has(flag::TRACKING) {
            self.clients.fetch_add(1, Ordering::SeqCst);
        }
        client.mark(flag::TRACKING, true);
        client.mark(flag::BROADCAST, mode.broadcast);
        client.mark(flag::BROKEN_REDIRECT, false);
        let mut table = self.table.lock();
        for prefix in &mode.prefixes {
            table.prefixes.entry(prefix.clone()).or_default().insert(client.id);
        }
        drop(table);
        client.set_tracking(mode.clone());
    }

    /// A client does not want to be told any more.
    pub fn stop(&self, client: &ClientHandle) {
        if !client.has(flag::TRACKING) {
            return;
        }
        let mode = client.tracking();
        let mut table = self.table.lock();
        for prefix in &mode.prefixes {
            if let Some(clients) = table.prefixes.get_mut(prefix) {
                clients.remove(&client.id);
                if clients.is_empty() {
                    table.prefixes.remove(prefix);
                }
            }
        }
        drop(table);
        client.mark(flag::TRACKING | flag::BROADCAST | flag::BROKEN_REDIRECT, false);
        client.set_tracking(TrackingMode::default());
        self.clients.fetch_sub(1, Ordering::SeqCst);
    }

    /// A client is about to read a key that it may keep.
    pub fn note(&self, shared: &Shared, key: &[u8], client: u64) {
        let mut table = self.table.lock();
        if let Some(clients) = table.keys.get_mut(key) {
            let is_new = clients.insert(client);
            table.items += usize::from(is_new);
            return;
        }
        table.keys.insert(key.to_vec(), BTreeSet::from([client]));
        table.items += 1;
        let is_too_many = excess(&table, self.keys_max()) > 0;
        drop(table);
        if is_too_many {
            self.forget_excess(shared);
        }
    }

    /// Keys that are noted at most; 0 is as many as there are.
    pub fn keys_max(&self) -> usize {
        self.keys_max.load(Ordering::Relaxed)
    }

    /// Changes how many keys are noted at most, and forgets what is too much.
    pub fn set_keys_max(&self, shared: &Shared, most: usize) {
        self.keys_max.store(most, Ordering::Relaxed);
        self.forget_excess(shared);
    }

    /// Forgets keys until there are not too many, and tells those who may have kept them.
    fn forget_excess(&self, shared: &Shared) {
        loop {
            let table = self.table.lock();
            let count = excess(&table, self.keys_max()).min(FORGOTTEN_AT_ONCE);
            // Any will do, and these were read long ago as likely as not.
            let victims: Vec<Vec<u8>> = table.keys.keys().take(count).cloned().collect();
            drop(table);
            if victims.is_empty() {
                return;
            }
            for victim in &victims {
                self.forget(shared, victim);
            }
        }
    }

    /// Tells those who noted a key, and notes it no more. It has not changed, so that nobody else is told.
    fn forget(&self, shared: &Shared, key: &[u8]) {
        let mut table = self.table.lock();
        let clients = table.keys.remove(key).unwrap_or_default();
        table.items -= clients.len();
        drop(table);
        for id in clients {
            if let Some((client, mode)) = listener(shared, id, false) {
                send(shared, &client, &mode, Some(&[key]));
            }
        }
    }

    /// Keys have changed, by what the client with number `by` did; 0 for nobody. It has read those of `read`
    /// since, and is not told of them.
    pub fn invalidate(&self, shared: &Shared, keys: &[&[u8]], by: u64, read: &[&[u8]]) {
        let (mut tell, mut by_prefix) = (Vec::new(), BTreeMap::<(Vec<u8>, u64), Vec<&[u8]>>::new());
        let mut table = self.table.lock();
        for &key in keys {
            if let Some(mut clients) = table.keys.remove(key) {
                if read.contains(&key) && clients.remove(&by) {
                    table.keys.insert(key.to_vec(), BTreeSet::from([by]));
                }
                table.items -= clients.len();
                tell.extend(clients.into_iter().map(|client| (client, key)));
            }
            let prefixes = table.prefixes.iter().filter(|(prefix, _)| key.starts_with(prefix));
            for (prefix, clients) in prefixes {
                for client in clients {
                    let keys = by_prefix.entry((prefix.clone(), *client)).or_default();
                    if !keys.contains(&key) {
                        keys.push(key);
                    }
                }
            }
        }
        drop(table);
        let wants = |id: u64, broadcast: bool| {
            let (client, mode) = listener(shared, id, broadcast)?;
            (!mode.no_loop || id != by).then_some((client, mode))
        };
        for (id, key) in tell {
            if let Some((client, mode)) = wants(id, false) {
                send(shared, &client, &mode, Some(&[key]));
            }
        }
        for ((_, id), mut keys) in by_prefix {
            if let Some((client, mode)) = wants(id, true) {
                keep_its_own(shared, &client, &mut keys);
                if !keys.is_empty() {
                    send(shared, &client, &mode, Some(&keys));
                }
            }
        }
    }

    /// Everything was removed.
    pub fn invalidate_all(&self, shared: &Shared) {
        let mut table = self.table.lock();
        table.keys.clear();
        table.items = 0;
        drop(table);
        for client in shared.clients.all() {
            if client.has(flag::TRACKING) {
                send(shared, &client, &client.tracking(), None);
            }
        }
    }

    /// How many clients want to be told.
    pub fn clients(&self) -> usize {
        self.clients.load(Ordering::SeqCst)
    }

    /// How much is noted.
    pub fn noted(&self) -> Noted {
        let table = self.table.lock();
        Noted {
            clients: self.clients.load(Ordering::Relaxed),
            keys: table.keys.len(),
            items: table.items,
            prefixes: table.prefixes.len(),
        }
    }
}

/// How many keys are noted beyond the limit.
fn excess(table: &Table, most: usize) -> usize {
    if most == 0 { 0 } else { table.keys.len().saturating_sub(most) }
}

/// A client, if it wants to be told in this way, and how.
fn listener(
    shared: &Shared,
    id: u64,
    broadcast: bool,
) -> Option<(Arc<ClientHandle>, TrackingMode)> {
    let client = shared.clients.get(id).filter(|client| client.has(flag::TRACKING))?;
    let mode = client.tracking();
    (mode.broadcast == broadcast).then_some((client, mode))
}

/// Leaves out the keys that a client may not know of. What it has read itself needs no such look.
fn keep_its_own(shared: &Shared, client: &ClientHandle, keys: &mut Vec<&[u8]>) {
    match shared.acl.user(&client.about().user) {
        Some(user) if user.may_name_all() => {}
        Some(user) => keys.retain(|key| user.may_name(key)),
        // It is about to be disconnected.
        None => keys.clear(),
    }
}

/// Tells a client of keys, or of all keys.
fn send(shared: &Shared, client: &Arc<ClientHandle>, mode: &TrackingMode, keys: Option<&[&[u8]]>) {
    let target = match mode.redirect {
        0 => Arc::clone(client),
        other => match shared.clients.get(other) {
            Some(target) => target,
            None => {
                client.mark(flag::BROKEN_REDIRECT, true);
                if client.speaks_resp3() {
                    shared.post(client, |to| {
                        to.push(2);
                        to.bulk(b"tracking-redir-broken");
                        to.integer(i64::try_from(other).unwrap_or(i64::MAX));
                    });
                }
                return;
            }
        },
    };
    if target.speaks_resp3() {
        shared.post(&target, |to| {
            to.push(2);
            to.bulk(b"invalidate");
            write_keys(to, keys);
        });
    } else if mode.redirect != 0 && target.has(flag::PUBSUB) {
        shared.post(&target, |to| {
            to.push(3);
            to.bulk(b"message");
            to.bulk(CHANNEL);
            write_keys(to, keys);
        });
    }
}

fn write_keys(to: &mut Replies, keys: Option<&[&[u8]]>) {
    let Some(keys) = keys else { return to.null_array() };
    to.array(keys.len());
    for key in keys {
        to.bulk(key);
    }
}
