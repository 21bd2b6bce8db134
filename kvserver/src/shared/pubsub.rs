//! Who is subscribed to what.
//!
//! Owns: the channels, patterns and shard channels, and who subscribed to each. Invariants: a client is in
//! here under exactly what its own list says; a channel without subscribers is not kept.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ahash::HashMap;
use parking_lot::RwLock;

use super::Shared;
use super::clients::ClientHandle;
use crate::glob;
use crate::resp::Replies;

/// What a subscription is to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A channel.
    Channel,
    /// All channels that a pattern describes.
    Pattern,
    /// A channel of `SSUBSCRIBE`, which has names of its own.
    Shard,
}

type Subscribers = BTreeMap<u64, Arc<ClientHandle>>;

/// All subscriptions.
#[derive(Debug, Default)]
pub struct PubSub {
    by_name: RwLock<[HashMap<Vec<u8>, Subscribers>; 3]>,
}

impl PubSub {
    /// Subscribes a client that was not.
    pub fn subscribe(&self, kind: Kind, name: &[u8], client: &Arc<ClientHandle>) {
        let mut all = self.by_name.write();
        let subscribers = all[kind as usize].entry(name.to_vec()).or_default();
        subscribers.insert(client.id, Arc::clone(client));
    }

    /// Ends a subscription.
    pub fn unsubscribe(&self, kind: Kind, name: &[u8], client: &ClientHandle) {
        let mut all = self.by_name.write();
        if let Some(subscribers) = all[kind as usize].get_mut(name) {
            subscribers.remove(&client.id);
            if subscribers.is_empty() {
                all[kind as usize].remove(name);
            }
        }
    }

    /// Gives a message to all who want it and counts them.
    pub fn publish(shared: &Shared, kind: Kind, channel: &[u8], message: &[u8]) -> usize {
        let all = shared.pubsub.by_name.read();
        let word: &[u8] = if kind == Kind::Shard { b"smessage" } else { b"message" };
        let mut receivers = 0;
        for client in all[kind as usize].get(channel).into_iter().flat_map(BTreeMap::values) {
            shared.post(client, |to| push(to, &[word, channel, message]));
            receivers += 1;
        }
        if kind == Kind::Shard {
            return receivers;
        }
        for (pattern, clients) in &all[Kind::Pattern as usize] {
            if glob::matches(pattern, channel) {
                for client in clients.values() {
                    shared.post(client, |to| push(to, &[b"pmessage", pattern, channel, message]));
                    receivers += 1;
                }
            }
        }
        receivers
    }

    /// The names that somebody subscribed to and that `pattern` describes.
    pub fn names(&self, kind: Kind, pattern: Option<&[u8]>) -> Vec<Vec<u8>> {
        let all = self.by_name.read();
        let wanted = |name: &&Vec<u8>| pattern.is_none_or(|pattern| glob::matches(pattern, name));
        all[kind as usize].keys().filter(wanted).cloned().collect()
    }

    /// How many subscribed to a name.
    pub fn subscribers(&self, kind: Kind, name: &[u8]) -> usize {
        self.by_name.read()[kind as usize].get(name).map_or(0, BTreeMap::len)
    }

    /// How many names have subscribers.
    pub fn count(&self, kind: Kind) -> usize {
        self.by_name.read()[kind as usize].len()
    }

    /// The clients that are subscribed to something that `may_stay` refuses, for permissions that went.
    pub fn refused(
        &self,
        may_stay: impl Fn(&ClientHandle, Kind, &[u8]) -> bool,
    ) -> Vec<Arc<ClientHandle>> {
        let all = self.by_name.read();
        let mut refused = Vec::new();
        for kind in [Kind::Channel, Kind::Pattern, Kind::Shard] {
            for (name, clients) in &all[kind as usize] {
                let clients = clients.values().filter(|client| !may_stay(client, kind, name));
                refused.extend(clients.cloned());
            }
        }
        refused
    }
}

/// Writes a message that nobody asked for.
fn push(to: &mut Replies, parts: &[&[u8]]) {
    to.push(parts.len());
    for part in parts {
        to.bulk(part);
    }
}

/// Sets how many subscriptions of a kind a client has, for those who look at it.
pub fn note_count(client: &ClientHandle, kind: Kind, count: usize) {
    client.subscriptions[kind as usize].store(count, Ordering::Relaxed);
}
