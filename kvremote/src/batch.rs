//! Batches: changes of keys of one slot, made together or not at all.
//!
//! Without conditions they are a transaction of the server, else a script, which checks all conditions
//! before it changes anything. A cluster has no way to make changes on several slots together, so those are
//! refused before anything is sent. Never `MSET`: the client would split it without a word.

use kvcore::{Batch, BatchOp, BatchOutcome, Error, Result, Status};
use redis::Value;

use crate::call::Kind;
use crate::commands::{self, Change, Expire, Request};
use crate::near::Near;
use crate::replies;
use crate::slot;
use crate::store::{Inner, RemoteStore};

impl RemoteStore {
    /// Makes all changes of a batch, at one moment for whoever reads the server, or none of them.
    ///
    /// # Errors
    /// `CrossSlot`, naming two keys, if the keys are of several slots of a cluster; `TooLarge`, `Invalid` and
    /// `Unsupported` naming the change, before anything is sent; `Io` if the reply was lost.
    pub fn write(&self, batch: &Batch) -> Result<BatchOutcome> {
        let inner = &*self.inner;
        inner.check()?;
        let mut keys = Vec::with_capacity(batch.len());
        let mut changes = Vec::with_capacity(batch.len());
        for (index, (key, op)) in batch.ops().enumerate() {
            keys.push(inner.key(key).map_err(|error| numbered(index, &error))?.1);
            changes.push(change(inner, op).map_err(|error| numbered(index, &error))?);
        }
        let Some(slot) = common_slot(inner, batch, &keys)? else {
            return Ok(BatchOutcome::Applied { applied: 0, missing: 0 });
        };
        let touched = batch.ops().zip(&keys).map(|((known, _), key)| (slot::of(key), known));
        let writing = Near::writing(inner.near.as_deref(), touched);
        let outcome = if changes.iter().all(Change::is_plain) {
            transaction(inner, slot, &keys, &changes)
        } else {
            let request = Request::one(commands::batch(&keys, changes.iter()));
            inner.ask(slot, &request, Kind::Once).and_then(script_outcome)
        };
        drop(writing);
        if let Ok(BatchOutcome::Applied { applied, .. }) = outcome {
            inner.counters.set(applied);
        }
        outcome
    }
}

fn change<'a>(inner: &Inner, op: BatchOp<'a>) -> Result<Change<'a>> {
    match op {
        BatchOp::Set { value, options } => {
            inner.settings.check_value(value)?;
            Change::set(&inner.settings, value, &options)
        }
        BatchOp::Del => Ok(Change::del()),
        BatchOp::Expire(ttl_ms) => Ok(Change::expire(&Expire::After(ttl_ms))),
        BatchOp::ExpireAt(unix_ms) => Ok(Change::expire(&Expire::At(unix_ms))),
    }
}

/// The slot of all keys; `None` if there are none.
fn common_slot(inner: &Inner, batch: &Batch, keys: &[Vec<u8>]) -> Result<Option<u16>> {
    let Some(first) = keys.first() else { return Ok(None) };
    let slot = slot::of(first);
    let other = keys.iter().position(|key| slot::of(key) != slot);
    match other.filter(|_| inner.caller.link.is_cluster()) {
        None => Ok(Some(slot)),
        Some(other) => {
            let known: Vec<&[u8]> = batch.ops().map(|(key, _)| key).collect();
            Err(Error::new(
                Status::CrossSlot,
                format!(
                    "a batch on a cluster needs keys of one slot, and '{}' and '{}' are of two: \
                     give them one hash tag, as in {{user42}}:a and {{user42}}:b",
                    shown(known[0]),
                    shown(known[other])
                ),
            ))
        }
    }
}

/// A key for a message.
fn shown(key: &[u8]) -> String {
    let short = &key[..key.len().min(64)];
    short.escape_ascii().to_string()
}

/// An error that says which change it is about.
fn numbered(index: usize, error: &Error) -> Error {
    Error::new(error.status(), format!("operation {index}: {}", error.message()))
}

fn transaction(
    inner: &Inner,
    slot: u16,
    keys: &[Vec<u8>],
    changes: &[Change<'_>],
) -> Result<BatchOutcome> {
    let commands: Vec<Vec<redis::Cmd>> =
        changes.iter().zip(keys).map(|(change, key)| change.commands(key)).collect();
    let counts: Vec<usize> = commands.iter().map(Vec::len).collect();
    let request = Request::atomic(commands.into_iter().flatten().collect());
    let mut answers = inner.call(slot, &request, Kind::Once)?.into_iter();
    let (mut applied, mut missing) = (0, 0);
    for count in counts {
        let first = replies::checked(replies::next(&mut answers)?)?;
        let is_missing = matches!(first, Value::Int(0));
        missing += u64::from(is_missing);
        applied += u64::from(!is_missing);
        answers.by_ref().take(count - 1).try_for_each(|reply| replies::checked(reply).map(drop))?;
    }
    Ok(BatchOutcome::Applied { applied, missing })
}

fn script_outcome(reply: Value) -> Result<BatchOutcome> {
    let mut numbers = replies::list(reply)?.into_iter().map(replies::count);
    let mut next = || numbers.next().unwrap_or_else(|| Err(replies::unexpected(&Value::Nil)));
    match next()? {
        0 => Ok(BatchOutcome::Conflict { index: next()? as usize }),
        _ => Ok(BatchOutcome::Applied { applied: next()?, missing: next()? }),
    }
}
