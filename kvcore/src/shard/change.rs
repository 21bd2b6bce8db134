//! One change under way, and why one is refused.

use std::cell::Cell;

use crate::budget::Need;
use crate::clock::Now;
use crate::context::Context;
use crate::deferral;
use crate::entry::NEVER;
use crate::error::{Error, Result, Status};
use crate::journal::{Lack, Unit};
use crate::record::Record;
use crate::removals::{Cause, Removed};
use crate::watch::{EventKind, Told};

use super::entries::{Entries, Found};
use super::{Loaded, Scrap};
use crate::value::{Value, ValueInfo};

/// Why a change was not made.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// It needs this much room. Nothing has changed; make room without the lock and try again.
    Room(Need),
    /// It cannot be recorded yet. Nothing has changed; supply what lacks without the lock and try
    /// again.
    Lacks(Lack),
    /// It cannot be made.
    Error(Error),
}

impl Refusal {
    /// The error of a change that asks for no room, because it only fills a store.
    pub(crate) fn without_room(self) -> Error {
        match self {
            Refusal::Error(error) => error,
            Refusal::Room(_) | Refusal::Lacks(_) => {
                unreachable!("filling a store asks for no room: {self:?}")
            }
        }
    }
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
    /// What watches will be told. Out of line, as most stores have none, and every change pays for what it
    /// has in it, when it begins and when it ends.
    told: Option<Box<Told>>,
    /// Whether the log could not be written, so that nobody knows what is left of the change.
    is_lost: Cell<bool>,
    /// The earliest deadline that was put on the wheel.
    earliest: i64,
    /// Whether the caller settles with the budget for all parts of the change at once.
    settles_whole: bool,
    /// Whether only a deadline changes: callbacks are told nothing, and the log no value.
    pub(super) only_redates: bool,
    /// Whether the entry being written is a new one, though its key has one: that is deleted first.
    pub(super) renews: bool,
    /// What the log will be told.
    pub(super) unit: Unit,
    /// The LSN of the last record.
    lsn: Option<u64>,
    /// What the entry being written had, if it comes from a file.
    loaded: Option<Loaded>,
}

impl<'a> Change<'a> {
    #[inline]
    pub(crate) fn new(context: &'a Context) -> Self {
        Change {
            context,
            now: Now::new(&context.clock),
            scrap: Scrap::default(),
            removed: Vec::new(),
            told: None,
            is_lost: Cell::new(false),
            earliest: NEVER,
            settles_whole: false,
            only_redates: false,
            renews: false,
            unit: Unit::default(),
            lsn: None,
            loaded: None,
        }
    }

    /// The next entry is one that was there before, as it was. Nobody is told, and the caller settles.
    pub(super) fn load(&mut self, loaded: Loaded) {
        self.settles_whole = true;
        self.only_redates = true;
        self.loaded = Some(loaded);
    }

    /// About the version that the entry being written will have.
    #[inline]
    pub(super) fn expected_version(&self) -> u64 {
        self.loaded.map_or_else(|| self.context.revision() + 1, |loaded| loaded.version)
    }

    /// The version of the entry being written.
    #[inline]
    pub(super) fn next_version(&self) -> u64 {
        self.loaded.map_or_else(|| self.context.next_revision(), |loaded| loaded.version)
    }

    /// What the policy knew of an entry that was there before.
    pub(super) fn loaded_use(&self) -> Option<u8> {
        self.loaded.map(|loaded| loaded.access)
    }

    /// Creation time and hits of an entry that was there before.
    pub(super) fn loaded_access(&self) -> Option<(i64, u8)> {
        self.loaded.map(|loaded| (loaded.created_at_ms.unwrap_or(self.now.ms()), loaded.hits))
    }

    /// Reserves room for records with keys and values of so many bytes in all.
    ///
    /// # Errors
    /// What lacks for them.
    pub(crate) fn reserve_records(&mut self, count: usize, bytes: usize) -> Result<(), Refusal> {
        let revision = self.context.revision();
        self.context.journal.reserve(&mut self.unit, count, bytes, revision).map_err(Refusal::Lacks)
    }

    /// Records that everything was taken out, for which there is room.
    pub(crate) fn record_clear(&mut self) {
        let version = self.context.next_revision();
        super::journal::record(Record::Clear { version }, self);
        if let Some(told) = self.tells() {
            told.gone(version, EventKind::Cleared, b"");
        }
    }

    /// Puts the records of the change into the log. Before the locks of what changed are let go.
    #[inline]
    pub(crate) fn commit(&mut self) {
        self.lsn = self.context.journal.append(&mut self.unit);
    }

    /// Waits, once no lock is held, until the records are as safe as `sync` promises, or notes for the
    /// thread's deferral that this has still to be done.
    ///
    /// # Errors
    /// `Io` or `Poisoned` if the log could not be written: the outcome is unknown.
    #[inline]
    pub(crate) fn wait(&self) -> Result<()> {
        let Some(lsn) = self.lsn else { return Ok(()) };
        if deferral::put_off(self.context, lsn) {
            return Ok(());
        }
        let waited = self.context.journal.wait(lsn);
        self.is_lost.set(waited.is_err());
        waited
    }

    /// Says whether the caller has reserved the room for what follows, and will give back the rest.
    pub(crate) fn settles_whole(&mut self, whole: bool) {
        self.settles_whole = whole;
    }

    /// Why the value of a key goes whose entry is written.
    #[inline]
    pub(super) fn replacing(&self) -> Cause {
        if self.renews { Cause::Deleted } else { Cause::Replaced }
    }

    /// Whether each part of the change settles its bytes with the budget. Without a limit there is nothing to
    /// settle, but debug builds check the sums all the same.
    #[inline]
    pub(super) fn settles(&self) -> bool {
        !self.settles_whole && (cfg!(debug_assertions) || self.context.budget.counts_bytes())
    }

    /// Notes a deadline that was put on the wheel.
    #[inline]
    pub(super) fn scheduled(&mut self, deadline: i64) {
        self.earliest = self.earliest.min(deadline);
    }

    /// Notes an entry that is about to go, if a callback wants to know.
    #[inline]
    pub(super) fn note(&mut self, cause: Cause, entries: Entries<'_>, found: &Found) {
        if self.context.removals.wants(cause) && !self.only_redates {
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

    /// Where to note what watches are to be told, if there are any. Under the lock.
    #[inline]
    pub(super) fn tells(&mut self) -> Option<&mut Told> {
        let tells = self.context.feed.is_on() && self.loaded.is_none();
        tells.then(|| &mut **self.told.get_or_insert_default())
    }

    /// Ends the change, once no lock is held: tells the cleaner of new deadlines, the callbacks of
    /// what went, the watches of what happened, and drops what was removed.
    #[inline]
    pub(crate) fn finish(self) {
        if self.earliest != NEVER {
            self.context.alarm.note(self.earliest);
        }
        if !self.removed.is_empty() {
            self.context.removals.push_all(self.removed);
        }
        if let Some(told) = self.told
            && !self.is_lost.get()
            && let Some(told) = deferral::keep(self.context, *told)
        {
            self.context.feed.publish(told);
        }
    }
}
