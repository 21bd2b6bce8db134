//! `CONFIG`: settings by the names that Redis has for them.
//!
//! Owns: the table of names. Some are settings of this server, some are options of the store, under the
//! store's own names too. Some concern what does not exist here (lists, replicas): clients and tools set
//! these without asking, so they are remembered and read back, and change nothing.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::call::{Call, Outcome};
use super::failure::Failure;
use super::spec::{Command, Flags, Group, NO_KEYS};
use super::{help, output_limit};
use crate::acl::DEFAULT_USER;
use crate::config::engine_options;
use crate::glob;
use crate::shared::events::Classes;
use crate::shared::eviction::{CHOICES, Room};
use crate::shared::{Shared, observer};

const FLAGS: &[Flags] = &[Flags::ADMIN, Flags::NOSCRIPT, Flags::LOADING, Flags::STALE];

/// The commands of this file.
pub const COMMANDS: &[Command] =
    &[Command::new("config", -2, &[], NO_KEYS, Group::Server, help::container)
        .about("2.0.0", "Settings.")
        .containing(SUBCOMMANDS)];

static SUBCOMMANDS: &[Command] = &[
    Command::new("config|get", -3, FLAGS, NO_KEYS, Group::Server, get)
        .about("2.0.0", "Answers settings."),
    Command::new("config|set", -4, FLAGS, NO_KEYS, Group::Server, set)
        .about("2.0.0", "Changes settings."),
    Command::new("config|resetstat", 2, FLAGS, NO_KEYS, Group::Server, resetstat)
        .about("2.0.0", "Counts anew."),
    Command::new("config|rewrite", 2, FLAGS, NO_KEYS, Group::Server, rewrite)
        .about("2.8.0", "Refused: the configuration file is not written by the server."),
    Command::new("config|help", 2, &[Flags::LOADING, Flags::STALE], NO_KEYS, Group::Server, usage)
        .about("5.0.0", "Says what there is."),
];

fn usage(call: &mut Call<'_, '_>) -> Outcome {
    help::write(
        call,
        &[
            "GET <pattern>",
            "    Return parameters matching the glob-like <pattern> and their values.",
            "SET <directive> <value>",
            "    Set the configuration <directive> to <value>.",
            "RESETSTAT",
            "    Reset statistics reported by the INFO command.",
            "REWRITE",
            "    Rewrite the configuration file.",
        ],
    )
}

/// Why a value was refused.
pub(super) type Refused = String;

/// A setting of this server.
struct Setting {
    name: &'static str,
    get: fn(&Shared) -> String,
    set: fn(&Arc<Shared>, &[u8]) -> Result<(), Refused>,
}

/// Reads a number within bounds, with a unit of memory if it may have one.
pub(super) fn number(text: &[u8], least: i64, most: i64, has_unit: bool) -> Result<i64, Refused> {
    let text = String::from_utf8_lossy(text).to_ascii_lowercase();
    let units = [
        ("kb", 1 << 10),
        ("mb", 1 << 20),
        ("gb", 1 << 30),
        ("k", 1000),
        ("m", 1_000_000),
        ("g", 1_000_000_000),
        ("b", 1),
    ];
    let unit = units.iter().find_map(|(name, unit)| Some((text.strip_suffix(name)?, *unit)));
    let (digits, unit) = unit.filter(|_| has_unit).unwrap_or((&text, 1));
    let number: Option<i64> = digits.parse().ok().and_then(|number: i64| number.checked_mul(unit));
    match (number, has_unit) {
        (Some(number), _) if (least..=most).contains(&number) => Ok(number),
        (Some(_), _) => Err(format!("argument must be between {least} and {most} inclusive")),
        (None, true) => Err("argument must be a memory value".to_owned()),
        (None, false) => Err("argument couldn't be parsed into an integer".to_owned()),
    }
}

fn yes_or_no(text: &[u8]) -> Result<bool, Refused> {
    match text.to_ascii_lowercase().as_slice() {
        b"yes" => Ok(true),
        b"no" => Ok(false),
        _ => Err("argument must be 'yes' or 'no'".to_owned()),
    }
}

fn word(value: bool) -> String {
    if value { "yes" } else { "no" }.to_owned()
}

macro_rules! numeric {
    ($name:literal, $field:ident, $kind:ty, $least:expr, $most:expr, $has_unit:expr) => {
        Setting {
            name: $name,
            get: |shared| shared.settings.$field.load(Ordering::Relaxed).to_string(),
            set: |shared, text| {
                let number = number(text, $least, $most, $has_unit)?;
                let number = <$kind>::try_from(number).map_err(|_| "out of range".to_owned())?;
                shared.settings.$field.store(number, Ordering::Relaxed);
                Ok(())
            },
        }
    };
}

const SETTINGS: &[Setting] = &[
    numeric!("maxclients", clients_max, usize, 1, u32::MAX as i64, false),
    numeric!("timeout", idle_timeout_s, u64, 0, i32::MAX as i64, false),
    numeric!("slowlog-log-slower-than", slow_us, i64, -1, i64::MAX, false),
    numeric!("slowlog-max-len", slow_entries_max, usize, 0, i64::MAX, false),
    numeric!("latency-monitor-threshold", latency_ms, u64, 0, i64::MAX, false),
    numeric!("client-query-buffer-limit", query_bytes_max, usize, 1 << 20, i64::MAX, true),
    Setting {
        name: "maxmemory-clients",
        get: |shared| shared.settings.clients_bytes_max.load(Ordering::Relaxed).to_string(),
        set: set_clients_bytes_max,
    },
    numeric!("proto-max-bulk-len", bulk_bytes_max, u64, 1 << 20, 512 << 20, true),
    Setting { name: "client-output-buffer-limit", get: output_limit::get, set: output_limit::set },
    Setting {
        name: "maxmemory",
        get: |shared| shared.settings.memory_max.load(Ordering::Relaxed).to_string(),
        set: set_memory_max,
    },
    Setting {
        name: "maxmemory-policy",
        get: |shared| policy_name(shared).to_owned(),
        set: set_policy,
    },
    Setting {
        name: "notify-keyspace-events",
        get: |shared| shared.settings.notified().letters(),
        set: |shared, text| {
            let classes = Classes::parse(&String::from_utf8_lossy(text))
                .ok_or("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.".to_owned())?;
            shared.set_notified(classes);
            Ok(())
        },
    },
    Setting {
        name: "requirepass",
        // Only its hash is kept, and that is not shown either.
        get: |shared| match shared.acl.default_user().needs_no_password() {
            true => String::new(),
            false => "*".repeat(8),
        },
        set: |shared, text| {
            let mut user = (*shared.acl.default_user()).clone();
            user.set_only_password(text);
            shared.acl.put(user);
            Ok(())
        },
    },
    Setting {
        name: "resp-del-returns-value",
        get: |shared| word(shared.settings.del_returns_value.load(Ordering::Relaxed)),
        set: |shared, text| {
            shared.settings.del_returns_value.store(yes_or_no(text)?, Ordering::Relaxed);
            Ok(())
        },
    },
    Setting {
        name: "tracking-table-max-keys",
        get: |shared| shared.tracking.keys_max().to_string(),
        set: |shared, text| {
            let most = number(text, 0, i64::MAX, false)?;
            shared.tracking.set_keys_max(shared, usize::try_from(most).unwrap_or(usize::MAX));
            Ok(())
        },
    },
    Setting {
        name: "acl-pubsub-default",
        get: |shared| {
            let gives = shared.acl.gives_channels.load(Ordering::Relaxed);
            if gives { "allchannels" } else { "resetchannels" }.to_owned()
        },
        set: |shared, text| {
            let gives = match text.to_ascii_lowercase().as_slice() {
                b"allchannels" => true,
                b"resetchannels" => false,
                _ => {
                    return Err(
                        "argument(s) must be one of the following: allchannels, resetchannels"
                            .to_owned(),
                    );
                }
            };
            shared.acl.gives_channels.store(gives, Ordering::Relaxed);
            Ok(())
        },
    },
    Setting {
        name: "acllog-max-len",
        get: |shared| shared.acl.log.most.load(Ordering::Relaxed).to_string(),
        set: |shared, text| {
            let most = number(text, 0, i64::MAX, false)?;
            shared.acl.log.most.store(usize::try_from(most).unwrap_or(0), Ordering::Relaxed);
            Ok(())
        },
    },
];

/// The name of a setting, and what reads it.
type Fixed = (&'static str, fn(&Shared) -> String);

/// Settings that cannot be changed, except to what they are.
const FIXED: &[Fixed] = &[
    ("databases", |_| "1".to_owned()),
    ("daemonize", |_| "no".to_owned()),
    ("latency-tracking", |_| "yes".to_owned()),
    ("replicaof", |_| String::new()),
    ("slaveof", |_| String::new()),
    ("io-threads", |shared| shared.options.threads.to_string()),
    ("aclfile", |shared| {
        shared
            .options
            .users_file
            .as_ref()
            .map(|path| path.display().to_string())
            .unwrap_or_default()
    }),
    ("port", |shared| shared.options.resp.map_or(0, |address| address.port()).to_string()),
    ("bind", |shared| {
        shared.options.resp.map(|address| address.ip().to_string()).unwrap_or_default()
    }),
    ("dir", |shared| {
        shared.store.directory().map(|path| path.display().to_string()).unwrap_or_default()
    }),
];

/// Settings that are remembered and change nothing, with what they are at first.
const KEPT: &[(&str, &str)] = &[
    ("save", ""),
    ("appendonly", "no"),
    ("appendfsync", "everysec"),
    ("auto-aof-rewrite-percentage", "100"),
    ("rdbcompression", "yes"),
    ("lazyfree-lazy-eviction", "no"),
    ("lazyfree-lazy-expire", "no"),
    ("lazyfree-lazy-server-del", "no"),
    ("lazyfree-lazy-user-del", "no"),
    ("lazyfree-lazy-user-flush", "no"),
    ("activedefrag", "no"),
    ("active-expire-effort", "1"),
    ("hz", "10"),
    ("dynamic-hz", "yes"),
    ("maxmemory-samples", "5"),
    ("maxmemory-eviction-tenacity", "10"),
    ("hash-max-listpack-entries", "128"),
    ("hash-max-listpack-value", "64"),
    ("hash-max-ziplist-entries", "128"),
    ("hash-max-ziplist-value", "64"),
    ("list-max-listpack-size", "-2"),
    ("list-max-ziplist-size", "-2"),
    ("list-compress-depth", "0"),
    ("set-max-intset-entries", "512"),
    ("set-max-listpack-entries", "128"),
    ("set-max-listpack-value", "64"),
    ("zset-max-listpack-entries", "128"),
    ("zset-max-listpack-value", "64"),
    ("zset-max-ziplist-entries", "128"),
    ("zset-max-ziplist-value", "64"),
    ("stream-node-max-entries", "100"),
    ("busy-reply-threshold", "5000"),
    ("lua-time-limit", "5000"),
    ("repl-diskless-load", "disabled"),
    ("repl-backlog-size", "1048576"),
    ("tcp-keepalive", "300"),
    ("oom-score-adj", "no"),
    ("sanitize-dump-payload", "no"),
    ("lfu-log-factor", "10"),
    ("lfu-decay-time", "1"),
];

const NO_EVICTION: &str = "noeviction";

/// What Redis calls the policy by which keys are evicted.
pub fn policy_name(shared: &Shared) -> &'static str {
    if let Some(choice) = shared.eviction.choice() {
        let named = CHOICES.iter().find(|(known, _)| *known == choice);
        return named.map_or(NO_EVICTION, |(_, name)| name);
    }
    match shared.settings.evicts.load(Ordering::Relaxed) {
        true => opened_policy(shared),
        false => NO_EVICTION,
    }
}

/// Chooses the policy: the one of the store, one that needs nothing of the store, or none.
fn set_policy(shared: &Arc<Shared>, text: &[u8]) -> Result<(), Refused> {
    let wanted = String::from_utf8_lossy(text).to_ascii_lowercase();
    let opened = opened_policy(shared);
    let choice = CHOICES.iter().find(|(_, name)| *name == wanted && *name != opened);
    if choice.is_none() && wanted != opened && wanted != NO_EVICTION {
        return Err(format!(
            "argument(s) must be one of the following: {NO_EVICTION}, {opened}, {}; policies by use have to be chosen when the server starts, with --eviction",
            CHOICES.map(|(_, name)| name).join(", ")
        ));
    }
    let evicts = wanted == opened;
    shared.store.allow_eviction(evicts).map_err(|error| error.message().to_owned())?;
    shared.settings.evicts.store(evicts, Ordering::Relaxed);
    shared.eviction.choose(choice.map(|(choice, _)| *choice));
    shared.find_observers();
    enforce_memory_max(shared);
    Ok(())
}

/// What Redis calls the policy that the store was opened with.
fn opened_policy(shared: &Shared) -> &'static str {
    match shared.options.eviction.as_str() {
        "lru" => "allkeys-lru",
        "lfu" | "tinylfu" | "s3fifo" => "allkeys-lfu",
        "random" => "allkeys-random",
        "ttl" => "volatile-ttl",
        _ => NO_EVICTION,
    }
}

/// A limit on memory below this leaves no room for anything.
const MEMORY_MIN: u64 = 64 << 10;

/// Puts a limit on memory into force. If the store holds more and may not evict, writes are refused until
/// it does not, as Redis does it.
fn set_memory_max(shared: &Arc<Shared>, text: &[u8]) -> Result<(), Refused> {
    let bytes = number(text, 0, i64::MAX, true)?;
    shared.settings.memory_max.store(bytes.unsigned_abs(), Ordering::Relaxed);
    enforce_memory_max(shared);
    Ok(())
}

fn enforce_memory_max(shared: &Shared) {
    shared.settings.is_over_memory_max.store(true, Ordering::Relaxed);
    if shared.eviction.choice().is_some() {
        // Room is made before each command, so the store keeps no limit of its own; with one that is out of reach it
        // goes on counting. Raising a limit never fails.
        let _ = shared.store.configure("max_memory", &i64::MAX.to_string());
    }
    fits_memory_max(shared);
}

/// Whether there is no room for a write. Tries to make it first.
pub fn refuses_writes(shared: &Shared) -> bool {
    let may_be = shared.observers() & observer::EVICTION != 0
        || shared.settings.is_over_memory_max.load(Ordering::Relaxed);
    may_be && !fits_memory_max(shared)
}

/// Tries again to put the limit on memory into force, and says whether it is.
pub fn fits_memory_max(shared: &Shared) -> bool {
    let bytes = shared.settings.memory_max.load(Ordering::Relaxed);
    let fits = if shared.eviction.choice().is_some() {
        shared.eviction.make_room(shared).is_ok_and(|room| room != Room::None)
    } else {
        let is_in_force = shared.store.configure("max_memory", &bytes.to_string()).is_ok();
        is_in_force && (bytes == 0 || bytes >= MEMORY_MIN)
    };
    if shared.settings.is_over_memory_max.load(Ordering::Relaxed) == fits {
        shared.settings.is_over_memory_max.store(!fits, Ordering::Relaxed);
    }
    fits
}

/// Limits the buffers of all clients. Redis takes a share of `maxmemory` too.
fn set_clients_bytes_max(shared: &Arc<Shared>, text: &[u8]) -> Result<(), Refused> {
    if let Some(digits) = text.strip_suffix(b"%") {
        return Err(match number(digits, 0, i64::MAX, false)? {
            ..=100 => "a share of maxmemory is not offered here: give a number of bytes".to_owned(),
            _ => "percentage argument must be less or equal to 100".to_owned(),
        });
    }
    let bytes = usize::try_from(number(text, 0, i64::MAX, true)?).unwrap_or(usize::MAX);
    shared.settings.clients_bytes_max.store(bytes, Ordering::Relaxed);
    Ok(())
}

/// The value of a setting that is only remembered.
fn kept(shared: &Shared, name: &str, first: &str) -> String {
    let kept = shared.settings.kept.lock();
    kept.iter()
        .find(|(known, _)| *known == name)
        .map_or_else(|| first.to_owned(), |(_, value)| value.clone())
}

/// All settings with their values, in the order of their names.
fn all(shared: &Shared) -> Vec<(&'static str, String)> {
    let mut all: Vec<_> =
        SETTINGS.iter().map(|setting| (setting.name, (setting.get)(shared))).collect();
    all.extend(FIXED.iter().map(|(name, get)| (*name, get(shared))));
    all.extend(KEPT.iter().map(|(name, first)| (*name, kept(shared, name, first))));
    all.sort_unstable();
    all
}

fn get(call: &mut Call<'_, '_>) -> Outcome {
    let patterns: Vec<Vec<u8>> = call.args_from(2).map(<[u8]>::to_ascii_lowercase).collect();
    let mut found = all(call.shared);
    found
        .retain(|(name, _)| patterns.iter().any(|pattern| glob::matches(pattern, name.as_bytes())));
    call.out.map(found.len());
    for (name, value) in found {
        call.out.bulk(name.as_bytes());
        call.out.bulk(value.as_bytes());
    }
    Ok(())
}

/// Changes one setting.
fn set_one(shared: &Arc<Shared>, name: &str, value: &[u8]) -> Result<(), Refused> {
    if let Some(setting) = SETTINGS.iter().find(|setting| setting.name == name) {
        return (setting.set)(shared, value);
    }
    if let Some((_, get)) = FIXED.iter().find(|(known, _)| *known == name) {
        return match get(shared).as_bytes() == value {
            true => Ok(()),
            false => Err("can't set immutable config".to_owned()),
        };
    }
    if let Some((name, _)) = KEPT.iter().find(|(known, _)| *known == name) {
        let value = String::from_utf8_lossy(value).into_owned();
        let mut kept = shared.settings.kept.lock();
        kept.retain(|(known, _)| known != name);
        kept.push((name, value));
        return Ok(());
    }
    let value = String::from_utf8_lossy(value);
    shared.store.configure(name, &value).map_err(|error| error.message().to_owned())
}

/// Whether there is a setting or an online option of this name.
fn is_known(name: &str) -> bool {
    SETTINGS.iter().any(|setting| setting.name == name)
        || FIXED.iter().any(|(known, _)| *known == name)
        || KEPT.iter().any(|(known, _)| *known == name)
        || engine_options().any(|option| option.name == name)
}

fn set(call: &mut Call<'_, '_>) -> Outcome {
    if !call.len().is_multiple_of(2) {
        return Err(Failure::arity("config|set"));
    }
    let names: Vec<String> =
        (2..call.len()).step_by(2).map(|at| call.text(at).to_ascii_lowercase()).collect();
    for (at, name) in names.iter().enumerate() {
        if !is_known(name) {
            let shown = call.text(2 + 2 * at);
            return Err(Failure::new(format!(
                "ERR Unknown option or number of arguments for CONFIG SET - '{shown}'"
            )));
        }
        if names[..at].contains(name) {
            return Err(failed(name, "duplicate parameter"));
        }
    }
    let before = all(call.shared);
    let user_before = call.shared.acl.default_user();
    for (at, name) in names.iter().enumerate() {
        if let Err(why) = set_one(call.shared, name, call.arg(3 + 2 * at)) {
            // All or none: what came before goes back.
            for done in &names[..at] {
                if done == "requirepass" {
                    // What is shown of a password is not what it was.
                    call.shared.acl.put((*user_before).clone());
                } else if let Some((_, value)) = before.iter().find(|(known, _)| known == done) {
                    // It was in force a moment ago.
                    let _ = set_one(call.shared, done, value.as_bytes());
                }
            }
            return Err(failed(name, &why));
        }
    }
    if names.iter().any(|name| name == "requirepass") && call.session.user.name() == DEFAULT_USER {
        call.session.refresh_user(call.shared);
    }
    call.out.ok();
    Ok(())
}

fn failed(name: &str, why: &str) -> Failure {
    Failure::new(format!("ERR CONFIG SET failed (possibly related to argument '{name}') - {why}"))
}

fn resetstat(call: &mut Call<'_, '_>) -> Outcome {
    let stats = call.shared.store.stats()?;
    call.shared.counters.reset(&stats);
    call.shared.eviction.reset_count();
    call.out.ok();
    Ok(())
}

fn rewrite(_: &mut Call<'_, '_>) -> Outcome {
    Err(Failure::fixed("ERR The server is running without a config file"))
}
