//! The one table of commands.
//!
//! Owns: the rows of all groups, and finding one by name. Invariants: every command and subcommand has a
//! number, which is its place here while the program runs; names are in lower case and come once.

use std::sync::LazyLock;

use ahash::HashMap;

use super::spec::Command;
use super::{
    acl, auth, bitfield, bits, client, command, config, debug, dump, expiry, increments, info,
    keys, latency, lcs, memory, monitor, object, persistence, pubsub, ranges, scan, server,
    slowlog, strings, transactions,
};
use crate::resp::Request;

/// The rows, by group.
const GROUPS: &[&[Command]] = &[
    strings::COMMANDS,
    ranges::COMMANDS,
    increments::COMMANDS,
    lcs::COMMANDS,
    bits::COMMANDS,
    bitfield::COMMANDS,
    keys::COMMANDS,
    object::COMMANDS,
    dump::COMMANDS,
    expiry::COMMANDS,
    scan::COMMANDS,
    transactions::COMMANDS,
    pubsub::COMMANDS,
    auth::COMMANDS,
    acl::COMMANDS,
    client::COMMANDS,
    server::COMMANDS,
    debug::COMMANDS,
    persistence::COMMANDS,
    config::COMMANDS,
    info::COMMANDS,
    memory::COMMANDS,
    monitor::COMMANDS,
    slowlog::COMMANDS,
    latency::COMMANDS,
    command::COMMANDS,
];

/// A row, and what follows from it.
#[derive(Debug)]
pub struct Entry {
    /// The row.
    pub command: &'static Command,
    /// Its categories, as bits.
    pub categories: u32,
    /// Whether it is a subcommand.
    pub is_subcommand: bool,
}

struct Table {
    entries: Vec<Entry>,
    /// Commands and subcommands, by full name.
    by_name: HashMap<&'static [u8], usize>,
    /// The number of a row, by its address.
    by_row: HashMap<usize, usize>,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let mut table =
        Table { entries: Vec::new(), by_name: HashMap::default(), by_row: HashMap::default() };
    for command in GROUPS.iter().copied().flatten() {
        table.add(command, false);
        command.subcommands.iter().for_each(|subcommand| table.add(subcommand, true));
    }
    table
});

impl Table {
    fn add(&mut self, command: &'static Command, is_subcommand: bool) {
        let id = self.entries.len();
        self.entries.push(Entry { command, categories: command.categories(), is_subcommand });
        self.by_name.insert(command.name.as_bytes(), id);
        self.by_row.insert(address(command), id);
    }
}

fn address(command: &'static Command) -> usize {
    std::ptr::from_ref(command).addr()
}

/// Longest name that is looked up.
const NAME_MAX: usize = 64;

/// How many commands and subcommands there are.
pub fn count() -> usize {
    TABLE.entries.len()
}

/// All of them, by number.
pub fn all() -> impl Iterator<Item = &'static Entry> {
    TABLE.entries.iter()
}

/// The row with a number, if that is one, and what follows from it.
#[inline]
pub fn entry(id: usize) -> Option<&'static Entry> {
    TABLE.entries.get(id)
}

/// The command with a number.
#[inline]
pub fn get(id: usize) -> &'static Command {
    TABLE.entries[id].command
}

/// The number of a command.
pub fn id_of(command: &Command) -> usize {
    TABLE.by_row.get(&std::ptr::from_ref(command).addr()).copied().unwrap_or(0)
}

/// The number of a command, or of a subcommand by its full name. In lower case.
pub fn find_full(name: &str) -> Option<usize> {
    TABLE.by_name.get(name.as_bytes()).copied()
}

/// The number of the command with a name, however that is written.
#[inline]
pub fn find(name: &[u8]) -> Option<usize> {
    let mut lower = [0; NAME_MAX];
    let lower = lower.get_mut(..name.len())?;
    lower.copy_from_slice(name);
    lower.make_ascii_lowercase();
    let id = *TABLE.by_name.get(&*lower)?;
    (!TABLE.entries[id].is_subcommand).then_some(id)
}

/// The subcommand of a command with a name, however that is written.
pub fn find_subcommand(command: &Command, name: &[u8]) -> Option<usize> {
    let name = String::from_utf8_lossy(name).to_ascii_lowercase();
    find_full(&format!("{}|{name}", command.name))
}

/// The channels that a request names, and whether they are patterns.
pub fn channels_of<'a>(
    command: &Command,
    request: Request<'a>,
) -> impl Iterator<Item = (&'a [u8], bool)> + use<'a> {
    let (positions, is_pattern) = match command.name {
        "publish" | "spublish" => (1..2, false),
        "subscribe" | "ssubscribe" => (1..request.len(), false),
        "psubscribe" => (1..request.len(), true),
        _ => (0..0, false),
    };
    positions.map(move |position| (request.arg(position), is_pattern))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_once_and_are_found_however_they_are_written() {
        assert_eq!(TABLE.by_name.len(), TABLE.entries.len());
        assert_eq!(TABLE.by_row.len(), TABLE.entries.len());
        for (id, entry) in all().enumerate() {
            let name = entry.command.name;
            assert_eq!(name, name.to_ascii_lowercase());
            assert_eq!(find_full(name), Some(id));
            assert_eq!(find(name.to_ascii_uppercase().as_bytes()).is_some(), !entry.is_subcommand);
            assert_eq!(id_of(entry.command), id);
            assert!(!entry.command.summary.is_empty(), "{name}");
        }
        assert_eq!(find(&[b'x'; 1000]), None);
    }
}
