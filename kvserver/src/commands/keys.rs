//! Keys whatever they hold: removing, renaming, copying, counting.

use std::sync::atomic::Ordering;

use kvcore::Expiry;

use super::call::{Call, Effect, Outcome};
use super::failure::Failure;
use super::keyspace::Keyspace;
use super::scan;
use super::spec::{Access, Command, Flags, Group, Keys, NO_KEYS, all_keys, one_key};
use crate::shared::events::Classes;

const READ_FAST: &[Flags] = &[Flags::READONLY, Flags::FAST];
const fn two_keys(first: Access) -> Keys {
    Keys { first: 1, last: 2, step: 1, access: [first, Access::WRITE] }
}

/// The commands of this file.
pub const COMMANDS: &[Command] = &[
    Command::new("del", -2, &[Flags::WRITE], all_keys(Access::WRITE), Group::Generic, del)
        .about("1.0.0", "Removes keys."),
    Command::new(
        "unlink",
        -2,
        &[Flags::WRITE, Flags::FAST],
        all_keys(Access::WRITE),
        Group::Generic,
        unlink,
    )
    .about("4.0.0", "Removes keys."),
    Command::new("exists", -2, READ_FAST, all_keys(Access::NONE), Group::Generic, exists)
        .about("1.0.0", "Counts which of some keys are there."),
    Command::new("touch", -2, READ_FAST, all_keys(Access::NONE), Group::Generic, touch)
        .about("3.2.1", "Counts which of some keys are there, as uses of them."),
    Command::new("type", 2, READ_FAST, one_key(Access::NONE), Group::Generic, kind)
        .about("1.0.0", "Answers what a key holds."),
    Command::new("rename", 3, &[Flags::WRITE], two_keys(Access::BOTH), Group::Generic, rename)
        .about("1.0.0", "Gives a value another key."),
    Command::new(
        "renamenx",
        3,
        &[Flags::WRITE, Flags::FAST],
        two_keys(Access::BOTH),
        Group::Generic,
        renamenx,
    )
    .about("1.0.0", "Gives a value another key if that is absent."),
    Command::new(
        "copy",
        -3,
        &[Flags::WRITE, Flags::DENYOOM],
        two_keys(Access::READ),
        Group::Generic,
        copy,
    )
    .about("6.2.0", "Copies a value to another key."),
    Command::new(
        "dbsize",
        1,
        &[Flags::READONLY, Flags::FAST, Flags::WHOLE_STORE],
        NO_KEYS,
        Group::Server,
        dbsize,
    )
    .about("1.0.0", "Counts the keys."),
    Command::new(
        "flushall",
        -1,
        &[Flags::WRITE, Flags::WHOLE_STORE, Flags::DANGEROUS],
        NO_KEYS,
        Group::Server,
        flush,
    )
    .about("1.0.0", "Removes all keys."),
    Command::new(
        "flushdb",
        -1,
        &[Flags::WRITE, Flags::WHOLE_STORE, Flags::DANGEROUS],
        NO_KEYS,
        Group::Server,
        flush,
    )
    .about("1.0.0", "Removes all keys of the database, which is the only one."),
    Command::new(
        "randomkey",
        1,
        &[Flags::READONLY, Flags::WHOLE_STORE],
        NO_KEYS,
        Group::Generic,
        randomkey,
    )
    .about("1.0.0", "Answers some key."),
    Command::new(
        "move",
        3,
        &[Flags::WRITE, Flags::FAST],
        one_key(Access::BOTH),
        Group::Generic,
        move_key,
    )
    .about("1.0.0", "Moves a key to another database, of which there is none."),
    Command::new(
        "swapdb",
        3,
        &[Flags::WRITE, Flags::FAST, Flags::DANGEROUS],
        NO_KEYS,
        Group::Server,
        swapdb,
    )
    .about("4.0.0", "Exchanges two databases, of which there is one."),
];

fn del(call: &mut Call<'_, '_>) -> Outcome {
    if call.len() == 2 && call.shared.settings.del_returns_value.load(Ordering::Relaxed) {
        return del_and_answer(call);
    }
    unlink(call)
}

/// `DEL` for people at a telnet: answers what was removed.
fn del_and_answer(call: &mut Call<'_, '_>) -> Outcome {
    let key = call.arg(1);
    let old = call.keys.edit(&[key], |keys| {
        let old = keys.get(key)?.map(<[u8]>::to_vec);
        if old.is_some() {
            keys.del(key)?;
        }
        Ok(old)
    })?;
    call.out.bulk_or_null(old.as_deref());
    if old.is_some() {
        call.changed_by(Classes::GENERIC, "del", key);
    }
    Ok(())
}

fn unlink(call: &mut Call<'_, '_>) -> Outcome {
    let mut removed = 0;
    for (number, key) in call.args_from(1).enumerate() {
        call.prefetch(1, number);
        if call.keys.del(key)? {
            removed += 1;
            call.changed_by(Classes::GENERIC, "del", key);
        }
    }
    call.out.integer(removed);
    Ok(())
}

fn exists(call: &mut Call<'_, '_>) -> Outcome {
    let mut found = 0;
    for (number, key) in call.args_from(1).enumerate() {
        call.prefetch(1, number);
        found += i64::from(call.keys.exists(key)?);
    }
    call.out.integer(found);
    Ok(())
}

fn touch(call: &mut Call<'_, '_>) -> Outcome {
    let mut found = 0;
    for (number, key) in call.args_from(1).enumerate() {
        call.prefetch(1, number);
        // It is a use of the key whoever asks for it.
        let read = match &call.keys {
            Keyspace::Untouched(store) => store.get_with(key, |_| ())?,
            keys => keys.read(key, |_| ())?,
        };
        found += i64::from(read.is_some());
    }
    call.out.integer(found);
    Ok(())
}

fn kind(call: &mut Call<'_, '_>) -> Outcome {
    let is_there = call.keys.exists(call.arg(1))?;
    call.out.simple(if is_there { "string" } else { "none" });
    Ok(())
}

/// Gives a value another key, with its deadline. Answers whether it did.
fn move_value(call: &mut Call<'_, '_>, replaces: bool) -> Result<bool, Failure> {
    let (from, to) = (call.arg(1), call.arg(2));
    let moved = call.keys.edit(&[from, to], |keys| {
        let held = keys.held(from)?.ok_or(Failure::NO_SUCH_KEY)?;
        let (value, deadline) = (held.value.to_vec(), held.expire_at_ms);
        if from == to {
            return Ok(None);
        }
        if !replaces && keys.held(to)?.is_some() {
            return Ok(Some(false));
        }
        keys.del(from)?;
        keys.set(to, &value, deadline.map_or(Expiry::Never, Expiry::AtMs))?;
        Ok(Some(true))
    })?;
    if moved == Some(true) {
        call.changed_by(Classes::GENERIC, "rename_from", from);
        call.changed_by(Classes::GENERIC, "rename_to", to);
    }
    Ok(moved.unwrap_or(replaces))
}

fn rename(call: &mut Call<'_, '_>) -> Outcome {
    move_value(call, true)?;
    call.out.ok();
    Ok(())
}

fn renamenx(call: &mut Call<'_, '_>) -> Outcome {
    let moved = move_value(call, false)?;
    call.out.integer(i64::from(moved));
    Ok(())
}

fn copy(call: &mut Call<'_, '_>) -> Outcome {
    let (from, to) = (call.arg(1), call.arg(2));
    let (mut replaces, mut at) = (false, 3);
    while at < call.len() {
        if call.is(at, "replace") {
            replaces = true;
        } else if call.is(at, "db") && at + 1 < call.len() {
            at += 1;
            if call.integer(at)? != 0 {
                return Err(Failure::fixed("ERR DB index is out of range"));
            }
        } else {
            return Err(Failure::SYNTAX);
        }
        at += 1;
    }
    if from == to {
        return Err(Failure::fixed("ERR source and destination objects are the same"));
    }
    let copied = call.keys.edit(&[from, to], |keys| {
        let Some(held) = keys.held(from)? else { return Ok(false) };
        let (value, deadline) = (held.value.to_vec(), held.expire_at_ms);
        if !replaces && keys.held(to)?.is_some() {
            return Ok(false);
        }
        keys.set(to, &value, deadline.map_or(Expiry::Never, Expiry::AtMs))?;
        Ok(true)
    })?;
    if copied {
        call.changed_by(Classes::GENERIC, "copy_to", to);
    }
    call.out.integer(i64::from(copied));
    Ok(())
}

fn dbsize(call: &mut Call<'_, '_>) -> Outcome {
    let count = call.keys.store()?.len()?;
    call.out.integer(i64::try_from(count).unwrap_or(i64::MAX));
    Ok(())
}

fn flush(call: &mut Call<'_, '_>) -> Outcome {
    let fits = match call.len() {
        1 => true,
        2 => call.is(1, "sync") || call.is(1, "async"),
        _ => false,
    };
    if !fits {
        return Err(Failure::SYNTAX);
    }
    call.keys.store()?.clear()?;
    call.session.effects.push(Effect::Cleared);
    call.out.ok();
    Ok(())
}

fn randomkey(call: &mut Call<'_, '_>) -> Outcome {
    let key = scan::random_key(call)?;
    call.out.bulk_or_null(key.as_deref());
    Ok(())
}

fn move_key(call: &mut Call<'_, '_>) -> Outcome {
    match call.integer(2)? {
        0 => Err(Failure::fixed("ERR source and destination objects are the same")),
        _ => Err(Failure::fixed("ERR DB index is out of range")),
    }
}

fn swapdb(call: &mut Call<'_, '_>) -> Outcome {
    let index = |position: usize, which: &'static str| {
        crate::number::integer(call.arg(position)).ok_or(Failure::fixed(which))
    };
    let (first, second) =
        (index(1, "ERR invalid first DB index")?, index(2, "ERR invalid second DB index")?);
    if (first, second) != (0, 0) {
        return Err(Failure::fixed("ERR DB index is out of range"));
    }
    call.out.ok();
    Ok(())
}
