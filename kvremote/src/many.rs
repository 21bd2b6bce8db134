//! The calls on many keys: each key by itself, those of one server in one pipeline, all pipelines in flight.
//!
//! Values are asked for by the short way (`direct`); what is not answered there goes by way of the shared connection,
//! as all changes do. Invariant: what may not be sent twice travels as one command for each slot, which a server
//! does as a whole or not at all.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::join_all;
use kvcore::{Expiry, Result, SetOptions, Value};
use redis::Cmd;
use tokio::time::Instant;

use crate::call::Kind;
use crate::commands::{self, Change, Request};
use crate::direct::gather::Wanted;
use crate::near::{Near, Told};
use crate::replies;
use crate::slot;
use crate::store::{Inner, RemoteStore};

/// Commands in one pipeline at most; more travel in several, at the same time.
const PIPELINE: usize = 1000;

/// Some commands for one key, and its slot.
pub(crate) struct Item {
    pub(crate) slot: u16,
    pub(crate) commands: Vec<Cmd>,
}

impl RemoteStore {
    /// The values of many keys, in their order, `None` where a key is absent or expired.
    ///
    /// Each key is read by itself: the answers need not be from one moment. The deadlines of the values are not
    /// asked for unless there is a near cache.
    ///
    /// # Errors
    /// `TooLarge` for a key over its limit, before anything is read; `Type` if a key holds something other
    /// than a string; those of every call.
    pub fn get_many<K: AsRef<[u8]>>(&self, keys: &[K]) -> Result<Vec<Option<Value>>> {
        let inner = &*self.inner;
        inner.check()?;
        keys.iter().try_for_each(|key| inner.settings.check_key(key.as_ref()))?;
        let deadline = inner.caller.deadline();
        let near = inner.near.as_deref();
        let mut values: Vec<Option<Value>> = keys.iter().map(|_| None).collect();
        let mut gather = inner.gather();
        let mut near_hits = 0;
        let mut left_over = Vec::new();
        let mut full = inner.settings.prefix.clone();
        for (place, key) in keys.iter().enumerate() {
            let key = key.as_ref();
            values[place] = near.and_then(|near| near.value(key));
            if values[place].is_some() {
                near_hits += 1;
                continue;
            }
            full.truncate(inner.settings.prefix.len());
            full.extend_from_slice(key);
            let slot = slot::of(&full);
            let wanted = Wanted { place, ticket: near.and_then(|near| near.begin(slot)) };
            match &mut gather {
                None => left_over.push(wanted),
                Some(gather) => {
                    if gather.add(slot, &full, wanted) {
                        gather.round(|wanted, told| take_in(near, keys, &mut values, wanted, told));
                    }
                }
            }
        }
        if let Some(mut gather) = gather {
            gather.round(|wanted, told| take_in(near, keys, &mut values, wanted, told));
            left_over = gather.left_over();
        }
        if !left_over.is_empty() {
            inner.get_rest(deadline, keys, &left_over, &mut values)?;
        }
        let hits = values.iter().flatten().count() - near_hits;
        let misses = keys.len() - near_hits - hits;
        inner.counters.read_many(hits as u64, misses as u64);
        Ok(values)
    }

    /// Sets many keys with one expiry. On one server all of them or none; on a cluster each by itself, so that an
    /// error may leave some of them set.
    ///
    /// # Errors
    /// As [`set`](RemoteStore::set); for a key or value over its limit nothing is set.
    pub fn set_many<K: AsRef<[u8]>, V: AsRef<[u8]>>(
        &self,
        items: &[(K, V)],
        expiry: Expiry,
    ) -> Result<()> {
        let inner = &*self.inner;
        inner.check()?;
        let options = SetOptions { expiry, ..SetOptions::default() };
        let mut writes = Vec::with_capacity(items.len());
        for (key, value) in items {
            let (slot, full) = inner.key(key.as_ref())?;
            inner.settings.check_value(value.as_ref())?;
            let command = match commands::set(&inner.settings, &full, value.as_ref(), &options)? {
                Some(command) => command,
                None => {
                    let change = Change::set(&inner.settings, value.as_ref(), &options)?;
                    commands::batch(&[full], std::iter::once(&change))
                }
            };
            writes.push(Item { slot, commands: vec![command] });
        }
        let touched = writes.iter().zip(items).map(|(item, (key, _))| (item.slot, key.as_ref()));
        let writing = Near::writing(inner.near.as_deref(), touched);
        if inner.caller.link.is_cluster() {
            for answer in inner.wait(inner.scatter(inner.caller.deadline(), &writes, Kind::Set))? {
                answer.into_iter().try_for_each(|reply| replies::checked(reply).map(drop))?;
            }
        } else if !writes.is_empty() {
            let all = writes.into_iter().flat_map(|item| item.commands).collect();
            let answers = inner.call(0, &Request::atomic(all), Kind::Set)?;
            answers.into_iter().try_for_each(|reply| replies::checked(reply).map(drop))?;
        }
        drop(writing);
        inner.counters.set(items.len() as u64);
        Ok(())
    }

    /// Removes many keys, each by itself, and returns how many were there.
    ///
    /// # Errors
    /// `TooLarge` for a key over its limit, before anything is removed; those of every call, after which some
    /// keys may be removed.
    pub fn del_many<K: AsRef<[u8]>>(&self, keys: &[K]) -> Result<u64> {
        let inner = &*self.inner;
        inner.check()?;
        let mut slots: BTreeMap<u16, Vec<Vec<u8>>> = BTreeMap::new();
        let mut touched = Vec::with_capacity(keys.len());
        for key in keys {
            let (slot, full) = inner.key(key.as_ref())?;
            touched.push((slot, key.as_ref()));
            slots.entry(slot).or_default().push(full);
        }
        let writing = Near::writing(inner.near.as_deref(), touched);
        let deleted = inner.wait(inner.delete(&slots))?;
        drop(writing);
        inner.counters.deleted(deleted);
        Ok(deleted)
    }
}

/// Puts what a server told of a key into its place, and keeps it in the near cache.
fn take_in<K: AsRef<[u8]>>(
    near: Option<&Near>,
    keys: &[K],
    values: &mut [Option<Value>],
    wanted: Wanted,
    told: Option<Told<'_>>,
) {
    values[wanted.place] = told.map(|told| {
        if let (Some(near), Some(ticket)) = (near, wanted.ticket) {
            near.fill(ticket, keys[wanted.place].as_ref(), &told);
        }
        Value::remote(told.value, told.expire_at_ms)
    });
}

impl Inner {
    /// The values of the keys that are left over, by way of the shared connection.
    fn get_rest<K: AsRef<[u8]>>(
        &self,
        deadline: Instant,
        keys: &[K],
        left_over: &[Wanted],
        values: &mut [Option<Value>],
    ) -> Result<()> {
        let mut items = Vec::with_capacity(left_over.len());
        for wanted in left_over {
            let (slot, full) = self.key(keys[wanted.place].as_ref())?;
            let mut commands = vec![commands::on("GET", &full)];
            if wanted.ticket.is_some() {
                commands.push(commands::on("PEXPIRETIME", &full));
                commands.push(commands::on("PTTL", &full));
            }
            items.push(Item { slot, commands });
        }
        let answers = self.wait(self.scatter(deadline, &items, Kind::Read))?;
        for (wanted, answer) in left_over.iter().zip(answers) {
            let mut answer = answer.into_iter();
            let get = replies::next(&mut answer)?;
            let found = if wanted.ticket.is_some() {
                let found = replies::value(get, replies::next(&mut answer)?)?;
                let left = replies::number(replies::next(&mut answer)?)?;
                let left_ms = (left != -1).then_some(left);
                found.map(|(value, expire_at_ms)| (value, expire_at_ms, left_ms))
            } else {
                replies::bytes(get)?.map(|value| (value, None, None))
            };
            let told = found.as_ref().map(|(value, expire_at_ms, left_ms)| Told {
                value,
                expire_at_ms: *expire_at_ms,
                left_ms: *left_ms,
            });
            take_in(self.near.as_deref(), keys, values, *wanted, told);
        }
        Ok(())
    }

    /// Removes keys, those of a slot with one command, and says how many were there.
    pub(crate) async fn delete(&self, slots: &BTreeMap<u16, Vec<Vec<u8>>>) -> Result<u64> {
        let calls = slots.iter().map(|(slot, keys)| {
            let mut command = redis::cmd("UNLINK");
            for key in keys {
                command.arg(key);
            }
            async move { self.caller.call(*slot, &Request::one(command), Kind::Once).await }
        });
        let mut deleted = 0;
        for answer in join_all(calls).await {
            for reply in answer? {
                deleted += replies::count(reply)?;
            }
        }
        Ok(deleted)
    }

    /// Sends every item to its server and answers the replies of each. What may be sent twice goes in one
    /// pipeline to each server, and again slot by slot where that met a slot that had moved.
    pub(crate) async fn scatter(
        &self,
        deadline: Instant,
        items: &[Item],
        kind: Kind,
    ) -> Result<Vec<Vec<redis::Value>>> {
        let topology = self.caller.link.known_topology();
        let owner = |slot| topology.as_ref().and_then(|topology| topology.owner(slot));
        let mut groups: BTreeMap<Option<usize>, Vec<usize>> = BTreeMap::new();
        for (place, item) in items.iter().enumerate() {
            groups.entry(owner(item.slot)).or_default().push(place);
        }
        let mut answers: Vec<Option<Vec<redis::Value>>> = items.iter().map(|_| None).collect();
        let chunks: Vec<&[usize]> =
            groups.values().flat_map(|places| places.chunks(PIPELINE)).collect();
        let once = |chunk: &&[usize]| self.caller.call_once(deadline, request(items, chunk), kind);
        let sent = chunks.iter().map(once);
        let mut again: BTreeMap<u16, Vec<usize>> = BTreeMap::new();
        for (chunk, sent) in chunks.iter().zip(join_all(sent).await) {
            match sent? {
                Some(replies) => deal(items, chunk, replies, &mut answers),
                None => chunk.iter().for_each(|&place| {
                    again.entry(items[place].slot).or_default().push(place);
                }),
            }
        }
        if !again.is_empty() && self.caller.link.is_cluster() {
            // The next call may group by what is true then; without it this one goes on as well.
            let link = Arc::clone(&self.caller.link);
            drop(tokio::spawn(async move { link.refresh_topology().await.map(drop) }));
        }
        let calls = again.iter().map(|(slot, places)| async move {
            self.caller.call_until(deadline, *slot, &request(items, places).1, kind).await
        });
        for (places, replies) in again.values().zip(join_all(calls).await) {
            deal(items, places, replies?, &mut answers);
        }
        Ok(answers.into_iter().map(Option::unwrap_or_default).collect())
    }
}

/// The commands of some items in one request, and the slot of the first.
fn request(items: &[Item], places: &[usize]) -> (u16, Request) {
    let slot = places.first().map_or(0, |&place| items[place].slot);
    let commands = places.iter().flat_map(|&place| items[place].commands.iter().cloned());
    (slot, Request::each(commands.collect()))
}

/// Gives every item its replies.
fn deal(
    items: &[Item],
    places: &[usize],
    replies: Vec<redis::Value>,
    answers: &mut [Option<Vec<redis::Value>>],
) {
    let mut replies = replies.into_iter();
    for &place in places {
        answers[place] = Some(replies.by_ref().take(items[place].commands.len()).collect());
    }
}
