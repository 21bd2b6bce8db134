//! What a writer notes outside of the crash: how many operations each thread was about to do, and what
//! each one answered.
//!
//! Invariants: an intent is noted before its call begins and an answer after it returned, so that
//! what is noted as acknowledged was. The file is on no disk that a rig cuts off, and what was written
//! to it survives the writer, because it is the system's by then. One thread writes to a region.
//!
//! A file and not shared memory, because `pwrite` needs no unsafe code and costs less than the call
//! that it notes.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{Context, Result};

use super::THREADS;

/// Bytes of one thread's region.
const REGION: u64 = 1 << 20;
/// Bytes before the first answer in a region.
const HEADER: u64 = 64;
/// Bytes of an answer. None lies across two pages: a writer can be killed between them.
const ANSWER: u64 = 64;
/// Where the floors are: each one the time, and a count for each thread.
const FLOORS: u64 = REGION * THREADS as u64;
const FLOOR: u64 = 128;

/// Operations that a thread can note in one life.
pub const OPS_MAX: u64 = (REGION - HEADER) / ANSWER;

/// The file.
pub struct Ledger(File);

/// How an operation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is done, and promised.
    Done,
    /// It was refused, and promised not to be done.
    Refused,
    /// Nobody can tell.
    Unknown,
}

/// What is known of an operation that returned.
#[derive(Debug, Clone, Copy)]
pub struct Answer {
    /// How it ended.
    pub outcome: Outcome,
    /// The revision it took; 0 if that is not known.
    pub revision: u64,
    /// The deadline that its key has now; 0 if that was not looked at.
    pub deadline_ms: i64,
    /// When it began, by the clock of `monotonic_ns`.
    pub began_ns: u64,
    /// When it returned.
    pub at_ns: u64,
}

/// What one thread noted.
#[derive(Debug, Clone, Default)]
pub struct Notes {
    /// Operations that it was about to do.
    pub issued: u64,
    /// What they answered, in their order; at most one fewer than issued.
    pub answers: Vec<Answer>,
    /// Operations that a sync or a snapshot which has returned made durable.
    pub floor: u64,
}

impl Ledger {
    /// An empty ledger.
    ///
    /// # Errors
    /// Those of files.
    pub fn create(path: &Path) -> Result<Ledger> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(true).open(path);
        Ok(Ledger(file.with_context(|| format!("cannot make {}", path.display()))?))
    }

    /// The ledger that the driver made.
    ///
    /// # Errors
    /// Those of files.
    pub fn open(path: &Path) -> Result<Ledger> {
        let file = OpenOptions::new().read(true).write(true).open(path);
        Ok(Ledger(file.with_context(|| format!("cannot open {}", path.display()))?))
    }

    /// Notes that a thread is about to do its `count`-th operation.
    ///
    /// # Errors
    /// Those of files.
    pub fn intend(&self, thread: usize, count: u64) -> Result<()> {
        Ok(self.0.write_all_at(&count.to_le_bytes(), thread as u64 * REGION)?)
    }

    /// Notes what a thread's operation answered. The first one has number 0.
    ///
    /// # Errors
    /// Those of files.
    pub fn answered(&self, thread: usize, number: u64, answer: &Answer) -> Result<()> {
        let outcome: u64 = match answer.outcome {
            Outcome::Done => 1,
            Outcome::Refused => 2,
            Outcome::Unknown => 3,
        };
        let mut bytes = [0; ANSWER as usize];
        bytes[..8].copy_from_slice(&outcome.to_le_bytes());
        bytes[8..16].copy_from_slice(&answer.revision.to_le_bytes());
        bytes[16..24].copy_from_slice(&answer.deadline_ms.to_le_bytes());
        bytes[24..32].copy_from_slice(&answer.began_ns.to_le_bytes());
        bytes[32..40].copy_from_slice(&answer.at_ns.to_le_bytes());
        let offset = thread as u64 * REGION + HEADER + number * ANSWER;
        Ok(self.0.write_all_at(&bytes, offset)?)
    }

    /// Notes, for the `number`-th time from 0, that the first operations of each thread were made
    /// durable by now.
    ///
    /// # Errors
    /// Those of files.
    pub fn floor(&self, number: u64, floors: &[u64; THREADS]) -> Result<()> {
        let words = std::iter::once(monotonic_ns()?).chain(floors.iter().copied());
        let bytes: Vec<u8> = words.flat_map(u64::to_le_bytes).collect();
        Ok(self.0.write_all_at(&bytes, FLOORS + number * FLOOR)?)
    }

    /// What all threads noted before a moment, by the clock of `monotonic_ns`. Nobody was told of what
    /// returned later: the machine was off by then, were it not for the ledger.
    ///
    /// # Errors
    /// Those of files.
    pub fn read(&self, before_ns: u64) -> Result<Vec<Notes>> {
        let mut all: Vec<Notes> = (0..THREADS)
            .map(|thread| self.read_thread(thread as u64, before_ns))
            .collect::<Result<_>>()?;
        for number in 0.. {
            let at = FLOORS + number * FLOOR;
            let at_ns = self.number_at(at)?;
            if at_ns == 0 || at_ns >= before_ns {
                break;
            }
            for (thread, notes) in (1..).zip(&mut all) {
                notes.floor = self.number_at(at + 8 * thread)?;
            }
        }
        Ok(all)
    }

    fn read_thread(&self, thread: u64, before_ns: u64) -> Result<Notes> {
        let start = thread * REGION;
        let issued = self.number_at(start)?;
        let mut answers = Vec::new();
        let mut bytes = vec![0; (issued * ANSWER) as usize];
        self.read_some(&mut bytes, start + HEADER)?;
        for chunk in bytes.chunks_exact(ANSWER as usize) {
            let word = |at: usize| chunk[at..at + 8].try_into().map(u64::from_le_bytes);
            let outcome = match word(0)? {
                1 => Outcome::Done,
                2 => Outcome::Refused,
                3 => Outcome::Unknown,
                _ => break,
            };
            let (revision, deadline_ms) = (word(8)?, word(16)? as i64);
            let (began_ns, at_ns) = (word(24)?, word(32)?);
            let outcome = if at_ns < before_ns { outcome } else { Outcome::Unknown };
            answers.push(Answer { outcome, revision, deadline_ms, began_ns, at_ns });
        }
        Ok(Notes { issued, answers, floor: 0 })
    }

    fn number_at(&self, offset: u64) -> Result<u64> {
        let mut bytes = [0; 8];
        self.read_some(&mut bytes, offset)?;
        Ok(u64::from_le_bytes(bytes))
    }

    /// Reads what there is; the rest stays zero.
    fn read_some(&self, bytes: &mut [u8], offset: u64) -> Result<()> {
        let mut done = 0;
        while done < bytes.len() {
            match self.0.read_at(&mut bytes[done..], offset + done as u64)? {
                0 => break,
                len => done += len,
            }
        }
        Ok(())
    }
}

/// A clock that all processes share and that never jumps, in nanoseconds.
///
/// # Errors
/// Where the system does not say how long it has been up.
pub fn monotonic_ns() -> Result<u64> {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    crate::system::clock(libc::CLOCK_MONOTONIC, &mut now)?;
    Ok(now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64)
}

/// Unix time in milliseconds.
pub fn wall_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_noted_is_read() {
        let path = std::env::temp_dir().join(format!("kvtorture-ledger-{}", std::process::id()));
        let ledger = Ledger::create(&path).unwrap();
        ledger.intend(2, 2).unwrap();
        let (revision, deadline_ms, began_ns, at_ns) = (7, -1, 8, 9);
        let outcome = Outcome::Done;
        let answer = Answer { outcome, revision, deadline_ms, began_ns, at_ns };
        ledger.answered(2, 0, &answer).unwrap();
        ledger.floor(0, &[0, 0, 1, 0, 0, 0, 0, 0]).unwrap();
        let unseen = ledger.read(9).unwrap();
        assert_eq!((unseen[2].floor, unseen[2].answers[0].outcome), (0, Outcome::Unknown));
        let notes = ledger.read(u64::MAX).unwrap();
        assert_eq!((notes[2].issued, notes[2].answers.len(), notes[2].floor), (2, 1, 1));
        let read = notes[2].answers[0];
        assert_eq!((read.revision, read.deadline_ms, read.began_ns, read.at_ns), (7, -1, 8, 9));
        assert_eq!((notes[7].issued, notes[7].answers.len()), (0, 0));
        std::fs::remove_file(path).unwrap();
    }
}
