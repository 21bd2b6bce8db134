//! What is kept on disk: snapshots that somebody asks for.

use std::sync::atomic::Ordering;

use super::call::{After, Call, Outcome};
use super::failure::Failure;
use super::spec::{Command, Flags, Group, NO_KEYS};
use crate::shared::Shared;

const ADMIN: &[Flags] = &[Flags::ADMIN, Flags::NOSCRIPT];

/// The commands of this file.
pub const COMMANDS: &[Command] = &[
    Command::new(
        "save",
        1,
        &[Flags::ADMIN, Flags::NOSCRIPT, Flags::NO_MULTI],
        NO_KEYS,
        Group::Server,
        save,
    )
    .about("1.0.0", "Writes a snapshot and answers when it is there."),
    Command::new("bgsave", -1, ADMIN, NO_KEYS, Group::Server, bgsave)
        .about("1.0.0", "Begins to write a snapshot."),
    Command::new("bgrewriteaof", 1, ADMIN, NO_KEYS, Group::Server, bgrewriteaof)
        .about("1.0.0", "Begins to write a snapshot, behind which the log is shorter."),
    Command::new(
        "lastsave",
        1,
        &[Flags::LOADING, Flags::STALE, Flags::FAST, Flags::ADMIN],
        NO_KEYS,
        Group::Server,
        lastsave,
    )
    .about("1.0.0", "Answers when the last snapshot was written."),
];

/// Writes a snapshot. A store in memory has nothing to write, which is as good.
fn write(shared: &Shared) -> Outcome {
    let written = match shared.store.directory() {
        Some(_) => shared.store.snapshot(None).map(drop),
        None => Ok(()),
    };
    shared.is_saving.store(false, Ordering::Release);
    if written.is_ok() {
        shared.last_save_s.store(shared.store.now_ms() / 1000, Ordering::Relaxed);
    }
    Ok(written?)
}

/// Takes the right to write one, which only one client has at a time.
fn begin(call: &Call<'_, '_>) -> Outcome {
    match call.shared.is_saving.swap(true, Ordering::AcqRel) {
        true => Err(Failure::fixed("ERR Background save already in progress")),
        false => Ok(()),
    }
}

fn save(call: &mut Call<'_, '_>) -> Outcome {
    begin(call)?;
    call.session.after = Some(After::Work(Box::new(write)));
    Ok(())
}

/// Writes a snapshot while the client goes on.
fn write_behind(call: &mut Call<'_, '_>, answer: &str) -> Outcome {
    begin(call)?;
    let shared = std::sync::Arc::clone(call.shared);
    let spawned = kvcore::spawn_thread("kv-save", move || {
        // LASTSAVE and INFO tell whether it was written.
        let _ = write(&shared);
    });
    if spawned.is_err() {
        call.shared.is_saving.store(false, Ordering::Release);
        return Err(Failure::fixed("ERR no thread could do this"));
    }
    call.out.simple(answer);
    Ok(())
}

fn bgsave(call: &mut Call<'_, '_>) -> Outcome {
    match call.len() {
        1 => {}
        2 if call.is(1, "schedule") => {}
        _ => return Err(Failure::SYNTAX),
    }
    write_behind(call, "Background saving started")
}

fn bgrewriteaof(call: &mut Call<'_, '_>) -> Outcome {
    write_behind(call, "Background append only file rewriting started")
}

fn lastsave(call: &mut Call<'_, '_>) -> Outcome {
    call.out.integer(call.shared.last_save_s.load(Ordering::Relaxed));
    Ok(())
}
