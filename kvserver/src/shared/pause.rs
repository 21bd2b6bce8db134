//! Clients that have to wait because an administrator said so (`CLIENT PAUSE`).
//!
//! Owns: what is paused and until when, and waking those who wait. Invariants: of two orders the stricter
//! kind and the later end count, until the pause is over; a pause that nobody ends is over at its end,
//! whether or not a client waits for it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;

/// What is paused. The later ones pause what the earlier ones do, and more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Paused {
    /// Commands that may change something.
    Writes,
    /// All commands.
    All,
}

/// A pause, if there is one.
#[derive(Debug)]
pub struct Pause {
    /// What is paused, and until when in Unix milliseconds.
    current: Mutex<Option<(Paused, i64)>>,
    waiting: AtomicUsize,
    /// Counts the pauses that are over.
    ended: watch::Sender<u64>,
}

impl Default for Pause {
    fn default() -> Self {
        Pause {
            current: Mutex::default(),
            waiting: AtomicUsize::new(0),
            ended: watch::Sender::new(0),
        }
    }
}

impl Pause {
    /// Begins a pause, or makes the one that there is stricter and longer.
    pub fn begin(&self, kind: Paused, until_ms: i64) {
        let mut current = self.current.lock();
        let (old_kind, old_until_ms) = current.unwrap_or((kind, until_ms));
        *current = Some((kind.max(old_kind), until_ms.max(old_until_ms)));
    }

    /// Ends the pause and wakes those who wait. Answers whether there was one.
    pub fn end(&self) -> bool {
        let was_paused = self.current.lock().take().is_some();
        self.ended.send_modify(|count| *count += 1);
        was_paused
    }

    /// Ends the pause if its time is over. Answers whether it was.
    pub fn end_if_over(&self, now_ms: i64) -> bool {
        let is_over = self.current.lock().is_some_and(|(_, until_ms)| until_ms <= now_ms);
        is_over && self.end()
    }

    /// What is paused.
    pub fn kind(&self) -> Option<Paused> {
        self.current.lock().map(|(kind, _)| kind)
    }

    /// How many clients wait.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Waits until the pause has ended, or should have.
    pub async fn wait(&self, now_ms: i64) {
        let mut ended = self.ended.subscribe();
        let Some((_, until_ms)) = *self.current.lock() else { return };
        let left_ms = until_ms.saturating_sub(now_ms);
        let left = Duration::from_millis(u64::try_from(left_ms).unwrap_or(0));
        let _counted = Counted::new(&self.waiting);
        tokio::select! {
            // The sender lives as long as this.
            _ = ended.changed() => {}
            () = tokio::time::sleep(left) => {}
        }
    }
}

/// Counts one more for as long as it lives.
struct Counted<'c>(&'c AtomicUsize);

impl<'c> Counted<'c> {
    fn new(count: &'c AtomicUsize) -> Counted<'c> {
        count.fetch_add(1, Ordering::Relaxed);
        Counted(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stricter_kind_and_the_later_end_count() {
        let pause = Pause::default();
        pause.begin(Paused::All, 100);
        pause.begin(Paused::Writes, 50);
        assert_eq!(pause.kind(), Some(Paused::All));
        assert!(!pause.end_if_over(99));
        pause.begin(Paused::Writes, 200);
        assert!(!pause.end_if_over(199));
        assert!(pause.end_if_over(200));
        assert_eq!(pause.kind(), None);
        pause.begin(Paused::Writes, 300);
        assert_eq!(pause.kind(), Some(Paused::Writes), "a new pause begins anew");
        assert!(pause.end());
        assert!(!pause.end());
    }
}
