//! Waits for the disk in the place of those who serve clients.
//!
//! Owns: one thread, and the queue of tickets before it. With `sync=always` a reply may go out only once
//! the log is synced, and no thread that serves clients may stand still for that. So they hand over a
//! ticket and serve other clients meanwhile. One thread is enough: waiting for one ticket makes everything
//! durable that was queued before the sync began, so those that follow are mostly done already.

use std::io;
use std::sync::mpsc;

use kvcore::{Result, Ticket};
use tokio::sync::oneshot;

struct Job {
    ticket: Ticket,
    done: oneshot::Sender<Result<()>>,
}

/// The way to the thread that waits. It ends when this is dropped, after what was handed over.
#[derive(Debug)]
pub struct Committer(mpsc::Sender<Job>);

impl Committer {
    /// Starts the thread.
    ///
    /// # Errors
    /// What the system says if it has no thread to give.
    pub fn start() -> io::Result<Committer> {
        let (jobs, queue) = mpsc::channel::<Job>();
        let wait = move || {
            for job in queue {
                // The client may have gone; what it changed is waited for all the same.
                let _ = job.done.send(job.ticket.wait());
            }
        };
        // It ends with its queue, so nobody has to wait for it.
        drop(kvcore::spawn_thread("kv-commit", wait)?);
        Ok(Committer(jobs))
    }

    /// Has a ticket waited for.
    ///
    /// # Errors
    /// Those of [`Ticket::wait`].
    pub async fn wait(&self, ticket: Ticket) -> Result<()> {
        let (done, answer) = oneshot::channel();
        match self.0.send(Job { ticket, done }) {
            Ok(()) => match answer.await {
                Ok(outcome) => outcome,
                Err(_) => Err(kvcore::Status::Closed.into()),
            },
            // The thread is gone, which only a panic can bring about.
            Err(mpsc::SendError(job)) => job.ticket.wait(),
        }
    }
}
