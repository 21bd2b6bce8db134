//! A way to a server that takes its time, as a network does: each byte arrives a fixed while after it was sent.
//!
//! Owns: [`Relay`], a port of this machine that leads to another one. Bytes on their way do not wait for each other,
//! so that what is sent together arrives together. Its threads end with the connections, or with the process.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

/// Where a relay listens.
pub struct Relay {
    /// On the loopback interface.
    pub port: u16,
}

/// Bytes, and when they are due.
type Due = (Instant, Vec<u8>);

impl Relay {
    /// Leads to `server`; every byte takes `delay`, either way.
    pub fn start(server: String, delay: Duration) -> Result<Relay> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        thread::spawn(move || {
            // A connection that cannot be led on is closed, which its client notices.
            for near in listener.incoming().flatten() {
                let _ = TcpStream::connect(&server).map(|far| lead(near, far, delay));
            }
        });
        Ok(Relay { port })
    }
}

/// Leads both ways between two connections until they end.
fn lead(near: TcpStream, far: TcpStream, delay: Duration) -> std::io::Result<()> {
    for stream in [&near, &far] {
        stream.set_nodelay(true)?;
    }
    for (from, to) in [(near.try_clone()?, far.try_clone()?), (far, near)] {
        let (sender, receiver) = channel();
        thread::spawn(move || take(from, &sender, delay));
        thread::spawn(move || deliver(to, &receiver));
    }
    Ok(())
}

/// Notes what comes and when it is due, until nothing comes any more.
fn take(mut from: TcpStream, taken: &Sender<Due>, delay: Duration) {
    let mut room = vec![0; 64 << 10];
    while let Ok(came @ 1..) = from.read(&mut room) {
        if taken.send((Instant::now() + delay, room[..came].to_vec())).is_err() {
            return;
        }
    }
}

/// Passes on what is due, and then the end.
fn deliver(mut to: TcpStream, taken: &Receiver<Due>) {
    for (due, bytes) in taken {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        if to.write_all(&bytes).is_err() {
            break;
        }
    }
    // It may have ended already.
    let _ = to.shutdown(Shutdown::Both);
}
