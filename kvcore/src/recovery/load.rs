//! From a snapshot to the engine, block by block, by several threads.

use crate::error::Result;
use crate::snapshot::{BlockBuffer, SnapshotReader};
use crate::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use crate::sync::{Mutex, scope, spawn_scoped};

use super::{STEPS, Step, Target};

/// Puts all entries of a snapshot into the target. `tell` hears how many bytes are done.
///
/// # Errors
/// Those of reading a block and of the target. Some entries have been put then.
pub(super) fn load(
    reader: &SnapshotReader,
    target: &dyn Target,
    threads: usize,
    tell: &dyn Fn(u64),
) -> Result<()> {
    let work = Work {
        reader,
        target,
        next: AtomicUsize::new(0),
        done: AtomicU64::new(0),
        failed: AtomicBool::new(false),
    };
    let first_error = Mutex::new(None);
    let run = |tell: &dyn Fn(u64)| {
        if let Err(error) = work.run(tell) {
            work.failed.store(true, Ordering::Relaxed);
            first_error.lock().get_or_insert(error);
        }
    };
    let others = threads.min(reader.blocks().len()).saturating_sub(1);
    scope(|scope| {
        for _ in 0..others {
            // With fewer threads it only takes longer.
            let _ = spawn_scoped(scope, "kv-load", || run(&|_| ()));
        }
        run(tell);
    });
    match first_error.lock().take() {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

/// What the threads share.
struct Work<'a> {
    reader: &'a SnapshotReader,
    target: &'a dyn Target,
    next: AtomicUsize,
    done: AtomicU64,
    failed: AtomicBool,
}

impl Work<'_> {
    /// Takes blocks until there are no more, or a thread has failed.
    fn run(&self, tell: &dyn Fn(u64)) -> Result<()> {
        let mut buffer = BlockBuffer::new();
        while !self.failed.load(Ordering::Relaxed) {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(block) = self.reader.blocks().get(number) else { break };
            let mut entries = self.reader.read_block(number, &mut buffer)?;
            loop {
                let some = entries.by_ref().take(STEPS).map(|saved| saved.map(Step::Put));
                let steps: Vec<_> = some.collect::<Result<_>>()?;
                if steps.is_empty() {
                    break;
                }
                self.target.make(&steps)?;
            }
            tell(self.done.fetch_add(block.bytes, Ordering::Relaxed) + block.bytes);
        }
        Ok(())
    }
}
