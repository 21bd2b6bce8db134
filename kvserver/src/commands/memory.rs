//! What memory is used for (`MEMORY`).

use super::call::{Call, Outcome};
use super::failure::Failure;
use super::help;
use super::spec::{Access, Command, Flags, Group, Keys, NO_KEYS};

const KEY: Keys = Keys { first: 2, last: 2, step: 1, access: [Access::NONE; 2] };

/// The commands of this file.
pub const COMMANDS: &[Command] =
    &[Command::new("memory", -2, &[], NO_KEYS, Group::Server, help::container)
        .about("4.0.0", "What memory is used for.")
        .containing(SUBCOMMANDS)];

static SUBCOMMANDS: &[Command] = &[
    Command::new("memory|usage", -3, &[Flags::READONLY], KEY, Group::Server, usage)
        .about("4.0.0", "Answers about how many bytes a key takes."),
    Command::new("memory|stats", 2, &[], NO_KEYS, Group::Server, stats)
        .about("4.0.0", "Answers what memory is used for."),
    Command::new("memory|doctor", 2, &[], NO_KEYS, Group::Server, doctor)
        .about("4.0.0", "Says whether something is wrong."),
    Command::new("memory|purge", 2, &[], NO_KEYS, Group::Server, purge)
        .about("4.0.0", "Frees what has expired."),
    Command::new(
        "memory|help",
        2,
        &[Flags::LOADING, Flags::STALE],
        NO_KEYS,
        Group::Server,
        write_help,
    )
    .about("4.0.0", "Says what there is."),
];

fn write_help(call: &mut Call<'_, '_>) -> Outcome {
    help::write(
        call,
        &[
            "DOCTOR",
            "    Return memory problems reports.",
            "PURGE",
            "    Attempt to purge dirty pages for reclamation by the allocator.",
            "STATS",
            "    Return information about the memory usage of the server.",
            "USAGE <key> [SAMPLES <count>]",
            "    Return memory in bytes used by <key> and its value.",
        ],
    )
}

fn usage(call: &mut Call<'_, '_>) -> Outcome {
    match call.len() {
        3 => {}
        5 if call.is(3, "samples") => {
            if call.integer(4)? < 0 {
                return Err(Failure::SYNTAX);
            }
        }
        _ => return Err(Failure::SYNTAX),
    }
    /// Bytes of the head of an entry with a deadline, and of its slot in the index.
    const OVERHEAD: usize = 16 + 10;
    let key = call.arg(2);
    match call.keys.look(key, <[u8]>::len)? {
        Some(length) => {
            let bytes = key.len() + length + OVERHEAD;
            call.out.integer(i64::try_from(bytes).unwrap_or(i64::MAX));
        }
        None => call.out.null(),
    }
    Ok(())
}

fn stats(call: &mut Call<'_, '_>) -> Outcome {
    let stats = call.shared.store.stats()?;
    let clients = call.shared.clients.memory_bytes() as u64;
    let per_key = stats.memory_bytes.checked_div(stats.entries).unwrap_or(0);
    let rows = [
        ("total.allocated", stats.memory_bytes + stats.pinned_bytes + clients),
        ("clients.normal", clients),
        ("keys.count", stats.entries),
        ("keys.expired-pending", stats.expired_pending),
        ("keys.bytes-per-key", per_key),
        ("dataset.bytes", stats.key_bytes + stats.value_bytes),
        ("resident.bytes", stats.resident_bytes),
    ];
    call.out.map(rows.len());
    for (name, value) in rows {
        call.out.bulk(name.as_bytes());
        call.out.integer(value.cast_signed());
    }
    Ok(())
}

fn doctor(call: &mut Call<'_, '_>) -> Outcome {
    let stats = call.shared.store.stats()?;
    let text = if stats.expired_pending > stats.entries / 4 && stats.entries > 1000 {
        "More than a quarter of the keys have expired and wait to be freed: shorten cleanup_interval."
    } else {
        "I can't find any memory issue in your instance."
    };
    call.out.verbatim(*b"txt", text.as_bytes());
    Ok(())
}

fn purge(call: &mut Call<'_, '_>) -> Outcome {
    call.shared.store.purge_expired()?;
    call.out.ok();
    Ok(())
}
