//! The private runtime of a handle: one thread that drives all its connections.
//!
//! Owns: [`Engine`]. Callers stay synchronous: [`Engine::wait`] polls a future on the caller's own thread and
//! parks in between, so it works inside another runtime too, where tokio's own way of blocking panics.
//! Invariants: in a child of `fork`, where that thread does not exist, nothing here is waited for; stopping waits for
//! no name that is being looked up, which takes as long as the system's resolver likes.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{JoinHandle, Thread};

use kvcore::sync::Mutex;
use kvcore::{Error, Result, Status};
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// The thread that drives connections, and the way to it.
pub(crate) struct Engine {
    handle: Handle,
    running: Mutex<Option<(oneshot::Sender<()>, JoinHandle<()>)>>,
}

/// Wakes a thread that is parked.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

impl Engine {
    /// Starts the thread, in which all signals are blocked.
    ///
    /// # Errors
    /// `Io` if the system has no thread or descriptor to give.
    pub(crate) fn start() -> Result<Engine> {
        let failed = |error: std::io::Error| {
            Error::new(Status::Io, format!("cannot start a thread: {error}"))
        };
        // Signals belong to the host; and what the runtime keeps of them crosses a `fork`.
        let mut runtime = Builder::new_current_thread();
        let runtime = runtime.enable_io().enable_time().build().map_err(failed)?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let thread = kvcore::spawn_thread("kv-remote", move || {
            // It ends when told, or when the sender is gone: both mean stop.
            let _ = runtime.block_on(stopped);
            // Dropping it would wait for names that are being looked up.
            runtime.shutdown_background();
        })
        .map_err(failed)?;
        Ok(Engine { handle, running: Mutex::new(Some((stop, thread))) })
    }

    /// Runs a future to its end on this thread.
    pub(crate) fn wait<F: Future>(&self, future: F) -> F::Output {
        let _entered = self.handle.enter();
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        let mut context = Context::from_waker(&waker);
        let mut future = pin!(future);
        loop {
            if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
                return output;
            }
            std::thread::park();
        }
    }

    /// Lets a future run in the background until it ends or the engine stops.
    pub(crate) fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        drop(self.handle.spawn(future));
    }

    /// Ends the thread and all connections. May be called again.
    pub(crate) fn stop(&self) {
        let running = self.running.lock().take();
        if let Some((stop, thread)) = running {
            // It fails only if the thread has ended already.
            let _ = stop.send(());
            let _ = thread.join();
        }
    }

    /// Forgets the thread, which a child of `fork` does not have.
    pub(crate) fn abandon(&self) {
        // The lock may have been held at the moment of the fork.
        if let Some(mut running) = self.running.try_lock() {
            std::mem::forget(running.take());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn waits_for_timers_and_for_other_tasks() {
        let engine = Engine::start().unwrap();
        let (sender, receiver) = oneshot::channel();
        engine.spawn(async move {
            tokio::time::sleep(Duration::from_millis(1)).await;
            let _ = sender.send(7);
        });
        assert_eq!(engine.wait(receiver), Ok(7));
        engine.stop();
        engine.stop();
    }

    #[test]
    fn stopping_waits_for_no_lookup() {
        let engine = Engine::start().unwrap();
        let (begun, begins) = oneshot::channel();
        let (end, ends) = std::sync::mpsc::channel::<()>();
        engine.spawn(async move {
            // As the looking up of a name, it blocks a thread beside the engine's.
            drop(tokio::task::spawn_blocking(move || {
                let _ = begun.send(());
                let _ = ends.recv();
            }));
        });
        engine.wait(begins).unwrap();
        engine.stop();
        assert!(end.send(()).is_ok(), "it was waited for");
    }

    #[test]
    fn works_inside_another_runtime() {
        let outer = Builder::new_current_thread().build().unwrap();
        let engine = Engine::start().unwrap();
        let answer = outer.block_on(async {
            engine.wait(async {
                tokio::time::sleep(Duration::from_millis(1)).await;
                7
            })
        });
        assert_eq!(answer, 7);
        engine.stop();
    }
}
