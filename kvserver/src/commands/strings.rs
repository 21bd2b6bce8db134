//! Whole values: `SET` and its kin, `GET` and its kin.

use kvcore::{Condition, Expiry};

use super::call::{Call, Outcome};
use super::expire_time::Unit;
use super::failure::Failure;
use super::spec::{Access, Command, Flags, Group, Keys, all_keys, one_key};
use crate::shared::events::Classes;

const READ_FAST: &[Flags] = &[Flags::READONLY, Flags::FAST];
const WRITE: &[Flags] = &[Flags::WRITE, Flags::DENYOOM];
const WRITE_FAST: &[Flags] = &[Flags::WRITE, Flags::DENYOOM, Flags::FAST];
const PAIRS: Keys = Keys { first: 1, last: -1, step: 2, access: [Access::WRITE; 2] };

/// The commands of this file.
pub const COMMANDS: &[Command] = &[
    Command::new("get", 2, READ_FAST, one_key(Access::READ), Group::String, get)
        .about("1.0.0", "Answers the value of a key."),
    Command::new("set", -3, WRITE, one_key(Access::BOTH), Group::String, set)
        .about("1.0.0", "Sets the value of a key, with a condition and a deadline if asked."),
    Command::new("setnx", 3, WRITE_FAST, one_key(Access::WRITE), Group::String, setnx)
        .about("1.0.0", "Sets the value of a key that is absent."),
    Command::new("setex", 4, WRITE, one_key(Access::WRITE), Group::String, setex)
        .about("2.0.0", "Sets a value and its lifetime in seconds."),
    Command::new("psetex", 4, WRITE, one_key(Access::WRITE), Group::String, psetex)
        .about("2.6.0", "Sets a value and its lifetime in milliseconds."),
    Command::new("getset", 3, WRITE_FAST, one_key(Access::BOTH), Group::String, getset)
        .about("1.0.0", "Sets a value and answers the one before."),
    Command::new(
        "getdel",
        2,
        &[Flags::WRITE, Flags::FAST],
        one_key(Access::BOTH),
        Group::String,
        getdel,
    )
    .about("6.2.0", "Removes a key and answers its value."),
    Command::new(
        "getex",
        -2,
        &[Flags::WRITE, Flags::FAST],
        one_key(Access::BOTH),
        Group::String,
        getex,
    )
    .about("6.2.0", "Answers a value and changes its deadline."),
    Command::new("mget", -2, READ_FAST, all_keys(Access::READ), Group::String, mget)
        .about("1.0.0", "Answers the values of many keys."),
    Command::new("mset", -3, WRITE, PAIRS, Group::String, mset)
        .about("1.0.1", "Sets many keys at once."),
    Command::new("msetnx", -3, WRITE, PAIRS, Group::String, msetnx)
        .about("1.0.1", "Sets many keys at once if all of them are absent."),
    Command::new("strlen", 2, READ_FAST, one_key(Access::NONE), Group::String, strlen)
        .about("2.2.0", "Answers the length of a value."),
];

fn get(call: &mut Call<'_, '_>) -> Outcome {
    let key = call.arg(1);
    let out = &mut *call.out;
    if call.keys.read(key, |value| out.bulk(value))?.is_none() {
        call.out.null();
        call.event(Classes::KEY_MISS, "keymiss", key);
    }
    Ok(())
}

/// The options of `SET`.
struct SetArgs {
    expiry: Expiry,
    condition: Condition,
    answers_old: bool,
}

fn set_args(call: &Call<'_, '_>) -> Result<SetArgs, Failure> {
    let mut args =
        SetArgs { expiry: Expiry::Default, condition: Condition::Any, answers_old: false };
    let mut has_expiry = false;
    let mut at = 3;
    while at < call.len() {
        let word = call.arg(at);
        if word.eq_ignore_ascii_case(b"nx") && args.condition != Condition::Present {
            args.condition = Condition::Absent;
        } else if word.eq_ignore_ascii_case(b"xx") && args.condition != Condition::Absent {
            args.condition = Condition::Present;
        } else if word.eq_ignore_ascii_case(b"get") {
            args.answers_old = true;
        } else if word.eq_ignore_ascii_case(b"keepttl") && !has_expiry {
            (args.expiry, has_expiry) = (Expiry::Keep, true);
        } else if let Some(unit) = Unit::of_option(word)
            && !has_expiry
            && at + 1 < call.len()
        {
            at += 1;
            // The syntax comes first: a number that is none is told of only if all else fits.
            (args.expiry, has_expiry) = (Expiry::Never, true);
            check_syntax(call, at + 1)?;
            args.expiry = call.expiry(at, unit)?;
        } else {
            return Err(Failure::SYNTAX);
        }
        at += 1;
    }
    Ok(args)
}

/// Refuses words behind an expiry that could be no option of `SET`.
fn check_syntax(call: &Call<'_, '_>, from: usize) -> Result<(), Failure> {
    let known = |word: &[u8]| {
        [&b"nx"[..], b"xx", b"get"].iter().any(|option| word.eq_ignore_ascii_case(option))
    };
    if call.args_from(from).all(known) { Ok(()) } else { Err(Failure::SYNTAX) }
}

fn set(call: &mut Call<'_, '_>) -> Outcome {
    let args = if call.len() == 3 {
        SetArgs { expiry: Expiry::Default, condition: Condition::Any, answers_old: false }
    } else {
        set_args(call)?
    };
    store(call, call.arg(2), &args)
}

/// Sets the key of a call and answers as `SET` does.
fn store(call: &mut Call<'_, '_>, value: &[u8], args: &SetArgs) -> Outcome {
    let key = call.arg(1);
    let notes_new = call.shared.settings.notified().publishes(Classes::NEW);
    let is_new = notes_new && !call.keys.exists(key)?;
    let stored = if args.answers_old {
        let (old, stored) = call.keys.edit(&[key], |keys| {
            let old = keys.get(key)?.map(<[u8]>::to_vec);
            let holds = match args.condition {
                Condition::Absent => old.is_none(),
                Condition::Present => old.is_some(),
                _ => true,
            };
            if holds {
                keys.set(key, value, args.expiry)?;
            }
            Ok((old, holds))
        })?;
        call.out.bulk_or_null(old.as_deref());
        stored
    } else {
        let stored = call.keys.set(key, value, args.expiry, args.condition)?;
        if stored {
            call.out.ok()
        } else {
            call.out.null()
        }
        stored
    };
    if stored {
        if is_new {
            call.event(Classes::NEW, "new", key);
        }
        note_set(call, key, args.expiry);
    }
    Ok(())
}

/// Tells others of a key that was set.
fn note_set(call: &mut Call<'_, '_>, key: &[u8], expiry: Expiry) {
    call.changed_by(Classes::STRING, "set", key);
    if matches!(expiry, Expiry::AfterMs(_) | Expiry::AtMs(_)) {
        call.event(Classes::GENERIC, "expire", key);
    }
}

fn setnx(call: &mut Call<'_, '_>) -> Outcome {
    let key = call.arg(1);
    let stored = call.keys.set(key, call.arg(2), Expiry::Default, Condition::Absent)?;
    call.out.integer(i64::from(stored));
    if stored {
        call.event(Classes::NEW, "new", key);
        note_set(call, key, Expiry::Default);
    }
    Ok(())
}

fn setex(call: &mut Call<'_, '_>) -> Outcome {
    set_for(call, Unit::Seconds)
}

fn psetex(call: &mut Call<'_, '_>) -> Outcome {
    set_for(call, Unit::Millis)
}

fn set_for(call: &mut Call<'_, '_>, unit: Unit) -> Outcome {
    let expiry = call.expiry(2, unit)?;
    let args = SetArgs { expiry, condition: Condition::Any, answers_old: false };
    store(call, call.arg(3), &args)
}

fn getset(call: &mut Call<'_, '_>) -> Outcome {
    let args = SetArgs { expiry: Expiry::Default, condition: Condition::Any, answers_old: true };
    store(call, call.arg(2), &args)
}

fn getdel(call: &mut Call<'_, '_>) -> Outcome {
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

/// What `GETEX` does to the deadline.
enum Redate {
    Nothing,
    Persist,
    To(i64),
}

fn getex(call: &mut Call<'_, '_>) -> Outcome {
    let key = call.arg(1);
    let redate = match call.len() {
        2 => Redate::Nothing,
        3 if call.is(2, "persist") => Redate::Persist,
        4 => {
            let unit = Unit::of_option(call.arg(2)).ok_or(Failure::SYNTAX)?;
            match call.expiry(3, unit)? {
                Expiry::AfterMs(ms) => Redate::To(
                    call.shared.store.now_ms().saturating_add_unsigned(ms).min(i64::MAX - 1),
                ),
                Expiry::AtMs(at) => Redate::To(at),
                _ => Redate::Nothing,
            }
        }
        _ => return Err(Failure::SYNTAX),
    };
    let (old, event) = call.keys.edit(&[key], |keys| {
        let Some(held) = keys.held(key)? else { return Ok((None, None)) };
        let (old, had_deadline) = (held.value.to_vec(), held.expire_at_ms.is_some());
        let event = match redate {
            Redate::Nothing => None,
            Redate::Persist => had_deadline
                .then(|| keys.expire_at(key, kvcore::TTL_NONE))
                .transpose()?
                .map(|_| "persist"),
            Redate::To(at) => {
                keys.expire_at(key, at)?;
                Some(if at <= keys.now_ms() { "del" } else { "expire" })
            }
        };
        Ok((Some(old), event))
    })?;
    call.out.bulk_or_null(old.as_deref());
    if let Some(event) = event {
        call.changed_by(Classes::GENERIC, event, key);
    }
    Ok(())
}

fn mget(call: &mut Call<'_, '_>) -> Outcome {
    let keys: Vec<&[u8]> = call.args_from(1).collect();
    call.out.array(keys.len());
    let out = &mut *call.out;
    if let super::Keyspace::Store(store) = &call.keys {
        store.get_many_with(&keys, |_, value| out.bulk_or_null(value))?;
        return Ok(());
    }
    for key in keys {
        if call.keys.read(key, |value| out.bulk(value))?.is_none() {
            out.null();
        }
    }
    Ok(())
}

/// A key and its value.
type Pair<'c> = (&'c [u8], &'c [u8]);

/// The keys and values of `MSET` and `MSETNX`.
fn pairs<'c>(call: &Call<'c, '_>) -> Result<Vec<Pair<'c>>, Failure> {
    if call.len().is_multiple_of(2) {
        return Err(Failure::arity(call.command.name));
    }
    let positions = (1..call.len()).step_by(2);
    Ok(positions.map(|position| (call.arg(position), call.arg(position + 1))).collect())
}

fn mset(call: &mut Call<'_, '_>) -> Outcome {
    let pairs = pairs(call)?;
    match &mut call.keys {
        super::Keyspace::Store(store) | super::Keyspace::Untouched(store) => {
            store.set_many(&pairs, Expiry::Default)?
        }
        super::Keyspace::Group(keys) => {
            for (key, value) in &pairs {
                keys.set(key, value, Expiry::Default)?;
            }
        }
    }
    for (key, _) in pairs {
        note_set(call, key, Expiry::Default);
    }
    call.out.ok();
    Ok(())
}

fn msetnx(call: &mut Call<'_, '_>) -> Outcome {
    let pairs = pairs(call)?;
    let keys: Vec<&[u8]> = pairs.iter().map(|(key, _)| *key).collect();
    let stored = call.keys.edit(&keys, |held| {
        for key in &keys {
            if held.get(key)?.is_some() {
                return Ok(false);
            }
        }
        for (key, value) in &pairs {
            held.set(key, value, Expiry::Default)?;
        }
        Ok(true)
    })?;
    call.out.integer(i64::from(stored));
    if stored {
        for (key, _) in pairs {
            note_set(call, key, Expiry::Default);
        }
    }
    Ok(())
}

fn strlen(call: &mut Call<'_, '_>) -> Outcome {
    let length = call.keys.read(call.arg(1), <[u8]>::len)?.unwrap_or(0);
    call.out.integer(i64::try_from(length).unwrap_or(i64::MAX));
    Ok(())
}
