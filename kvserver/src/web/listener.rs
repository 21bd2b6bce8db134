//! Connections of HTTP and gRPC: accepted, served by hyper, and ended in order.
//!
//! Owns: [`Listener`], an address that was bound, and [`serve`], which every thread runs with a descriptor of
//! its own for the same socket; the system deals the connections out. TLS is agreed on in the task of a
//! connection, so a client that is slow at it keeps nobody waiting. They count as clients like those of
//! the Redis protocol.
//!
//! Invariant: when `serve` returns, no connection of this thread is open. Who stops the server waits for it
//! as long as for other clients.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};

use super::{Front, Peer};
use crate::shared::Shared;
use crate::socket;
use crate::tls::Inside;

/// How long accepting rests when the system has no descriptor to give.
const BACK_OFF: Duration = Duration::from_millis(100);

/// Longest head of a request in bytes: its path, and so a key, and all headers.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// Requests that a connection of HTTP/2 may have under way.
const STREAMS_MAX: u32 = 128;

/// How often a silent connection of HTTP/2 is asked whether it is there.
const ALIVE_INTERVAL: Duration = Duration::from_secs(30);

/// A socket that listens.
#[derive(Debug)]
pub struct Listener {
    socket: std::net::TcpListener,
    address: SocketAddr,
    is_tls: bool,
}

impl Listener {
    /// Listens at an address. Port 0 takes any that is free.
    ///
    /// # Errors
    /// What the system says; `PermissionDenied` if the address can be reached from elsewhere and neither a
    /// password nor a certificate is asked for.
    pub fn bind(shared: &Shared, address: SocketAddr) -> io::Result<Listener> {
        shared.check_reach(address)?;
        let socket = socket::listen(address)?;
        let address = socket.local_addr()?;
        Ok(Listener { socket, address, is_tls: shared.speaks_tls(address) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same socket for another thread.
    ///
    /// # Errors
    /// What the system says if it has no descriptor to give.
    pub fn try_clone(&self) -> io::Result<Listener> {
        Ok(Listener { socket: self.socket.try_clone()?, ..*self })
    }
}

/// A place among the clients.
struct Seat(Arc<Shared>);

impl Seat {
    fn take(shared: &Arc<Shared>) -> Option<Seat> {
        let most = shared.settings.clients_max.load(Ordering::Relaxed);
        shared.clients.enter(most)?;
        Some(Seat(Arc::clone(shared)))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.clients.leave();
    }
}

/// Accepts and serves until the server stops, and then until every connection has ended.
pub async fn serve(listener: Listener, front: Arc<Front>, router: Router) {
    // A socket that cannot be registered is as good as none, and `bind` has had it working.
    let Ok(socket) = TcpListener::from_std(listener.socket) else { return };
    let is_tls = listener.is_tls;
    let shared = &front.shared;
    let connections = GracefulShutdown::new();
    let builder = builder(shared);
    loop {
        let accepted = tokio::select! {
            accepted = socket.accept() => accepted,
            () = shared.stopped() => break,
        };
        let Ok((stream, address)) = accepted else {
            // The next attempt would fail as this one did until somebody goes.
            tokio::time::sleep(BACK_OFF).await;
            continue;
        };
        let Some(seat) = Seat::take(shared) else {
            shared.counters.rejected_connections.fetch_add(1, Ordering::Relaxed);
            if !is_tls {
                refuse(&stream);
            }
            continue;
        };
        shared.counters.connections.fetch_add(1, Ordering::Relaxed);
        // Without it replies only come later.
        let _ = stream.set_nodelay(true);
        let (router, builder) = (router.clone(), builder.clone());
        let (watcher, shared) = (connections.watcher(), Arc::clone(shared));
        tokio::spawn(async move {
            let Some(stream) = shared.secure(stream, is_tls, Inside::Web).await else { return };
            let peer = Arc::new(Peer::new(address, stream.is_tls(), shared.certified(&stream)));
            let begun = Arc::new(AtomicBool::new(false));
            let has_begun = Arc::clone(&begun);
            let service = service_fn(move |mut request: Request<Incoming>| {
                has_begun.store(true, Ordering::Relaxed);
                request.extensions_mut().insert(Arc::clone(&peer));
                TowerToHyperService::new(router.clone()).call(request)
            });
            let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
            let mut served = pin!(watcher.watch(connection));
            let is_silent = async {
                first_request(&shared).await;
                !begun.load(Ordering::Relaxed)
            };
            // How a connection ends concerns nobody but its client.
            tokio::select! {
                _ = &mut served => {}
                silent = is_silent => if !silent {
                    let _ = served.await;
                }
            }
            drop(seat);
        });
    }
    drop(socket);
    connections.shutdown().await;
}

/// Passes the time in which a first request has to come. Before there is a part of one, hyper measures no time.
async fn first_request(shared: &Shared) {
    match shared.options.handshake_timeout_s {
        0 => std::future::pending().await,
        time_s => tokio::time::sleep(Duration::from_secs(time_s)).await,
    }
}

/// What hyper is told of limits.
fn builder(shared: &Shared) -> Builder<TokioExecutor> {
    let head_s = shared.options.handshake_timeout_s;
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout((head_s > 0).then(|| Duration::from_secs(head_s)))
        .max_buf_size(HEAD_BYTES_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEAD_BYTES_MAX as u32)
        .keep_alive_interval(ALIVE_INTERVAL);
    builder
}

/// Tells a client that there are too many, if that can be done without waiting.
fn refuse(stream: &TcpStream) {
    // What fits into the empty buffer of a new connection never waits.
    let _ = stream.try_write(
        b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
    );
}
