//! `MULTI` and what belongs to it. How queued commands become one change is in `net/group.rs`.

use std::sync::atomic::Ordering;

use super::call::{Call, Outcome};
use super::failure::Failure;
use super::spec::{Access, Command, Flags, Group, NO_KEYS, all_keys};
use super::{monitor, table};
use crate::acl::Context;
use crate::net::{self, Made, Queued};
use crate::shared::clients::flag;
use crate::shared::observer;

const FLAGS: &[Flags] = &[
    Flags::NOSCRIPT,
    Flags::LOADING,
    Flags::STALE,
    Flags::FAST,
    Flags::ALLOW_BUSY,
    Flags::NEVER_QUEUED,
];
const UNWATCH: &[Flags] =
    &[Flags::NOSCRIPT, Flags::LOADING, Flags::STALE, Flags::FAST, Flags::ALLOW_BUSY];

/// The commands of this file.
pub const COMMANDS: &[Command] = &[
    Command::new("multi", 1, FLAGS, NO_KEYS, Group::Transactions, multi)
        .about("1.2.0", "Queues the commands that follow, to be done as one."),
    Command::new(
        "exec",
        1,
        &[
            Flags::NOSCRIPT,
            Flags::LOADING,
            Flags::STALE,
            Flags::SKIP_SLOWLOG,
            Flags::SKIP_MONITOR,
            Flags::NEVER_QUEUED,
        ],
        NO_KEYS,
        Group::Transactions,
        exec,
    )
    .about("1.2.0", "Does the commands that were queued."),
    Command::new("discard", 1, FLAGS, NO_KEYS, Group::Transactions, discard)
        .about("2.0.0", "Forgets the commands that were queued."),
    Command::new("watch", -2, FLAGS, all_keys(Access::NONE), Group::Transactions, watch)
        .about("2.2.0", "Makes EXEC do nothing if one of these keys changes before it."),
    Command::new("unwatch", 1, UNWATCH, NO_KEYS, Group::Transactions, unwatch)
        .about("2.2.0", "Forgets the keys that are watched."),
];

/// A client watches no more keys than this.
const WATCHED_MAX: usize = 1 << 20;

fn multi(call: &mut Call<'_, '_>) -> Outcome {
    if call.session.queue.is_some() {
        return Err(Failure::fixed("ERR MULTI calls can not be nested"));
    }
    call.session.queue = Some(Vec::new());
    call.session.client.mark(flag::MULTI, true);
    call.session.client.queued.store(0, Ordering::Relaxed);
    call.out.ok();
    Ok(())
}

fn discard(call: &mut Call<'_, '_>) -> Outcome {
    if call.session.queue.is_none() {
        return Err(Failure::fixed("ERR DISCARD without MULTI"));
    }
    call.session.leave_multi();
    call.session.unwatch(call.shared);
    call.out.ok();
    Ok(())
}

fn exec(call: &mut Call<'_, '_>) -> Outcome {
    let Some(queue) = call.session.queue.take() else {
        return Err(Failure::fixed("ERR EXEC without MULTI"));
    };
    let outcome = exec_queued(call, &queue);
    // Behind the commands that it did, so that a monitor sees them between MULTI and EXEC.
    if call.shared.observers() & observer::MONITOR != 0 {
        monitor::write(call.shared, call.session, call.request);
    }
    call.session.leave_multi();
    call.session.unwatch(call.shared);
    outcome
}

fn exec_queued(call: &mut Call<'_, '_>, queue: &[Queued]) -> Outcome {
    if call.session.has_bad_queue {
        return Err(Failure::fixed("EXECABORT Transaction discarded because of previous errors."));
    }
    if call.session.dirty.load(Ordering::Relaxed) {
        call.out.null_array();
        return Ok(());
    }
    check_permissions(call, queue)?;
    let before = call.out.len();
    call.out.array(queue.len());
    if net::run(call.shared, call.session, queue, call.out)? == Made::Conflict {
        call.out.truncate(before);
        call.out.null_array();
    }
    Ok(())
}

/// Permissions may have gone since the commands were queued.
fn check_permissions(call: &mut Call<'_, '_>, queue: &[Queued]) -> Outcome {
    if call.session.user.is_unlimited() {
        return Ok(());
    }
    for queued in queue {
        let command = table::get(queued.id);
        if let Err(denied) = call.session.user.check(command, queued.request()) {
            return Err(net::deny(call.shared, call.session, command, denied, Context::Multi));
        }
    }
    Ok(())
}

fn watch(call: &mut Call<'_, '_>) -> Outcome {
    if call.session.queue.is_some() {
        return Err(Failure::fixed("ERR WATCH inside MULTI is not allowed"));
    }
    for key in call.args_from(1) {
        let is_watched = call.session.watching.iter().any(|watching| watching.key == key);
        if is_watched {
            continue;
        }
        if call.session.watching.len() >= WATCHED_MAX {
            return Err(Failure::fixed("ERR too many watched keys"));
        }
        // Entered first, so that no change behind the look at the version is missed.
        call.shared.watched.watch(key, &call.session.dirty);
        call.session.watch(key);
        call.shared.find_observers();
        let version = call.keys.version(key)?;
        if let Some(watching) = call.session.watching.last_mut() {
            watching.version = version;
        }
    }
    call.session.client.watching.store(call.session.watching.len(), Ordering::Relaxed);
    call.out.ok();
    Ok(())
}

fn unwatch(call: &mut Call<'_, '_>) -> Outcome {
    call.session.unwatch(call.shared);
    call.out.ok();
    Ok(())
}
