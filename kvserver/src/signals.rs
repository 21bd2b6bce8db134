//! Signals of the system, or `SHUTDOWN`: the end, and certificates that were renewed.

use std::io;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};

use crate::log::say;
use crate::shared::Shared;

/// Waits until the process is told to end by `SIGTERM` or `SIGINT`, or the server by a client, and then tells
/// all front ends to stop. `SIGHUP` reads the certificates again, and ends nothing, with TLS or without.
///
/// # Errors
/// What the system says if signals cannot be waited for.
pub fn wait_for_signal(shared: &Arc<Shared>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut hang_up = signal(SignalKind::hangup())?;
        loop {
            tokio::select! {
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
                () = shared.stopped() => break,
                // This thread serves nobody, so it may wait for the files.
                _ = hang_up.recv() => reload(shared),
            }
        }
        shared.stop();
        Ok(())
    })
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
