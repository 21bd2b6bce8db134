//! One connection that the thread of a call uses by itself.
//!
//! Owns: [`Line`]. Invariants: nothing on it takes longer than the call gives it, however slowly the bytes come; it is
//! clean between two requests, which is that every reply was read and nothing came beyond, or it is closed. It speaks
//! the protocol's older version, in which a server never says anything unasked.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use super::resp::{self, Reply};
use crate::address::{Endpoint, Login};

/// Room for replies at first, and the most that is kept for the next request.
const ROOM: usize = 16 << 10;
const ROOM_KEPT: usize = 1 << 20;

/// Why a request was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lost;

/// A connection to one server.
pub(crate) struct Line {
    stream: TcpStream,
    /// How long the system waits on the socket for each piece.
    patience: Duration,
    /// When the request at hand is given up.
    until: Instant,
    /// What came and was not taken is `room[taken..filled]`.
    room: Vec<u8>,
    taken: usize,
    filled: usize,
}

impl Line {
    /// Connects, and logs in if that is asked for.
    ///
    /// # Errors
    /// Those of the system; `PermissionDenied` if the server refuses the login.
    pub(crate) async fn connect(
        server: &Endpoint,
        login: Option<&Login>,
        patience: Duration,
    ) -> std::io::Result<Line> {
        let address = (server.host.as_str(), server.port);
        let mut stream = tokio::net::TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        if let Some(login) = login {
            log_in(&mut stream, login).await?;
        }
        let stream = stream.into_std()?;
        stream.set_nonblocking(false)?;
        Line::on(stream, patience)
    }

    fn on(stream: TcpStream, patience: Duration) -> std::io::Result<Line> {
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(patience))?;
        let until = Instant::now();
        Ok(Line { stream, patience, until, room: vec![0; ROOM], taken: 0, filled: 0 })
    }

    /// Sends packed commands, whose replies are then taken by [`next`](Line::next).
    ///
    /// # Errors
    /// [`Lost`]; then the line must not be used again.
    pub(crate) fn send(&mut self, mut packed: &[u8], until: Instant) -> Result<(), Lost> {
        self.until = until;
        while !packed.is_empty() {
            self.be_patient()?;
            match self.stream.write(packed) {
                Ok(0) => return Err(Lost),
                Ok(sent) => packed = &packed[sent..],
                Err(error) if passes(&error) => {}
                Err(_) => return Err(Lost),
            }
        }
        Ok(())
    }

    /// Waits for the next reply.
    ///
    /// # Errors
    /// As [`send`](Line::send); also for a reply that needs the client crate to be read.
    #[inline]
    pub(crate) fn next(&mut self) -> Result<Reply<'_>, Lost> {
        let found = loop {
            match resp::parse(&self.room[self.taken..self.filled]) {
                Ok(Some(found)) => break found,
                Ok(None) => self.fill()?,
                Err(resp::Strange) => return Err(Lost),
            }
        };
        let (reply, len) = found;
        let came = self.taken;
        self.taken += len;
        reply.reply(&self.room[came..self.taken]).ok_or(Lost)
    }

    /// Whether the next request can begin: nothing is left of the last one. Gives room back that only that one needed.
    pub(crate) fn is_clean(&mut self) -> bool {
        if self.room.len() > ROOM_KEPT {
            self.room.truncate(ROOM);
            self.room.shrink_to_fit();
        }
        let is_clean = self.taken == self.filled;
        (self.taken, self.filled) = (0, 0);
        is_clean
    }

    /// Waits for more bytes.
    fn fill(&mut self) -> Result<(), Lost> {
        if self.taken > 0 {
            self.room.copy_within(self.taken..self.filled, 0);
            self.filled -= self.taken;
            self.taken = 0;
        }
        if self.filled == self.room.len() {
            // Only as much as really came, whatever length a server claims.
            self.room.resize(2 * self.filled, 0);
        }
        loop {
            self.be_patient()?;
            match self.stream.read(&mut self.room[self.filled..]) {
                Ok(0) => return Err(Lost),
                Ok(came) => {
                    self.filled += came;
                    return Ok(());
                }
                Err(error) if passes(&error) => {}
                Err(_) => return Err(Lost),
            }
        }
    }

    /// Has the system wait about as long as the request has left. Requests get the same time, so most find the socket
    /// as they want it; where it waits too short, it is waited for again.
    fn be_patient(&mut self) -> Result<(), Lost> {
        let left = self.until.saturating_duration_since(Instant::now());
        // Zero would be for ever, and what is shorter than the system's clock comes to the same.
        if left < Duration::from_millis(1) {
            return Err(Lost);
        }
        let is_near = self.patience <= left + left / 8 && self.patience >= left - left / 8;
        if !is_near {
            let set = self.stream.set_read_timeout(Some(left));
            set.and_then(|()| self.stream.set_write_timeout(Some(left))).map_err(|_| Lost)?;
            self.patience = left;
        }
        Ok(())
    }
}

/// Whether an error of a socket is no reason to give up, but to look at the clock.
fn passes(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// Says who is calling.
async fn log_in(stream: &mut tokio::net::TcpStream, login: &Login) -> std::io::Result<()> {
    const ACCEPTED: &[u8] = b"+OK\r\n";
    let mut packed = Vec::new();
    match &login.user {
        Some(user) => {
            resp::pack(&mut packed, &[b"AUTH", user.as_bytes(), login.password.as_bytes()]);
        }
        None => resp::pack(&mut packed, &[b"AUTH", login.password.as_bytes()]),
    }
    stream.write_all(&packed).await?;
    let mut answer = [0; ACCEPTED.len()];
    stream.read_exact(&mut answer).await?;
    if answer == ACCEPTED { Ok(()) } else { Err(ErrorKind::PermissionDenied.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// A line, and what a server has of it.
    fn pair() -> (Line, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let line = Line::on(stream, Duration::from_secs(60)).unwrap();
        (line, listener.accept().unwrap().0)
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    #[test]
    fn replies_larger_than_the_room() {
        let (mut line, mut server) = pair();
        line.send(b"ask", soon()).unwrap();
        let value = vec![b'v'; 3 * ROOM_KEPT];
        let sent = value.clone();
        let serving = kvcore::spawn_thread("server", move || {
            let mut packed = Vec::new();
            resp::head(&mut packed, b'$', sent.len());
            packed.extend_from_slice(&sent);
            packed.extend_from_slice(b"\r\n:7\r\n");
            // What was not read would have the connection reset.
            server.read_exact(&mut [0; 3]).unwrap();
            server.write_all(&packed).unwrap();
        })
        .unwrap();
        assert!(line.next() == Ok(Reply::Bytes(&value)));
        assert_eq!(line.next(), Ok(Reply::Number(7)));
        serving.join().unwrap();
        assert!(line.is_clean());
        assert_eq!(line.room.len(), ROOM);
    }

    #[test]
    fn a_line_with_something_unasked_is_not_clean() {
        let (mut line, mut server) = pair();
        line.send(b"ask", soon()).unwrap();
        server.write_all(b":1\r\n:2\r\n").unwrap();
        assert_eq!(line.next(), Ok(Reply::Number(1)));
        // Both may have come in pieces.
        while line.taken == line.filled {
            line.fill().unwrap();
        }
        assert!(!line.is_clean());
    }

    #[test]
    fn the_end_of_a_server_and_of_the_time() {
        let (mut line, mut server) = pair();
        line.send(b"ask", soon()).unwrap();
        server.read_exact(&mut [0; 3]).unwrap();
        server.write_all(b"$5\r\nab").unwrap();
        drop(server);
        assert_eq!(line.next(), Err(Lost));
        let (mut line, _server) = pair();
        line.send(b"ask", Instant::now() + Duration::from_millis(20)).unwrap();
        assert_eq!(line.next(), Err(Lost));
        assert_eq!(line.send(b"ask", Instant::now()), Err(Lost));
    }
}
