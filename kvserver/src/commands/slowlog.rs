//! What took long: `SLOWLOG` and `LATENCY`.

use super::call::{Call, Outcome};
use super::failure::Failure;
use super::help;
use super::spec::{Command, Flags, Group, NO_KEYS};
use crate::shared::Latency;

const ADMIN: &[Flags] = &[Flags::ADMIN, Flags::LOADING, Flags::STALE];
const LATENCY: &[Flags] = &[Flags::ADMIN, Flags::NOSCRIPT, Flags::LOADING, Flags::STALE];

/// The commands of this file.
pub const COMMANDS: &[Command] = &[
    Command::new("slowlog", -2, &[], NO_KEYS, Group::Server, help::container)
        .about("2.2.12", "Commands that took long.")
        .containing(SLOWLOG),
    Command::new("latency", -2, &[], NO_KEYS, Group::Server, help::container)
        .about("2.8.13", "Events that took long.")
        .containing(LATENCY_COMMANDS),
];

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

static LATENCY_COMMANDS: &[Command] = &[
    Command::new("latency|latest", 2, LATENCY, NO_KEYS, Group::Server, latest)
        .about("2.8.13", "Answers the last time of each event."),
    Command::new("latency|history", 3, LATENCY, NO_KEYS, Group::Server, history)
        .about("2.8.13", "Answers the times of an event."),
    Command::new("latency|reset", -2, LATENCY, NO_KEYS, Group::Server, latency_reset)
        .about("2.8.13", "Forgets events."),
    Command::new(
        "latency|help",
        2,
        &[Flags::LOADING, Flags::STALE],
        NO_KEYS,
        Group::Server,
        latency_usage,
    )
    .about("2.8.13", "Says what there is."),
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

fn latency_usage(call: &mut Call<'_, '_>) -> Outcome {
    help::write(
        call,
        &[
            "HISTORY <event>",
            "    Return time-latency samples for the <event> class.",
            "LATEST",
            "    Return the latest latency samples for all events.",
            "RESET [<event> ...]",
            "    Reset latency data of one or more <event> classes.",
            "    (default: reset all data for all event classes)",
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

fn latest(call: &mut Call<'_, '_>) -> Outcome {
    let all = call.shared.latency.all();
    call.out.array(all.len());
    for (event, samples) in all {
        let (at_s, took_ms) = samples.times.back().copied().unwrap_or_default();
        call.out.array(4);
        call.out.bulk(event.as_bytes());
        call.out.integer(at_s);
        call.out.integer(took_ms.cast_signed());
        call.out.integer(samples.longest_ms.cast_signed());
    }
    Ok(())
}

fn history(call: &mut Call<'_, '_>) -> Outcome {
    let event = call.text(2);
    let all = call.shared.latency.all();
    let times =
        all.into_iter().find(|(known, _)| *known == event).map(|(_, samples)| samples.times);
    let times = times.unwrap_or_default();
    call.out.array(times.len());
    for (at_s, took_ms) in times {
        call.out.array(2);
        call.out.integer(at_s);
        call.out.integer(took_ms.cast_signed());
    }
    Ok(())
}

fn latency_reset(call: &mut Call<'_, '_>) -> Outcome {
    let latency: &Latency = &call.shared.latency;
    let forgotten: usize = match call.len() {
        2 => latency.reset(None),
        _ => (2..call.len()).map(|at| latency.reset(Some(&call.text(at)))).sum(),
    };
    call.out.integer(i64::try_from(forgotten).unwrap_or(i64::MAX));
    Ok(())
}
