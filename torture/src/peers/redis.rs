//! Redis with its append-only file and `appendfsync always`, spoken to over its socket.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::{Opened, Peer, State};

/// How long it may take to load a small file.
const PATIENCE: Duration = Duration::from_secs(20);

/// Redis.
pub struct Redis;

impl Peer for Redis {
    fn name(&self) -> &'static str {
        "Redis 7, AOF, appendfsync always"
    }

    fn word(&self) -> &'static str {
        "redis"
    }

    fn open(&self, dir: &Path) -> Result<Box<dyn Opened>> {
        std::fs::create_dir_all(dir)?;
        let socket = dir.join("sock");
        let server = Command::new("redis-server")
            .args(["--port", "0", "--appendonly", "yes", "--appendfsync", "always", "--save", ""])
            .arg("--dir")
            .arg(dir)
            .arg("--unixsocket")
            .arg(&socket)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start redis-server: install Debian's package of that name")?;
        let mut open = Open { server, stream: None };
        open.connect(&socket)?;
        Ok(Box::new(open))
    }

    fn own_path(&self, _: &Path) -> PathBuf {
        // It changes into its directory.
        PathBuf::from("appendonlydir")
    }
}

struct Open {
    server: Child,
    stream: Option<BufReader<UnixStream>>,
}

/// What the server answers.
enum Reply {
    Text(Vec<u8>),
    Nothing,
    List(Vec<Reply>),
}

impl Open {
    /// Waits until everything is loaded.
    fn connect(&mut self, socket: &Path) -> Result<()> {
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            if let Some(status) = self.server.try_wait()? {
                bail!("the server ended with {status}");
            }
            if let Ok(stream) = UnixStream::connect(socket) {
                self.stream = Some(BufReader::new(stream));
                if self.ask(&[b"PING"]).is_ok() {
                    return Ok(());
                }
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        bail!("the server does not answer")
    }

    fn ask(&mut self, words: &[&[u8]]) -> Result<Reply> {
        let stream = self.stream.as_mut().context("there is no connection")?;
        let mut request = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            request.extend(format!("${}\r\n", word.len()).into_bytes());
            request.extend(*word);
            request.extend(b"\r\n");
        }
        stream.get_mut().write_all(&request)?;
        read_reply(stream)
    }
}

fn read_reply(stream: &mut BufReader<UnixStream>) -> Result<Reply> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let line = line.trim_end();
    let rest = line.get(1..).context("the server went away")?;
    match line.as_bytes()[0] {
        b'+' | b':' => Ok(Reply::Text(rest.as_bytes().to_vec())),
        b'$' if rest == "-1" => Ok(Reply::Nothing),
        b'$' => {
            let mut bytes = vec![0; rest.parse::<usize>()? + 2];
            stream.read_exact(&mut bytes)?;
            bytes.truncate(bytes.len() - 2);
            Ok(Reply::Text(bytes))
        }
        b'*' => {
            let count: usize = rest.parse()?;
            Ok(Reply::List((0..count).map(|_| read_reply(stream)).collect::<Result<_>>()?))
        }
        _ => bail!("the server says {line}"),
    }
}

impl Opened for Open {
    fn change(&mut self, key: &str, value: Option<&[u8]>) -> Result<()> {
        match value {
            Some(value) => self.ask(&[b"SET", key.as_bytes(), value])?,
            None => self.ask(&[b"DEL", key.as_bytes()])?,
        };
        Ok(())
    }

    fn read_all(&mut self) -> Result<State> {
        let Reply::List(keys) = self.ask(&[b"KEYS", b"*"])? else { bail!("KEYS gave no list") };
        let mut state = State::new();
        for key in keys {
            let Reply::Text(key) = key else { bail!("a key is none") };
            if let Reply::Text(value) = self.ask(&[b"GET", &key])? {
                state.insert(key, value);
            }
        }
        Ok(state)
    }

    fn abandon(&mut self) {
        // It may be gone already.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.abandon();
    }
}
