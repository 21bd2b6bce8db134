//! What HTTP and gRPC have in common: both are served by hyper, and both reach the store the same way.
//!
//! Owns: [`Front`], what one of them shares between all threads. `listener` accepts and serves connections, and
//! `fronts` says which; `access` says who a caller is and what it may do, `calls` counts what it does, `work` changes
//! the store without standing still for a disk, `fault` says why it did not, `body` takes a request in within bounds,
//! `watching` and `scanning` read what never ends.
//!
//! Invariant: nothing here waits for a disk or for another client on a thread that serves. Nothing here
//! knows of HTTP's paths or of gRPC's messages.

mod access;
mod body;
mod calls;
mod fault;
mod fronts;
mod listener;
mod scanning;
mod watching;
mod work;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use tokio::sync::Semaphore;

pub use access::{Caller, Peer, Refusal};
pub use body::{BodyError, PIECE_TIMEOUT, SharedRoom, holding};
pub use fault::Fault;
pub use fronts::Fronts;
use listener::{Listener, serve};
pub use watching::Watching;
pub use work::{REMOTE_CALLS_MAX, threads_max};

use crate::shared::Shared;

/// Bytes that one permit of [`Front::bytes`] stands for.
const BYTES_PER_PERMIT: usize = 64 << 10;

/// Scans that run at the same time. They take a thread each, and more would only wait for the processors.
const SCANS_MAX: usize = 4;

/// Requests of one protocol.
#[derive(Debug, Default)]
pub struct Count {
    /// Let in and, with HTTP, answered as asked.
    pub answered: AtomicU64,
    /// Not let in or, with HTTP, failed.
    pub refused: AtomicU64,
}

/// Requests of each protocol.
#[derive(Debug, Default)]
pub struct Counts {
    /// HTTP.
    pub http: Count,
    /// gRPC.
    pub grpc: Count,
}

/// What a front end shares between all threads.
#[derive(Debug)]
pub struct Front {
    /// The server.
    pub shared: Arc<Shared>,
    /// Its name in `ACL LOG`.
    pub name: &'static str,
    /// What all front ends count.
    pub counts: Arc<Counts>,
    /// Room for bodies that are being read, one permit for 64 KiB.
    bytes: Arc<Semaphore>,
    /// Places for watches.
    watches: Arc<Semaphore>,
    /// Places for scans.
    scans: Arc<Semaphore>,
    /// Places for requests that wait for servers elsewhere, which all front ends share.
    remote_calls: Arc<Semaphore>,
}

impl Front {
    /// A front end of this server, which shares the counts and the places for calls elsewhere with others.
    pub fn new(
        shared: Arc<Shared>,
        name: &'static str,
        counts: Arc<Counts>,
        remote_calls: Arc<Semaphore>,
    ) -> Arc<Front> {
        let permits = shared.options.clients_bytes_max.div_ceil(BYTES_PER_PERMIT);
        Arc::new(Front {
            name,
            counts,
            bytes: Arc::new(Semaphore::new(permits.min(Semaphore::MAX_PERMITS))),
            watches: Arc::new(Semaphore::new(
                shared.options.clients_max.min(Semaphore::MAX_PERMITS),
            )),
            scans: Arc::new(Semaphore::new(SCANS_MAX)),
            remote_calls,
            shared,
        })
    }
}
