//! What the table of commands says of each command.
//!
//! Owns: [`Command`], [`Flags`], [`Group`] and the categories that follow from both. Everything that
//! is asked of a command (`COMMAND`, arity, categories of `ACL`, which keys it names, what it may do before
//! `AUTH`) comes from here, so a command is described once.

use super::call::{Call, Outcome};
use crate::resp::Request;

/// What a command is like, as a set of bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flags(pub u32);

impl Flags {
    /// May change keys.
    pub const WRITE: Flags = Flags(1);
    /// Only reads keys.
    pub const READONLY: Flags = Flags(1 << 1);
    /// May need memory, so it is refused when there is none.
    pub const DENYOOM: Flags = Flags(1 << 2);
    /// Concerns the whole server.
    pub const ADMIN: Flags = Flags(1 << 3);
    /// Concerns subscriptions.
    pub const PUBSUB: Flags = Flags(1 << 4);
    /// Not for scripts.
    pub const NOSCRIPT: Flags = Flags(1 << 5);
    /// May wait.
    pub const BLOCKING: Flags = Flags(1 << 6);
    /// Answered while the data is loaded.
    pub const LOADING: Flags = Flags(1 << 7);
    /// Answered by a replica that lost its master.
    pub const STALE: Flags = Flags(1 << 8);
    /// Not shown by `MONITOR`.
    pub const SKIP_MONITOR: Flags = Flags(1 << 9);
    /// Not kept by `SLOWLOG`, because it may hold a secret.
    pub const SKIP_SLOWLOG: Flags = Flags(1 << 10);
    /// Takes about the same time for any arguments.
    pub const FAST: Flags = Flags(1 << 11);
    /// Allowed before `AUTH`.
    pub const NO_AUTH: Flags = Flags(1 << 12);
    /// May reach replicas.
    pub const MAY_REPLICATE: Flags = Flags(1 << 13);
    /// Not allowed inside `MULTI`.
    pub const NO_MULTI: Flags = Flags(1 << 14);
    /// Which keys it names cannot be told from positions alone.
    pub const MOVABLE_KEYS: Flags = Flags(1 << 15);
    /// May stay while an administrator pauses clients.
    pub const ALLOW_BUSY: Flags = Flags(1 << 16);
    /// Only whether keys are there matters, not their values. For `ACL`.
    pub const DANGEROUS: Flags = Flags(1 << 17);
    /// Needs the whole store, which a transaction of single keys cannot give.
    pub const WHOLE_STORE: Flags = Flags(1 << 18);
    /// Runs at once inside `MULTI`, where others are queued.
    pub const NEVER_QUEUED: Flags = Flags(1 << 19);
    /// Allowed to a client of the second version of the protocol that is subscribed to something.
    pub const WHILE_SUBSCRIBED: Flags = Flags(1 << 20);

    /// Both sets together.
    pub const fn with(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }

    /// Whether one of the bits of `other` is set.
    pub const fn has(self, other: Flags) -> bool {
        self.0 & other.0 != 0
    }

    /// The names of the bits as `COMMAND INFO` tells them.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        const NAMES: [(Flags, &str); 17] = [
            (Flags::WRITE, "write"),
            (Flags::READONLY, "readonly"),
            (Flags::DENYOOM, "denyoom"),
            (Flags::ADMIN, "admin"),
            (Flags::PUBSUB, "pubsub"),
            (Flags::NOSCRIPT, "noscript"),
            (Flags::BLOCKING, "blocking"),
            (Flags::LOADING, "loading"),
            (Flags::STALE, "stale"),
            (Flags::SKIP_MONITOR, "skip_monitor"),
            (Flags::SKIP_SLOWLOG, "skip_slowlog"),
            (Flags::FAST, "fast"),
            (Flags::NO_AUTH, "no_auth"),
            (Flags::MAY_REPLICATE, "may_replicate"),
            (Flags::NO_MULTI, "no_multi"),
            (Flags::MOVABLE_KEYS, "movablekeys"),
            (Flags::ALLOW_BUSY, "allow_busy"),
        ];
        NAMES.into_iter().filter(move |(bit, _)| self.has(*bit)).map(|(_, name)| name)
    }
}

/// What a command is about, as `COMMAND DOCS` groups them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// Keys whatever they hold.
    Generic,
    /// Strings.
    String,
    /// Bits of strings.
    Bitmap,
    /// Publish and subscribe.
    PubSub,
    /// Transactions.
    Transactions,
    /// The connection itself.
    Connection,
    /// The server.
    Server,
}

impl Group {
    /// Its name for `COMMAND DOCS`.
    pub fn name(self) -> &'static str {
        match self {
            Group::Generic => "generic",
            Group::String => "string",
            Group::Bitmap => "bitmap",
            Group::PubSub => "pubsub",
            Group::Transactions => "transactions",
            Group::Connection => "connection",
            Group::Server => "server",
        }
    }
}

/// The categories of `ACL`, in the order of their bits.
pub const CATEGORIES: [&str; 21] = [
    "keyspace",
    "read",
    "write",
    "set",
    "sortedset",
    "list",
    "hash",
    "string",
    "bitmap",
    "hyperloglog",
    "geo",
    "stream",
    "pubsub",
    "admin",
    "fast",
    "slow",
    "blocking",
    "dangerous",
    "connection",
    "transaction",
    "scripting",
];

/// Where a command names keys: at `first`, then every `step`-th argument, to `last`, which counts from the
/// end if it is negative. No keys if `first` is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keys {
    /// The position of the first key.
    pub first: usize,
    /// That of the last one.
    pub last: i32,
    /// How far apart they are.
    pub step: usize,
    /// What is done with the first key, and with the others.
    pub access: [Access; 2],
}

/// What a command does with a key, for permissions on keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access(pub u8);

impl Access {
    /// Whether it is there, or something of the like.
    pub const NONE: Access = Access(0);
    /// Its value is read or may be told from the answer.
    pub const READ: Access = Access(1);
    /// It is changed.
    pub const WRITE: Access = Access(2);
    /// Both.
    pub const BOTH: Access = Access(3);
}

/// No keys.
pub const NO_KEYS: Keys = Keys { first: 0, last: 0, step: 0, access: [Access::NONE; 2] };

/// One key, behind the name of the command.
pub const fn one_key(access: Access) -> Keys {
    Keys { first: 1, last: 1, step: 1, access: [access; 2] }
}

/// Every argument is a key.
pub const fn all_keys(access: Access) -> Keys {
    Keys { first: 1, last: -1, step: 1, access: [access; 2] }
}

/// A row of the table of commands.
#[derive(Debug)]
pub struct Command {
    /// Its name in lower case; that of a subcommand has its container's before it, `config|get`.
    pub name: &'static str,
    /// How many arguments it takes with its name, or how many at least if this is negative.
    pub arity: i32,
    /// What it is like.
    pub flags: Flags,
    /// Where its keys are.
    pub keys: Keys,
    /// What it is about.
    pub group: Group,
    /// The version of Redis that it came with.
    pub since: &'static str,
    /// What it does, in one line.
    pub summary: &'static str,
    /// Does it.
    pub run: fn(&mut Call<'_, '_>) -> Outcome,
    /// Its subcommands. If there are any, the next argument names one.
    pub subcommands: &'static [Command],
}

impl Command {
    /// A command without subcommands.
    pub const fn new(
        name: &'static str,
        arity: i32,
        flags: &[Flags],
        keys: Keys,
        group: Group,
        run: fn(&mut Call<'_, '_>) -> Outcome,
    ) -> Command {
        let mut all = Flags(0);
        let mut next = 0;
        while next < flags.len() {
            all = all.with(flags[next]);
            next += 1;
        }
        Command {
            name,
            arity,
            flags: all,
            keys,
            group,
            since: "1.0.0",
            summary: "",
            run,
            subcommands: &[],
        }
    }

    /// Says what it does and since when.
    pub const fn about(mut self, since: &'static str, summary: &'static str) -> Command {
        self.since = since;
        self.summary = summary;
        self
    }

    /// Gives it subcommands.
    pub const fn containing(mut self, subcommands: &'static [Command]) -> Command {
        self.subcommands = subcommands;
        self
    }

    /// Whether it takes so many arguments, its name counted.
    pub fn takes(&self, args: usize) -> bool {
        let wanted = self.arity.unsigned_abs() as usize;
        if self.arity < 0 { args >= wanted } else { args == wanted }
    }

    /// The positions of the keys that a request names.
    pub fn key_positions(&self, args: usize) -> impl Iterator<Item = usize> + use<> {
        let Keys { first, last, step, .. } = self.keys;
        let end = match usize::try_from(last) {
            Ok(last) => last + 1,
            Err(_) => (args + 1).saturating_sub(last.unsigned_abs() as usize),
        };
        let from = if first == 0 { end } else { first };
        (from..end.min(args)).step_by(step.max(1))
    }

    /// The keys that a request names.
    pub fn keys_of<'a>(&self, request: Request<'a>) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.key_positions(request.len()).map(move |position| request.arg(position))
    }

    /// What is done with the key at a position.
    pub fn access_at(&self, position: usize) -> Access {
        self.keys.access[usize::from(position > self.keys.first)]
    }

    /// The categories that it is in, as bits in the order of [`CATEGORIES`].
    pub fn categories(&self) -> u32 {
        let by_name = |name: &str| {
            CATEGORIES.iter().position(|category| *category == name).map_or(0, |bit| 1 << bit)
        };
        let mut categories = match self.group {
            Group::Generic => "keyspace",
            Group::String => "string",
            Group::Bitmap => "bitmap",
            Group::PubSub => "pubsub",
            Group::Transactions => "transaction",
            Group::Connection => "connection",
            Group::Server => "",
        };
        if self.flags.has(Flags::PUBSUB) {
            categories = "pubsub";
        }
        let mut bits = by_name(categories);
        for (flag, name) in [
            (Flags::WRITE, "write"),
            (Flags::READONLY, "read"),
            (Flags::ADMIN, "admin"),
            (Flags::ADMIN, "dangerous"),
            (Flags::DANGEROUS, "dangerous"),
            (Flags::BLOCKING, "blocking"),
        ] {
            if self.flags.has(flag) {
                bits |= by_name(name);
            }
        }
        bits | by_name(if self.flags.has(Flags::FAST) { "fast" } else { "slow" })
    }
}
