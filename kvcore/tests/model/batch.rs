//! Batches: the model makes the changes one after the other, and forgets all of them if one fails.

use std::collections::{BTreeMap, BTreeSet};

use kvcore::{Batch, BatchOutcome, SetOptions, Status};

use crate::model::{Model, Verdict};
use crate::ops::{MAX_KEY_BYTES, MAX_VALUE_BYTES, Part};
use crate::pair::Pair;

/// The version of an entry that a batch has changed, which no condition names.
const CHANGED: u64 = u64::MAX;

/// What the model makes of a batch.
struct Done {
    model: Model,
    applied: u64,
    missing: u64,
    /// Keys that got a value or a deadline.
    changed: BTreeSet<Vec<u8>>,
    /// Keys that were there when a change named them, or came by it. None of them is evicted for the
    /// batch, not even one whose deadline is what it was.
    named: BTreeSet<Vec<u8>>,
}

impl Pair {
    pub fn write(&mut self, parts: &[Part]) {
        let batch = self.batch(parts);
        let got = self.store.write(&batch).map_err(|error| error.status());
        let want = self.predict(parts);
        let may_refuse = matches!(&want, Ok(Ok(_)) | Err(Status::Full));
        if got.is_err_and(|status| may_refuse && self.memory_refusal(status)) {
            self.refused(self.needed(parts));
            return self.see_all();
        }
        match want {
            Err(status) => assert_eq!(got, Err(status)),
            Ok(Err(index)) => assert_eq!(got, Ok(BatchOutcome::Conflict { index })),
            Ok(Ok(done)) => {
                let (applied, missing) = (done.applied, done.missing);
                assert_eq!(got, Ok(BatchOutcome::Applied { applied, missing }));
                self.take_over(done);
            }
        }
        self.see_all();
    }

    /// Bytes of the keys and values that a batch names and that are there after it: it may evict none of
    /// them.
    fn needed(&self, parts: &[Part]) -> usize {
        let mut lens: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
        for part in parts {
            let key = part.key();
            match part {
                Part::Set(..) => drop(lens.insert(key, size(part))),
                Part::Del(_) => drop(lens.remove(&key)),
                Part::Expire(..) | Part::ExpireAtOffset(..) => {
                    if let Some(entry) = self.model.entries.get(&key) {
                        lens.entry(key).or_insert(entry.value.len());
                    }
                }
            }
        }
        lens.iter().map(|(key, len)| key.len() + len).sum()
    }

    fn batch(&self, parts: &[Part]) -> Batch {
        let mut batch = Batch::new();
        for part in parts {
            let key = part.key();
            match part {
                Part::Set(_, value, ttl, when) => {
                    let condition = self.condition(&key, *when);
                    let options = SetOptions { expiry: self.expiry(*ttl), condition };
                    batch.set_with(&key, &value.0, &options)
                }
                Part::Del(_) => batch.del(&key),
                Part::Expire(_, ttl_ms) => batch.expire(&key, *ttl_ms),
                Part::ExpireAtOffset(_, offset) => batch.expire_at(&key, self.model.now + offset),
            };
        }
        batch
    }

    /// What should happen: a refusal, the number of a condition that fails, or a new state.
    fn predict(&self, parts: &[Part]) -> Result<Result<Done, usize>, Status> {
        let mut wrong = Vec::new();
        for part in parts {
            if part.key().len() > MAX_KEY_BYTES || size(part) > MAX_VALUE_BYTES {
                wrong.push(Status::TooLarge);
            }
            if let Part::Set(_, _, ttl, _) = part
                && let Verdict::Refused(status) = self.model.deadline(*ttl, None)
            {
                wrong.push(status);
            }
        }
        if let Some(first) = wrong.first() {
            return Err(*first);
        }
        let mut done = Done {
            model: Model { max_entries: 0, ..self.model.clone() },
            applied: 0,
            missing: 0,
            changed: BTreeSet::new(),
            named: BTreeSet::new(),
        };
        for (index, part) in parts.iter().enumerate() {
            if !done.apply(part, self) {
                return Ok(Err(index));
            }
        }
        let (before, after) = (&self.model.entries, &done.model.entries);
        let grows = after.len() > before.len();
        let too_many =
            |count: usize| self.model.max_entries != 0 && count > self.model.max_entries as usize;
        let alone = done.named.iter().filter(|key| after.contains_key(*key)).count();
        if grows && too_many(if self.model.evicts { alone } else { after.len() }) {
            return Err(Status::Full);
        }
        Ok(Ok(done))
    }

    /// The new state with the versions that the store gave: new ones, and no two alike.
    fn take_over(&mut self, done: Done) {
        let mut versions = BTreeSet::new();
        self.model = Model { max_entries: self.model.max_entries, ..done.model };
        for key in &done.changed {
            let Some(entry) = self.model.entries.get_mut(key) else { continue };
            let held = self.store.get(key).unwrap().expect("what a batch wrote is there");
            assert!(held.version() > self.model.last_version);
            assert!(versions.insert(held.version()), "a version was given twice");
            entry.version = held.version();
        }
        self.model.last_version = versions.last().copied().unwrap_or(self.model.last_version);
        let changed: Vec<Vec<u8>> = done.changed.into_iter().collect();
        self.find_evicted(&changed);
    }
}

impl Done {
    /// Does one change. False if its condition does not hold.
    fn apply(&mut self, part: &Part, pair: &Pair) -> bool {
        let key = part.key();
        let there = self.model.entries.contains_key(&key);
        let deadline = match part {
            Part::Set(_, value, ttl, when) => {
                let condition = pair.condition(&key, *when);
                match self.model.set(&key, value, *ttl, condition)[0] {
                    Verdict::Unmet(_) => return false,
                    Verdict::Removes => {
                        self.model.expired += u64::from(there);
                        self.model.expired_unsure += u64::from(there);
                        self.model.entries.remove(&key);
                    }
                    Verdict::Stores(deadline) => {
                        self.model.store(&key, value.to_vec(), deadline, CHANGED);
                        self.named.insert(key.clone());
                        self.changed.insert(key);
                    }
                    Verdict::Refused(status) => unreachable!("{status:?} was looked for before"),
                }
                self.applied += 1;
                return true;
            }
            _ if !there => {
                self.missing += 1;
                return true;
            }
            Part::Del(_) => None,
            Part::Expire(_, ttl_ms) => self.model.expire(*ttl_ms),
            Part::ExpireAtOffset(_, offset) => self.model.expire_at(self.model.now + offset),
        };
        self.applied += 1;
        self.named.insert(key.clone());
        match (deadline, self.model.entries.get_mut(&key)) {
            (Some(deadline), Some(entry)) if deadline.is_some() || entry.deadline.is_some() => {
                (entry.deadline, entry.version) = (deadline, CHANGED);
                self.changed.insert(key);
            }
            (None, _) => drop(self.model.entries.remove(&key)),
            _ => {}
        }
        true
    }
}

fn size(part: &Part) -> usize {
    if let Part::Set(_, value, ..) = part { value.len() } else { 0 }
}
