//! The writes of callers, on one shard.
//!
//! Each first frees the entry of its key if that has expired, so that what follows is a new entry.

use super::journal::record_set;
use super::put::Content;
use super::{Change, Found, Refusal, Shard, is_live};
use crate::context::Deadline;
use crate::entry::{self, NEVER};
use crate::error::Status;
use crate::hash::Key;
use crate::number;
use crate::planted::{Planted, is_planted};
use crate::removals::Cause;
use crate::set_options::{Condition, DeleteOutcome, Expiry, SetOptions, SetOutcome};
use crate::value::Value;

impl Shard {
    /// The live entry of a key. Frees the entry if it has expired.
    #[inline]
    pub(super) fn find_or_free(&mut self, key: Key<'_>, change: &mut Change<'_>) -> Option<Found> {
        let found = self.find(key)?;
        if is_live(&found, &change.now) {
            return Some(found);
        }
        self.remove(key.index_hash(), &found, Cause::Expired, change);
        None
    }

    /// As [`find_or_free`](Shard::find_or_free), but no other entry moves.
    #[inline]
    pub(super) fn find_or_leave(&mut self, key: Key<'_>, change: &mut Change<'_>) -> Option<Found> {
        let found = self.find(key)?;
        if is_live(&found, &change.now) {
            return Some(found);
        }
        self.remove_alone(key.index_hash(), &found, Cause::Expired, change);
        None
    }

    #[inline]
    pub(crate) fn set(
        &mut self,
        key: Key<'_>,
        value: &[u8],
        options: &SetOptions,
        change: &mut Change<'_>,
    ) -> Result<SetOutcome, Refusal> {
        let found = self.find_or_free(key, change);
        match (options.condition, found) {
            (Condition::Absent, Some(_)) => return Ok(SetOutcome::Exists),
            (Condition::Present | Condition::Version(_), None) => return Ok(SetOutcome::NotFound),
            (Condition::Version(version), Some(found)) if found.head.version != version => {
                return Ok(SetOutcome::Conflict);
            }
            _ => {}
        }
        let version = self.store(key, found, value, options.expiry, change)?;
        Ok(SetOutcome::Stored { version })
    }

    /// Writes the value of a key, over the entry that was found for it.
    #[inline]
    fn store(
        &mut self,
        key: Key<'_>,
        found: Option<Found>,
        value: &[u8],
        expiry: Expiry,
        change: &mut Change<'_>,
    ) -> Result<u64, Refusal> {
        let current = found.map(|found| found.head.deadline);
        let version = match change.context.deadline(expiry, current, &change.now) {
            Deadline::At(deadline) => {
                let content = Content { key: key.bytes, value: [value, b""], deadline, spare: 0 };
                match &found {
                    Some(found) => self.replace(key, found, &content, change)?,
                    None => self.insert(key, &content, change)?,
                }
            }
            Deadline::Past => match &found {
                Some(found) => self.remove_live(key, found, Cause::Deleted, change)?,
                // Nothing changes, so no revision is taken: each one is the number of a change.
                None => change.context.revision(),
            },
        };
        self.count_set(change);
        self.tidy(change);
        Ok(version)
    }

    fn count_set(&mut self, change: &Change<'_>) {
        self.counters.sets += u64::from(change.context.counts());
    }

    /// Counts what a group of changes came to.
    pub(super) fn count_changes(&mut self, sets: u64, deletes: u64) {
        self.counters.sets += sets;
        self.counters.deletes += deletes;
    }

    pub(crate) fn take(
        &mut self,
        key: Key<'_>,
        change: &mut Change<'_>,
    ) -> Result<Option<Value>, Refusal> {
        let Some(found) = self.find_or_free(key, change) else {
            self.counters.misses += u64::from(change.context.counts());
            return Ok(None);
        };
        let value = self.value(&found, change.context.pins);
        self.remove_live(key, &found, Cause::Deleted, change)?;
        self.counters.hits += u64::from(change.context.counts());
        Ok(Some(value))
    }

    pub(crate) fn del(&mut self, key: Key<'_>, change: &mut Change<'_>) -> Result<bool, Refusal> {
        let Some(found) = self.find_or_free(key, change) else { return Ok(false) };
        self.remove_live(key, &found, Cause::Deleted, change)?;
        Ok(true)
    }

    pub(crate) fn del_if(
        &mut self,
        key: Key<'_>,
        version: u64,
        change: &mut Change<'_>,
    ) -> Result<DeleteOutcome, Refusal> {
        Ok(match self.find_or_free(key, change) {
            None => DeleteOutcome::NotFound,
            Some(found) if found.head.version != version => DeleteOutcome::Conflict,
            Some(found) => {
                self.remove_live(key, &found, Cause::Deleted, change)?;
                DeleteOutcome::Deleted
            }
        })
    }

    /// Adds to a number, as long as its text stays within `longest`.
    pub(crate) fn incr(
        &mut self,
        key: Key<'_>,
        delta: i64,
        expiry: Expiry,
        longest: usize,
        change: &mut Change<'_>,
    ) -> Result<i64, Refusal> {
        let found = self.find_or_free(key, change);
        let (number, expiry) = match &found {
            None => (0, expiry),
            Some(found) => {
                let value = self.entries().value(found);
                let number = number::parse(value).ok_or(Status::Type)?;
                let keeps = matches!(expiry, Expiry::Default | Expiry::AfterMs(0));
                (number, if keeps { Expiry::Keep } else { expiry })
            }
        };
        let sum = number.checked_add(delta).ok_or(Status::Type)?;
        let text = number::Text::of(sum);
        if text.as_bytes().len() > longest {
            return Err(Status::TooLarge.into());
        }
        self.store(key, found, text.as_bytes(), expiry, change)?;
        Ok(sum)
    }

    /// Appends, as long as the value stays within `longest`.
    pub(crate) fn append(
        &mut self,
        key: Key<'_>,
        data: &[u8],
        longest: usize,
        change: &mut Change<'_>,
    ) -> Result<usize, Refusal> {
        let Some(found) = self.find_or_free(key, change) else {
            self.store(key, None, data, Expiry::Default, change)?;
            return Ok(data.len());
        };
        let len = self.entries().value(&found).len().saturating_add(data.len());
        if len > longest {
            return Err(Status::TooLarge.into());
        }
        self.append_to(key, &found, data, change)?;
        self.count_set(change);
        self.tidy(change);
        Ok(len)
    }

    fn append_to(
        &mut self,
        key: Key<'_>,
        found: &Found,
        data: &[u8],
        change: &mut Change<'_>,
    ) -> Result<u64, Refusal> {
        if found.head.is_large() {
            let number = entry::large_number(&self.space.words, found.id, &found.head);
            let len = self.entries().value(found).len() + data.len();
            // An image shares the old value, so it comes before the question whether that may grow.
            self.prepare(key.index_hash(), Some(found), key.bytes.len() + len, change)?;
            // A callback or a scan that is shown the old value shares it, and then it cannot grow in place.
            let shared = change.context.removals.wants(Cause::Replaced)
                || self.is_awaited(key.index_hash(), found, &change.now);
            if !shared && self.large.can_append(number, data.len()) {
                let version = self.redate_large(key, found, found.head.deadline, change)?;
                self.large.append(number, data);
                self.value_bytes += data.len() as u64;
                let head = found.head.with_version(version);
                let value = &self.large.get(number).value;
                let mut bytes = value.as_slice();
                if is_planted(Planted::RelativeAppend) {
                    bytes = data;
                }
                record_set(key.bytes, [bytes, b""], Some(value), &head, change);
                return Ok(version);
            }
            // Shared, so that the shard can be changed while the old value is copied.
            let old = std::sync::Arc::clone(&self.large.get(number).value);
            return self.append_copy(key, found, old.as_slice(), data, change);
        }
        let old = self.entries().value(found).to_vec();
        self.append_copy(key, found, &old, data, change)
    }

    fn append_copy(
        &mut self,
        key: Key<'_>,
        found: &Found,
        old: &[u8],
        data: &[u8],
        change: &mut Change<'_>,
    ) -> Result<u64, Refusal> {
        // A value that grows by appends and is large already gets a quarter more than it needs.
        let spare = if found.head.is_large() { old.len() / 4 } else { 0 };
        let value = [old, data];
        let content = Content { key: key.bytes, value, deadline: found.head.deadline, spare };
        match self.replace(key, found, &content, change) {
            // Near a limit the value does without the spare room.
            Err(_) if spare > 0 => {
                self.replace(key, found, &Content { spare: 0, ..content }, change)
            }
            result => result,
        }
    }

    /// Gives an entry a TTL: it is deleted at once if that is not positive, and never expires if it
    /// is the largest number.
    pub(crate) fn expire(
        &mut self,
        key: Key<'_>,
        ttl_ms: i64,
        change: &mut Change<'_>,
    ) -> Result<bool, Refusal> {
        let deadline = change.context.expires_at(ttl_ms, &change.now);
        self.expire_at(key, deadline, change)
    }

    pub(crate) fn expire_at(
        &mut self,
        key: Key<'_>,
        deadline: i64,
        change: &mut Change<'_>,
    ) -> Result<bool, Refusal> {
        let Some(found) = self.find_or_free(key, change) else { return Ok(false) };
        if deadline == NEVER && found.head.deadline == NEVER {
            return Ok(true);
        }
        if deadline <= change.now.ms() {
            self.remove_live(key, &found, Cause::Deleted, change)?;
            return Ok(true);
        }
        self.redate(key, &found, deadline, change)?;
        self.tidy(change);
        Ok(true)
    }
}
