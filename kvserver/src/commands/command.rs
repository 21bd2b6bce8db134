//! `COMMAND`: the table of commands, as clients ask for it.

use super::call::{Call, Outcome};
use super::failure::Failure;
use super::help;
use super::spec::{Access, CATEGORIES, Command, Flags, Group, NO_KEYS};
use super::table;
use crate::glob;
use crate::resp::{Replies, Request};

const FLAGS: &[Flags] = &[Flags::LOADING, Flags::STALE];

/// The commands of this file.
pub const COMMANDS: &[Command] = &[Command::new("command", -1, FLAGS, NO_KEYS, Group::Server, all)
    .about("2.8.13", "Answers all commands.")
    .containing(SUBCOMMANDS)];

static SUBCOMMANDS: &[Command] = &[
    Command::new("command|count", 2, FLAGS, NO_KEYS, Group::Server, count)
        .about("2.8.13", "Counts the commands."),
    Command::new("command|info", -2, FLAGS, NO_KEYS, Group::Server, info)
        .about("2.8.13", "Answers some commands."),
    Command::new("command|docs", -2, FLAGS, NO_KEYS, Group::Server, docs)
        .about("7.0.0", "Says what commands do."),
    Command::new("command|list", -2, FLAGS, NO_KEYS, Group::Server, list)
        .about("7.0.0", "Answers the names of commands."),
    Command::new("command|getkeys", -3, FLAGS, NO_KEYS, Group::Server, getkeys)
        .about("2.8.13", "Answers the keys that a command names."),
    Command::new("command|getkeysandflags", -3, FLAGS, NO_KEYS, Group::Server, getkeysandflags)
        .about("7.0.0", "Answers the keys that a command names, and what is done with them."),
    Command::new("command|help", 2, FLAGS, NO_KEYS, Group::Server, usage)
        .about("5.0.0", "Says what there is."),
];

fn usage(call: &mut Call<'_, '_>) -> Outcome {
    help::write(
        call,
        &[
            "(no subcommand)",
            "    Return details about all commands.",
            "COUNT",
            "    Return the total number of commands in this server.",
            "LIST",
            "    Return a list of all commands in this server.",
            "INFO [<command-name> ...]",
            "    Return details about multiple commands.",
            "    If no command names are given, documentation details for all",
            "    commands are returned.",
            "DOCS [<command-name> ...]",
            "    Return documentation details about multiple commands.",
            "    If no command names are given, documentation details for all",
            "    commands are returned.",
            "GETKEYS <full-command>",
            "    Return the keys from a full command.",
            "GETKEYSANDFLAGS <full-command>",
            "    Return the keys and the access flags from a full command.",
        ],
    )
}

/// All commands without subcommands.
fn commands() -> Vec<&'static Command> {
    table::all().filter(|entry| !entry.is_subcommand).map(|entry| entry.command).collect()
}

/// Writes one command as `COMMAND INFO` has it.
fn write(command: &Command, out: &mut Replies) {
    out.array(10);
    out.bulk(command.name.as_bytes());
    out.integer(i64::from(command.arity));
    let flags: Vec<&str> = command.flags.names().collect();
    out.set(flags.len());
    flags.iter().for_each(|flag| out.simple(flag));
    out.integer(i64::try_from(command.keys.first).unwrap_or(0));
    out.integer(i64::from(command.keys.last));
    out.integer(i64::try_from(command.keys.step).unwrap_or(0));
    let categories = command.categories();
    let named = CATEGORIES.iter().enumerate().filter(|(bit, _)| categories & 1 << bit != 0);
    let named: Vec<String> = named.map(|(_, name)| format!("@{name}")).collect();
    out.set(named.len());
    named.iter().for_each(|name| out.simple(name));
    // Tips and key specifications beyond the positions above.
    out.array(0);
    out.array(0);
    out.array(command.subcommands.len());
    command.subcommands.iter().for_each(|subcommand| write(subcommand, out));
}

fn all(call: &mut Call<'_, '_>) -> Outcome {
    let commands = commands();
    call.out.array(commands.len());
    commands.iter().for_each(|command| write(command, call.out));
    Ok(())
}

fn count(call: &mut Call<'_, '_>) -> Outcome {
    call.out.integer(i64::try_from(commands().len()).unwrap_or(i64::MAX));
    Ok(())
}

/// The command or subcommand that a name of a client stands for.
fn named(name: &[u8]) -> Option<&'static Command> {
    let name = String::from_utf8_lossy(name).to_ascii_lowercase();
    table::find_full(&name).map(table::get)
}

fn info(call: &mut Call<'_, '_>) -> Outcome {
    if call.len() == 2 {
        return all(call);
    }
    call.out.array(call.len() - 2);
    for name in call.args_from(2) {
        match named(name) {
            Some(command) => write(command, call.out),
            None => call.out.null_array(),
        }
    }
    Ok(())
}

/// Writes one command as `COMMAND DOCS` has it.
fn write_docs(command: &Command, out: &mut Replies) {
    out.bulk(command.name.as_bytes());
    let has_subcommands = !command.subcommands.is_empty();
    out.map(3 + usize::from(has_subcommands));
    out.bulk(b"summary");
    out.bulk(command.summary.as_bytes());
    out.bulk(b"since");
    out.bulk(command.since.as_bytes());
    out.bulk(b"group");
    out.bulk(command.group.name().as_bytes());
    if has_subcommands {
        out.bulk(b"subcommands");
        out.map(command.subcommands.len());
        command.subcommands.iter().for_each(|subcommand| write_docs(subcommand, out));
    }
}

fn docs(call: &mut Call<'_, '_>) -> Outcome {
    let commands = match call.len() {
        2 => commands(),
        _ => call.args_from(2).filter_map(named).collect(),
    };
    call.out.map(commands.len());
    commands.iter().for_each(|command| write_docs(command, call.out));
    Ok(())
}

fn list(call: &mut Call<'_, '_>) -> Outcome {
    // Subcommands are commands of their own here.
    let mut commands: Vec<&Command> = table::all().map(|entry| entry.command).collect();
    match call.len() {
        2 => {}
        5 if call.is(2, "filterby") => {
            let argument = call.text(4).to_ascii_lowercase();
            if call.is(3, "aclcat") {
                let bit = CATEGORIES.iter().position(|category| *category == argument);
                commands
                    .retain(|command| bit.is_some_and(|bit| command.categories() & 1 << bit != 0));
            } else if call.is(3, "pattern") {
                commands
                    .retain(|command| glob::matches(argument.as_bytes(), command.name.as_bytes()));
            } else if call.is(3, "module") {
                commands.clear();
            } else {
                return Err(Failure::SYNTAX);
            }
        }
        _ => return Err(Failure::SYNTAX),
    }
    call.out.array(commands.len());
    commands.iter().for_each(|command| call.out.bulk(command.name.as_bytes()));
    Ok(())
}

/// The keys of the command that a call has behind its own two words.
fn keys_of<'c>(call: &Call<'c, '_>) -> Result<Vec<(&'c [u8], Access)>, Failure> {
    let mut bytes = Vec::new();
    let mut ranges = Vec::new();
    for arg in call.args_from(2) {
        let start = bytes.len();
        bytes.extend_from_slice(arg);
        ranges.push(start..bytes.len());
    }
    let request = Request::new(&bytes, &ranges);
    let id = table::find(request.arg(0)).ok_or(Failure::fixed("ERR Invalid command specified"))?;
    let container = table::get(id);
    let command = match container.subcommands {
        [] => container,
        _ => table::find_subcommand(container, request.arg(1))
            .map(table::get)
            .ok_or(Failure::fixed("ERR Invalid command specified"))?,
    };
    if command.keys.first == 0 {
        return Err(Failure::fixed("ERR The command has no key arguments"));
    }
    if !command.takes(request.len()) {
        return Err(Failure::fixed("ERR Invalid number of arguments specified for command"));
    }
    let positions = command.key_positions(request.len());
    Ok(positions.map(|at| (call.arg(at + 2), command.access_at(at))).collect())
}

fn getkeys(call: &mut Call<'_, '_>) -> Outcome {
    let keys = keys_of(call)?;
    call.out.array(keys.len());
    keys.iter().for_each(|(key, _)| call.out.bulk(key));
    Ok(())
}

fn getkeysandflags(call: &mut Call<'_, '_>) -> Outcome {
    let keys = keys_of(call)?;
    call.out.array(keys.len());
    for (key, access) in keys {
        let flags: &[&str] = match access {
            Access::READ => &["RO", "access"],
            Access::WRITE => &["OW", "update"],
            Access::BOTH => &["RW", "access", "update"],
            _ => &["RO"],
        };
        call.out.array(2);
        call.out.bulk(key);
        call.out.set(flags.len());
        flags.iter().for_each(|flag| call.out.simple(flag));
    }
    Ok(())
}
