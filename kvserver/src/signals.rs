//! Signals of the system, or `SHUTDOWN`: the end, and certificates that were renewed.
//!
//! Owns: [`Signals`]. They are caught before anybody is told that the server listens, so that none which is sent
//! from then on does what it does by default.

use std::io;
use std::sync::Arc;

use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::log::say;
use crate::shared::Shared;

/// The signals that mean something to a server, caught.
#[derive(Debug)]
pub struct Signals {
    runtime: Runtime,
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    /// Catches them from now on.
    ///
    /// # Errors
    /// What the system says if signals cannot be waited for.
    pub fn catch() -> io::Result<Signals> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let inside = runtime.enter();
        let terminate = signal(SignalKind::terminate())?;
        let interrupt = signal(SignalKind::interrupt())?;
        let hang_up = signal(SignalKind::hangup())?;
        drop(inside);
        Ok(Signals { runtime, terminate, interrupt, hang_up })
    }

    /// Waits until the process is told to end by `SIGTERM` or `SIGINT`, or the server by a client, and then tells
    /// all front ends to stop. `SIGHUP` reads the certificates again, and ends nothing, with TLS or without.
    pub fn wait(self, shared: &Arc<Shared>) {
        let Signals { runtime, mut terminate, mut interrupt, mut hang_up } = self;
        runtime.block_on(async {
            loop {
                tokio::select! {
                    _ = terminate.recv() => break,
                    _ = interrupt.recv() => break,
                    () = shared.stopped() => break,
                    // This thread serves nobody, so it may wait for the files.
                    _ = hang_up.recv() => reload(shared),
                }
            }
        });
        shared.stop();
    }
}

/// Reads the certificates again, and tells what came of it.
fn reload(shared: &Shared) {
    let Some(tls) = &shared.tls else {
        return say("there are no certificates to read again: TLS is off");
    };
    match tls.reload() {
        Ok(notices) => {
            say("the certificates were read again, and hold for new connections");
            notices.iter().for_each(|notice| say(notice));
        }
        Err(fault) => say(&format!("the certificates stay as they were: {fault}")),
    }
}
