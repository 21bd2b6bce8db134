//! From records to the engine, by several threads.
//!
//! Owns: the way of a record from the thread that reads the log to the one that applies it. The reader
//! collects records in waves. Every wave goes to all threads, and each applies those of its own part of
//! the keys. Invariants: the records of a key are applied in the order in which they were pushed; one
//! that concerns all keys comes after all before it and before all behind it; when
//! [`finish`](Applier::finish) returns everything was applied, or an error is returned; memory is bounded
//! by a few waves, because a record that is no small part of a wave is applied by itself.
//!
//! Why by parts of the keys: parts need no order among each other, and their threads wait for none of
//! the same locks. Threads are started once there is more than a wave, so a short log needs none.

use std::thread::Scope;

use crate::error::{Error, Result};
use crate::record::{Record, Records};
use crate::snapshot::Saved;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Condvar, Mutex, RwLock, scope, spawn_scoped};

use super::{STEPS, Step, Target};

/// Bytes of records from which on a wave is full.
const WAVE_BYTES: usize = 1 << 20;
/// Bytes of a record that is applied by itself.
const ALONE_BYTES: usize = WAVE_BYTES / 4;
/// Waves that wait to be applied or are being applied.
const WAVES: usize = 3;
/// Threads that apply, at most: more would wait for the one that reads.
const THREADS_MAX: usize = 8;

/// Records on their way.
#[derive(Default)]
struct Wave {
    bytes: Vec<u8>,
    /// Where in the bytes the records of each part begin.
    parts: Vec<Vec<usize>>,
}

impl Wave {
    fn new(parts: usize) -> Wave {
        Wave { bytes: Vec::new(), parts: vec![Vec::new(); parts] }
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.parts.iter_mut().for_each(Vec::clear);
    }

    /// Applies the records of one part.
    fn apply(&self, part: usize, target: &dyn Target) -> Result<()> {
        // They were decoded before they came here.
        let decoded = |&start: &usize| Records::new(&self.bytes[start..]).next()?.ok();
        self.parts[part].chunks(STEPS).try_for_each(|starts| {
            let records = starts.iter().filter_map(decoded);
            let steps: Vec<_> = records.filter_map(|record| step(&record)).collect();
            target.make(&steps)
        })
    }
}

/// Applies one record.
fn apply(record: &Record<'_>, target: &dyn Target) -> Result<()> {
    step(record).map_or_else(|| target.clear(), |step| target.make(&[step]))
}

/// What a record comes to; `None` if it concerns all entries.
fn step<'a>(record: &Record<'a>) -> Option<Step<'a>> {
    Some(match *record {
        Record::Set { key, value, deadline, version, created_at_ms } => {
            // A record that was decoded has its value in one piece.
            let [value, _] = value;
            Step::Put(Saved::unused(key, value, deadline, version, created_at_ms))
        }
        Record::Delete { key, .. } => Step::Delete(key),
        Record::Touch { key, deadline, version } => Step::Touch { key, deadline, version },
        Record::Clear { .. } => return None,
    })
}

/// How far the threads are.
struct Turns {
    /// Waves that were handed over. The last ones are in the slots, by their numbers.
    published: u64,
    /// Waves that each thread has applied; more than ever come if it has panicked.
    done: Vec<u64>,
    closed: bool,
}

impl Turns {
    fn slowest(&self) -> u64 {
        self.done.iter().copied().min().unwrap_or(self.published)
    }
}

/// What the threads share.
struct Shared<'a> {
    target: &'a dyn Target,
    slots: Vec<RwLock<Wave>>,
    turns: Mutex<Turns>,
    turned: Condvar,
    has_failed: AtomicBool,
    failure: Mutex<Option<Error>>,
}

impl Shared<'_> {
    fn note(&self, applied: Result<()>) {
        if let Err(error) = applied {
            self.failure.lock().get_or_insert(error);
            self.has_failed.store(true, Ordering::Relaxed);
        }
    }

    /// Nothing more will come.
    fn close(&self) {
        self.turns.lock().closed = true;
        self.turned.notify_all();
    }

    fn check(&self) -> Result<()> {
        self.failure.lock().clone().map_or(Ok(()), Err)
    }

    /// Applies one part of all waves until there are no more.
    fn work(&self, part: usize) {
        let worker = Worker { shared: self, part };
        loop {
            let number = {
                let mut turns = self.turns.lock();
                while turns.published == turns.done[part] && !turns.closed {
                    self.turned.wait(&mut turns);
                }
                if turns.published == turns.done[part] {
                    return worker.leave();
                }
                turns.done[part]
            };
            if !self.has_failed.load(Ordering::Relaxed) {
                let wave = self.slots[slot(number)].read();
                self.note(wave.apply(part, self.target));
            }
            self.turns.lock().done[part] += 1;
            self.turned.notify_all();
        }
    }

    /// Waits until all waves but the last so many have been applied.
    fn wait_for_all_but(&self, waves: u64) {
        let mut turns = self.turns.lock();
        while turns.slowest().saturating_add(waves) < turns.published {
            self.turned.wait(&mut turns);
        }
    }
}

/// The slot of a wave.
fn slot(number: u64) -> usize {
    (number % WAVES as u64) as usize
}

/// Lets nobody wait for a thread that has panicked.
struct Worker<'a, 'e> {
    shared: &'a Shared<'e>,
    part: usize,
}

impl Worker<'_, '_> {
    fn leave(self) {
        std::mem::forget(self);
    }
}

impl Drop for Worker<'_, '_> {
    fn drop(&mut self) {
        self.shared.turns.lock().done[self.part] = u64::MAX;
        self.shared.turned.notify_all();
    }
}

/// Who applies waves.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hands {
    /// Threads, once there is a whole wave.
    Later,
    /// Threads.
    Threads,
    /// The reader itself, because one part needs no threads or the system has none to give.
    Own,
}

/// Takes records and has them applied.
pub(super) struct Applier<'scope, 'env> {
    shared: &'scope Shared<'env>,
    scope: &'scope Scope<'scope, 'env>,
    parts: usize,
    hands: Hands,
    filling: Wave,
}

/// Does some work with an applier that may use so many threads beside this one.
///
/// # Errors
/// Those of the work, and of the target.
pub(super) fn with<R>(
    target: &dyn Target,
    threads: usize,
    work: impl FnOnce(&mut Applier<'_, '_>) -> Result<R>,
) -> Result<R> {
    let parts = threads.clamp(1, THREADS_MAX);
    let shared = Shared {
        target,
        slots: (0..WAVES).map(|_| RwLock::new(Wave::new(parts))).collect(),
        turns: Mutex::new(Turns { published: 0, done: Vec::new(), closed: false }),
        turned: Condvar::new(),
        has_failed: AtomicBool::new(false),
        failure: Mutex::new(None),
    };
    scope(|scope| {
        let filling = Wave::new(parts);
        let hands = if parts == 1 { Hands::Own } else { Hands::Later };
        let mut applier = Applier { shared: &shared, scope, parts, hands, filling };
        let result = work(&mut applier)?;
        applier.finish()?;
        Ok(result)
    })
}

impl Applier<'_, '_> {
    /// Has a record applied, whose bytes these are.
    ///
    /// # Errors
    /// Those of the target, for this or an earlier record.
    pub(super) fn push(&mut self, record: &Record<'_>, bytes: &[u8]) -> Result<()> {
        let Some(key) = record.key().filter(|_| bytes.len() < ALONE_BYTES) else {
            self.finish()?;
            return apply(record, self.shared.target);
        };
        let part = self.shared.target.part_of(key, self.parts);
        self.filling.parts[part].push(self.filling.bytes.len());
        self.filling.bytes.extend_from_slice(bytes);
        if self.filling.bytes.len() >= WAVE_BYTES {
            return self.publish();
        }
        Ok(())
    }

    /// Waits until everything that was pushed is applied.
    ///
    /// # Errors
    /// Those of the target.
    fn finish(&mut self) -> Result<()> {
        if self.hands != Hands::Threads {
            return self.apply_here();
        }
        if !self.filling.bytes.is_empty() {
            self.publish()?;
        }
        self.shared.wait_for_all_but(0);
        self.shared.check()
    }

    /// Applies the wave in this thread.
    fn apply_here(&mut self) -> Result<()> {
        let target = self.shared.target;
        let applied = (0..self.parts).try_for_each(|part| self.filling.apply(part, target));
        self.filling.clear();
        applied
    }

    /// Hands the wave over, and goes on with an empty one.
    fn publish(&mut self) -> Result<()> {
        if self.hands == Hands::Later {
            self.hands = self.start();
        }
        if self.hands == Hands::Own {
            return self.apply_here();
        }
        // The slot is free when the wave that it has is applied.
        self.shared.wait_for_all_but(WAVES as u64 - 1);
        let number = self.shared.turns.lock().published;
        std::mem::swap(&mut *self.shared.slots[slot(number)].write(), &mut self.filling);
        self.filling.clear();
        self.shared.turns.lock().published += 1;
        self.shared.turned.notify_all();
        if self.shared.has_failed.load(Ordering::Relaxed) { self.shared.check() } else { Ok(()) }
    }

    /// Starts a thread for each part.
    fn start(&self) -> Hands {
        self.shared.turns.lock().done = vec![0; self.parts];
        for part in 0..self.parts {
            let shared = self.shared;
            if spawn_scoped(self.scope, "kv-replay", move || shared.work(part)).is_err() {
                // Those that were started end, for they will find nothing to do.
                self.shared.close();
                return Hands::Own;
            }
        }
        Hands::Threads
    }
}

impl Drop for Applier<'_, '_> {
    fn drop(&mut self) {
        self.shared.close();
    }
}

#[cfg(all(test, not(kv_shuttle)))]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::tests::{Map, Model};
    use super::*;
    use crate::entry::NEVER;
    use crate::error::Status;
    use crate::sync::atomic::AtomicUsize;

    fn push_all(applier: &mut Applier<'_, '_>, records: &[Vec<u8>]) -> Result<()> {
        for bytes in records {
            let record = Records::new(bytes).next().unwrap().unwrap();
            applier.push(&record, bytes)?;
        }
        Ok(())
    }

    fn encoded(record: &Record<'_>) -> Vec<u8> {
        let mut bytes = Vec::new();
        record.encode(&mut bytes);
        bytes
    }

    /// More than a few waves of changes of few keys.
    fn changes(seed: u64) -> Vec<Vec<u8>> {
        let mut random = fastrand::Rng::with_seed(seed);
        let change = |version: u64| {
            let key = [b'k', random.u8(..50)];
            let key = &key[..];
            // One in some hundreds is no small part of a wave.
            let len = if random.u32(..400) == 0 { ALONE_BYTES } else { random.usize(..2000) };
            let value = vec![version as u8; len];
            encoded(&match random.u32(..100) {
                0..60 => Record::Set {
                    key,
                    value: [&value, b""],
                    deadline: NEVER,
                    version,
                    created_at_ms: None,
                },
                60..80 => Record::Delete { key, version },
                80..99 => Record::Touch { key, deadline: version as i64, version },
                _ if random.u32(..20) == 0 => Record::Clear { version },
                _ => Record::Delete { key: b"none", version },
            })
        };
        (1..9000).map(change).collect()
    }

    fn one_by_one(records: &[Vec<u8>]) -> Map {
        let model = Model::default();
        for bytes in records {
            apply(&Records::new(bytes).next().unwrap().unwrap(), &model).unwrap();
        }
        model.0.into_inner()
    }

    #[test]
    fn many_threads_make_what_one_by_one_makes() {
        for seed in 0..3 {
            let records = changes(seed);
            assert!(records.iter().map(Vec::len).sum::<usize>() > 5 * WAVE_BYTES);
            let expected = one_by_one(&records);
            assert!(!expected.is_empty());
            for threads in [0, 1, 2, 5, 100] {
                let model = Model::default();
                with(&model, threads, |applier| push_all(applier, &records)).unwrap();
                assert!(model.0.into_inner() == expected, "seed {seed}, {threads} threads");
            }
        }
    }

    /// Refuses or panics at one of the changes.
    struct Failing {
        model: Model,
        left: AtomicUsize,
        panics: bool,
    }

    impl Failing {
        fn step(&self) -> Result<()> {
            match self.left.fetch_sub(1, Ordering::SeqCst) {
                1 if self.panics => panic!("a planted panic"),
                1 => Err(Status::NoMemory.into()),
                _ => Ok(()),
            }
        }
    }

    impl Target for Failing {
        fn begin(&self, _: &str, _: u64) {}
        fn make(&self, steps: &[Step<'_>]) -> Result<()> {
            steps.iter().try_for_each(|step| {
                self.step().and_then(|()| self.model.make(std::slice::from_ref(step)))
            })
        }
        fn part_of(&self, key: &[u8], parts: usize) -> usize {
            self.model.part_of(key, parts)
        }
        fn clear(&self) -> Result<()> {
            self.model.clear()
        }
        fn finish(&self, _: &dyn Fn(u64, i64) -> bool) -> Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_change_that_fails_or_panics_is_told_and_nobody_hangs() {
        let records = changes(7);
        for at in [1, 500, 5000, 8000] {
            for threads in [1, 3] {
                let failing = |panics| Failing {
                    model: Model::default(),
                    left: AtomicUsize::new(at),
                    panics,
                };
                let target = failing(false);
                let told = with(&target, threads, |applier| push_all(applier, &records));
                assert_eq!(told.unwrap_err().status(), Status::NoMemory, "{at}, {threads} threads");
                let target = failing(true);
                let run = || with(&target, threads, |applier| push_all(applier, &records));
                let run = std::panic::AssertUnwindSafe(run);
                assert!(std::panic::catch_unwind(run).is_err(), "{at}, {threads} threads");
            }
        }
    }

    #[test]
    fn work_that_ends_early_ends_the_threads() {
        let model = Model::default();
        let records = changes(8);
        let ended: Result<()> = with(&model, 2, |applier| {
            push_all(applier, &records)?;
            Err(Status::Corrupt.into())
        });
        assert_eq!(ended.unwrap_err().status(), Status::Corrupt);
    }
}
