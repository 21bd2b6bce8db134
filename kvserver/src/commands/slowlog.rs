//! Commands that took long (`SLOWLOG`).

use super::call::{Call, Outcome};
use super::failure::Failure;
use super::help;
use super::spec::{Command, Flags, Group, NO_KEYS};

const ADMIN: &[Flags] = &[Flags::ADMIN, Flags::LOADING, Flags::STALE];

/// The commands of this file.
pub const COMMANDS: &[Command] =
    &[Command::new("slowlog", -2, &[], NO_KEYS, Group::Server, help::container)
        .about("2.2.12", "Commands that took long.")
        .containing(SLOWLOG)];

static SLOWLOG: &[Command] = &[
    Command::new("slowlog|get", -2, ADMIN, NO_KEYS, Group::Server, get)
        .about("2.2.12", "Answers the last commands that took long."),
    Command::new("slowlog|len", 2, ADMIN, NO_KEYS, Group::Server, len)
        .about("2.2.12", "Counts them."),
    Command::new("slowlog|reset", 2, ADMIN, NO_KEYS, Group::Server, reset)
        .about("2.2.12", "Forgets them."),
    Command::new("slowlog|help", 2, &[Flags::LOADING, Flags::STALE], NO_KEYS, Group::Server, usage)
        .about("6.2.0", "Says what there is."),
];

fn usage(call: &mut Call<'_, '_>) -> Outcome {
    help::write(
        call,
        &[
            "GET [<count>]",
            "    Return top <count> entries from the slowlog (default: 10, -1 mean all).",
            "    Entries are made of:",
            "    id, timestamp, time in microseconds, arguments array, client IP and port,",
            "    client name",
            "LEN",
            "    Return the length of the slowlog.",
            "RESET",
            "    Reset the slowlog.",
        ],
    )
}

fn get(call: &mut Call<'_, '_>) -> Outcome {
    let count = match call.len() {
        2 => 10,
        3 => {
            let count = call.integer(2)?;
            if count < -1 {
                return Err(Failure::fixed("ERR count should be greater than or equal to -1"));
            }
            usize::try_from(count).unwrap_or(usize::MAX)
        }
        _ => return Err(Failure::SYNTAX),
    };
    let entries = call.shared.slowlog.newest(count);
    call.out.array(entries.len());
    for slow in entries {
        call.out.array(6);
        call.out.integer(slow.id.cast_signed());
        call.out.integer(slow.at_s);
        call.out.integer(slow.took_us.cast_signed());
        call.out.array(slow.args.len());
        slow.args.iter().for_each(|arg| call.out.bulk(arg));
        call.out.bulk(slow.address.as_bytes());
        call.out.bulk(slow.name.as_bytes());
    }
    Ok(())
}

fn len(call: &mut Call<'_, '_>) -> Outcome {
    call.out.integer(i64::try_from(call.shared.slowlog.len()).unwrap_or(i64::MAX));
    Ok(())
}

fn reset(call: &mut Call<'_, '_>) -> Outcome {
    call.shared.slowlog.clear();
    call.out.ok();
    Ok(())
}
