//! A server on a free port, and a client that shows replies as short texts.
//!
//! A reply is shown as it is written, without lengths and line ends: `+OK`, `:1`, `$value`, `-ERR …`, `nil`,
//! `[a b]` for arrays, `{a b}` for maps, `~[…]` for sets, `>[…]` for pushes.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use kvcore::{Clock, Options, Store};
use kvserver::{Server, ServerOptions, Shared};

/// A server that runs until this is dropped.
pub struct Running {
    server: Option<Server>,
    pub shared: Arc<Shared>,
}

impl Running {
    /// A server in memory with one thread.
    pub fn new() -> Running {
        Running::with(ServerOptions { threads: 1, ..ServerOptions::default() })
    }

    /// A server in memory whose time stands still.
    pub fn at_rest() -> Running {
        let store = Store::with_clock(Options::new(), Clock::manual(1_700_000_000_000).0).unwrap();
        Running::on(store, ServerOptions { threads: 1, ..ServerOptions::default() })
    }

    /// A server in memory.
    pub fn with(options: ServerOptions) -> Running {
        Running::on(Store::memory(Options::new()).unwrap(), options)
    }

    /// A server of this store.
    pub fn on(store: Store, options: ServerOptions) -> Running {
        let shared = Shared::new(store, options).unwrap();
        let server = Server::start(Arc::clone(&shared), "127.0.0.1:0".parse().unwrap()).unwrap();
        Running { server: Some(server), shared }
    }

    /// A client that has just connected.
    pub fn client(&self) -> Client {
        let address = self.server.as_ref().map(Server::address).unwrap();
        let stream = TcpStream::connect(address).unwrap();
        // A test that waits longer has failed.
        stream.set_read_timeout(Some(Duration::from_secs(180))).unwrap();
        Client { stream, read: Vec::new(), at: 0 }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shared.stop();
        if let Some(server) = self.server.take() {
            server.join();
        }
    }
}

/// A client.
pub struct Client {
    stream: TcpStream,
    read: Vec<u8>,
    at: usize,
}

/// A request as clients send it.
pub fn request(words: &[&str]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend(format!("${}\r\n{word}\r\n", word.len()).into_bytes());
    }
    bytes
}

impl Client {
    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Sends bytes, unless the other side has closed the connection. Answers whether they went.
    pub fn try_send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// Sends a line of words as an array, and shows the reply.
    pub fn ask(&mut self, line: &str) -> String {
        let words: Vec<&str> = line.split(' ').collect();
        self.ask_words(&words)
    }

    /// Sends words as an array, and shows the reply.
    pub fn ask_words(&mut self, words: &[&str]) -> String {
        self.send(&request(words));
        self.reply()
    }

    /// The next reply.
    pub fn reply(&mut self) -> String {
        let line = self.line();
        let (kind, rest) = line.split_at(1);
        match kind {
            "$" | "=" => match rest.parse::<usize>() {
                Ok(length) => format!("${}", String::from_utf8_lossy(&self.bytes(length))),
                Err(_) => "nil".to_owned(),
            },
            "*" if rest == "-1" => "nil".to_owned(),
            "*" => format!("[{}]", self.replies(rest, 1)),
            "~" => format!("~[{}]", self.replies(rest, 1)),
            ">" => format!(">[{}]", self.replies(rest, 1)),
            "%" => format!("{{{}}}", self.replies(rest, 2)),
            "_" => "nil".to_owned(),
            _ => line,
        }
    }

    /// Whether the other side has closed the connection, once everything that it wrote was read.
    pub fn is_closed(&mut self) -> bool {
        self.at == self.read.len()
            && match self.stream.read(&mut [0]) {
                Ok(count) => count == 0,
                // It may be cut off with requests that nobody read.
                Err(error) => error.kind() == ErrorKind::ConnectionReset,
            }
    }

    fn replies(&mut self, count: &str, each: usize) -> String {
        let count: usize = count.parse().unwrap();
        (0..count * each).map(|_| self.reply()).collect::<Vec<_>>().join(" ")
    }

    fn line(&mut self) -> String {
        let mut line = Vec::new();
        loop {
            line.push(self.byte());
            if line.ends_with(b"\r\n") {
                line.truncate(line.len() - 2);
                return String::from_utf8(line).unwrap();
            }
        }
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(length + 2);
        while bytes.len() < length + 2 {
            self.fill();
            let count = (length + 2 - bytes.len()).min(self.read.len() - self.at);
            bytes.extend_from_slice(&self.read[self.at..self.at + count]);
            self.at += count;
        }
        bytes.truncate(length);
        bytes
    }

    fn byte(&mut self) -> u8 {
        self.fill();
        self.at += 1;
        self.read[self.at - 1]
    }

    /// Reads more once everything was used.
    fn fill(&mut self) {
        if self.at == self.read.len() {
            self.read.resize(64 << 10, 0);
            let count = self.stream.read(&mut self.read).unwrap();
            assert!(count > 0, "the server has closed the connection");
            self.read.truncate(count);
            self.at = 0;
        }
    }
}

/// Asks each line and compares its reply.
pub fn check(client: &mut Client, dialogue: &[(&str, &str)]) {
    for (line, expected) in dialogue {
        assert_eq!(client.ask(line), *expected, "{line}");
    }
}
