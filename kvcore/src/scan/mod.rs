//! Scans: entries of a prefix or a range, one after the other, while the store goes on changing.
//!
//! Owns: [`Scan`], a cursor. It holds no lock between steps and little memory: it reads ahead some
//! entries at a time and remembers where it goes on. There are three ways through a store, chosen by
//! [`Store::scan`]:
//!
//! * `walk`: through the index in the order of hashes. That order stays however the index grows, so an
//!   entry that stays is met exactly once.
//! * `passes`: sorted. Each pass is a walk that keeps the next keys in order, as many as fit a bound, so
//!   it takes as many passes as the wanted keys are larger than that.
//! * `merge`: with `ordered_index`, from one wanted key to the next.
//!
//! A scan of one moment (`moment`) goes one of these ways and leaves out what has changed since; whoever
//! changes something leaves it to the scan as it was.

mod bounds;
mod merge;
mod moment;
mod options;
mod passes;
mod walk;

use std::sync::Arc;

pub(crate) use bounds::Bounds;
pub use options::{Order, ScanOptions};

use merge::Merge;
use moment::Moment;
use passes::Passes;
use walk::Walk;

use crate::clock::Now;
use crate::entry::NEVER;
use crate::error::{Error, Result, Status};
use crate::store::{Core, Store};
use crate::value::{Value, ValueInfo};
use crate::views::View;

/// Bytes of keys and values that are read ahead at a time, beside those of one entry.
const AHEAD_BYTES: usize = 64 << 10;

/// Entries that are read ahead at a time, beside those of one bucket.
const AHEAD: usize = 64;

/// An entry that a scan came to, as it was at some moment since the scan began.
#[derive(Debug)]
pub struct Entry {
    key: Vec<u8>,
    value: Option<Value>,
    info: ValueInfo,
}

impl Entry {
    pub(crate) fn new(key: &[u8], value: Option<Value>, info: ValueInfo) -> Entry {
        Entry { key: key.to_vec(), value, info }
    }

    /// An entry that came from a server. Without a value it is one of a scan of keys only.
    pub fn remote(key: Vec<u8>, value: Option<Value>) -> Entry {
        let deadline = value.as_ref().and_then(Value::expire_at_ms).unwrap_or(NEVER);
        Entry { key, value, info: ValueInfo { version: 0, deadline, access: None } }
    }

    /// Its key.
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// Its value; empty in a scan of keys only.
    pub fn value(&self) -> &[u8] {
        self.value.as_deref().unwrap_or_default()
    }

    /// The revision of its last change.
    pub fn version(&self) -> u64 {
        self.info.version
    }

    /// When it expires, in Unix milliseconds; `None` if it does not.
    pub fn expire_at_ms(&self) -> Option<i64> {
        (self.info.deadline != NEVER).then_some(self.info.deadline)
    }

    /// Key and value, to keep. There is no value in a scan of keys only.
    pub fn into_parts(self) -> (Vec<u8>, Option<Value>) {
        (self.key, self.value)
    }

    /// Bytes that it holds, about.
    fn bytes(&self) -> usize {
        self.key.len() + self.value().len()
    }

    fn is_live(&self, now: &Now<'_>) -> bool {
        self.info.deadline == NEVER || self.info.deadline > now.ms()
    }
}

/// The entries that a scan wants, and what of them.
pub(crate) struct Wanted {
    pub(crate) bounds: Bounds,
    pub(crate) keys_only: bool,
    /// How many more.
    pub(crate) left: u64,
    /// The last revision that they may have.
    revision: u64,
}

impl Wanted {
    /// Whether an entry of this version is one to show: in a scan of one moment, whether it is as old.
    fn admits(&self, version: u64) -> bool {
        version <= self.revision
    }
}

/// A scan under way, from [`Store::scan`].
///
/// An entry that is there from the beginning to the end comes exactly once. One that comes, changes or
/// goes meanwhile may be missing or come as it was at any moment since the scan began, but no key comes
/// twice. With [`point_in_time`](ScanOptions::point_in_time) every entry comes as it was when the scan
/// began, and no other. Nothing that has expired comes. It belongs to one thread at a time. Dropping one
/// with `point_in_time` is a call of the store, which takes each shard's lock once.
pub struct Scan {
    store: Store,
    wanted: Wanted,
    /// Until the scan has ended. Whatever it holds is let go of then.
    way: Option<Way>,
    /// The contents that it began with, as [`Core::check_contents`] tells them apart.
    contents: u64,
    /// What every further step answers.
    ended: Option<Option<Error>>,
}

impl Drop for Scan {
    fn drop(&mut self) {
        if self.store.is_forked() {
            // Another thread may have been changing it.
            std::mem::forget(self.way.take());
        }
    }
}

enum Way {
    Walk(Walk),
    Passes(Passes),
    Merge(Merge),
    Moment(Box<Moment>),
}

impl Way {
    /// Through the whole store or along its keys, in this order. `view` is the moment to show.
    fn new(core: &Core, order: Order, wanted: &Wanted, view: Option<Arc<View>>) -> Way {
        let descends = order == Order::Desc;
        match order {
            Order::None => Way::Walk(Walk::new(view)),
            _ if core.keeps_order() => {
                Way::Merge(Merge::new(descends, core.shard_count(), wanted.left))
            }
            _ => Way::Passes(Passes::new(descends)),
        }
    }

    /// The next entry; it may expire at any moment.
    fn next(&mut self, core: &Core, wanted: &Wanted, contents: u64) -> Result<Option<Entry>> {
        match self {
            Way::Walk(walk) => walk.next(core, wanted, contents),
            Way::Passes(passes) => passes.next(core, wanted, contents),
            Way::Merge(merge) => merge.next(core, wanted, contents),
            Way::Moment(moment) => moment.next(wanted, contents),
        }
    }
}

impl Store {
    /// Begins a scan.
    ///
    /// With `ordered_index` it takes time as the entries that it gives. Without, it goes through the whole
    /// store, and in order it does so several times: each time gives the next few megabytes of keys.
    ///
    /// # Errors
    /// `Closed`, `Forked`.
    pub fn scan(&self, options: &ScanOptions) -> Result<Scan> {
        let core = &self.core;
        core.state.check_read()?;
        let bounds = options.bounds();
        let order = match options.order {
            // Where keys are sorted anyway, those that are not wanted are not even looked at.
            Order::None if core.keeps_order() && !bounds.is_all() => Order::Asc,
            order => order,
        };
        let left = if options.limit == 0 { u64::MAX } else { options.limit };
        let keys_only = options.keys_only;
        let mut wanted = Wanted { bounds, keys_only, left, revision: u64::MAX };
        let mut contents = core.context.contents();
        let way = if wanted.bounds.is_nothing() {
            None
        } else if options.point_in_time {
            let view;
            (view, contents) = core.begin_view(&wanted, order)?;
            wanted.revision = view.revision();
            let way = Way::new(core, order, &wanted, Some(Arc::clone(&view)));
            Some(Way::Moment(Box::new(Moment::new(Arc::clone(core), view, way))))
        } else {
            Some(Way::new(core, order, &wanted, None))
        };
        let ended = way.is_none().then_some(None);
        Ok(Scan { store: self.clone(), wanted, way, contents, ended })
    }
}

impl Scan {
    /// The next entry, or `None` after the last one. The last answer, also an error, is repeated.
    ///
    /// # Errors
    /// `Conflict` once the contents of the store were replaced by [`restore`](Store::restore), and in a scan
    /// of one moment also once the store was cleared, or more has changed than `scan_buffer_bytes` keeps;
    /// `Closed`, `Forked`.
    pub fn try_next(&mut self) -> Result<Option<Entry>> {
        // Closed and forked are answered also by a scan that has ended.
        self.store.core.state.check_read()?;
        if let Some(ended) = &self.ended {
            return ended.clone().map_or(Ok(None), Err);
        }
        let next = self.step();
        match &next {
            Ok(Some(_)) => self.wanted.left -= 1,
            Ok(None) => self.ended = Some(None),
            Err(error) => self.ended = Some(Some(error.clone())),
        }
        if self.ended.is_some() || self.wanted.left == 0 {
            self.way = None;
        }
        next
    }

    /// Whether an entry that it gave earlier may be shown now: it has not expired since. For a caller who
    /// takes entries in stretches, and hands them on one by one.
    ///
    /// # Errors
    /// As [`try_next`](Scan::try_next).
    pub fn still_shows(&self, entry: &Entry) -> Result<bool> {
        let core = &*self.store.core;
        core.state.check_read()?;
        core.check_contents(self.contents)?;
        Ok(entry.is_live(&Now::new(&core.context.clock)))
    }

    fn step(&mut self) -> Result<Option<Entry>> {
        let core = &*self.store.core;
        let now = Now::new(&core.context.clock);
        while let Some(way) = &mut self.way {
            let next = way.next(core, &self.wanted, self.contents)?;
            core.check_contents(self.contents)?;
            match next {
                // It was read ahead, and may have expired since.
                Some(entry) if !entry.is_live(&now) => {}
                next => return Ok(next),
            }
        }
        Ok(None)
    }
}

impl Core {
    /// Lets a scan go on that began with these contents.
    ///
    /// # Errors
    /// `Conflict` if they were replaced; `Closed`, since a store that was closed may be empty by now.
    pub(crate) fn check_contents(&self, contents: u64) -> Result<()> {
        self.state.check_open()?;
        if self.context.contents() == contents {
            return Ok(());
        }
        Err(Error::new(
            Status::Conflict,
            "the contents of the store were replaced by a restore: begin a new scan",
        ))
    }
}

impl Iterator for Scan {
    type Item = Result<Entry>;

    /// The next entry. An error is the last item.
    fn next(&mut self) -> Option<Self::Item> {
        if matches!(self.ended, Some(Some(_))) {
            return None;
        }
        let next = self.try_next();
        if let Err(error) = &next {
            self.ended = Some(Some(error.clone()));
        }
        next.transpose()
    }
}

impl std::fmt::Debug for Scan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scan").field("bounds", &self.wanted.bounds).finish_non_exhaustive()
    }
}
