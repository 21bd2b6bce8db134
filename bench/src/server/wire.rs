//! A client of the Redis protocol that waits for each answer, and many requests of it as bytes.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Result, bail, ensure};

use crate::plan::{VALUE, key};

/// How long an answer may take before the run has failed.
const PATIENCE: Duration = Duration::from_secs(60);
/// Requests that are sent before their answers are read, while a server is filled.
const FILL: usize = 1000;

/// A connection.
pub struct Client {
    stream: BufReader<TcpStream>,
    request: Vec<u8>,
    line: Vec<u8>,
    bulk: Vec<u8>,
}

/// Adds a request to others.
pub fn request(to: &mut Vec<u8>, words: &[&[u8]]) {
    to.extend(format!("*{}\r\n", words.len()).as_bytes());
    for word in words {
        to.extend(format!("${}\r\n", word.len()).as_bytes());
        to.extend(*word);
        to.extend(b"\r\n");
    }
}

impl Client {
    /// Connects.
    pub fn connect(address: SocketAddr) -> Result<Client> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let (request, line, bulk) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Client { stream: BufReader::new(stream), request, line, bulk })
    }

    /// Sends a request and reads its answer: whether it is anything but null.
    pub fn ask(&mut self, words: &[&[u8]]) -> Result<bool> {
        self.request.clear();
        request(&mut self.request, words);
        self.stream.get_mut().write_all(&self.request)?;
        self.answer()
    }

    /// Sets keys 0 to `entries`, with a deadline that is far away if `expires`.
    pub fn fill(&mut self, entries: usize, expires: bool) -> Result<()> {
        let numbers: Vec<usize> = (0..entries).collect();
        for numbers in numbers.chunks(FILL) {
            let mut requests = Vec::new();
            for number in numbers {
                let set: &[&[u8]] = &[b"SET", &key(*number), &VALUE, b"EX", b"100000"];
                request(&mut requests, if expires { set } else { &set[..3] });
            }
            self.stream.get_mut().write_all(&requests)?;
            for _ in numbers {
                ensure!(self.answer()?, "a key was not set");
            }
        }
        Ok(())
    }

    fn answer(&mut self) -> Result<bool> {
        self.line.clear();
        ensure!(self.stream.read_until(b'\n', &mut self.line)? > 0, "the server hung up");
        match self.line.first() {
            Some(b'+' | b':') => Ok(true),
            Some(b'$') if self.line.starts_with(b"$-1") => Ok(false),
            Some(b'$') => {
                let length: usize = std::str::from_utf8(&self.line[1..])?.trim().parse()?;
                self.bulk.resize(length + 2, 0);
                self.stream.read_exact(&mut self.bulk)?;
                Ok(true)
            }
            _ => bail!("the server answered {}", String::from_utf8_lossy(&self.line)),
        }
    }
}
