//! The threads that serve connections, from the first to the last.
//!
//! Owns: [`Server`]. Each thread has an event loop of its own, and a connection stays on the thread that it
//! was dealt to. With one thread everything is served in one loop, one command after the other.
//!
//! Invariant: when [`Server::join`] returns, no connection is open and no thread is left; what was
//! acknowledged is in the store.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::LocalSet;

use super::listener;
use crate::shared::Shared;
use crate::shared::clients::{End, flag};
use crate::socket;
use crate::web::{Fronts, threads_max};

/// How often silent clients are looked for.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// A server that is running, with all its front ends.
#[derive(Debug)]
pub struct Server {
    shared: Arc<Shared>,
    address: Option<SocketAddr>,
    http_address: Option<SocketAddr>,
    grpc_address: Option<SocketAddr>,
    threads: Vec<JoinHandle<()>>,
}

impl Server {
    /// Listens wherever the options say, and begins to serve.
    ///
    /// # Errors
    /// What the system says to an address; `PermissionDenied` if one can be reached from elsewhere and neither a
    /// password nor a certificate is asked for; `InvalidInput` if every front end is switched off.
    pub fn open(shared: Arc<Shared>) -> io::Result<Server> {
        let address = shared.options.resp;
        Server::listen(shared, address)
    }

    /// As [`open`](Server::open), with the Redis protocol at this address.
    ///
    /// # Errors
    /// As [`open`](Server::open).
    pub fn start(shared: Arc<Shared>, address: SocketAddr) -> io::Result<Server> {
        Server::listen(shared, Some(address))
    }

    fn listen(shared: Arc<Shared>, address: Option<SocketAddr>) -> io::Result<Server> {
        let listener = address.map(|address| bind(&shared, address)).transpose()?;
        let fronts = Fronts::bind(&shared)?;
        let (http_address, grpc_address) = (fronts.http_address(), fronts.grpc_address());
        let address = listener.as_ref().map(std::net::TcpListener::local_addr).transpose()?;
        if address.or(http_address).or(grpc_address).is_none() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "there is nothing to serve: switch on the Redis protocol, HTTP or gRPC",
            ));
        }
        let (mut ways, mut queues) = (Vec::new(), Vec::new());
        for _ in 0..shared.options.threads.max(1) {
            let (way, queue) = unbounded_channel();
            ways.push(way);
            queues.push(queue);
        }
        let is_tls = address.is_some_and(|address| shared.speaks_tls(address));
        let mut accepts = Some((listener, ways));
        let mut threads = Vec::new();
        for (number, queue) in queues.into_iter().enumerate() {
            let threads_max = threads_max(shared.options.threads.max(1));
            let mut builder = Builder::new_current_thread();
            let runtime = builder.enable_all().max_blocking_threads(threads_max).build()?;
            let (shared, accepts) = (Arc::clone(&shared), accepts.take());
            let fronts = fronts.try_clone()?;
            let place = Place { number, is_tls };
            let body = move || {
                serve(&runtime, &shared, place, queue, accepts, fronts);
                // A gateway does not wait for servers that do not answer.
                runtime.shutdown_background();
            };
            threads.push(kvcore::spawn_thread(&format!("kv-resp-{number}"), body)?);
        }
        Ok(Server { shared, address, http_address, grpc_address, threads })
    }

    /// Where it listens: for the Redis protocol, or, if that is switched off, for HTTP or gRPC.
    pub fn address(&self) -> SocketAddr {
        let first = self.address.or(self.http_address).or(self.grpc_address);
        // `start` has seen to it that there is one.
        first.unwrap_or(SocketAddr::from(([0, 0, 0, 0], 0)))
    }

    /// Where it listens for HTTP.
    pub fn http_address(&self) -> Option<SocketAddr> {
        self.http_address
    }

    /// Where it listens for gRPC.
    pub fn grpc_address(&self) -> Option<SocketAddr> {
        self.grpc_address
    }

    /// What it shares with other front ends.
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Waits until it was told to stop and every thread has ended.
    pub fn join(self) {
        for thread in self.threads {
            // A panic has been told on standard error, and the other threads end all the same.
            let _ = thread.join();
        }
    }
}

/// Listens for the Redis protocol.
fn bind(shared: &Shared, address: SocketAddr) -> io::Result<std::net::TcpListener> {
    shared.check_reach(address)?;
    socket::listen(address)
}

/// What a thread knows of itself.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// Its number.
    number: usize,
    /// Whether the Redis protocol is spoken in TLS.
    is_tls: bool,
}

/// One thread, until the server stops.
fn serve(
    runtime: &Runtime,
    shared: &Arc<Shared>,
    place: Place,
    queue: UnboundedReceiver<std::net::TcpStream>,
    accepts: Option<(Option<std::net::TcpListener>, listener::Ways)>,
    fronts: Fronts,
) {
    let tasks = LocalSet::new();
    tasks.block_on(runtime, async {
        fronts.begin();
        if let Some((Some(listener), ways)) = accepts
            && let Ok(listener) = TcpListener::from_std(listener)
        {
            drop(tokio::task::spawn_local(listener::accept(listener, Arc::clone(shared), ways)));
            drop(tokio::task::spawn_local(look_for_silent(Arc::clone(shared))));
        }
        receive(queue, shared, place).await;
    });
    // Connections end by themselves once they have written what is left.
    for client in shared.clients.all() {
        client.end(End::AfterReplies);
    }
    runtime.block_on(async {
        // Who does not take its replies in time is cut off.
        let timeout = Duration::from_millis(shared.options.shutdown_timeout_ms);
        let _ = tokio::time::timeout(timeout, tasks).await;
    });
}

/// Begins to serve every connection that comes, until the server stops.
async fn receive(
    mut queue: UnboundedReceiver<std::net::TcpStream>,
    shared: &Arc<Shared>,
    place: Place,
) {
    loop {
        let stream = tokio::select! {
            stream = queue.recv() => stream,
            () = shared.stopped() => return,
        };
        match stream {
            Some(stream) => listener::begin(stream, shared, place.number, place.is_tls),
            // Nothing will come any more, but other front ends may still serve.
            None => return shared.stopped().await,
        }
    }
}

/// Disconnects clients that have been silent for too long, or do not say who they are.
async fn look_for_silent(shared: Arc<Shared>) {
    while !shared.is_stopping() {
        tokio::select! {
            () = tokio::time::sleep(CHECK_INTERVAL) => {}
            () = shared.stopped() => return,
        }
        // A store that fails tells so itself.
        let _ = shared.resume_clients_in_time();
        if shared.settings.pauses_checks.load(Ordering::Relaxed) {
            continue;
        }
        let idle_s = shared.settings.idle_timeout_s.load(Ordering::Relaxed);
        let handshake_s = shared.options.handshake_timeout_s;
        let now_ms = shared.store.now_ms();
        for client in shared.clients.all() {
            let silent_s = (now_ms - client.active_ms.load(Ordering::Relaxed)) / 1000;
            let here_s = (now_ms - client.created_ms) / 1000;
            let is_over = |time_s: i64, most: u64| most > 0 && time_s >= most.cast_signed();
            let may_be_silent = client.has(flag::PUBSUB | flag::MONITOR);
            if (is_over(silent_s, idle_s) && !may_be_silent)
                || (is_over(here_s, handshake_s) && !client.has(flag::AUTHENTICATED))
            {
                client.end(End::Now);
            }
        }
    }
}
