//! Changes of the store on behalf of a request.
//!
//! Owns: [`Front::change`], the one way in which a front end changes the store, and [`Changes`], what others
//! are told of it. The change is made at once. With `sync=always` another thread waits for the disk, and
//! only then is the request answered.

use kvcore::{Condition, DeleteOutcome, Result, Status, Store};

use super::Front;
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

impl Front {
    /// Changes the store, and answers once the change is as safe as `sync` promises.
    ///
    /// # Errors
    /// Those of `act`; `Full` while the store holds more than a limit that was lowered; `Io` and `Poisoned`
    /// if the log could not be written.
    pub async fn change<R>(
        &self,
        act: impl FnOnce(&Store, &mut Changes) -> Result<R>,
    ) -> Result<R> {
        let shared = &self.shared;
        if refuses_writes(shared) {
            return Err(Status::Full.into());
        }
        let mut changes = Changes::new();
        let (outcome, ticket) = shared.store.defer(|| act(&shared.store, &mut changes));
        if outcome.is_ok() {
            self.tell(&changes);
        }
        if ticket.waits_for_disk() {
            shared.committer.wait(ticket).await?;
        } else {
            ticket.wait()?;
        }
        outcome
    }

    /// Deletes a key. `Any` and `Present` delete what is there; `Absent` never holds for that.
    ///
    /// # Errors
    /// As [`change`](Front::change).
    pub async fn delete(&self, key: &[u8], condition: Condition) -> Result<DeleteOutcome> {
        let change = self.change(|store, changes| {
            let outcome = match condition {
                Condition::Version(version) => store.del_if(key, version)?,
                _ if store.del(key)? => DeleteOutcome::Deleted,
                _ => DeleteOutcome::NotFound,
            };
            if outcome == DeleteOutcome::Deleted {
                changes.deleted(key);
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
