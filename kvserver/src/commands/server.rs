//! The server itself: its time, its end, and what it has none of.

use std::time::Duration;

use super::call::{After, Call, Outcome};
use super::failure::Failure;
use super::help;
use super::spec::{Command, Flags, Group, NO_KEYS};
use crate::number;

/// The commands of this file.
pub const COMMANDS: &[Command] = &[
    Command::new(
        "time",
        1,
        &[Flags::LOADING, Flags::STALE, Flags::FAST],
        NO_KEYS,
        Group::Server,
        time,
    )
    .about("2.6.0", "Answers the time."),
    Command::new("wait", 3, &[Flags::BLOCKING], NO_KEYS, Group::Generic, wait)
        .about("3.0.0", "Waits for replicas, of which there are none."),
    Command::new(
        "shutdown",
        -1,
        &[Flags::ADMIN, Flags::NOSCRIPT, Flags::LOADING, Flags::STALE, Flags::NO_MULTI],
        NO_KEYS,
        Group::Server,
        shutdown,
    )
    .about("1.0.0", "Stops the server, which loses nothing that it acknowledged."),
    Command::new("function", -2, &[], NO_KEYS, Group::Server, help::container)
        .about("7.0.0", "Functions, of which there are none.")
        .containing(FUNCTION),
    Command::new("module", -2, &[], NO_KEYS, Group::Server, help::container)
        .about("4.0.0", "Modules, of which there are none.")
        .containing(MODULE),
    Command::new(
        "role",
        1,
        &[Flags::NOSCRIPT, Flags::LOADING, Flags::STALE, Flags::FAST, Flags::DANGEROUS],
        NO_KEYS,
        Group::Server,
        role,
    )
    .about("2.8.12", "Answers that this server replicates no other one."),
    Command::new("lolwut", -1, &[Flags::READONLY, Flags::FAST], NO_KEYS, Group::Server, lolwut)
        .about("5.0.0", "Answers which server this is."),
];

static FUNCTION: &[Command] = &[
    Command::new(
        "function|flush",
        -2,
        &[Flags::WRITE, Flags::NOSCRIPT],
        NO_KEYS,
        Group::Server,
        function_flush,
    )
    .about("7.0.0", "Removes all functions, of which there are none."),
    Command::new("function|list", -2, &[Flags::NOSCRIPT], NO_KEYS, Group::Server, empty_list)
        .about("7.0.0", "Answers all functions, of which there are none."),
    Command::new(
        "function|help",
        2,
        &[Flags::LOADING, Flags::STALE],
        NO_KEYS,
        Group::Server,
        function_help,
    )
    .about("7.0.0", "Says what there is."),
];

static MODULE: &[Command] = &[
    Command::new(
        "module|list",
        2,
        &[Flags::ADMIN, Flags::NOSCRIPT],
        NO_KEYS,
        Group::Server,
        empty_list,
    )
    .about("4.0.0", "Answers all modules, of which there are none."),
    Command::new(
        "module|help",
        2,
        &[Flags::LOADING, Flags::STALE],
        NO_KEYS,
        Group::Server,
        module_help,
    )
    .about("5.0.0", "Says what there is."),
];

fn time(call: &mut Call<'_, '_>) -> Outcome {
    let now_ms = call.shared.store.now_ms();
    call.out.array(2);
    call.out.bulk((now_ms / 1000).to_string().as_bytes());
    // The clock of the store has milliseconds.
    call.out.bulk((now_ms % 1000 * 1000).to_string().as_bytes());
    Ok(())
}

fn wait(call: &mut Call<'_, '_>) -> Outcome {
    let wanted = call.integer(1)?;
    let timeout_ms = number::integer(call.arg(2))
        .ok_or(Failure::fixed("ERR timeout is not an integer or out of range"))?;
    let timeout_ms =
        u64::try_from(timeout_ms).map_err(|_| Failure::fixed("ERR timeout is negative"))?;
    let blocks = wanted > 0 && call.session.queue.is_none() && timeout_ms > 0;
    if blocks && !call.session.runs_group {
        let time = Duration::from_millis(timeout_ms);
        call.session.after = Some(After::Sleep(time, |out| out.integer(0)));
    } else {
        call.out.integer(0);
    }
    Ok(())
}

fn shutdown(call: &mut Call<'_, '_>) -> Outcome {
    for position in 1..call.len() {
        match call.arg(position).to_ascii_lowercase().as_slice() {
            b"save" | b"nosave" | b"now" | b"force" => {}
            b"abort" => return Err(Failure::fixed("ERR No shutdown in progress.")),
            _ => return Err(Failure::SYNTAX),
        }
    }
    call.session.after = Some(After::Shutdown);
    Ok(())
}

fn function_flush(call: &mut Call<'_, '_>) -> Outcome {
    let fits = call.len() == 2 || (call.len() == 3 && (call.is(2, "sync") || call.is(2, "async")));
    if !fits {
        return Err(Failure::fixed("ERR FUNCTION FLUSH only supports SYNC|ASYNC option"));
    }
    call.out.ok();
    Ok(())
}

fn function_help(call: &mut Call<'_, '_>) -> Outcome {
    help::write(
        call,
        &[
            "FLUSH [ASYNC|SYNC]",
            "    Delete all the functions, of which there are none.",
            "LIST",
            "    Return the functions, of which there are none.",
        ],
    )
}

fn module_help(call: &mut Call<'_, '_>) -> Outcome {
    help::write(call, &["LIST", "    Return the modules, of which there are none."])
}

fn empty_list(call: &mut Call<'_, '_>) -> Outcome {
    call.out.array(0);
    Ok(())
}

fn role(call: &mut Call<'_, '_>) -> Outcome {
    call.out.array(3);
    call.out.bulk(b"master");
    call.out.integer(0);
    call.out.array(0);
    Ok(())
}

fn lolwut(call: &mut Call<'_, '_>) -> Outcome {
    let text = format!("libkv {}\n", env!("CARGO_PKG_VERSION"));
    call.out.verbatim(*b"txt", text.as_bytes());
    Ok(())
}
