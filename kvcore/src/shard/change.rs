//! One change under way, and why one is refused.

use crate::budget::Need;
use crate::clock::Now;
use crate::context::Context;
use crate::entry::NEVER;
use crate::error::{Error, Status};
use crate::removals::{Cause, Removed};

use super::Scrap;
use super::entries::{Entries, Found};
use crate::value::{Value, ValueInfo};

/// Why a change was not made.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// It needs this much room. Nothing has changed; make room without the lock and try again.
    Room(Need),
    /// It cannot be made.
    Error(Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Refusal::Error(error)
    }
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        Refusal::Error(status.into())
    }
}

/// One change under way: its time, and what it leaves behind.
pub(crate) struct Change<'a> {
    pub(crate) context: &'a Context,
    pub(crate) now: Now<'a>,
    pub(crate) scrap: Scrap,
    /// What callbacks will be told.
    removed: Vec<Removed>,
    /// The earliest deadline that was put on the wheel.
    earliest: i64,
    /// Whether the caller settles with the budget for all parts of the change at once.
    settles_whole: bool,
    /// Whether callbacks are told nothing, because only a deadline changes.
    pub(super) tells_nothing: bool,
}

impl<'a> Change<'a> {
    #[inline]
    pub(crate) fn new(context: &'a Context) -> Self {
        Change {
            context,
            now: Now::new(&context.clock),
            scrap: Scrap::default(),
            removed: Vec::new(),
            earliest: NEVER,
            settles_whole: false,
            tells_nothing: false,
        }
    }

    /// Says that the caller has reserved the room for what follows, and will give back the rest.
    pub(crate) fn settles_whole(&mut self) {
        self.settles_whole = true;
    }

    /// Whether each part of the change settles with the budget. Without a limit there is nothing to
    /// settle, but debug builds check the sums all the same.
    #[inline]
    pub(super) fn settles(&self) -> bool {
        !self.settles_whole && (cfg!(debug_assertions) || self.context.budget.is_counting())
    }

    /// Notes a deadline that was put on the wheel.
    #[inline]
    pub(super) fn scheduled(&mut self, deadline: i64) {
        self.earliest = self.earliest.min(deadline);
    }

    /// Notes an entry that is about to go, if a callback wants to know.
    #[inline]
    pub(super) fn note(&mut self, cause: Cause, entries: Entries<'_>, found: &Found) {
        if self.context.removals.wants(cause) && !self.tells_nothing {
            self.note_wanted(cause, entries, found);
        }
    }

    #[cold]
    fn note_wanted(&mut self, cause: Cause, entries: Entries<'_>, found: &Found) {
        let (key, value) = (entries.key(found), entries.value(found));
        let removed = match entries.large_part(found) {
            None => Removed::copy(cause, key, value),
            Some(large) => {
                let info = ValueInfo::of(&found.head);
                Removed::share(cause, key, Value::share(&large.value, info))
            }
        };
        match removed {
            Some(removed) => self.removed.push(removed),
            None => self.context.removals.count_dropped(1),
        }
    }

    /// Ends the change, once no lock is held: tells the cleaner of new deadlines, the callbacks of
    /// what went, and drops what was removed.
    #[inline]
    pub(crate) fn finish(self) {
        if self.earliest != NEVER {
            self.context.alarm.note(self.earliest);
        }
        if !self.removed.is_empty() {
            self.context.removals.push_all(self.removed);
        }
    }
}
