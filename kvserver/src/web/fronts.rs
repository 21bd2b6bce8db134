//! The front ends that a server has beside the Redis protocol, from their options to their tasks.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use tokio::sync::Semaphore;

use super::{Counts, Front, Listener, REMOTE_CALLS_MAX, serve};
use crate::shared::Shared;
use crate::{grpc, http};

/// A front end that listens.
#[derive(Debug)]
struct Bound {
    listener: Listener,
    front: Arc<Front>,
    router: Router,
}

impl Bound {
    fn new(listener: Listener, front: Arc<Front>, router: Router) -> Bound {
        Bound { listener, front, router }
    }
}

/// The front ends that are switched on, for one thread.
#[derive(Debug)]
pub struct Fronts {
    http: Option<Bound>,
    grpc: Option<Bound>,
}

impl Fronts {
    /// Listens wherever the options say.
    ///
    /// # Errors
    /// Those of [`Listener::bind`].
    pub fn bind(shared: &Arc<Shared>) -> io::Result<Fronts> {
        let counts = Arc::new(Counts::default());
        let remote_calls = shared.options.threads.max(1) * REMOTE_CALLS_MAX;
        let remote_calls = Arc::new(Semaphore::new(remote_calls.min(Semaphore::MAX_PERMITS)));
        let bind = |address: Option<SocketAddr>, name, router: fn(&Arc<Front>) -> Router| {
            let Some(address) = address else { return Ok(None) };
            let listener = Listener::bind(shared, address)?;
            let (counts, calls) = (Arc::clone(&counts), Arc::clone(&remote_calls));
            let front = Front::new(Arc::clone(shared), name, counts, calls);
            let router = router(&front);
            Ok::<_, io::Error>(Some(Bound::new(listener, front, router)))
        };
        Ok(Fronts {
            http: bind(shared.options.http, "http", http::router)?,
            grpc: bind(shared.options.grpc, "grpc", grpc::router)?,
        })
    }

    /// The same front ends for another thread.
    ///
    /// # Errors
    /// What the system says if it has no descriptor to give.
    pub fn try_clone(&self) -> io::Result<Fronts> {
        let copy = |bound: &Option<Bound>| match bound {
            None => Ok(None),
            Some(bound) => {
                let front = Arc::clone(&bound.front);
                bound
                    .listener
                    .try_clone()
                    .map(|listener| Some(Bound::new(listener, front, bound.router.clone())))
            }
        };
        Ok(Fronts { http: copy(&self.http)?, grpc: copy(&self.grpc)? })
    }

    /// Where HTTP is spoken.
    pub fn http_address(&self) -> Option<SocketAddr> {
        self.http.as_ref().map(|bound| bound.listener.address())
    }

    /// Where gRPC is spoken.
    pub fn grpc_address(&self) -> Option<SocketAddr> {
        self.grpc.as_ref().map(|bound| bound.listener.address())
    }

    /// Begins to serve on this thread, as tasks of its local set. They end when the server stops.
    pub fn begin(self) {
        for Bound { listener, front, router } in [self.http, self.grpc].into_iter().flatten() {
            drop(tokio::task::spawn_local(serve(listener, front, router)));
        }
    }
}
