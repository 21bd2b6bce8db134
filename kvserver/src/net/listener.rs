//! Accepts connections and deals them out to the threads.

use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::UnboundedSender;

use super::Session;
use super::connection;
use crate::shared::Shared;
use crate::shared::clients::ClientHandle;
use crate::socket;
use crate::tls::Inside;

/// How long accepting rests when the system has no descriptor to give.
const BACK_OFF: Duration = Duration::from_millis(100);

/// The ways to the threads: each takes a connection that is its own from then on.
pub(super) type Ways = Vec<UnboundedSender<std::net::TcpStream>>;

/// Accepts until the server stops.
pub(super) async fn accept(listener: TcpListener, shared: Arc<Shared>, ways: Ways) {
    let mut next = 0;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shared.stopped() => return,
        };
        match accepted {
            Ok((stream, _)) => {
                next = (next + 1) % ways.len();
                hand_over(stream, &shared, &ways, next).await;
            }
            // The next attempt would fail as this one did until somebody goes.
            Err(_) => tokio::time::sleep(BACK_OFF).await,
        }
    }
}

/// Gives a connection to a thread, or refuses it if there are too many.
async fn hand_over(mut stream: TcpStream, shared: &Arc<Shared>, ways: &Ways, thread: usize) {
    let most = shared.settings.clients_max.load(Ordering::Relaxed);
    if shared.clients.enter(most).is_none() {
        shared.counters.rejected_connections.fetch_add(1, Ordering::Relaxed);
        // What fits into the empty buffer of a new connection never waits.
        let _ = stream.write_all(b"-ERR max number of clients reached\r\n").await;
        return;
    }
    shared.counters.connections.fetch_add(1, Ordering::Relaxed);
    let handed = stream.into_std().ok().and_then(|stream| ways[thread].send(stream).ok());
    if handed.is_none() {
        shared.clients.leave();
    }
}

/// Begins to serve a connection on this thread, with TLS or without.
pub(super) fn begin(
    stream: std::net::TcpStream,
    shared: &Arc<Shared>,
    thread: usize,
    is_tls: bool,
) {
    let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
    let address = stream.peer_addr().unwrap_or(nowhere);
    let local = stream.local_addr().unwrap_or(nowhere);
    let fd = stream.as_raw_fd();
    let Ok(stream) = TcpStream::from_std(stream) else {
        shared.clients.leave();
        return;
    };
    socket::prepare(&stream);
    // The time for TLS is part of the time for saying who one is.
    let now_ms = shared.store.now_ms();
    let shared = Arc::clone(shared);
    drop(tokio::task::spawn_local(async move {
        let stream = shared.secure(stream, is_tls, Inside::Resp).await;
        // Who comes while the server stops would not be told to go.
        let Some(stream) = stream.filter(|_| !shared.is_stopping()) else {
            shared.clients.leave();
            return;
        };
        let client = Arc::new(ClientHandle::new(&shared.clients, address, local, fd, now_ms));
        shared.clients.add(Arc::clone(&client));
        let session = Session::new(&shared, client, thread, shared.certified(&stream));
        connection::serve(stream, shared, session).await;
    }));
}
