//! The short way to a server, for reads: the thread of a call uses a connection by itself.
//!
//! Owns: [`Direct`], a few lines to each server, which calls take, use and put back. Invariants:
//!
//! * **Only reads** go this way. Whatever goes wrong with one, it goes again by way of [`call`](crate::call), which knows
//!   what to make of errors, redirections and lost connections. So nothing is decided here, and no error comes
//!   from here.
//! * It takes at most a quarter of the time that a call has, so that the other way keeps its two attempts.
//! * No call waits for a line to be made: that is done in the background, and who finds none goes the other way.
//!
//! Why not the shared connection for all: its bytes go through the engine's thread, and waking that thread and being
//! woken by it takes longer than the server does. Not for TLS: a line of that needs its handshake and its state, which
//! the client crate has.

pub(crate) mod gather;
mod line;
mod resp;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kvcore::sync::Mutex;
use redis::Value;
use tokio::time::{Instant, sleep, timeout};

pub(crate) use self::line::{Line, Lost};
pub(crate) use self::resp::{Reply, pack};

use crate::address::Endpoint;
use crate::commands::Request;
use crate::engine::Engine;
use crate::link::Link;
use crate::settings::Settings;
use crate::topology::Topology;

/// Lines to one server at most. Calls beyond that share the other connection, which serves them together.
const LINES: usize = 8;

/// The largest request. It has to fit into what the system keeps of a connection: a server may write before it
/// goes on reading, and here nothing is read until all is written.
pub(crate) const REQUEST_MAX: usize = 128 << 10;

/// How long no line is made to a server after that failed.
const REST: Duration = Duration::from_secs(1);

/// Time between two looks at who serves which slots, however many calls find that it changed.
const LOOK: Duration = Duration::from_millis(100);

/// The lines to one server.
#[derive(Default)]
struct Lines {
    idle: Vec<Line>,
    /// Those that are idle, in use or being made.
    count: usize,
    /// When the next may be made.
    rested_at: Option<Instant>,
}

/// The lines of a handle.
pub(crate) struct Direct {
    link: Arc<Link>,
    /// The longest that a request takes, and the making of a line.
    patience: Duration,
    servers: Mutex<HashMap<Endpoint, Arc<Mutex<Lines>>>>,
    /// Whether somebody looks who serves which slots.
    is_looking: AtomicBool,
}

/// A line that a call has taken, or the place of one that is being made. It is closed unless it is put back.
pub(crate) struct Taken {
    lines: Arc<Mutex<Lines>>,
    line: Option<Line>,
    is_back: bool,
}

/// What an error of a server says that matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It does not serve the slot.
    Moved,
    /// Anything else.
    Other,
}

impl Refused {
    pub(crate) fn of(error: &[u8]) -> Refused {
        if error.starts_with(b"MOVED ") { Refused::Moved } else { Refused::Other }
    }
}

impl Direct {
    /// The way to the servers of a link; `None` where there is none.
    pub(crate) fn new(link: &Arc<Link>, settings: &Settings) -> Option<Arc<Direct>> {
        let direct = Direct {
            link: Arc::clone(link),
            patience: settings.timeout / 4,
            servers: Mutex::new(HashMap::new()),
            is_looking: AtomicBool::new(false),
        };
        (!settings.tls).then(|| Arc::new(direct))
    }

    /// Asks the server of a slot. `None` if the request has to go the other way.
    pub(crate) fn ask(
        self: &Arc<Self>,
        engine: &Engine,
        slot: u16,
        request: &Request,
    ) -> Option<Vec<Value>> {
        let topology = self.link.known_topology()?;
        let packed = request.packed();
        if packed.len() > REQUEST_MAX {
            return None;
        }
        let mut taken = self.take(engine, &topology, topology.master(slot)?)?;
        match exchange(taken.line()?, &packed, request.len(), self.until()) {
            Ok(answer) => {
                taken.put_back();
                match answer {
                    Ok(replies) => return Some(replies),
                    Err(Refused::Moved) => self.look_again(engine),
                    Err(Refused::Other) => {}
                }
            }
            Err(Lost) => self.lose(engine, taken),
        }
        None
    }

    /// The last picture of the servers.
    pub(crate) fn topology(&self) -> Option<Arc<Topology>> {
        self.link.known_topology()
    }

    /// When a request that begins now is given up.
    pub(crate) fn until(&self) -> Instant {
        Instant::now() + self.patience
    }

    /// A line to a server, if one is idle. Has one more made if none is and there may be.
    pub(crate) fn take(
        self: &Arc<Self>,
        engine: &Engine,
        topology: &Topology,
        server: &Endpoint,
    ) -> Option<Taken> {
        let lines = self.lines(topology, server);
        let mut locked = lines.lock();
        if let Some(line) = locked.idle.pop() {
            drop(locked);
            return Some(Taken { lines, line: Some(line), is_back: false });
        }
        if locked.count < LINES && locked.rested_at.is_none_or(|at| at <= Instant::now()) {
            locked.count += 1;
            // A place that finds no engine any more gives itself back.
            drop(locked);
            let place = Taken { lines: Arc::clone(&lines), line: None, is_back: false };
            engine.spawn(Arc::clone(self).make(server.clone(), place));
        }
        None
    }

    fn lines(&self, topology: &Topology, server: &Endpoint) -> Arc<Mutex<Lines>> {
        let mut servers = self.servers.lock();
        if let Some(lines) = servers.get(server) {
            return Arc::clone(lines);
        }
        // Who is no master any more is not asked, and lines to it would stay for ever.
        servers.retain(|known, _| topology.masters().contains(known));
        Arc::clone(servers.entry(server.clone()).or_default())
    }

    /// Makes a line for a place that was counted before.
    async fn make(self: Arc<Self>, server: Endpoint, mut place: Taken) {
        let connect = Line::connect(&server, self.link.login(), self.patience);
        match timeout(self.patience, connect).await {
            Ok(Ok(line)) => {
                place.line = Some(line);
                place.put_back();
            }
            Ok(Err(_)) | Err(_) => place.lines.lock().rested_at = Some(Instant::now() + REST),
        }
    }

    /// Closes a line that failed, and those beside it, which lead to the same server.
    pub(crate) fn lose(self: &Arc<Self>, engine: &Engine, taken: Taken) {
        let mut lines = taken.lines.lock();
        let others = std::mem::take(&mut lines.idle);
        lines.count -= others.len();
        lines.rested_at = Some(Instant::now() + REST);
        drop(lines);
        drop((taken, others));
        self.look_again(engine);
    }

    /// Has the cluster asked who serves which slots, as after a server said that it does not serve one.
    pub(crate) fn look_again(self: &Arc<Self>, engine: &Engine) {
        if self.link.is_cluster() && !self.is_looking.swap(true, Ordering::AcqRel) {
            let direct = Arc::clone(self);
            engine.spawn(async move {
                // If nobody answers, the next call that fails looks again.
                let _ = direct.link.refresh_topology().await;
                sleep(LOOK).await;
                direct.is_looking.store(false, Ordering::Release);
            });
        }
    }
}

impl Taken {
    /// The line, which is there until it is put back.
    pub(crate) fn line(&mut self) -> Option<&mut Line> {
        self.line.as_mut()
    }

    /// Leaves the line to the next call, unless something unasked came on it.
    pub(crate) fn put_back(mut self) {
        if let Some(line) = self.line.take_if(|line| line.is_clean()) {
            self.is_back = true;
            self.lines.lock().idle.push(line);
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if !self.is_back {
            self.lines.lock().count -= 1;
        }
    }
}

/// Sends a request and takes all its replies, or says what the server refused.
fn exchange(
    line: &mut Line,
    packed: &[u8],
    count: usize,
    until: Instant,
) -> Result<Result<Vec<Value>, Refused>, Lost> {
    line.send(packed, until)?;
    let mut replies = Vec::with_capacity(count);
    let mut refused = None;
    for _ in 0..count {
        match line.next()? {
            Reply::Nil => replies.push(Value::Nil),
            Reply::Bytes(bytes) => replies.push(Value::BulkString(bytes.to_vec())),
            Reply::Number(number) => replies.push(Value::Int(number)),
            Reply::Error(error) => refused = refused.or(Some(Refused::of(error))),
        }
    }
    Ok(refused.map_or(Ok(replies), Err))
}
