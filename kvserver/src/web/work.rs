//! Reads and changes of the store on behalf of a request.
//!
//! Owns: [`Front::read`] and [`Front::change`], the ways in which a front end reaches the store, and [`Changes`],
//! what others are told. A store of this process is read and changed at once. With `sync=always` another thread
//! waits for the disk, and only then is the request answered. A store on other servers is asked on a thread
//! that may wait for them, and those tell their clients themselves.
//!
//! Invariant: nothing waits for such a thread. Each event loop may have as many as requests may be under way, and
//! one request more is refused at once: in front of servers that are silent a queue would only grow.

use std::sync::Arc;

use kvcore::{Condition, DeleteOutcome, Result, Status};
use libkv::Store;

use super::body::held;
use super::fault::{Done, Fault};
use super::{Front, SCANS_MAX};
use crate::commands::config::refuses_writes;
use crate::shared::events::{self, Classes};

/// What clients of the Redis protocol are told once a change is made: those that watch a key, cache it, or
/// are subscribed to its events.
#[derive(Debug, Default)]
pub struct Changes(Vec<(Classes, &'static str, Vec<u8>)>);

impl Changes {
    /// Nothing yet.
    pub fn new() -> Changes {
        Changes::default()
    }

    /// A key has a new value.
    pub fn set(&mut self, key: &[u8]) {
        self.0.push((Classes::STRING, "set", key.to_vec()));
    }

    /// A number was changed by a sum.
    pub fn incremented(&mut self, key: &[u8]) {
        self.0.push((Classes::STRING, "incrby", key.to_vec()));
    }

    /// A key was removed.
    pub fn deleted(&mut self, key: &[u8]) {
        self.0.push((Classes::GENERIC, "del", key.to_vec()));
    }

    /// A key has another deadline.
    pub fn expires(&mut self, key: &[u8]) {
        self.0.push((Classes::GENERIC, "expire", key.to_vec()));
    }

    /// A key has no deadline any more.
    pub fn persists(&mut self, key: &[u8]) {
        self.0.push((Classes::GENERIC, "persist", key.to_vec()));
    }
}

/// Requests that may wait for servers elsewhere at a time, for each event loop that there is. Each takes a thread.
pub const REMOTE_CALLS_MAX: usize = 512;

/// Threads that an event loop may have beside it, when there are so many of them in all: the system deals
/// connections out as it likes, so the requests of all may be on one. The rest is for scans and for reading the past.
pub fn threads_max(event_loops: usize) -> usize {
    event_loops * REMOTE_CALLS_MAX + 2 * SCANS_MAX
}

/// Does what may wait for a disk or for another server on a thread that nobody else needs. What the message of the
/// request holds of the room for bodies is free when that is done: its client may be gone by then.
pub(super) async fn elsewhere<R: Send + 'static>(
    act: impl FnOnce() -> R + Send + 'static,
) -> Result<R> {
    let room = held();
    let act = move || {
        let _room = room;
        act()
    };
    // It fails if the server stops, or by a panic, which has poisoned the store.
    tokio::task::spawn_blocking(act).await.map_err(|_| Status::Closed.into())
}

impl Front {
    /// Asks servers elsewhere, unless too many requests wait for them already.
    ///
    /// # Errors
    /// Those of `act`; `Busy`; `Refused`; `Closed` if the server stops meanwhile.
    pub(super) async fn ask<R: Send + 'static>(
        &self,
        act: impl FnOnce() -> Result<R> + Send + 'static,
    ) -> Done<R> {
        let place = Arc::clone(&self.remote_calls).try_acquire_owned().map_err(|_| Fault::Busy)?;
        let act = move || {
            // Until the thread is free, and not until the client goes.
            let _place = place;
            act()
        };
        Ok(elsewhere(act).await??)
    }

    /// Reads from the store.
    ///
    /// # Errors
    /// Those of `act`; `Busy` and `Refused` of a gateway; `Closed` if the server stops meanwhile.
    pub async fn read<R: Send + 'static>(
        &self,
        act: impl FnOnce(&Store) -> Result<R> + Send + 'static,
    ) -> Done<R> {
        let data = &self.shared.data;
        if let Store::Local(_) = data {
            return Ok(act(data)?);
        }
        let data = data.clone();
        self.ask(move || act(&data)).await
    }

    /// Whether the store answers. One key is asked for: counting all may take long where they are not here.
    ///
    /// # Errors
    /// Those of a read.
    pub async fn check_store(&self) -> Done<()> {
        self.read(|store| store.exists(b"").map(drop)).await
    }

    /// Changes the store, and answers once the change is as safe as `sync` promises.
    ///
    /// # Errors
    /// Those of `act`; `Full` while the store holds more than a limit that was lowered; `Io` and `Poisoned`
    /// if the log could not be written; `Busy` and `Refused` of a gateway; `Closed` if the server stops meanwhile.
    pub async fn change<R: Send + 'static>(
        &self,
        act: impl FnOnce(&Store, &mut Changes) -> Result<R> + Send + 'static,
    ) -> Done<R> {
        let shared = &self.shared;
        if !matches!(shared.data, Store::Local(_)) {
            return self.read(move |store| act(store, &mut Changes::new())).await;
        }
        if refuses_writes(shared) {
            return Err(Status::Full.into());
        }
        let mut changes = Changes::new();
        let (outcome, ticket) = shared.store.defer(|| act(&shared.data, &mut changes));
        if outcome.is_ok() {
            self.tell(&changes);
        }
        if ticket.waits_for_disk() {
            shared.committer.wait(ticket).await?;
        } else {
            ticket.wait()?;
        }
        Ok(outcome?)
    }

    /// Deletes a key. `Any` and `Present` delete what is there; `Absent` never holds for that.
    ///
    /// # Errors
    /// As [`change`](Front::change).
    pub async fn delete(&self, key: Vec<u8>, condition: Condition) -> Done<DeleteOutcome> {
        let change = self.change(move |store, changes| {
            let outcome = match condition {
                Condition::Version(version) => store.del_if(&key, version)?,
                _ if store.del(&key)? => DeleteOutcome::Deleted,
                _ => DeleteOutcome::NotFound,
            };
            if outcome == DeleteOutcome::Deleted {
                changes.deleted(&key);
            }
            Ok(outcome)
        });
        change.await
    }

    fn tell(&self, changes: &Changes) {
        if self.shared.observers() == 0 {
            return;
        }
        let keys: Vec<&[u8]> = changes.0.iter().map(|(_, _, key)| &**key).collect();
        if !keys.is_empty() {
            // No client of the Redis protocol has this number.
            self.shared.keys_changed(&keys, 0, &[]);
        }
        for (class, event, key) in &changes.0 {
            events::publish(&self.shared, *class, event, key);
        }
    }
}
