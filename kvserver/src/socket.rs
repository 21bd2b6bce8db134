//! How the sockets of the front ends are set up.
//!
//! Owns: [`listen`] and [`prepare`]. Both bound what the system keeps on the server's behalf: how many connections wait
//! to be accepted, and how much of a client's replies waits in a buffer that is in no limit of this program.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpStream;

/// Connections that may wait to be accepted; the system has a limit of its own (`net.core.somaxconn`). The 128 of the
/// standard library are gone within a few milliseconds in which the thread that accepts is not running, and whoever
/// comes then is heard a second later.
const BACKLOG: i32 = 1024;

/// Bytes of replies that the system takes and cannot send yet. Its own limit grows to megabytes, which a client that
/// reads nothing makes it take, and this program copy. A client that reads is not slowed down: the socket is
/// writable again while half of them are still to be sent.
#[cfg(target_os = "linux")]
const UNSENT_BYTES: u32 = 128 << 10;

/// Listens at an address without ever waiting. Port 0 takes any that is free.
///
/// # Errors
/// What the system says.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // As the standard library has it: a server that is started again need not wait for old connections.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Sets up a connection of the Redis protocol. What the system cannot do is done without.
pub fn prepare(stream: &TcpStream) {
    // Without it replies only come later.
    let _ = stream.set_nodelay(true);
    #[cfg(target_os = "linux")]
    let _ = socket2::SockRef::from(stream).set_tcp_notsent_lowat(UNSENT_BYTES);
}
