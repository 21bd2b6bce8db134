//! A set of permissions: which commands, on which keys, on which channels.
//!
//! Owns: [`Permissions`], the root of a user or one of its selectors. The rules on commands are kept as they
//! were given, so that they can be written out again, and what they come to is kept as one bit a command.

use std::collections::BTreeSet;

use crate::commands::spec::{Access, CATEGORIES, Command};
use crate::commands::table;
use crate::glob;
use crate::resp::Request;

/// What is missing. The later ones are found later, so they tell more.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Denied {
    /// The command.
    Command,
    /// This key.
    Key(Vec<u8>),
    /// This channel.
    Channel(Vec<u8>),
}

/// Keys that a pattern describes, and what may be done with them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KeyPattern {
    pub(super) access: Access,
    pub(super) pattern: Vec<u8>,
}

/// A set of permissions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permissions {
    /// A bit for each row of the table.
    allowed: Vec<bool>,
    /// Whether commands are allowed that no rule names.
    pub(super) all_commands: bool,
    /// The rules behind `+@all` or `-@all`, as they are written.
    pub(super) rules: Vec<String>,
    /// Commands that are allowed with this first argument alone.
    first_args: BTreeSet<(usize, Vec<u8>)>,
    pub(super) all_keys: bool,
    pub(super) keys: Vec<KeyPattern>,
    pub(super) all_channels: bool,
    pub(super) channels: Vec<Vec<u8>>,
}

impl Permissions {
    /// Nothing is allowed.
    pub fn none() -> Permissions {
        Permissions {
            allowed: vec![false; table::count()],
            all_commands: false,
            rules: Vec::new(),
            first_args: BTreeSet::new(),
            all_keys: false,
            keys: Vec::new(),
            all_channels: false,
            channels: Vec::new(),
        }
    }

    /// Everything is allowed.
    pub fn all() -> Permissions {
        Permissions {
            allowed: vec![true; table::count()],
            all_commands: true,
            all_keys: true,
            all_channels: true,
            ..Permissions::none()
        }
    }

    /// Whether nothing is refused.
    #[inline]
    pub fn is_all(&self) -> bool {
        self.all_commands && self.rules.is_empty() && self.all_keys && self.all_channels
    }

    /// Allows all commands, or none.
    pub(super) fn set_all_commands(&mut self, allow: bool) {
        self.allowed.fill(allow);
        self.all_commands = allow;
        self.rules.clear();
        self.first_args.clear();
    }

    /// Allows or refuses a category. `false` if there is none of this name.
    pub(super) fn set_category(&mut self, name: &str, allow: bool) -> bool {
        let Some(bit) = CATEGORIES.iter().position(|known| *known == name) else { return false };
        for (id, entry) in table::all().enumerate() {
            if entry.categories & 1 << bit != 0 {
                self.allowed[id] = allow;
                if !allow {
                    self.first_args.retain(|(command, _)| *command != id);
                }
            }
        }
        self.note_rule(format!("@{name}"), allow);
        true
    }

    /// Allows or refuses a command, with its subcommands, or one subcommand.
    pub(super) fn set_command(&mut self, id: usize, allow: bool) {
        self.allowed[id] = allow;
        if !allow {
            self.first_args.retain(|(command, _)| *command != id);
        }
        let command = table::get(id);
        for subcommand in command.subcommands {
            self.allowed[table::id_of(subcommand)] = allow;
        }
        let name = command.name;
        self.rules.retain(|rule| {
            let ruled = &rule[1..];
            !ruled.strip_prefix(name).is_some_and(|rest| rest.starts_with('|'))
        });
        self.note_rule(name.to_owned(), allow);
    }

    /// Allows a command with this first argument.
    pub(super) fn allow_first_arg(&mut self, id: usize, argument: &str) {
        self.first_args.insert((id, argument.as_bytes().to_ascii_lowercase()));
        self.note_rule(format!("{}|{argument}", table::get(id).name), true);
    }

    /// Whether a command is allowed.
    pub(super) fn allows_command(&self, id: usize) -> bool {
        self.allowed[id]
    }

    /// A rule takes the place of an earlier one about the same.
    fn note_rule(&mut self, about: String, allow: bool) {
        self.rules.retain(|rule| rule[1..] != about);
        self.rules.push(format!("{}{about}", if allow { '+' } else { '-' }));
    }

    /// The rules on commands, as `ACL LIST` writes them.
    pub fn describe_commands(&self) -> String {
        let mut text = if self.all_commands { "+@all" } else { "-@all" }.to_owned();
        for rule in &self.rules {
            text.push(' ');
            text.push_str(rule);
        }
        text
    }

    /// The patterns of keys, as `ACL LIST` writes them.
    pub fn describe_keys(&self) -> String {
        if self.all_keys {
            return "~*".to_owned();
        }
        let patterns = self.keys.iter().map(|key| {
            let pattern = String::from_utf8_lossy(&key.pattern);
            match key.access {
                Access::READ => format!("%R~{pattern}"),
                Access::WRITE => format!("%W~{pattern}"),
                _ => format!("~{pattern}"),
            }
        });
        patterns.collect::<Vec<_>>().join(" ")
    }

    /// The patterns of channels, as `ACL LIST` writes them, without the `resetchannels` before them.
    pub fn describe_channels(&self) -> String {
        if self.all_channels {
            return "&*".to_owned();
        }
        let patterns =
            self.channels.iter().map(|channel| format!("&{}", String::from_utf8_lossy(channel)));
        patterns.collect::<Vec<_>>().join(" ")
    }

    /// Whether a request is allowed.
    ///
    /// # Errors
    /// What is missing first: the command, then a key, then a channel.
    pub(super) fn check(&self, command: &Command, request: Request<'_>) -> Result<(), Denied> {
        let id = table::id_of(command);
        if !self.allowed[id] {
            let first = request.arg(1).to_ascii_lowercase();
            if !self.first_args.iter().any(|(known, arg)| *known == id && *arg == first) {
                return Err(Denied::Command);
            }
        }
        if !self.all_keys {
            for position in command.key_positions(request.len()) {
                let key = request.arg(position);
                if !self.allows_key(key, command.access_at(position)) {
                    return Err(Denied::Key(key.to_vec()));
                }
            }
        }
        for (channel, is_pattern) in table::channels_of(command, request) {
            if !self.allows_channel(channel, is_pattern) {
                return Err(Denied::Channel(channel.to_vec()));
            }
        }
        Ok(())
    }

    /// Whether a key may be used so. What is neither read nor written needs any permission on the key.
    pub(super) fn allows_key(&self, key: &[u8], access: Access) -> bool {
        self.all_keys
            || self
                .keys
                .iter()
                .any(|own| own.access.0 & access.0 == access.0 && glob::matches(&own.pattern, key))
    }

    /// What the keys begin with that may be read.
    pub(super) fn readable_prefixes(&self) -> Vec<Vec<u8>> {
        if self.all_keys {
            return vec![Vec::new()];
        }
        let readable = self.keys.iter().filter(|own| own.access.0 & Access::READ.0 != 0);
        readable.map(|own| glob::literal_prefix(&own.pattern)).collect()
    }

    /// Whether a channel may be used. Of a pattern, the very same has to be allowed.
    pub(super) fn allows_channel(&self, channel: &[u8], is_pattern: bool) -> bool {
        self.all_channels
            || self.channels.iter().any(|own| match is_pattern {
                true => own == channel,
                false => glob::matches(own, channel),
            })
    }
}
