//! Writes a snapshot: the state of a store at one moment, while it goes on changing.
//!
//! The moment is chosen under the locks of all shards, for as long as it takes to note a few numbers.
//! Then the shards are gone through a few buckets at a time. What changes before the snapshot has come
//! to it leaves an image (`shard/journal.rs`, `images.rs`), which is written like any other entry: the
//! order in a file means nothing. So several threads can do it, each with the next shard that nobody has.
//! Blocks are compressed and written with no lock held.

use std::path::{Path, PathBuf};

use crate::clock::{Now, Stopwatch};
use crate::entry::{Head, NEVER};
use crate::error::{Error, Result, Status};
use crate::images::Image;
use crate::io::Disk;
use crate::planted::{Planted, is_planted};
use crate::shard::{Shard, Viewer};
use crate::snapshot::{
    self, BlockBuilder, Compression, Pushed, Saved, SnapshotHead, SnapshotSummary, SnapshotWriter,
};
use crate::store::Core;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Mutex, WriteGuard, scope, spawn_scoped};

/// Buckets that are gone through under one hold of a shard's lock.
const BUCKETS: usize = 64;

/// Whether a snapshot is to be ended early. Asked by all threads that write it.
pub(super) type Cancelled<'a> = dyn Fn() -> bool + Sync + 'a;

/// What a snapshot came to.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SnapshotInfo {
    /// Entries in it.
    pub entries: u64,
    /// Bytes of the file.
    pub bytes: u64,
    /// The last revision that it shows.
    pub revision: u64,
    /// When its moment was, in Unix milliseconds.
    pub created_at_ms: i64,
    /// How long it took.
    pub seconds: f64,
    /// The file.
    pub path: PathBuf,
}

/// The moment that a snapshot shows.
pub(super) struct Cut {
    pub(super) revision: u64,
    pub(super) lsn: u64,
    /// The log segment that goes on from there; 0 if there is no log.
    pub(super) segment: u64,
    pub(super) time_ms: i64,
}

/// A snapshot that was written to a temporary file, and verified.
pub(super) struct Taken {
    pub(super) head: SnapshotHead,
    pub(super) tmp: PathBuf,
    summary: SnapshotSummary,
    seconds: f64,
}

impl Taken {
    pub(super) fn info(self, path: PathBuf) -> SnapshotInfo {
        SnapshotInfo {
            entries: self.summary.entries,
            bytes: self.summary.bytes,
            revision: self.head.revision,
            created_at_ms: self.head.time_ms,
            seconds: self.seconds,
            path,
        }
    }
}

/// How many threads write a snapshot: half of what the machine runs at once, since others go on writing to the
/// store. One where time is set by hand, which promises that nothing happens by itself.
pub(super) fn packers(core: &Core) -> usize {
    if core.context.clock.is_manual() {
        return 1;
    }
    std::thread::available_parallelism().map_or(1, usize::from) / 2
}

/// Takes a snapshot with so many threads, this one among them. `place` says where it goes and what its head is,
/// once the moment is known. The caller has locked `Journal::taking`.
///
/// # Errors
/// `Closed` once it is cancelled; `Io`, `NoSpace`: no file is left behind, as far as the disk lets it be removed.
pub(super) fn take(
    core: &Core,
    disk: &dyn Disk,
    packers: usize,
    cancelled: &Cancelled<'_>,
    place: impl Fn(&Cut) -> (PathBuf, SnapshotHead),
) -> Result<Taken> {
    let began = Stopwatch::start();
    let compression = core.compression();
    loop {
        let cut = begin(core, &mut core.lock_all());
        let (tmp, head) = place(&cut);
        let written = write(disk, &tmp, &head, compression, |writer| {
            pack_side_by_side(packers, core, writer, cancelled)
        });
        core.context.journal.images.end();
        (0..core.shard_count()).for_each(|shard| core.write_shard(shard).end_picture());
        match written {
            Ok(Some(summary)) => {
                let seconds = began.seconds();
                return Ok(Taken { head, tmp, summary, seconds });
            }
            // The store was cleared meanwhile: the next moment.
            Ok(None) => remove(disk, &tmp),
            Err(fault) => {
                remove(disk, &tmp);
                return Err(fault);
            }
        }
    }
}

/// Takes a snapshot to a file of the caller's, with so many threads.
///
/// # Errors
/// As [`take`]; the file is as it was, unless only the sync of its directory failed: then it is the new one,
/// and a crash may bring the old one back.
pub(super) fn write_to(
    core: &Core,
    disk: &dyn Disk,
    packers: usize,
    path: &Path,
) -> Result<SnapshotInfo> {
    let closed = || core.state.check_open().is_err();
    // Until the file has its name: of two calls for one path, the later moment stays.
    let _one_at_a_time = core.context.journal.taking.lock();
    let taken = take(core, disk, packers, &closed, |cut| {
        let head = SnapshotHead {
            store_id: [0; 16],
            lsn: cut.lsn,
            segment: 0,
            revision: cut.revision,
            time_ms: cut.time_ms,
            eviction: core.eviction().to_string(),
            has_log: false,
        };
        (super::beside(path), head)
    })?;
    // A path without a directory is in the current one, which the seam knows by the empty path.
    let parent = path.parent().unwrap_or(Path::new(""));
    let moved = disk.rename(&taken.tmp, path).and_then(|()| disk.sync_dir(parent));
    match moved {
        Ok(()) => Ok(taken.info(path.to_path_buf())),
        Err(error) => {
            remove(disk, &taken.tmp);
            Err(Error::from_os(&format!("cannot put a snapshot at '{}'", path.display()), &error))
        }
    }
}

/// Takes a snapshot of a store whose shards are all held, so that nothing changes meanwhile.
///
/// # Errors
/// As [`take`].
pub(super) fn take_held(
    core: &Core,
    compression: Compression,
    shards: &mut [WriteGuard<'_, Shard>],
    disk: &dyn Disk,
    place: &dyn Fn(&Cut) -> (PathBuf, SnapshotHead),
) -> Result<Taken> {
    let began = Stopwatch::start();
    let cut = begin(core, shards);
    core.context.journal.images.end();
    let (tmp, head) = place(&cut);
    let written = write(disk, &tmp, &head, compression, |writer| {
        pack(core, writer, &|| false, 0..core.shard_count(), |shard, now, pages| {
            shards[shard].show_picture(BUCKETS, now, core.context.pins, pages)
        })
    });
    shards.iter_mut().for_each(|shard| shard.end_picture());
    match written {
        Ok(Some(summary)) => Ok(Taken { head, tmp, summary, seconds: began.seconds() }),
        Ok(None) => unreachable!("nobody clears a store that is held"),
        Err(fault) => {
            remove(disk, &tmp);
            Err(fault)
        }
    }
}

/// Chooses the moment: now, while all shards are held.
fn begin(core: &Core, shards: &mut [WriteGuard<'_, Shard>]) -> Cut {
    core.context.journal.images.begin();
    let revision = core.context.revision();
    shards.iter_mut().for_each(|shard| shard.begin_picture(revision));
    let log = core.context.journal.log();
    let lsn = log.map_or(0, |log| log.last_lsn());
    let segment = log.and_then(|log| {
        let segments = log.segments();
        segments.iter().rev().find(|segment| segment.first_lsn <= lsn + 1).map(|s| s.number)
    });
    let time_ms = core.context.clock.now_ms();
    Cut { revision, lsn, segment: segment.unwrap_or(0), time_ms }
}

/// Writes and verifies the file. `pack` writes the blocks, and says no if the store was cleared meanwhile;
/// there is no file to speak of then.
fn write(
    disk: &dyn Disk,
    tmp: &Path,
    head: &SnapshotHead,
    compression: Compression,
    pack: impl FnOnce(&SnapshotWriter) -> Result<bool>,
) -> Result<Option<SnapshotSummary>> {
    let writer = SnapshotWriter::create(disk, tmp, head, compression)?;
    if !pack(&writer)? {
        return Ok(None);
    }
    let summary = writer.finish()?;
    if !is_planted(Planted::NoVerify) {
        snapshot::verify(disk, tmp)?;
    }
    Ok(Some(summary))
}

/// Writes the blocks of all shards with several threads. No if the store was cleared meanwhile.
fn pack_side_by_side(
    threads: usize,
    core: &Core,
    writer: &SnapshotWriter,
    cancelled: &Cancelled<'_>,
) -> Result<bool> {
    let next = AtomicUsize::new(0);
    let answer = Mutex::new(Ok(true));
    let run = || {
        let shards = std::iter::from_fn(|| {
            let shard = next.fetch_add(1, Ordering::Relaxed);
            (shard < core.shard_count()).then_some(shard)
        });
        let packed = pack(core, writer, cancelled, shards, |shard, now, pages| {
            core.write_shard(shard).show_picture(BUCKETS, now, core.context.pins, pages)
        });
        let mut answer = answer.lock();
        // A failure is the answer, and of several the first: it is what the others met with.
        if answer.is_ok() && !matches!(packed, Ok(true)) {
            *answer = packed;
        }
    };
    scope(|scope| {
        for _ in 1..threads.min(core.shard_count()) {
            // With fewer threads it only takes longer.
            let _ = spawn_scoped(scope, "kv-pack", run);
        }
        run();
    });
    let answer = answer.lock();
    answer.clone()
}

/// Writes the blocks of some shards, and the images that wait meanwhile, of whatever shard. `show` goes on with
/// the picture of a shard. No if the store was cleared meanwhile.
fn pack(
    core: &Core,
    writer: &SnapshotWriter,
    cancelled: &dyn Fn() -> bool,
    shards: impl Iterator<Item = usize>,
    mut show: impl FnMut(usize, &Now<'_>, &mut Pages<'_>) -> bool,
) -> Result<bool> {
    let mut pages = Pages { writer, open: None, full: Vec::new(), large: Vec::new() };
    let now = Now::new(&core.context.clock);
    for shard in shards {
        let mut more = true;
        while more {
            if cancelled() {
                return Err(Status::Closed.into());
            }
            more = show(shard, &now, &mut pages);
            pages.flush()?;
            // After the last step of a shard this is whatever it had to leave, unless another thread has it.
            match core.context.journal.images.take() {
                Some(images) => pages.images(images)?,
                None => return Ok(false),
            }
        }
    }
    pages.finish().map(|()| true)
}

/// Collects entries in blocks under a lock, and writes them without. One thread's.
struct Pages<'a> {
    writer: &'a SnapshotWriter,
    open: Option<BlockBuilder>,
    full: Vec<BlockBuilder>,
    large: Vec<Image>,
}

impl Pages<'_> {
    /// Adds a small entry. Touches no file.
    fn add(&mut self, key: &[u8], value: &[u8], head: &Head, access: u8) {
        let saved = saved(key, value, head, access);
        let mut open = self.open.take().unwrap_or_else(|| self.writer.builder());
        if let Pushed::Full = open.push(&saved) {
            self.full.push(std::mem::replace(&mut open, self.writer.builder()));
            let again = open.push(&saved);
            debug_assert!(matches!(again, Pushed::Added), "an entry that fits no block");
        }
        self.open = Some(open);
    }

    fn flush(&mut self) -> Result<()> {
        for mut block in self.full.drain(..) {
            self.writer.write_block(&mut block)?;
        }
        for image in std::mem::take(&mut self.large) {
            self.image(&image)?;
        }
        Ok(())
    }

    fn images(&mut self, images: Vec<Image>) -> Result<()> {
        images.iter().try_for_each(|image| self.image(image))?;
        self.flush()
    }

    fn image(&mut self, image: &Image) -> Result<()> {
        let saved = saved(&image.key, &image.value, &image.head, image.access);
        if BlockBuilder::is_large(saved.key.len(), saved.value.len()) {
            return self.writer.write_large(&saved);
        }
        self.add(&image.key, &image.value, &image.head, image.access);
        Ok(())
    }

    fn finish(mut self) -> Result<()> {
        self.flush()?;
        self.open.take().map_or(Ok(()), |mut open| self.writer.write_block(&mut open))
    }
}

impl Viewer for Pages<'_> {
    fn see(&mut self, key: &[u8], value: &[u8], head: &Head, access: u8) {
        self.add(key, value, head, access);
    }

    fn see_large(&mut self, image: Image) {
        self.large.push(image);
    }
}

fn saved<'a>(key: &'a [u8], value: &'a [u8], head: &Head, access: u8) -> Saved<'a> {
    let (created_at_ms, hits) =
        head.access().map_or((None, 0), |(created, hits)| (Some(created), hits));
    debug_assert!(head.deadline == NEVER || head.deadline >= 0);
    Saved {
        key,
        value,
        deadline: head.deadline,
        version: head.version,
        created_at_ms,
        hits,
        access,
        tag: head.tag().unwrap_or(0),
    }
}

/// Removes a temporary file. If that fails, the next opener sweeps it away.
pub(super) fn remove(disk: &dyn Disk, tmp: &Path) {
    let _ = disk.remove(tmp);
}
