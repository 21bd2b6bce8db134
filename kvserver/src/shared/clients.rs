//! Who is connected, and how others reach them.
//!
//! Owns: [`ClientHandle`], the part of a client that other threads see, with its mailbox, and [`Clients`], the
//! list of all. Invariants: a client's replies are written by its own task alone; what others have for it
//! (messages, invalidations, the order to go) waits in its mailbox, which is bounded; whoever puts something
//! there never waits for the client; what a client makes us keep, mail included, is in the sum of all.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::task::Waker;

use parking_lot::{Mutex, RwLock};

use super::tracking::TrackingMode;
use crate::resp::{Protocol, Replies};

/// Why a client is to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// At once.
    Now,
    /// Once it has its replies.
    AfterReplies,
}

/// What waits for a client.
#[derive(Debug, Default)]
struct Mail {
    messages: Replies,
    end: Option<End>,
    waker: Option<Waker>,
}

/// What people know a client by.
#[derive(Debug, Clone, Default)]
pub struct About {
    /// The name it gave itself.
    pub name: String,
    /// The library it uses.
    pub library: String,
    /// The version of that.
    pub library_version: String,
    /// The user it authenticated as.
    pub user: String,
}

/// Bits of [`ClientHandle::flags`].
pub mod flag {
    /// Sees what all others do.
    pub const MONITOR: u32 = 1;
    /// Is inside `MULTI`.
    pub const MULTI: u32 = 1 << 1;
    /// Is subscribed to something.
    pub const PUBSUB: u32 = 1 << 2;
    /// Keeps a cache that it wants to be told of.
    pub const TRACKING: u32 = 1 << 4;
    /// What it asked to be told through is gone.
    pub const BROKEN_REDIRECT: u32 = 1 << 5;
    /// Is told of prefixes.
    pub const BROADCAST: u32 = 1 << 6;
    /// Is not to be disconnected for the memory of its buffers.
    pub const NO_EVICT: u32 = 1 << 7;
    /// Its reads are no use of keys that evicting would look at.
    pub const NO_TOUCH: u32 = 1 << 8;
    /// Has said who it is, or need not.
    pub const AUTHENTICATED: u32 = 1 << 10;
}

/// A client as others see it.
#[derive(Debug)]
pub struct ClientHandle {
    /// Its number, never used again.
    pub id: u64,
    /// Where it is.
    pub address: SocketAddr,
    /// Where it reached us.
    pub local: SocketAddr,
    /// The number of its descriptor.
    pub fd: i32,
    /// When it came, in Unix milliseconds.
    pub created_ms: i64,
    /// When it last sent something, in Unix milliseconds.
    pub active_ms: AtomicI64,
    /// Bits of [`flag`].
    pub flags: AtomicU32,
    /// The number of its last command in the table.
    pub last_command: AtomicUsize,
    /// The version of the protocol it speaks.
    pub protocol: AtomicU32,
    /// Channels, patterns and shard channels it is subscribed to.
    pub subscriptions: [AtomicUsize; 3],
    /// Commands queued since `MULTI`, -1 outside of it.
    pub queued: AtomicI64,
    /// Keys it watches.
    pub watching: AtomicUsize,
    /// Bytes of requests that wait.
    pub query_bytes: AtomicUsize,
    /// Bytes of replies that wait.
    pub reply_bytes: AtomicUsize,
    /// Bytes of memory of everything together but its mail.
    memory_bytes: AtomicUsize,
    /// Bytes of its mail.
    mail_bytes: AtomicUsize,
    /// Bytes that it still kept when it was told to go because all together took too much.
    shed_bytes: AtomicUsize,
    /// What all clients make us keep.
    all: Arc<Kept>,
    about: Mutex<About>,
    tracking: Mutex<TrackingMode>,
    has_mail: AtomicBool,
    mail: Mutex<Mail>,
}

impl ClientHandle {
    /// A client that has just connected, to be one of these.
    pub fn new(
        clients: &Clients,
        address: SocketAddr,
        local: SocketAddr,
        fd: i32,
        now_ms: i64,
    ) -> ClientHandle {
        ClientHandle {
            id: clients.next_id(),
            address,
            local,
            fd,
            created_ms: now_ms,
            active_ms: AtomicI64::new(now_ms),
            flags: AtomicU32::new(0),
            last_command: AtomicUsize::new(usize::MAX),
            protocol: AtomicU32::new(2),
            subscriptions: Default::default(),
            queued: AtomicI64::new(-1),
            watching: AtomicUsize::new(0),
            query_bytes: AtomicUsize::new(0),
            reply_bytes: AtomicUsize::new(0),
            memory_bytes: AtomicUsize::new(0),
            mail_bytes: AtomicUsize::new(0),
            shed_bytes: AtomicUsize::new(0),
            all: Arc::clone(&clients.kept),
            about: Mutex::default(),
            tracking: Mutex::default(),
            has_mail: AtomicBool::new(false),
            mail: Mutex::default(),
        }
    }

    /// Whether a bit of [`flag`] is set.
    pub fn has(&self, bits: u32) -> bool {
        self.flags.load(Ordering::Relaxed) & bits != 0
    }

    /// Sets or clears bits of [`flag`].
    pub fn mark(&self, bits: u32, on: bool) {
        if on {
            self.flags.fetch_or(bits, Ordering::Relaxed);
        } else {
            self.flags.fetch_and(!bits, Ordering::Relaxed);
        }
    }

    /// What people know it by.
    pub fn about(&self) -> About {
        self.about.lock().clone()
    }

    /// Changes what people know it by.
    pub fn describe(&self, change: impl FnOnce(&mut About)) {
        change(&mut self.about.lock());
    }

    /// How it wants to be told of keys that changed.
    pub fn tracking(&self) -> TrackingMode {
        self.tracking.lock().clone()
    }

    /// Changes how it wants to be told of keys that changed.
    pub fn set_tracking(&self, mode: TrackingMode) {
        *self.tracking.lock() = mode;
    }

    /// In which version messages are written from now on.
    pub fn set_protocol(&self, protocol: Protocol) {
        let number = if protocol == Protocol::Three { 3 } else { 2 };
        self.protocol.store(number, Ordering::Relaxed);
        self.mail.lock().messages.set_protocol(protocol);
    }

    /// Whether it speaks the third version of the protocol.
    pub fn speaks_resp3(&self) -> bool {
        self.protocol.load(Ordering::Relaxed) == 3
    }

    /// Whether it is subscribed to anything.
    pub fn is_subscribed(&self) -> bool {
        self.subscriptions.iter().any(|count| count.load(Ordering::Relaxed) > 0)
    }

    /// Bytes of memory that it makes us keep.
    pub fn memory_bytes(&self) -> usize {
        self.memory_bytes.load(Ordering::Relaxed) + self.mail_bytes.load(Ordering::Relaxed)
    }

    /// Notes in one of the two counts how much is kept now.
    fn note(&self, count: &AtomicUsize, bytes: usize) {
        let before = count.swap(bytes, Ordering::Relaxed);
        self.all.change(before, bytes);
    }

    /// Puts a message into the mailbox. If more than `bytes_max` wait there then, the client is too slow,
    /// and goes.
    pub fn post(&self, bytes_max: usize, write: impl FnOnce(&mut Replies)) {
        let mut mail = self.mail.lock();
        if mail.end == Some(End::Now) {
            return;
        }
        write(&mut mail.messages);
        if mail.messages.len() > bytes_max {
            mail.messages.clear();
            mail.end = Some(End::Now);
        }
        self.note(&self.mail_bytes, mail.messages.capacity());
        self.wake(mail);
    }

    /// Tells the client to go. Answers whether nobody had told it to go at once before.
    pub fn end(&self, end: End) -> bool {
        let mut mail = self.mail.lock();
        let is_new = mail.end != Some(End::Now);
        if is_new {
            mail.end = Some(end);
        }
        if end == End::Now {
            mail.messages.clear();
            self.note(&self.mail_bytes, 0);
        }
        self.wake(mail);
        is_new
    }

    fn wake(&self, mut mail: parking_lot::MutexGuard<'_, Mail>) {
        self.has_mail.store(true, Ordering::Release);
        let waker = mail.waker.take();
        drop(mail);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Whether something waits in the mailbox.
    #[inline]
    pub fn has_mail(&self) -> bool {
        self.has_mail.load(Ordering::Acquire)
    }

    /// Whether the client was told to go.
    pub fn is_ended(&self) -> bool {
        self.mail.lock().end.is_some()
    }

    /// Whether the client was told to go at once.
    fn is_going(&self) -> bool {
        self.mail.lock().end == Some(End::Now)
    }

    /// Moves what waits in the mailbox behind the replies. Answers whether the client is to go. For its own
    /// task.
    pub fn take_mail(&self, replies: &mut Replies) -> Option<End> {
        let mut mail = self.mail.lock();
        self.has_mail.store(false, Ordering::Release);
        if !mail.messages.is_empty() {
            replies.raw(mail.messages.as_bytes());
            mail.messages.clear();
            self.note(&self.mail_bytes, 0);
        }
        mail.end
    }

    /// Moves the messages alone behind the replies; an order to go stays where it is. For its own task.
    pub fn take_messages(&self, replies: &mut Replies) {
        if !self.has_mail() {
            return;
        }
        let mut mail = self.mail.lock();
        self.has_mail.store(mail.end.is_some(), Ordering::Release);
        replies.raw(mail.messages.as_bytes());
        mail.messages.clear();
        self.note(&self.mail_bytes, 0);
    }

    /// Who is to be woken when something comes.
    pub fn wait_for_mail(&self, waker: &Waker) {
        let mut mail = self.mail.lock();
        if !mail.waker.as_ref().is_some_and(|old| old.will_wake(waker)) {
            mail.waker = Some(waker.clone());
        }
    }
}

/// What all clients together make us keep.
#[derive(Debug, Default)]
struct Kept {
    bytes: AtomicUsize,
    /// The most that it ever was.
    peak_bytes: AtomicUsize,
    /// What of it those hold who were told to go for it, and have not gone yet.
    going_bytes: AtomicUsize,
}

impl Kept {
    /// One part of it was so many bytes, and is now so many.
    fn change(&self, before: usize, now: usize) {
        if now <= before {
            self.bytes.fetch_sub(before - now, Ordering::Relaxed);
            return;
        }
        let grown = now - before;
        let bytes = self.bytes.fetch_add(grown, Ordering::Relaxed) + grown;
        if bytes > self.peak_bytes.load(Ordering::Relaxed) {
            self.peak_bytes.fetch_max(bytes, Ordering::Relaxed);
        }
    }
}

/// Bytes of the last replies of a client that is not among the others any more.
#[derive(Debug)]
pub struct Lingering {
    all: Arc<Kept>,
    bytes: usize,
}

impl Drop for Lingering {
    fn drop(&mut self) {
        self.all.change(self.bytes, 0);
    }
}

/// What clients may take together before those who take most have to go. The rest of the limit is for what grows
/// until they have gone, one step of each thread, and for what the allocator keeps beside it.
fn crowd_bytes(bytes_max: usize) -> usize {
    match bytes_max {
        0 => usize::MAX,
        _ => bytes_max - bytes_max / 4,
    }
}

/// All clients.
#[derive(Debug, Default)]
pub struct Clients {
    by_id: RwLock<BTreeMap<u64, Arc<ClientHandle>>>,
    next_id: AtomicU64,
    /// How many there are, with those that are about to be refused.
    count: AtomicUsize,
    /// What all of them make us keep.
    kept: Arc<Kept>,
    /// Held by who decides who has to go, so that two threads do not each throw out enough.
    shedding: Mutex<()>,
}

impl Clients {
    /// The number of the next client.
    fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Takes a place. `None` if there are `most` already.
    pub fn enter(&self, most: usize) -> Option<()> {
        let before = self.count.fetch_add(1, Ordering::Relaxed);
        if before >= most {
            self.count.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        Some(())
    }

    /// Gives a place back that no client took.
    pub fn leave(&self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }

    /// Enters a client that has a place.
    pub fn add(&self, client: Arc<ClientHandle>) {
        self.by_id.write().insert(client.id, client);
    }

    /// Takes a client out.
    pub fn remove(&self, client: &ClientHandle) {
        if self.by_id.write().remove(&client.id).is_some() {
            self.count.fetch_sub(1, Ordering::Relaxed);
            // Who still has it in hand may not put anything there any more.
            client.end(End::Now);
            client.note(&client.memory_bytes, 0);
            let going = client.shed_bytes.swap(0, Ordering::Relaxed);
            self.kept.going_bytes.fetch_sub(going, Ordering::Relaxed);
        }
    }

    /// The client with this number.
    pub fn get(&self, id: u64) -> Option<Arc<ClientHandle>> {
        self.by_id.read().get(&id).cloned()
    }

    /// All of them, in the order in which they came.
    pub fn all(&self) -> Vec<Arc<ClientHandle>> {
        self.by_id.read().values().cloned().collect()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes that all of them make us keep.
    pub fn memory_bytes(&self) -> usize {
        self.kept.bytes.load(Ordering::Relaxed)
    }

    /// The most bytes that all of them ever made us keep at a time.
    pub fn memory_bytes_peak(&self) -> usize {
        self.kept.peak_bytes.load(Ordering::Relaxed)
    }

    /// Notes what a client makes us keep beside its mail.
    pub fn account(&self, client: &ClientHandle, bytes: usize) {
        if client.memory_bytes.load(Ordering::Relaxed) != bytes {
            client.note(&client.memory_bytes, bytes);
        }
    }

    /// Goes on counting the replies of a client that was taken out, until what this answers is dropped.
    pub fn linger(&self, bytes: usize) -> Lingering {
        self.kept.change(0, bytes);
        Lingering { all: Arc::clone(&self.kept), bytes }
    }

    /// Whether all together make us keep more than half of what they may, so that a client should get no more than it
    /// takes. `bytes_max` 0 is no limit.
    #[inline]
    pub fn are_tight(&self, bytes_max: usize) -> bool {
        bytes_max > 0 && self.memory_bytes() > bytes_max / 2
    }

    /// Whether all together make us keep so much that those who take most have to go. `bytes_max` 0 is no limit.
    #[inline]
    pub fn are_crowded(&self, bytes_max: usize) -> bool {
        self.memory_bytes() > crowd_bytes(bytes_max)
    }

    /// Whether, at that, some were told to go and have not gone yet.
    #[inline]
    pub fn are_leaving(&self, bytes_max: usize) -> bool {
        self.are_crowded(bytes_max) && self.kept.going_bytes.load(Ordering::Relaxed) > 0
    }

    /// If all together make us keep nearly `bytes_max`, those who take most are told to go, as many as it takes.
    /// Answers how many were. 0 is no limit.
    pub fn shed(&self, bytes_max: usize) -> u64 {
        let most = crowd_bytes(bytes_max);
        // What those hold who were told before is as good as free.
        let going = self.kept.going_bytes.load(Ordering::Relaxed);
        if self.memory_bytes().saturating_sub(going) <= most {
            return 0;
        }
        let Some(_shedding) = self.shedding.try_lock() else { return 0 };
        let all = self.by_id.read();
        let (going, mut others): (Vec<_>, Vec<_>) =
            all.values().partition(|client| client.is_going());
        let going = going.iter().map(|client| client.memory_bytes()).sum();
        let mut left = self.memory_bytes().saturating_sub(going);
        others.retain(|client| !client.has(flag::NO_EVICT));
        others.sort_by_cached_key(|client| Reverse(client.memory_bytes()));
        let mut told = 0;
        for client in others {
            if left <= most {
                break;
            }
            left = left.saturating_sub(client.memory_bytes());
            if client.end(End::Now) {
                // It cannot be taken out before the lock of the list is free.
                let bytes = client.memory_bytes();
                client.shed_bytes.store(bytes, Ordering::Relaxed);
                self.kept.going_bytes.fetch_add(bytes, Ordering::Relaxed);
                told += 1;
            }
        }
        told
    }
}
