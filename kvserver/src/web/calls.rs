//! Calls of HTTP and gRPC as the commands that do the same: shown by `MONITOR`, counted in `INFO commandstats`
//! and `LATENCY HISTOGRAM`, and kept by `SLOWLOG`.
//!
//! Owns: [`Calls`], what one request was let in for. Each permission that a request asks for is a command; their
//! time is that of the whole request from the first of them on, which they share. What a client takes to send its
//! body is its own time: [`Calls::begin`] begins anew behind it. Of a stream only the time to its head counts.
//!
//! Only the names of commands and keys are kept, no values.

use std::sync::atomic::Ordering;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::{Caller, Front};
use crate::commands::spec::{Command, Flags};
use crate::commands::{monitor, table};
use crate::resp::Request;
use crate::shared::observer;
use crate::shared::slowlog::{self, Slow};

/// What one request was let in for.
#[derive(Debug, Default)]
pub struct Calls(Mutex<Noted>);

#[derive(Debug, Default)]
struct Noted {
    begun: Option<Instant>,
    /// The numbers of commands, and how many of each. There are few kinds in one request.
    counts: Vec<(usize, u64)>,
    /// The first command's name and keys.
    first: Vec<Vec<u8>>,
}

impl Calls {
    /// The time of its commands begins now.
    pub fn begin(&self) {
        self.0.lock().begun = Some(Instant::now());
    }

    fn note(&self, id: usize, words: impl FnOnce() -> Vec<Vec<u8>>) {
        let mut noted = self.0.lock();
        if noted.first.is_empty() {
            noted.begun = Some(Instant::now());
            noted.first = words();
        }
        match noted.counts.iter_mut().find(|(known, _)| *known == id) {
            Some((_, count)) => *count += 1,
            None => noted.counts.push((id, 1)),
        }
    }
}

impl Front {
    /// A request was let in for a command.
    pub(super) fn note_call(
        &self,
        caller: &Caller,
        command: &'static Command,
        request: Request<'_>,
    ) {
        let words = || {
            let mut words = vec![command.name.as_bytes()];
            words.extend(command.keys_of(request));
            words
        };
        let is_shown = !command.flags.has(Flags::SKIP_MONITOR) && !command.flags.has(Flags::ADMIN);
        if is_shown && self.shared.observers() & observer::MONITOR != 0 {
            monitor::tell(&self.shared, caller.address, None, words().into_iter());
        }
        caller.calls.note(table::id_of(command), || slowlog::shortened_words(words().into_iter()));
    }

    /// A command that a request asked for was refused.
    pub(super) fn note_rejected(&self, command: &'static Command) {
        if let Some(counter) = self.shared.counters.command(0, table::id_of(command)) {
            counter.rejected.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A request has been answered: counts what it was let in for. `has_failed` is whether it came to nothing through
    /// a fault of the server or of the store.
    pub fn count_calls(&self, caller: &Caller, has_failed: bool) {
        let Noted { begun, counts, first } = std::mem::take(&mut *caller.calls.0.lock());
        let Some(begun) = begun.filter(|_| !counts.is_empty()) else { return };
        let took_us = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        let all: u64 = counts.iter().map(|(_, count)| count).sum();
        for (id, count) in &counts {
            // The counters of the first thread are as good as any: they are summed up for whoever asks.
            let Some(counter) = self.shared.counters.command(0, *id) else { continue };
            counter.add(*count, took_us.saturating_mul(*count) / all);
            counter.failed.fetch_add(if has_failed { *count } else { 0 }, Ordering::Relaxed);
        }
        let slow_us = self.shared.settings.slow_us.load(Ordering::Relaxed);
        if u64::try_from(slow_us).is_ok_and(|slow_us| took_us >= slow_us) {
            let slow = Slow {
                id: 0,
                at_s: self.shared.store.now_ms() / 1000,
                took_us,
                args: first,
                address: caller.address.to_string(),
                name: self.name.to_owned(),
            };
            let most = self.shared.settings.slow_entries_max.load(Ordering::Relaxed);
            self.shared.slowlog.add(slow, most);
        }
    }
}
