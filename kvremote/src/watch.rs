//! Watches: the keyspace events of every master, in one queue.
//!
//! Owns: [`RemoteWatch`]. Servers tell events only to connections of their own and keep none, so there is a
//! subscription to each master, and whatever happens while one of them is down is lost: the watch says so with
//! [`Watched::Lagged`] once it is subscribed again. Events tell the key and what happened, neither value nor
//! revision. Invariant: nothing is missed in silence, be it that a connection was lost, that masters changed, or
//! that the watch was read too slowly. The descriptor, if there is one, is readable exactly while something waits to
//! be read, be it that the watch or its store has ended.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::future::try_join_all;
use kvcore::sync::{Condvar, Mutex, MutexGuard, Signal};
use kvcore::{Error, Event, EventKind, Result, Status, WatchOptions, Watched};
use redis::aio::MultiplexedConnection;
use redis::{PushInfo, PushKind, Value};
use tokio::sync::{Notify, oneshot};
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use crate::address::Endpoint;
use crate::call::Kind;
use crate::fault::Failure;
use crate::link::Link;
use crate::near::listen::{LOOK, SILENCE};
use crate::replies;
use crate::scan::escaped;
use crate::store::{Inner, RemoteStore};

/// What channels of keyspace events begin with. There is no other database than the first.
const CHANNEL: &[u8] = b"__keyspace@0__:";

/// Time before a subscription is made again.
const PAUSE: Duration = Duration::from_millis(50);

/// The changes of a remote store, one after the other. Those of one key come in their order.
///
/// It belongs to one thread at a time; [`RemoteWatchCancel`] ends it from any other.
pub struct RemoteWatch {
    inner: Arc<Inner>,
    shared: Arc<Shared>,
}

/// Ends a [`RemoteWatch`] from any thread.
#[derive(Clone)]
pub struct RemoteWatchCancel {
    shared: Weak<Shared>,
    inner: Weak<Inner>,
}

/// What a watch has of its subscriptions.
struct Shared {
    options: WatchOptions,
    prefix: Vec<u8>,
    longest: usize,
    queue: Mutex<Queue>,
    more: Condvar,
    /// The same for tasks.
    changed: Notify,
}

#[derive(Default)]
struct Queue {
    told: VecDeque<Told>,
    is_cancelled: bool,
    /// Whether the store was closed.
    is_closed: bool,
    signal: Option<Signal>,
}

impl Queue {
    /// What comes next.
    fn pop(&mut self) -> Option<Told> {
        let told = self.told.pop_front();
        if self.is_quiet() {
            self.signal.iter().for_each(Signal::clear);
        }
        told
    }

    /// Whether who reads has to wait.
    fn is_quiet(&self) -> bool {
        self.told.is_empty() && !self.is_cancelled && !self.is_closed
    }
}

/// What waits to be read.
enum Told {
    Event(Event),
    /// So many events are missing here; 0 if nobody knows.
    Lagged(u64),
}

impl RemoteStore {
    /// Watches changes from now on.
    ///
    /// # Errors
    /// `Unsupported` to begin at a revision, and if a server does not tell events of the kinds asked for;
    /// `Unavailable` if not every master answers; `Invalid` if the user may not subscribe; `TooLarge` for a key over
    /// its limit.
    pub fn watch(&self, options: &WatchOptions) -> Result<RemoteWatch> {
        let inner = &self.inner;
        inner.key(options.key_or_prefix())?;
        if options.revision() != 0 {
            return Err(Error::new(
                Status::Unsupported,
                "a server keeps no past changes: watch from now on",
            ));
        }
        let topology = inner.topology()?;
        for server in topology.masters() {
            inner.check_events(server, options)?;
        }
        let shared = Arc::new(Shared {
            options: options.clone(),
            prefix: inner.settings.prefix.clone(),
            longest: inner.settings.watch_buffer,
            queue: Mutex::default(),
            more: Condvar::new(),
            changed: Notify::new(),
        });
        let (ready, subscribed) = oneshot::channel();
        inner.spawn(run(Arc::downgrade(inner), Arc::downgrade(&shared), ready));
        let answer = inner.wait(async { timeout(inner.settings.timeout, subscribed).await });
        match answer {
            Ok(Ok(Ok(()))) => Ok(RemoteWatch { inner: Arc::clone(inner), shared }),
            Ok(Ok(Err(refused))) => Err(refused),
            _ => Err(Error::new(
                Status::Unavailable,
                "not every server took the subscription in time: retry later",
            )),
        }
    }
}

impl Inner {
    /// Refuses to watch a server that does not tell what is asked for. One that does not say what it tells is
    /// believed.
    fn check_events(&self, server: &Endpoint, options: &WatchOptions) -> Result<()> {
        let mut ask = redis::cmd("CONFIG");
        ask.arg("GET").arg("notify-keyspace-events");
        let reply = self.call_node(server, &[ask], Kind::Read)?.into_iter().next();
        let flags = match reply {
            Some(Value::Map(pairs)) => pairs.into_iter().next().map(|(_, flags)| flags),
            Some(Value::Array(pair)) => pair.into_iter().nth(1),
            _ => None,
        };
        let Some(flags) = flags.and_then(|flags| replies::text(flags).ok()) else { return Ok(()) };
        let is_on = |class: char| flags.contains(class) || flags.contains('A');
        let needed = [
            (EventKind::Set, '$'),
            (EventKind::Deleted, 'g'),
            (EventKind::Touched, 'g'),
            (EventKind::Expired, 'x'),
            (EventKind::Evicted, 'e'),
        ];
        let missing = needed.iter().any(|(kind, class)| options.wants(*kind) && !is_on(*class));
        if flags.contains('K') && !missing {
            return Ok(());
        }
        Err(Error::new(
            Status::Unsupported,
            format!(
                "the server {server} does not tell these events, its notify-keyspace-events is '{flags}': \
                 set it to KA on every server of the cluster"
            ),
        ))
    }
}

impl RemoteWatch {
    /// The next change, waiting for it if there is none. `None` waits for ever. Revisions are 0; how many events
    /// were missed is 0 where nobody knows.
    ///
    /// # Errors
    /// `Closed` once the store is closed, `Forked`.
    pub fn next(&mut self, wait: Option<Duration>) -> Result<Watched> {
        /// How often a watch that waits looks whether the store was closed.
        const LOOK_UP: Duration = Duration::from_millis(200);
        let mut left = wait;
        loop {
            self.inner.check()?;
            let mut queue = self.shared.queue.lock();
            if queue.is_cancelled {
                return Ok(Watched::Cancelled);
            }
            match queue.pop() {
                Some(Told::Event(event)) => return Ok(Watched::Event(event)),
                Some(Told::Lagged(missed)) => {
                    return Ok(Watched::Lagged { revision: 0, missed });
                }
                None => {}
            }
            if left == Some(Duration::ZERO) {
                return Ok(Watched::TimedOut);
            }
            let pause = left.map_or(LOOK_UP, |left| left.min(LOOK_UP));
            if self.shared.more.wait_for(&mut queue, pause) {
                left = left.map(|left| left - pause);
            }
        }
    }

    /// The next change, if there is one.
    ///
    /// # Errors
    /// As [`next`](RemoteWatch::next).
    pub fn try_next(&mut self) -> Result<Watched> {
        self.next(Some(Duration::ZERO))
    }

    /// Waits until [`try_next`](RemoteWatch::try_next) may have something new to answer, for a task that must not
    /// hold its thread up. Works in any runtime, and may be dropped at any time.
    pub async fn changed(&self) {
        self.shared.changed.notified().await;
    }

    /// A descriptor for `poll` and `epoll`: readable while [`next`](RemoteWatch::next) has something to give, level
    /// triggered, never to be read or closed by the caller. It is made by the first call and goes with the watch.
    /// `None` if the system has none to give, and in a process that was forked off.
    pub fn fd(&mut self) -> Option<i32> {
        if self.inner.is_forked() {
            return None;
        }
        let mut queue = self.shared.queue.lock();
        if queue.signal.is_none() {
            let signal = Signal::new().ok()?;
            if !queue.is_quiet() {
                signal.set();
            }
            queue.signal = Some(signal);
        }
        queue.signal.as_ref().map(Signal::fd)
    }

    /// A handle that ends this watch from any thread.
    pub fn canceller(&self) -> RemoteWatchCancel {
        RemoteWatchCancel {
            shared: Arc::downgrade(&self.shared),
            inner: Arc::downgrade(&self.inner),
        }
    }

    /// Stops all calls of the store, after a binding has caught a panic.
    #[doc(hidden)]
    pub fn poison(&self, message: &str) {
        self.inner.poison(message);
    }
}

impl Drop for RemoteWatch {
    fn drop(&mut self) {
        if self.inner.is_forked() {
            // The engine's thread may have been changing it.
            std::mem::forget(Arc::clone(&self.shared));
        }
    }
}

impl RemoteWatchCancel {
    /// Ends the watch: whoever waits for it is woken.
    pub fn cancel(&self) {
        // A lock may have been held at the moment of the fork by a thread that is not here.
        if self.inner.upgrade().is_none_or(|inner| inner.is_forked()) {
            return;
        }
        if let Some(shared) = self.shared.upgrade() {
            let mut queue = shared.queue.lock();
            queue.is_cancelled = true;
            shared.wake(queue);
        }
    }

    /// Whether the watch was inherited through a `fork`, so that nothing of it may be touched.
    pub fn is_forked(&self) -> bool {
        self.inner.upgrade().is_some_and(|inner| inner.is_forked())
    }
}

impl std::fmt::Debug for RemoteWatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RemoteWatch").field("options", &self.shared.options).finish_non_exhaustive()
    }
}

impl Shared {
    fn event(&self, event: Event) {
        let mut queue = self.queue.lock();
        // A watch that has to say that it lags keeps nothing after that until it is read.
        let is_full = queue.told.len() >= self.longest;
        match queue.told.back_mut() {
            Some(Told::Lagged(missed)) if *missed > 0 => *missed += 1,
            _ if is_full => queue.told.push_back(Told::Lagged(1)),
            _ => queue.told.push_back(Told::Event(event)),
        }
        self.wake(queue);
    }

    /// Says that the store was closed.
    fn close(&self) {
        let mut queue = self.queue.lock();
        queue.is_closed = true;
        self.wake(queue);
    }

    /// Tells who waits to look again. One task at most does, since a watch belongs to one thread at a time.
    fn wake(&self, queue: MutexGuard<'_, Queue>) {
        queue.signal.iter().for_each(Signal::set);
        drop(queue);
        self.more.notify_all();
        self.changed.notify_one();
    }

    /// Events may be missing.
    fn lagged(&self) {
        let mut queue = self.queue.lock();
        if !matches!(queue.told.back(), Some(Told::Lagged(_))) {
            queue.told.push_back(Told::Lagged(0));
        }
        self.wake(queue);
    }

    /// What a server tells.
    fn hear(&self, push: PushInfo) {
        let Some(event) = event(&push.data, &self.prefix) else { return };
        if self.options.wants(event.kind()) && self.options.has_key(event.key()) {
            self.event(event);
        }
    }

    /// The channels of the keys that are watched.
    fn pattern(&self) -> Vec<u8> {
        let wanted = [CHANNEL, &self.prefix, self.options.key_or_prefix()].concat();
        let mut pattern = escaped(&wanted);
        if !self.options.is_exact() {
            pattern.push(b'*');
        }
        pattern
    }
}

/// Reads the message of a keyspace event: pattern, channel and what happened.
fn event(message: &[Value], prefix: &[u8]) -> Option<Event> {
    let [_, Value::BulkString(channel), Value::BulkString(what)] = message else { return None };
    let key = channel.strip_prefix(CHANNEL)?.strip_prefix(prefix)?;
    let kind = match &what[..] {
        b"del" | b"rename_from" | b"move_from" => EventKind::Deleted,
        b"expired" => EventKind::Expired,
        b"evicted" => EventKind::Evicted,
        b"expire" | b"persist" => EventKind::Touched,
        // The one kind of event that is no change.
        b"new" | b"keymiss" => return None,
        _ => EventKind::Set,
    };
    Some(Event::remote(kind, key))
}

/// Keeps a subscription at every master until the watch is gone, and says through `ready` when the first ones
/// stand, or that one was refused. Waits with nothing in hand that keeps the watch or the store.
async fn run(store: Weak<Inner>, shared: Weak<Shared>, ready: oneshot::Sender<Result<()>>) {
    let Some(link) = store.upgrade().map(|store| Arc::clone(&store.caller.link)) else { return };
    let mut subscribed: HashMap<Endpoint, AbortHandle> = HashMap::new();
    let mut ready = Some(ready);
    while shared.upgrade().is_some_and(|watch| !watch.queue.lock().is_cancelled) {
        if let Ok(topology) = link.refresh_topology().await {
            subscribed.retain(|server, task| {
                let stays = topology.masters().contains(server);
                if !stays {
                    task.abort();
                }
                stays
            });
            let mut first = Vec::new();
            for server in topology.masters() {
                if subscribed.contains_key(server) {
                    continue;
                }
                let (stands, standing) = oneshot::channel();
                // Beside the first ones, each began after something may have happened.
                let lags = ready.is_none();
                let task = subscribe(
                    Arc::clone(&link),
                    Weak::clone(&shared),
                    server.clone(),
                    stands,
                    lags,
                );
                subscribed.insert(server.clone(), tokio::spawn(task).abort_handle());
                // Without a word it ends only with the watch.
                first.push(async { standing.await.unwrap_or(Err(Status::Closed.into())) });
            }
            if let Some(mut ready) = ready.take() {
                tokio::select! {
                    stand = try_join_all(first) => {
                        // Who waited may have gone, and the watch with them.
                        let _ = ready.send(stand.map(drop));
                    }
                    () = ready.closed() => break,
                }
            }
        }
        let closed = store.upgrade().map(|store| Arc::clone(&store.closing));
        let Some(closed) = closed else { break };
        let _ = timeout(LOOK, closed.notified()).await;
        if store.upgrade().is_some_and(|store| store.is_closed()) {
            shared.upgrade().inspect(|watch| watch.close());
            break;
        }
    }
    subscribed.values().for_each(AbortHandle::abort);
}

/// Keeps the subscription to one server.
async fn subscribe(
    link: Arc<Link>,
    shared: Weak<Shared>,
    server: Endpoint,
    stands: oneshot::Sender<Result<()>>,
    lags: bool,
) {
    let (mut stands, mut lags) = (Some(stands), lags);
    while shared.strong_count() > 0 {
        // Whatever went wrong, the next attempt may go better, and says that events may be missing.
        let _ = subscribe_once(&link, &shared, &server, &mut stands, lags).await;
        lags = stands.is_none();
        sleep(PAUSE).await;
    }
}

/// Listens until the connection is lost or silent. `None` is all that it ends with. Of a first refusal that will stay
/// one it tells who waits.
async fn subscribe_once(
    link: &Link,
    shared: &Weak<Shared>,
    server: &Endpoint,
    stands: &mut Option<oneshot::Sender<Result<()>>>,
    lags: bool,
) -> Option<()> {
    let lost = Arc::new(Notify::new());
    let pushed = {
        let (shared, lost) = (Weak::clone(shared), Arc::clone(&lost));
        move |push: PushInfo| match (push.kind.clone(), shared.upgrade()) {
            (PushKind::PMessage, Some(shared)) => shared.hear(push),
            (PushKind::Disconnection, _) | (_, None) => lost.notify_one(),
            _ => {}
        }
    };
    let pattern = shared.upgrade()?.pattern();
    let subscribed = subscribed(link, server, pushed, pattern);
    let mut connection = match timeout(SILENCE, subscribed).await.ok()? {
        Ok(connection) => connection,
        Err(Failure::Final(refused))
            if matches!(refused.status(), Status::Invalid | Status::Unsupported) =>
        {
            if let Some(stands) = stands.take() {
                let _ = stands.send(Err(refused));
            }
            return None;
        }
        Err(_) => return None,
    };
    if lags {
        shared.upgrade()?.lagged();
    }
    if let Some(stands) = stands.take() {
        let _ = stands.send(Ok(()));
    }
    loop {
        tokio::select! {
            () = lost.notified() => return None,
            () = sleep(LOOK) => {}
        }
        let ping = redis::cmd("PING");
        let answer = timeout(SILENCE - LOOK, connection.send_packed_command(&ping)).await;
        answer.ok()?.ok()?;
        shared.upgrade()?;
    }
}

/// A connection that is told of the channels of a pattern.
async fn subscribed(
    link: &Link,
    server: &Endpoint,
    pushed: impl Fn(PushInfo) + Send + Sync + 'static,
    pattern: Vec<u8>,
) -> Result<MultiplexedConnection, Failure> {
    let mut connection = link.listener(server, pushed).await?;
    connection.psubscribe(pattern).await.map_err(Failure::of)?;
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(channel: &str, what: &str) -> Vec<Value> {
        ["pattern", channel, what].map(|text| Value::BulkString(text.into())).to_vec()
    }

    fn shared(longest: usize) -> Shared {
        let options = WatchOptions::prefix("user:").kinds(EventKind::Set | EventKind::Deleted);
        let (queue, more) = (Mutex::default(), Condvar::new());
        Shared { options, prefix: b"app:".to_vec(), longest, queue, more, changed: Notify::new() }
    }

    #[test]
    fn events_of_servers() {
        for (what, kind) in [
            ("set", EventKind::Set),
            ("incrby", EventKind::Set),
            ("del", EventKind::Deleted),
            ("expired", EventKind::Expired),
            ("evicted", EventKind::Evicted),
            ("expire", EventKind::Touched),
            ("persist", EventKind::Touched),
        ] {
            let event = event(&message("__keyspace@0__:app:k", what), b"app:").unwrap();
            assert_eq!((event.kind(), event.key()), (kind, &b"k"[..]));
            assert_eq!((event.value(), event.revision(), event.expire_at_ms()), (None, 0, None));
        }
        assert!(event(&message("__keyspace@0__:other", "set"), b"app:").is_none());
        assert!(event(&message("__keyspace@0__:app:k", "new"), b"app:").is_none());
    }

    #[test]
    fn the_pattern_is_of_the_keys_alone() {
        let mut watch = shared(9);
        assert_eq!(watch.pattern(), b"__keyspace@0__:app:user:*");
        watch.options = WatchOptions::key("a*");
        assert_eq!(watch.pattern(), b"__keyspace@0__:app:a\\*");
    }

    #[test]
    fn a_full_queue_says_how_many_are_missing() {
        let watch = shared(2);
        for _ in 0..5 {
            watch.event(Event::remote(EventKind::Set, b"user:1"));
        }
        watch.lagged();
        let queue = watch.queue.lock();
        assert_eq!(queue.told.len(), 3);
        assert!(matches!(queue.told.back(), Some(Told::Lagged(3))));
    }
}
