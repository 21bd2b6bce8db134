//! What a store should do, written with a `BTreeMap` and no concern for speed.
//!
//! Owns: the entries a caller can see. An entry leaves the map the moment its deadline passes and
//! becomes a ghost: the store may still hold it, but no call may see it.

use std::collections::{BTreeMap, BTreeSet};

use kvcore::{Condition, Status};

use crate::ops::{MAX_KEY_BYTES, MAX_VALUE_BYTES, Ttl};

#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub value: Vec<u8>,
    pub version: u64,
    /// `None`: never.
    pub deadline: Option<i64>,
    pub created_at: i64,
}

/// What becomes of a write.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Verdict {
    Refused(Status),
    /// A condition failed.
    Unmet(Status),
    /// The deadline has passed already: what was there goes.
    Removes,
    /// Stores, with this deadline.
    Stores(Option<i64>),
}

#[derive(Debug, Default, Clone)]
pub struct Model {
    pub now: i64,
    pub entries: BTreeMap<Vec<u8>, Entry>,
    pub ghosts: BTreeSet<Vec<u8>>,
    /// How many entries have expired, ever.
    pub expired: u64,
    /// How many of them were swept away by `clear`, which may or may not count them.
    pub expired_unsure: u64,
    /// 0: no limit. With an eviction policy a limit refuses nothing.
    pub max_entries: u64,
    pub evicts: bool,
    pub default_ttl: u64,
    pub last_version: u64,
}

impl Model {
    pub fn advance(&mut self, ms: u64) {
        self.now += ms as i64;
        let now = self.now;
        let due = |entry: &Entry| entry.deadline.is_some_and(|deadline| deadline <= now);
        let gone: Vec<Vec<u8>> =
            self.entries.iter().filter(|(_, e)| due(e)).map(|(key, _)| key.clone()).collect();
        for key in gone {
            self.entries.remove(&key);
            self.ghosts.insert(key);
            self.expired += 1;
        }
    }

    /// Why a key cannot be asked for, if so.
    pub fn key_error(&self, key: &[u8]) -> Option<Status> {
        (key.len() > MAX_KEY_BYTES).then_some(Status::TooLarge)
    }

    fn after(&self, ttl_ms: u64) -> Option<i64> {
        let sum = u128::from(self.now as u64) + u128::from(ttl_ms);
        i64::try_from(sum).ok().filter(|deadline| *deadline != i64::MAX)
    }

    fn default_deadline(&self) -> Option<i64> {
        if self.default_ttl == 0 { None } else { self.after(self.default_ttl) }
    }

    /// The deadline a write gives, or why it gives none.
    pub fn deadline(&self, ttl: Ttl, old: Option<&Entry>) -> Verdict {
        let absolute = |at: i64| match at {
            ..0 => Verdict::Refused(Status::Invalid),
            i64::MAX => Verdict::Stores(None),
            _ if at <= self.now => Verdict::Removes,
            _ => Verdict::Stores(Some(at)),
        };
        match ttl {
            Ttl::Default | Ttl::AfterMs(0) => Verdict::Stores(self.default_deadline()),
            Ttl::Never => Verdict::Stores(None),
            Ttl::Keep => {
                Verdict::Stores(old.map_or(self.default_deadline(), |entry| entry.deadline))
            }
            Ttl::AfterMs(ms) => Verdict::Stores(self.after(ms)),
            Ttl::AtOffset(offset) => absolute(self.now + offset),
            Ttl::AtMs(at) => absolute(at),
        }
    }

    fn has_room_for(&self, new_keys: usize) -> bool {
        self.evicts
            || self.max_entries == 0
            || new_keys == 0
            || self.entries.len() + new_keys <= self.max_entries as usize
    }

    /// What becomes of a set. Several arguments may be wrong at once, and each is a right answer.
    pub fn set(&self, key: &[u8], value: &[u8], ttl: Ttl, condition: Condition) -> Vec<Verdict> {
        let old = self.entries.get(key);
        let deadline = self.deadline(ttl, old);
        let mut wrong = Vec::new();
        if self.key_error(key).is_some() || value.len() > MAX_VALUE_BYTES {
            wrong.push(Verdict::Refused(Status::TooLarge));
        }
        if let Verdict::Refused(_) = deadline {
            wrong.push(deadline);
        }
        if !wrong.is_empty() {
            return wrong;
        }
        vec![match (condition, old) {
            (Condition::Absent, Some(_)) => Verdict::Unmet(Status::Exists),
            (Condition::Present | Condition::Version(_), None) => Verdict::Unmet(Status::NotFound),
            (Condition::Version(version), Some(entry)) if entry.version != version => {
                Verdict::Unmet(Status::Conflict)
            }
            (_, None) if deadline != Verdict::Removes && !self.has_room_for(1) => {
                Verdict::Refused(Status::Full)
            }
            _ => deadline,
        }]
    }

    /// Whether these writes fit, together.
    pub fn set_many(&self, items: &[(Vec<u8>, Vec<u8>)]) -> Option<Status> {
        let too_large = |(key, value): &(Vec<u8>, Vec<u8>)| {
            key.len() > MAX_KEY_BYTES || value.len() > MAX_VALUE_BYTES
        };
        if items.iter().any(too_large) {
            return Some(Status::TooLarge);
        }
        let new: BTreeSet<&Vec<u8>> = items
            .iter()
            .map(|(key, _)| key)
            .filter(|key| !self.entries.contains_key(*key))
            .collect();
        let alone = self.max_entries != 0 && {
            let all: BTreeSet<&Vec<u8>> = items.iter().map(|(key, _)| key).collect();
            all.len() > self.max_entries as usize
        };
        let fits = self.has_room_for(new.len()) && !(self.evicts && alone);
        (!fits).then_some(Status::Full)
    }

    /// What `incr` answers: the sum and the deadline, or the refusal.
    pub fn incr(&self, key: &[u8], delta: i64, ttl: Ttl) -> Result<(i64, Option<i64>), Status> {
        if let Some(status) = self.key_error(key) {
            return Err(status);
        }
        let old = self.entries.get(key);
        let number = match old {
            None => 0,
            Some(entry) => strict_number(&entry.value).ok_or(Status::Type)?,
        };
        let sum = number.checked_add(delta).ok_or(Status::Type)?;
        if old.is_none() && !self.has_room_for(1) {
            return Err(Status::Full);
        }
        let deadline = match (old, ttl) {
            (Some(entry), Ttl::Default | Ttl::Keep | Ttl::AfterMs(0)) => entry.deadline,
            _ => match self.deadline(ttl, old) {
                Verdict::Stores(deadline) => deadline,
                other => unreachable!("incr names no absolute deadline: {other:?}"),
            },
        };
        Ok((sum, deadline))
    }

    /// What `append` answers: the value and the deadline, or the refusal.
    pub fn append(&self, key: &[u8], data: &[u8]) -> Result<(Vec<u8>, Option<i64>), Status> {
        if let Some(status) = self.key_error(key) {
            return Err(status);
        }
        let (mut value, deadline) = match self.entries.get(key) {
            None => (Vec::new(), self.default_deadline()),
            Some(entry) => (entry.value.clone(), entry.deadline),
        };
        value.extend_from_slice(data);
        if value.len() > MAX_VALUE_BYTES {
            return Err(Status::TooLarge);
        }
        if !self.entries.contains_key(key) && !self.has_room_for(1) {
            return Err(Status::Full);
        }
        Ok((value, deadline))
    }

    /// The deadline that `expire` gives; `None` deletes.
    pub fn expire(&self, ttl_ms: i64) -> Option<Option<i64>> {
        match ttl_ms {
            i64::MAX => Some(None),
            ..=0 => None,
            _ => Some(self.after(ttl_ms as u64)),
        }
    }

    /// The deadline that `expire_at` gives; `None` deletes.
    pub fn expire_at(&self, unix_ms: i64) -> Option<Option<i64>> {
        match unix_ms {
            i64::MAX => Some(None),
            _ if unix_ms <= self.now => None,
            _ => Some(Some(unix_ms)),
        }
    }

    pub fn store(&mut self, key: &[u8], value: Vec<u8>, deadline: Option<i64>, version: u64) {
        let created_at = self.entries.get(key).map_or(self.now, |entry| entry.created_at);
        self.entries.insert(key.to_vec(), Entry { value, version, deadline, created_at });
        self.ghosts.remove(key);
    }

    pub fn clear(&mut self) {
        self.entries.clear();
        self.expired_unsure += self.ghosts.len() as u64;
        self.ghosts.clear();
    }
}

/// A number exactly as it would be printed, or nothing.
fn strict_number(text: &[u8]) -> Option<i64> {
    let number: i64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    (number.to_string().as_bytes() == text).then_some(number)
}
