//! Looking for keys: `SCAN` and `KEYS`.
//!
//! A user whose permissions are on some keys finds only these. Valkey shows all names to whoever may use the
//! command; here a name is nobody's business who may not use the key.

use std::sync::Arc;

use super::call::{Call, Outcome};
use super::failure::Failure;
use super::spec::{Command, Flags, Group, NO_KEYS};
use crate::acl::User;
use crate::glob;

/// Keys of one page of `KEYS`, between which other commands of other threads have their turn.
const PAGE: usize = 1024;

/// Keys that are drawn for a user who may not know of all of them.
const DRAWS: usize = 64;

/// The commands of this file.
pub const COMMANDS: &[Command] = &[
    Command::new("scan", -2, &[Flags::READONLY, Flags::WHOLE_STORE], NO_KEYS, Group::Generic, scan)
        .about("2.8.0", "Answers some keys, and where to go on."),
    Command::new(
        "keys",
        2,
        &[Flags::READONLY, Flags::WHOLE_STORE, Flags::DANGEROUS],
        NO_KEYS,
        Group::Generic,
        keys,
    )
    .about("1.0.0", "Answers all keys that a pattern describes."),
];

/// A cursor as a client gives it back: a number, with nothing around it.
fn cursor(text: &[u8]) -> Result<u64, Failure> {
    let invalid = Failure::fixed("ERR invalid cursor");
    let text = std::str::from_utf8(text).map_err(|_| invalid.clone())?;
    text.parse().map_err(|_| invalid)
}

/// The user whose permissions decide which keys are found; `None` if all are.
fn whose_keys(call: &Call<'_, '_>) -> Option<Arc<User>> {
    let user = &call.session.user;
    (!user.may_name_all()).then(|| Arc::clone(user))
}

/// Some key, of those that the user may know of. Behind some draws that found none of these, it is the first
/// one of a walk through the store.
pub fn random_key(call: &Call<'_, '_>) -> Result<Option<Vec<u8>>, Failure> {
    let store = call.keys.store()?;
    let Some(user) = whose_keys(call) else { return Ok(store.random_key()?) };
    for _ in 0..DRAWS {
        match store.random_key()? {
            Some(key) if !user.may_name(&key) => {}
            drawn => return Ok(drawn),
        }
    }
    let (mut found, mut from) = (None, 0);
    loop {
        from = store.scan_page(from, PAGE, |key| {
            if found.is_none() && user.may_name(key) {
                found = Some(key.to_vec());
            }
        })?;
        if found.is_some() || from == 0 {
            return Ok(found);
        }
    }
}

fn scan(call: &mut Call<'_, '_>) -> Outcome {
    let from = cursor(call.arg(1))?;
    let (mut count, mut pattern, mut is_wanted) = (10, None, true);
    let mut at = 2;
    while at < call.len() {
        if at + 1 >= call.len() {
            return Err(Failure::SYNTAX);
        }
        if call.is(at, "count") {
            count = usize::try_from(call.integer(at + 1)?)
                .ok()
                .filter(|count| *count > 0)
                .ok_or(Failure::SYNTAX)?;
        } else if call.is(at, "match") {
            pattern = Some(call.arg(at + 1)).filter(|pattern| *pattern != b"*");
        } else if call.is(at, "type") {
            is_wanted = call.is(at + 1, "string");
        } else {
            return Err(Failure::SYNTAX);
        }
        at += 2;
    }
    let mut found = Vec::new();
    let user = whose_keys(call);
    let next = call.keys.store()?.scan_page(from, count, |key| {
        if is_wanted
            && user.as_ref().is_none_or(|user| user.may_name(key))
            && pattern.is_none_or(|pattern| glob::matches(pattern, key))
        {
            found.push(key.to_vec());
        }
    })?;
    call.out.array(2);
    call.out.bulk(next.to_string().as_bytes());
    call.out.array(found.len());
    found.iter().for_each(|key| call.out.bulk(key));
    Ok(())
}

fn keys(call: &mut Call<'_, '_>) -> Outcome {
    let pattern = call.arg(1);
    let (mut found, mut from) = (Vec::new(), 0);
    let user = whose_keys(call);
    loop {
        from = call.keys.store()?.scan_page(from, PAGE, |key| {
            if glob::matches(pattern, key) && user.as_ref().is_none_or(|user| user.may_name(key)) {
                found.push(key.to_vec());
            }
        })?;
        if from == 0 {
            break;
        }
    }
    call.out.array(found.len());
    found.iter().for_each(|key| call.out.bulk(key));
    Ok(())
}
