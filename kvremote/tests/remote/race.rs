//! Readers and a writer on a few keys while somebody harms the servers: what the near cache may show.
//!
//! Owns: [`Race`]. Half of the readers share the handle of the writer, the others have one of their own; both
//! have a near cache. Checked is, always:
//!
//! * no value is shown that nobody has begun to write;
//! * who shares the writer's handle is shown nothing older than the last write that was acknowledged before;
//! * what fails does so in a documented way;
//!
//! and once nobody writes, every reader is shown what the servers have, and goes on to be shown that. Where a
//! master may be killed, the writer has to have `ack_replicas`, or the servers themselves would go back.
//!
//! Faults are collected, so that a reader that found one does not leave the others waiting.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Mutex, RwLock};
use std::time::{Duration, Instant};

use kvcore::Status;
use kvremote::RemoteStore;

use crate::servers::wait_until;

/// Keys that everybody reads and one writes.
pub const KEYS: usize = 4;

/// Threads that read.
pub const READERS: usize = 16;

/// Writes that have to come before a harm, and again behind it.
const WRITES: u64 = 8;

/// Faults that are told; one more says nothing new.
const FAULTS: usize = 8;

/// Between two reads of a thread, so that the servers get a turn as well.
const PAUSE: Duration = Duration::from_micros(50);

/// A key of the race.
pub fn key(number: usize) -> String {
    format!("k{number}")
}

/// What the race goes through.
pub struct Stores {
    /// The writer's, with a near cache.
    pub writing: RemoteStore,
    /// That of readers elsewhere, with a near cache.
    pub reading: RemoteStore,
    /// One without a near cache, which tells what the servers have.
    pub plain: RemoteStore,
}

/// What a race came to.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Writes that were acknowledged.
    pub writes: u64,
    /// Reads of all threads.
    pub reads: u64,
    /// Reads of these once it was quiet.
    pub quiet_reads: u64,
    /// Calls that failed in a documented way.
    pub failed: u64,
    /// Reads that the near caches answered.
    pub hits: u64,
    /// Times that a part of a near cache was emptied.
    pub breaks: u64,
    /// The longest time until everybody was shown what the servers have.
    pub settled: Duration,
    /// What was wrong.
    pub faults: Vec<String>,
}

/// A race under way.
pub struct Race<'a> {
    stores: &'a Stores,
    /// The last number that was begun to be written, whatever the key.
    begun: AtomicU64,
    /// For each key the least number that the writer's handle may show.
    floors: [AtomicU64; KEYS],
    /// How often the floors were taken away.
    flushes: AtomicU64,
    /// Held for each write, and for everything during which nobody may write.
    turn: Mutex<()>,
    is_quiet: AtomicBool,
    /// What the servers have, while nobody writes.
    truth: RwLock<Option<[u64; KEYS]>>,
    stop: AtomicBool,
    writes: AtomicU64,
    reads: AtomicU64,
    quiet_reads: AtomicU64,
    failed: AtomicU64,
    faults: Mutex<Vec<String>>,
}

/// Ends all threads that look at a flag when it goes, be it by a panic.
pub struct End<'a>(pub &'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

/// The number that a store shows; an absent key is 0.
fn shown(store: &RemoteStore, number: usize) -> kvcore::Result<u64> {
    let value = store.get(key(number))?;
    Ok(value.map_or(0, |value| std::str::from_utf8(&value).unwrap().parse().unwrap()))
}

/// Races for some rounds. In each `harm` does something to the servers while everybody reads and writes, and then
/// it gets quiet. Ends early if something is wrong.
pub fn run(stores: &Stores, rounds: u64, mut harm: impl FnMut(u64, &Race<'_>)) -> Outcome {
    let race = Race {
        stores,
        begun: AtomicU64::new(0),
        floors: Default::default(),
        flushes: AtomicU64::new(0),
        turn: Mutex::new(()),
        is_quiet: AtomicBool::new(false),
        truth: RwLock::new(None),
        stop: AtomicBool::new(false),
        writes: AtomicU64::new(0),
        reads: AtomicU64::new(0),
        quiet_reads: AtomicU64::new(0),
        failed: AtomicU64::new(0),
        faults: Mutex::new(Vec::new()),
    };
    let mut settled = Duration::ZERO;
    std::thread::scope(|scope| {
        let _end = End(&race.stop);
        scope.spawn(|| race.write());
        for number in 0..READERS {
            let race = &race;
            scope.spawn(move || race.read(number));
        }
        for round in 1..=rounds {
            race.await_writes();
            harm(round, &race);
            race.await_writes();
            settled = settled.max(race.rest());
            if !race.faults.lock().unwrap().is_empty() {
                break;
            }
        }
    });
    let near = [stores.writing.near_stats(), stores.reading.near_stats()];
    Outcome {
        writes: race.writes.into_inner(),
        reads: race.reads.into_inner(),
        quiet_reads: race.quiet_reads.into_inner(),
        failed: race.failed.into_inner(),
        hits: near.iter().map(|near| near.hits).sum(),
        breaks: near.iter().map(|near| near.breaks).sum(),
        settled,
        faults: race.faults.into_inner().unwrap(),
    }
}

impl Race<'_> {
    /// Empties the servers while nobody writes.
    pub fn flush(&self, flush: impl FnOnce()) {
        let _turn = self.turn.lock().unwrap();
        self.floors.iter().for_each(|floor| floor.store(0, SeqCst));
        self.flushes.fetch_add(1, SeqCst);
        flush();
    }

    fn fault(&self, what: String) {
        let mut faults = self.faults.lock().unwrap();
        if faults.len() < FAULTS {
            faults.push(what);
        }
    }

    /// Notes a failure, which is a fault unless it is one of these.
    fn fail(&self, error: &kvcore::Error, allowed: &[Status]) {
        self.failed.fetch_add(1, SeqCst);
        if !allowed.contains(&error.status()) {
            self.fault(format!("an error of another kind: {error}"));
        }
    }

    fn await_writes(&self) {
        let goal = self.writes.load(SeqCst) + WRITES;
        wait_until("writes go on", || self.writes.load(SeqCst) >= goal);
    }

    /// The writer: a number that was never there before, to each key in turn, until the end.
    fn write(&self) {
        for number in 1u64.. {
            while self.is_quiet.load(SeqCst) && !self.stop.load(SeqCst) {
                std::thread::sleep(PAUSE);
            }
            if self.stop.load(SeqCst) {
                return;
            }
            let place = number as usize % KEYS;
            let _turn = self.turn.lock().unwrap();
            self.begun.store(number, SeqCst);
            match self.stores.writing.set(key(place), number.to_string()) {
                Ok(_) => {
                    self.floors[place].store(number, SeqCst);
                    self.writes.fetch_add(1, SeqCst);
                }
                // With `ack_replicas` too few of them are such an error as well.
                Err(error) => self.fail(&error, &[Status::Unavailable, Status::Io]),
            }
        }
    }

    /// A reader, until the end.
    fn read(&self, reader: usize) {
        let shares_handle = reader.is_multiple_of(2);
        let store = if shares_handle { &self.stores.writing } else { &self.stores.reading };
        for place in (0..KEYS).cycle().skip(reader) {
            if self.stop.load(SeqCst) {
                return;
            }
            // Held until the end, so that a write comes either before the question or after the judgement.
            let truth = self.truth.read().unwrap();
            let flushes = self.flushes.load(SeqCst);
            let floor = self.floors[place].load(SeqCst);
            let seen = match shown(store, place) {
                Ok(seen) => seen,
                Err(error) => {
                    self.fail(&error, &[Status::Unavailable]);
                    continue;
                }
            };
            self.reads.fetch_add(1, SeqCst);
            if seen > self.begun.load(SeqCst) {
                self.fault(format!("reader {reader} was shown {seen}, which nobody wrote"));
            }
            if let Some(truth) = &*truth {
                self.quiet_reads.fetch_add(1, SeqCst);
                if seen != truth[place] {
                    let right = truth[place];
                    self.fault(format!(
                        "reader {reader} was shown {seen} for {right} when all was quiet"
                    ));
                }
            } else if shares_handle && seen < floor && flushes == self.flushes.load(SeqCst) {
                self.fault(format!(
                    "reader {reader} was shown {seen} after {floor} was acknowledged"
                ));
            }
            drop(truth);
            std::thread::sleep(PAUSE);
        }
    }

    /// Lets the writer rest, and everybody see what the servers have. Says how long it took until they all did.
    fn rest(&self) -> Duration {
        self.is_quiet.store(true, SeqCst);
        let turn = self.turn.lock().unwrap();
        let mut truth = [0; KEYS];
        for (place, right) in truth.iter_mut().enumerate() {
            wait_until("the servers answer", || {
                shown(&self.stores.plain, place).map(|seen| *right = seen).is_ok()
            });
        }
        let began = Instant::now();
        let near = [&self.stores.writing, &self.stores.reading];
        for (place, right) in truth.iter().enumerate() {
            wait_until("everybody is shown what the servers have", || {
                near.iter().all(|store| shown(store, place).as_ref() == Ok(right))
            });
        }
        let settled = began.elapsed();
        // What is checked from here on comes out of the near caches.
        wait_until("servers vouch for everything", || {
            near.iter().all(|store| store.near_stats().confirmed)
        });
        *self.truth.write().unwrap() = Some(truth);
        let goal = self.quiet_reads.load(SeqCst) + (READERS * KEYS) as u64;
        wait_until("readers go on", || self.quiet_reads.load(SeqCst) >= goal);
        *self.truth.write().unwrap() = None;
        drop(turn);
        self.is_quiet.store(false, SeqCst);
        settled
    }
}

impl Outcome {
    /// Panics unless all was right, and the near caches were asked at all.
    pub fn check(&self) {
        assert!(self.faults.is_empty(), "{:#?}", self.faults);
        assert!(self.hits > 0 && self.quiet_reads > 0, "{self:?}");
    }
}
