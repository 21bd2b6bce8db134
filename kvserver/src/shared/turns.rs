//! Who of the clients that ask for much is served next.
//!
//! Owns: [`Turns`]. A thread serves what came with one read at once, and most clients never ask for more. What is left
//! of one that does (more replies than one turn writes, a request of which parts came before, replies that it does
//! not take) is served in turns: one turn of one such client, then whatever came from all others, then
//! the next. So the time that a thousand of them cost another client is that of one turn, and not of a thousand.
//!
//! Why a semaphore of one permit: it is fair, so each of them waits for all others once.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The turn of one client, until it is dropped.
pub type Turn = OwnedSemaphorePermit;

/// The turns of each thread.
#[derive(Debug)]
pub struct Turns(Vec<Arc<Semaphore>>);

impl Turns {
    /// For so many threads, one at least.
    pub fn new(threads: usize) -> Turns {
        Turns((0..threads.max(1)).map(|_| Arc::new(Semaphore::new(1))).collect())
    }

    /// Waits until a client of this thread is next, and until the others of the thread have had theirs: the event loop
    /// has looked what came meanwhile. `None` never comes, since nobody closes the semaphore.
    pub async fn wait(&self, thread: usize) -> Option<Turn> {
        // A number that is none waits with the first.
        let turns = self.0.get(thread).unwrap_or(&self.0[0]);
        let turn = Arc::clone(turns).acquire_owned().await.ok();
        tokio::task::yield_now().await;
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::rc::Rc;

    use tokio::task::{LocalSet, spawn_local, yield_now};

    #[tokio::test]
    async fn others_are_served_between_two_turns() {
        let served = Rc::new(Cell::new(0));
        let turns = Rc::new(Turns::new(1));
        let all = LocalSet::new();
        for _ in 0..100 {
            let (served, turns) = (Rc::clone(&served), Rc::clone(&turns));
            all.spawn_local(async move {
                let turn = turns.wait(0).await;
                served.set(served.get() + 1);
                drop(turn);
            });
        }
        all.run_until(async {
            // Somebody who asks for little, again and again: at most one turn passes meanwhile, or, where the loop is
            // between two of its own turns, two.
            for _ in 0..40 {
                let before = served.get();
                let little = spawn_local(yield_now());
                little.await.unwrap();
                let passed = served.get() - before;
                assert!(passed <= 2, "{passed} turns passed");
            }
        })
        .await;
        all.await;
        assert_eq!(served.get(), 100);
    }
}
