//! Waiting for the end: signals of the system, or `SHUTDOWN`.

use std::io;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};

use crate::shared::Shared;

/// Waits until the process is told to end by `SIGTERM` or `SIGINT`, or the server by a client, and then tells
/// all front ends to stop.
///
/// # Errors
/// What the system says if signals cannot be waited for.
pub fn wait_for_signal(shared: &Arc<Shared>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            () = shared.stopped() => {}
        }
        shared.stop();
        Ok(())
    })
}
