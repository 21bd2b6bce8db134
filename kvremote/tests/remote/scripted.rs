//! What only a server can show that says what the test wants, when it wants.
//!
//! Owns: [`Scripted`], which answers each command with the reply that a test gives for it.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use kvcore::{Options, ScanOptions, Status};
use kvremote::RemoteStore;

/// A server whose replies a test makes up. Its threads end with the process.
struct Scripted {
    address: SocketAddr,
    /// How each connection ended, in their order.
    ends: Receiver<Option<ErrorKind>>,
}

impl Scripted {
    /// Starts it. `reply` is told the words of each command.
    fn start(reply: impl Fn(&[String]) -> &'static str + Send + Sync + 'static) -> Scripted {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (ended, ends) = channel();
        let reply: Arc<Reply> = Arc::new(reply);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (reply, ended) = (Arc::clone(&reply), ended.clone());
                std::thread::spawn(move || serve(&stream.unwrap(), &*reply, &ended));
            }
        });
        Scripted { address, ends }
    }

    fn open(&self) -> RemoteStore {
        RemoteStore::open(&self.location(), Options::new()).unwrap()
    }

    fn location(&self) -> String {
        format!("valkey://{}", self.address)
    }
}

type Reply = dyn Fn(&[String]) -> &'static str + Send + Sync;

/// Answers one connection until it ends.
fn serve(mut stream: &TcpStream, reply: &Reply, ended: &Sender<Option<ErrorKind>>) {
    let mut reader = BufReader::new(stream);
    let end = loop {
        match words(&mut reader) {
            Ok(words) => stream.write_all(reply(&words).as_bytes()).unwrap(),
            Err(error) => break Some(error.kind()),
        }
    };
    // The test may be over.
    let _ = ended.send(end);
}

/// Reads one command.
fn words(reader: &mut impl BufRead) -> std::io::Result<Vec<String>> {
    let count = number(reader)?;
    (0..count)
        .map(|_| {
            let mut word = vec![0; number(reader)? + 2];
            reader.read_exact(&mut word)?;
            Ok(String::from_utf8_lossy(&word[..word.len() - 2]).into_owned())
        })
        .collect()
}

/// Reads the number of a line like `*2` or `$5`.
fn number(reader: &mut impl BufRead) -> std::io::Result<usize> {
    let mut line = String::new();
    match reader.read_line(&mut line)? {
        0 => Err(ErrorKind::UnexpectedEof.into()),
        _ => Ok(line.trim()[1..].parse().unwrap()),
    }
}

/// What a server says that greets a client.
const HELLO: &str = "%1\r\n+proto\r\n:3\r\n";

#[test]
fn connections_are_reset_when_they_are_closed() {
    let server = Scripted::start(|_| HELLO);
    drop(server.open());
    assert_eq!(server.ends.recv().unwrap(), Some(ErrorKind::ConnectionReset));
}

#[test]
fn a_server_that_is_loading_is_asked_again() {
    let asked = AtomicUsize::new(0);
    let server = Scripted::start(move |words| match words[0].as_str() {
        "SCAN" => match asked.fetch_add(1, Ordering::Relaxed) {
            0 => "-LOADING the dataset in memory\r\n",
            _ => "*2\r\n$1\r\n0\r\n*1\r\n$1\r\nk\r\n",
        },
        _ => HELLO,
    });
    let keys = ScanOptions { keys_only: true, ..ScanOptions::new() };
    assert_eq!(server.open().scan(&keys).unwrap().map(Result::unwrap).count(), 1);
}

#[test]
fn a_server_with_too_many_clients_may_have_room_later() {
    let greeted = AtomicUsize::new(0);
    let server = Scripted::start(move |_| match greeted.fetch_add(1, Ordering::Relaxed) {
        0 => "-ERR max number of clients reached\r\n",
        _ => HELLO,
    });
    let refused = RemoteStore::open(&server.location(), Options::new()).map(drop).unwrap_err();
    assert_eq!(refused.status(), Status::Unavailable, "{refused}");
    server.open();
}
