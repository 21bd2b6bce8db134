//! Commands that were queued and are done as one (`EXEC`).
//!
//! Owns: how a transaction is made of them. Its commands are run under the locks of all keys that they name,
//! inside one transaction of the store: nobody sees one half, the log has one record group, and it holds all
//! or nothing. There, no command may call the store itself. Commands without keys do not depend on keys, so
//! they run right behind, and their replies take their places. A command that concerns the whole store
//! (`FLUSHALL`, `KEYS`, `DBSIZE`) parts the transaction in two, each of which is one.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use kvcore::Transaction;

use super::{Session, Watching, execute_queued, keyspace, run_command};
use crate::commands::spec::Flags;
use crate::commands::{Failure, Keyspace, monitor, table};
use crate::resp::{Replies, Request};
use crate::shared::{Shared, observer};

/// A command that waits for `EXEC`.
#[derive(Debug)]
pub struct Queued {
    /// Its number in the table.
    pub id: usize,
    bytes: Vec<u8>,
    args: Vec<Range<usize>>,
}

impl Queued {
    /// A copy of a request.
    pub fn new(id: usize, request: Request<'_>) -> Queued {
        let (bytes, args) = request.to_owned();
        Queued { id, bytes, args }
    }

    /// The request.
    pub fn request(&self) -> Request<'_> {
        Request::new(&self.bytes, &self.args)
    }

    /// Bytes of memory that it takes.
    pub fn bytes(&self) -> usize {
        self.bytes.len() + self.args.len() * size_of::<Range<usize>>() + size_of::<Queued>()
    }

    fn keys(&self) -> impl Iterator<Item = &[u8]> {
        table::get(self.id).keys_of(self.request())
    }
}

/// What came of a transaction.
#[derive(Debug, PartialEq, Eq)]
pub enum Made {
    /// Its commands ran; each has its reply.
    Done,
    /// A watched key had changed. Nothing was done.
    Conflict,
}

/// Runs queued commands and writes one reply for each.
///
/// # Errors
/// The store made none of them.
pub fn run(
    shared: &Arc<Shared>,
    session: &mut Session,
    queue: &[Queued],
    out: &mut Replies,
) -> Result<Made, Failure> {
    let watching = std::mem::take(&mut session.watching);
    let mut watched = &watching[..];
    let parts = queue.split_inclusive(|queued| table::get(queued.id).flags.has(Flags::WHOLE_STORE));
    let mut made = Ok(Made::Done);
    session.runs_group = true;
    if queue.is_empty() {
        made = part(shared, session, queue, watched, out);
    }
    for commands in parts {
        made = part(shared, session, commands, watched, out);
        // What came before is done, so later parts ask no more.
        watched = &[];
        if !matches!(made, Ok(Made::Done)) {
            break;
        }
    }
    session.runs_group = false;
    session.watching = watching;
    made
}

/// Runs the commands of one part.
fn part(
    shared: &Arc<Shared>,
    session: &mut Session,
    commands: &[Queued],
    watched: &[Watching],
    out: &mut Replies,
) -> Result<Made, Failure> {
    let mut keys: Vec<&[u8]> = commands.iter().flat_map(Queued::keys).collect();
    keys.extend(watched.iter().map(|watching| &*watching.key));
    let mut replies = Replies::new(session.protocol);
    let mut ends = Vec::new();
    let mut outcomes = Vec::new();
    let told = session.effects.len();
    if !keys.is_empty() {
        let mut attempt = |transaction: &mut Transaction<'_>| {
            // It may be called again, and then with nothing done.
            replies.clear();
            ends.clear();
            outcomes.clear();
            session.effects.truncate(told);
            for watching in watched {
                let version = transaction.held(&watching.key)?.and_then(|held| held.version);
                if version != watching.version {
                    return Ok(Made::Conflict);
                }
            }
            for queued in commands.iter().filter(|queued| queued.keys().next().is_some()) {
                let keys = Keyspace::Group(transaction);
                let before = replies.len();
                let outcome = execute_queued(
                    shared,
                    session,
                    queued.id,
                    queued.request(),
                    keys,
                    &mut replies,
                );
                if let Err(failure) = &outcome {
                    replies.truncate(before);
                    replies.error(&failure.text());
                }
                ends.push(replies.len());
                outcomes.push(outcome);
            }
            Ok(Made::Done)
        };
        if shared.store.transact(&keys, &mut attempt)? == Made::Conflict {
            return Ok(Made::Conflict);
        }
    }
    let mut keyed = ends.iter().zip(&outcomes);
    let mut from = 0;
    for queued in commands {
        if queued.keys().next().is_some() {
            if let Some((&to, outcome)) = keyed.next() {
                out.raw(&replies.as_bytes()[from..to]);
                from = to;
                if shared.observers() & observer::MONITOR != 0 {
                    monitor::show(shared, session, table::get(queued.id), queued.request());
                }
                count(shared, session, queued.id, outcome.as_ref().err());
            }
        } else {
            let keys = keyspace(shared, session);
            run_command(shared, session, queued.id, queued.request(), keys, out);
        }
    }
    Ok(Made::Done)
}

/// Counts a command that ran inside the transaction.
fn count(shared: &Shared, session: &Session, id: usize, failure: Option<&Failure>) {
    if let Some(failure) = failure {
        shared.counters.count_error(&failure.text());
    }
    if let Some(counter) = shared.counters.command(session.thread, id) {
        counter.calls.fetch_add(1, Ordering::Relaxed);
        counter.failed.fetch_add(u64::from(failure.is_some()), Ordering::Relaxed);
    }
}
