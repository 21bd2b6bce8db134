//! What there is to know about a value besides its bytes (`OBJECT`).

use super::call::{Call, Outcome};
use super::failure::Failure;
use super::help;
use super::keyspace::Keyspace;
use super::spec::{Access, Command, Flags, Group, Keys, NO_KEYS};
use crate::number;

const KEY: Keys = Keys { first: 2, last: 2, step: 1, access: [Access::NONE; 2] };
const READ: &[Flags] = &[Flags::READONLY];

/// The commands of this file.
pub const COMMANDS: &[Command] =
    &[Command::new("object", -2, &[], NO_KEYS, Group::Generic, help::container)
        .about("2.2.3", "What there is to know about a value.")
        .containing(SUBCOMMANDS)];

static SUBCOMMANDS: &[Command] = &[
    Command::new("object|encoding", 3, READ, KEY, Group::Generic, encoding)
        .about("2.2.3", "Answers how Redis would keep the value."),
    Command::new("object|refcount", 3, READ, KEY, Group::Generic, refcount)
        .about("2.2.3", "Answers how many refer to the value."),
    Command::new("object|idletime", 3, READ, KEY, Group::Generic, idletime)
        .about("2.2.3", "Refused: the times of reads are not kept."),
    Command::new("object|freq", 3, READ, KEY, Group::Generic, freq)
        .about("4.0.0", "Answers how often the value was read, where that is kept."),
    Command::new("object|help", 2, &[Flags::LOADING, Flags::STALE], NO_KEYS, Group::Generic, usage)
        .about("6.2.0", "Says what there is."),
];

fn usage(call: &mut Call<'_, '_>) -> Outcome {
    help::write(
        call,
        &[
            "ENCODING <key>",
            "    Return the kind of internal representation used in order to store the value",
            "    associated with a <key>.",
            "FREQ <key>",
            "    Return the access frequency index of the <key>.",
            "IDLETIME <key>",
            "    Return the idle time of the <key>.",
            "REFCOUNT <key>",
            "    Return the number of references of the value associated with the specified",
            "    <key>.",
        ],
    )
}

/// How Redis would keep a string: as a number, in one piece with its head, or apart from it.
pub fn encoding_of(value: &[u8]) -> &'static str {
    /// The longest string that Redis keeps in one piece with its head.
    const EMBEDDED_MAX: usize = 44;
    match value.len() {
        ..=20 if number::integer(value).is_some() => "int",
        ..=EMBEDDED_MAX => "embstr",
        _ => "raw",
    }
}

fn encoding(call: &mut Call<'_, '_>) -> Outcome {
    let encoding = call.keys.look(call.arg(2), encoding_of)?;
    call.out.bulk_or_null(encoding.map(str::as_bytes));
    Ok(())
}

/// As Redis would answer it: it shares small numbers, and says the largest count of them.
fn refcount(call: &mut Call<'_, '_>) -> Outcome {
    const SHARED: std::ops::Range<i64> = 0..10_000;
    let is_shared =
        |value: &[u8]| number::integer(value).is_some_and(|number| SHARED.contains(&number));
    match call.keys.look(call.arg(2), is_shared)? {
        Some(true) => call.out.integer(i64::from(i32::MAX)),
        Some(false) => call.out.integer(1),
        None => call.out.null(),
    }
    Ok(())
}

fn idletime(call: &mut Call<'_, '_>) -> Outcome {
    if !call.keys.exists(call.arg(2))? {
        call.out.null();
        return Ok(());
    }
    Err(Failure::fixed("ERR the times of reads are not kept, so the idle time is not known"))
}

fn freq(call: &mut Call<'_, '_>) -> Outcome {
    let key = call.arg(2);
    let (Keyspace::Store(store) | Keyspace::Untouched(store)) = &call.keys else {
        return Err(Failure::fixed("ERR OBJECT FREQ is not available inside a transaction"));
    };
    match store.peek(key)? {
        None => call.out.null(),
        Some(value) if value.created_at_ms().is_some() => {
            call.out.integer(i64::try_from(value.hits()).unwrap_or(i64::MAX));
        }
        Some(_) => {
            return Err(Failure::fixed(
                "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.",
            ));
        }
    }
    Ok(())
}
