//! The way from a request to its command: found, checked, run, counted.
//!
//! Owns: everything that is asked of a command before it runs, in the order in which Valkey asks it, which
//! clients can tell by the error that they get; and what follows it: telling others, counting, slow commands.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use ahash::HashSet;
use tokio::time::Instant;

use super::Session;
use super::group::Queued;
use super::session::ReplyMode;
use crate::acl::{self, Context, Denied, Reason};
use crate::commands::spec::{Command, Flags};
use crate::commands::{After, Call, Effect, Failure, Keyspace, Outcome, config, monitor, table};
use crate::number;
use crate::resp::{Protocol, Replies, Request};
use crate::shared::clients::flag;
use crate::shared::slowlog::{self, Slow};
use crate::shared::{Shared, events, observer};

/// Bytes of names and arguments that an error repeats.
const SHOWN_MAX: usize = 128;

/// Bytes of commands that a client may queue since `MULTI`.
const QUEUE_BYTES_MAX: usize = 1 << 30;

/// Serves a request: writes its reply, or its error.
pub fn execute(
    shared: &Arc<Shared>,
    session: &mut Session,
    request: Request<'_>,
    out: &mut Replies,
) {
    if shared.observers() & observer::EVICTION != 0 {
        config::fits_memory_max(shared);
        // Whoever caches what had to go is told before the reply, the client itself too.
        session.client.take_messages(out);
    }
    let before = out.len();
    let was_skipping = session.reply_mode == ReplyMode::SkipNext;
    if was_skipping {
        session.reply_mode = ReplyMode::Skip;
    }
    match find(session, request) {
        Err(failure) => {
            session.has_bad_queue |= session.queue.is_some();
            if let Ok(id) = named(session, request)
                && let Some(counter) = shared.counters.command(session.thread, id)
            {
                counter.rejected.fetch_add(1, Ordering::Relaxed);
            }
            refuse(shared, &failure, before, out);
            if is_http(request.arg(0)) {
                session.after = Some(After::Close);
            }
        }
        Ok(id) => {
            serve(shared, session, id, request, out);
            // It holds for the one command behind it, or for all of a transaction.
            if session.caching.is_some()
                && session.queue.is_none()
                && !table::get(id).name.starts_with("client|")
            {
                session.caching = None;
            }
        }
    }
    let is_silent =
        matches!(session.reply_mode, ReplyMode::Off | ReplyMode::SkipNext | ReplyMode::Skip);
    if is_silent && !answers_with_pushes(session) {
        out.truncate(before);
    }
    if session.reply_mode == ReplyMode::Skip {
        // A command that is run again has not been answered yet.
        let is_over = !matches!(session.after, Some(After::Again(..)));
        session.reply_mode = if is_over { ReplyMode::On } else { ReplyMode::SkipNext };
    }
    if !session.effects.is_empty() {
        tell(shared, session);
    }
}

/// Whether what the last command answered are messages of subscriptions, which no client does without.
fn answers_with_pushes(session: &Session) -> bool {
    let last = session.client.last_command.load(Ordering::Relaxed);
    last < table::count() && table::get(last).name.ends_with("subscribe")
}

/// The number of the command or subcommand that a request calls, with as many arguments as it takes.
pub(super) fn find(session: &Session, request: Request<'_>) -> Result<usize, Failure> {
    let id = named(session, request)?;
    let command = table::get(id);
    if command.takes(request.len()) { Ok(id) } else { Err(Failure::arity(command.name)) }
}

/// The number of the command or subcommand that a request names. Mostly it is that of the request before.
fn named(session: &Session, request: Request<'_>) -> Result<usize, Failure> {
    let name = request.arg(0);
    let last = session.client.last_command.load(Ordering::Relaxed);
    let again = table::entry(last).is_some_and(|entry| {
        !entry.is_subcommand && name.eq_ignore_ascii_case(entry.command.name.as_bytes())
    });
    let id = if again { last } else { table::find(name).ok_or_else(|| unknown(request))? };
    let command = table::get(id);
    if command.subcommands.is_empty() || request.len() == 1 {
        return Ok(id);
    }
    table::find_subcommand(command, request.arg(1)).ok_or_else(|| {
        let shown = shown(request.arg(1), SHOWN_MAX);
        let container = command.name.to_ascii_uppercase();
        Failure::new(format!("ERR unknown subcommand '{shown}'. Try {container} HELP."))
    })
}

/// Whether a word is what a browser begins a request with that a page of another site made it send. The body of
/// such a request would be commands, so nothing behind it is read. As Valkey does it.
fn is_http(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"post") || name.eq_ignore_ascii_case(b"host:")
}

fn unknown(request: Request<'_>) -> Failure {
    let mut args = String::new();
    for arg in request.args().skip(1) {
        if args.len() >= SHOWN_MAX {
            break;
        }
        // Behind it comes a password, as in MIGRATE, and whoever reads errors need not see it.
        if arg.eq_ignore_ascii_case(b"auth") || arg.eq_ignore_ascii_case(b"auth2") {
            args.push_str(&format!("'{}' '(redacted)' ", shown(arg, SHOWN_MAX)));
            break;
        }
        args.push_str(&format!("'{}' ", shown(arg, SHOWN_MAX - args.len())));
    }
    let name = shown(request.arg(0), SHOWN_MAX);
    Failure::new(format!("ERR unknown command '{name}', with args beginning with: {args}"))
}

/// The beginning of an argument as text.
fn shown(arg: &[u8], bytes_max: usize) -> String {
    String::from_utf8_lossy(&arg[..arg.len().min(bytes_max)]).into_owned()
}

/// Writes an error in the place of what was written behind `before`.
fn refuse(shared: &Shared, failure: &Failure, before: usize, out: &mut Replies) {
    out.truncate(before);
    let text = failure.text();
    shared.counters.count_error(&text);
    out.error(&text);
}

/// Checks, and then runs or queues a command.
fn serve(
    shared: &Arc<Shared>,
    session: &mut Session,
    id: usize,
    request: Request<'_>,
    out: &mut Replies,
) {
    let command = table::get(id);
    session.client.last_command.store(id, Ordering::Relaxed);
    let before = out.len();
    if let Err(failure) = check(shared, session, command, request) {
        session.has_bad_queue |= session.queue.is_some() && command.name != "exec";
        if let Some(counter) = shared.counters.command(session.thread, id) {
            counter.rejected.fetch_add(1, Ordering::Relaxed);
        }
        if command.name == "exec" && session.queue.is_some() {
            session.leave_multi();
            session.unwatch(shared);
            let why = failure.text();
            let text = format!("EXECABORT Transaction discarded because of: {why}");
            refuse(shared, &Failure::new(text), before, out);
        } else {
            refuse(shared, &failure, before, out);
        }
        return;
    }
    if let Some(queue) = &mut session.queue
        && !command.flags.has(Flags::NEVER_QUEUED)
    {
        let queued = Queued::new(id, request);
        session.queued_bytes += queued.bytes();
        if session.queued_bytes > QUEUE_BYTES_MAX {
            session.has_bad_queue = true;
            refuse(shared, &Failure::OUT_OF_MEMORY, before, out);
            return;
        }
        queue.push(queued);
        session.client.queued.fetch_add(1, Ordering::Relaxed);
        out.simple("QUEUED");
        return;
    }
    let keys = keyspace(shared, session);
    run_command(shared, session, id, request, keys, out);
}

/// The keys as a client reaches them outside of a transaction.
pub(super) fn keyspace<'s, 't>(shared: &'s Shared, session: &Session) -> Keyspace<'s, 't> {
    match session.client.has(flag::NO_TOUCH) {
        false => Keyspace::Store(&shared.store),
        true => Keyspace::Untouched(&shared.store),
    }
}

/// Everything that is asked of a command before it runs.
fn check(
    shared: &Arc<Shared>,
    session: &mut Session,
    command: &'static Command,
    request: Request<'_>,
) -> Result<(), Failure> {
    if !session.is_authenticated && !command.flags.has(Flags::NO_AUTH) {
        return Err(Failure::fixed("NOAUTH Authentication required."));
    }
    if session.queue.is_some() && command.flags.has(Flags::NO_MULTI) {
        return Err(Failure::fixed("ERR Command not allowed inside a transaction"));
    }
    session.refresh_user(shared);
    if !session.user.is_unlimited()
        && !command.flags.has(Flags::NO_AUTH)
        && let Err(denied) = session.user.check(command, request)
    {
        return Err(deny(shared, session, command, denied, Context::Toplevel));
    }
    if shared.settings.is_over_memory_max.load(Ordering::Relaxed)
        && needs_memory(session, command)
        && !config::fits_memory_max(shared)
    {
        return Err(Failure::OUT_OF_MEMORY);
    }
    if session.protocol == Protocol::Two
        && !command.flags.has(Flags::WHILE_SUBSCRIBED)
        && session.is_subscribed()
    {
        return Err(Failure::new(format!(
            "ERR Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context",
            command.name
        )));
    }
    Ok(())
}

/// Whether a command, or one of those that it would do, may need memory.
fn needs_memory(session: &Session, command: &Command) -> bool {
    let queue = match command.name {
        "exec" => session.queue.as_deref().unwrap_or_default(),
        _ => &[],
    };
    command.flags.has(Flags::DENYOOM)
        || queue.iter().any(|queued| table::get(queued.id).flags.has(Flags::DENYOOM))
}

/// Notes a missing permission, and says so.
pub fn deny(
    shared: &Shared,
    session: &Session,
    command: &Command,
    denied: Denied,
    context: Context,
) -> Failure {
    let (reason, object, text) = match denied {
        Denied::Command => (
            Reason::Command,
            command.name.as_bytes().to_vec(),
            format!(
                "NOPERM User {} has no permissions to run the '{}' command",
                session.user.name(),
                command.name
            ),
        ),
        Denied::Key(key) => {
            let text = "NOPERM No permissions to access a key".to_owned();
            (Reason::Key, key, text)
        }
        Denied::Channel(channel) => {
            let text = "NOPERM No permissions to access a channel".to_owned();
            (Reason::Channel, channel, text)
        }
    };
    log_denied(shared, session, reason, context, object, session.user.name());
    Failure::new(text)
}

/// Notes a refusal for `ACL LOG`.
pub fn log_denied(
    shared: &Shared,
    session: &Session,
    reason: Reason,
    context: Context,
    object: Vec<u8>,
    user: &str,
) {
    shared.counters.denied[reason as usize].fetch_add(1, Ordering::Relaxed);
    let now_ms = shared.store.now_ms();
    shared.acl.log.add(acl::Entry {
        id: 0,
        count: 1,
        reason,
        context,
        object,
        user: user.to_owned(),
        client: crate::commands::client::describe(shared, &session.client),
        created_ms: now_ms,
        updated_ms: now_ms,
    });
}

/// Runs a command that was checked, and counts it.
pub fn run_command(
    shared: &Arc<Shared>,
    session: &mut Session,
    id: usize,
    request: Request<'_>,
    keys: Keyspace<'_, '_>,
    out: &mut Replies,
) {
    // The end of the command before, so that a pipeline looks at the clock once a command.
    let begun = session.clock.unwrap_or_else(Instant::now);
    if shared.observers() & observer::MONITOR != 0 {
        monitor::show(shared, session, table::get(id), request);
    }
    let before = out.len();
    let outcome = execute_queued(shared, session, id, request, keys, out);
    if let Err(failure) = &outcome {
        refuse(shared, failure, before, out);
    }
    let ended = Instant::now();
    session.clock = Some(ended);
    let took = ended - begun + std::mem::take(&mut session.slept);
    let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    if let Some(counter) = shared.counters.command(session.thread, id) {
        counter.add(1, took_us);
        if outcome.is_err() {
            counter.failed.fetch_add(1, Ordering::Relaxed);
        }
    }
    note_slow(shared, session, table::get(id), request, took_us);
}

/// Runs a command that was checked, and does not count it.
pub fn execute_queued(
    shared: &Arc<Shared>,
    session: &mut Session,
    id: usize,
    request: Request<'_>,
    keys: Keyspace<'_, '_>,
    out: &mut Replies,
) -> Outcome {
    let command = table::get(id);
    if shared.observers() & observer::LAZY_EXPIRY != 0 {
        free_expired(command, request, &keys)?;
    }
    if shared.observers() & observer::TRACKING != 0 && command.flags.has(Flags::READONLY) {
        note_reads(shared, session, command, request);
    }
    (command.run)(&mut Call { request, command, shared, session, out, keys })
}

/// Frees what has expired of the keys of a command, when the store does not do it by itself.
fn free_expired(command: &Command, request: Request<'_>, keys: &Keyspace<'_, '_>) -> Outcome {
    if let Keyspace::Store(store) | Keyspace::Untouched(store) = keys {
        for key in command.keys_of(request) {
            if !store.exists(key)? {
                // Looking for a version that no entry has changes nothing but what has expired.
                store.del_if(key, u64::MAX)?;
            }
        }
    }
    Ok(())
}

/// Notes the keys that a client is about to read, if it keeps a cache of them.
fn note_reads(shared: &Shared, session: &mut Session, command: &Command, request: Request<'_>) {
    let client = &session.client;
    if !client.has(flag::TRACKING) || client.has(flag::BROADCAST) {
        return;
    }
    let mode = client.tracking();
    let is_wanted = match session.caching {
        Some(caching) => caching,
        None => !mode.opt_in,
    };
    if is_wanted {
        for key in command.keys_of(request) {
            shared.tracking.note(shared, key, client.id);
            if session.runs_group {
                session.effects.push(Effect::Read(key.to_vec()));
            }
        }
    }
}

/// Keeps a command that took long.
fn note_slow(
    shared: &Shared,
    session: &Session,
    command: &Command,
    request: Request<'_>,
    took_us: u64,
) {
    let slow_us = shared.settings.slow_us.load(Ordering::Relaxed);
    let is_slow = u64::try_from(slow_us).is_ok_and(|slow_us| took_us >= slow_us);
    if is_slow && !command.flags.has(Flags::SKIP_SLOWLOG) {
        let slow = Slow {
            id: 0,
            at_s: shared.store.now_ms() / 1000,
            took_us,
            args: slowlog::shortened(command.name, request),
            address: session.client.address.to_string(),
            name: session.client.about().name,
        };
        shared.slowlog.add(slow, shared.settings.slow_entries_max.load(Ordering::Relaxed));
    }
    let latency_ms = shared.settings.latency_ms.load(Ordering::Relaxed);
    if latency_ms > 0 && took_us / 1000 >= latency_ms {
        let event = if command.flags.has(Flags::FAST) { "fast-command" } else { "command" };
        shared.latency.note(event, shared.store.now_ms() / 1000, took_us / 1000);
    }
}

/// Tells others what this client has changed.
pub fn tell(shared: &Arc<Shared>, session: &mut Session) {
    let effects = std::mem::take(&mut session.effects);
    let changed: Vec<&[u8]> = effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Changed(key) => Some(&**key),
            _ => None,
        })
        .collect();
    if !changed.is_empty() {
        shared.keys_changed(&changed, session.client.id, &read_last(&effects));
    }
    for effect in &effects {
        match effect {
            Effect::Changed(_) | Effect::Read(_) => {}
            Effect::Cleared => shared.tracking.invalidate_all(shared),
            Effect::Event(class, name, key) => events::publish(shared, *class, name, key),
        }
    }
}

/// The keys that a transaction has read and not changed any more. What the client keeps of them is valid.
fn read_last(effects: &[Effect]) -> Vec<&[u8]> {
    let mut changed_later = HashSet::<&[u8]>::default();
    let mut read = Vec::new();
    for effect in effects.iter().rev() {
        match effect {
            Effect::Changed(key) => {
                changed_later.insert(key);
            }
            Effect::Read(key) if !changed_later.contains(&**key) => read.push(&**key),
            _ => {}
        }
    }
    read
}

/// The number of arguments that a client may send before it has said who it is, and other limits on requests.
pub fn limits(shared: &Shared, session: &Session) -> crate::resp::Limits {
    crate::resp::Limits {
        bulk_bytes_max: shared.settings.bulk_bytes_max.load(Ordering::Relaxed),
        authenticated: session.is_authenticated,
    }
}

/// A count of microseconds as text, with two digits behind the point.
pub fn per_call(usec: u64, calls: u64) -> String {
    if calls == 0 { number::float_text(0.0) } else { format!("{:.2}", usec as f64 / calls as f64) }
}
