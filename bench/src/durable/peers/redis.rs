//! `redis-server` with an append-only file, a process of its own, asked through a Unix socket; a
//! connection for each thread.
//!
//! A set is a request and its answer, as it is for a program that needs the answer. What Redis offers
//! beside, such as sending many requests before the first answer, is used to fill it only.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::{Mode, Peer, Writer};
use crate::durable::content::value;
use crate::plan::Key;

/// How long a server may take to load what it has.
const PATIENCE: Duration = Duration::from_secs(300);
/// Requests that are sent before their answers are read, while a store is filled.
const FILL: usize = 500;

/// A running server.
pub(super) struct Redis {
    server: Child,
    socket: PathBuf,
}

/// A connection.
struct Connection {
    stream: BufReader<UnixStream>,
    request: Vec<u8>,
    line: Vec<u8>,
}

impl Redis {
    pub(super) fn start(dir: &Path) -> Result<Redis> {
        let socket = dir.join("redis.sock");
        let mut command = Command::new("redis-server");
        command.args(["--port", "0", "--save", "", "--appendonly", "yes", "--daemonize", "no"]);
        command.arg("--unixsocket").arg(&socket).arg("--dir").arg(dir);
        let server = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let server = server.context("the program redis-server is not installed")?;
        let redis = Redis { server, socket };
        let began = Instant::now();
        loop {
            // While it loads what it has, it answers with an error.
            let ready = redis.connect().and_then(|mut connection| connection.ask(&[b"PING"]));
            match ready {
                Ok(_) => return Ok(redis),
                Err(error) if began.elapsed() > PATIENCE => return Err(error),
                Err(_) => std::thread::sleep(Duration::from_millis(2)),
            }
        }
    }

    fn connect(&self) -> Result<Connection> {
        let stream = UnixStream::connect(&self.socket)?;
        Ok(Connection { stream: BufReader::new(stream), request: Vec::new(), line: Vec::new() })
    }
}

impl Connection {
    fn add(&mut self, words: &[&[u8]]) {
        // Writing to a vector cannot fail.
        let _ = write!(self.request, "*{}\r\n", words.len());
        for word in words {
            let _ = write!(self.request, "${}\r\n", word.len());
            self.request.extend_from_slice(word);
            self.request.extend_from_slice(b"\r\n");
        }
    }

    fn send(&mut self) -> Result<()> {
        self.stream.get_mut().write_all(&self.request)?;
        self.request.clear();
        Ok(())
    }

    /// Reads an answer. `false` if it is that there is nothing.
    fn answer(&mut self) -> Result<bool> {
        self.line()?;
        match self.line.first() {
            Some(b'+' | b':') => Ok(true),
            Some(b'$') if self.line.starts_with(b"$-1") => Ok(false),
            Some(b'$') => self.line().map(|()| true),
            Some(b'*') => bail!("Redis sent a list"),
            _ => bail!("Redis: {}", String::from_utf8_lossy(&self.line)),
        }
    }

    fn line(&mut self) -> Result<()> {
        self.line.clear();
        ensure!(self.stream.read_until(b'\n', &mut self.line)? > 0, "Redis hung up");
        Ok(())
    }

    fn ask(&mut self, words: &[&[u8]]) -> Result<bool> {
        self.add(words);
        self.send()?;
        self.answer()
    }
}

impl Peer for Redis {
    fn set_mode(&mut self, mode: Mode) -> Result<()> {
        let policy: &[u8] = match mode {
            Mode::Always => b"always",
            Mode::Interval => b"everysec",
            Mode::Never => b"no",
        };
        self.connect()?.ask(&[b"CONFIG", b"SET", b"appendfsync", policy])?;
        Ok(())
    }

    fn writer(&self) -> Result<Box<dyn Writer + '_>> {
        Ok(Box::new(self.connect()?))
    }

    fn fill(&self, keys: &[Key]) -> Result<()> {
        let mut connection = self.connect()?;
        for keys in keys.chunks(FILL) {
            keys.iter().for_each(|key| connection.add(&[b"SET", key, value(key)]));
            connection.send()?;
            for _ in keys {
                connection.answer()?;
            }
        }
        Ok(())
    }
}

impl Writer for Connection {
    fn set(&mut self, key: &Key, value: &[u8]) -> Result<()> {
        ensure!(self.ask(&[b"SET", key, value])?, "Redis set nothing");
        Ok(())
    }

    fn get(&mut self, key: &Key) -> Result<bool> {
        self.ask(&[b"GET", key])
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // It has what was set in its file; what the disk has not been given yet, the system has.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
