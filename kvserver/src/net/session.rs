//! What a server knows of one client, for the task that serves it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::group::Queued;
use crate::acl::User;
use crate::commands::{After, Effect, runs};
use crate::resp::{Protocol, Replies};
use crate::shared::clients::{ClientHandle, flag};
use crate::shared::pubsub::{self, Kind};
use crate::shared::{Dirty, Shared};

/// Whether a client gets replies (`CLIENT REPLY`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReplyMode {
    /// It does.
    #[default]
    On,
    /// It gets none.
    Off,
    /// Not to the next command.
    SkipNext,
    /// Not to this command.
    Skip,
}

/// What a client is subscribed to.
pub type Subscriptions = [BTreeSet<Vec<u8>>; 3];

/// A key that a client watches for its transaction.
#[derive(Debug)]
pub struct Watching {
    /// The key.
    pub key: Vec<u8>,
    /// The version that it had; `None` if it was absent.
    pub version: Option<u64>,
}

/// A client, for the task that serves it.
pub struct Session {
    /// What others see of it.
    pub client: Arc<ClientHandle>,
    /// The number of the thread that serves it.
    pub thread: usize,
    /// The user that it is.
    pub user: Arc<User>,
    /// The state of the users at which `user` was looked up.
    pub acl_version: u64,
    /// Whether it has said who it is, or need not.
    pub is_authenticated: bool,
    /// Which version of the protocol it speaks.
    pub protocol: Protocol,
    /// Whether it gets replies.
    pub reply_mode: ReplyMode,
    /// What it queued since `MULTI`.
    pub queue: Option<Vec<Queued>>,
    /// Whether a command was refused since `MULTI`.
    pub has_bad_queue: bool,
    /// Whether the command that runs is one of several of `EXEC`, so that it may not wait.
    pub runs_group: bool,
    /// Bytes that are queued.
    pub queued_bytes: usize,
    /// Bytes of what it watches and is subscribed to.
    named_bytes: usize,
    /// What it watches.
    pub watching: Vec<Watching>,
    /// Set when a watched key has changed.
    pub dirty: Dirty,
    /// What it is subscribed to.
    pub subscriptions: Subscriptions,
    /// `CLIENT CACHING` for the command that follows.
    pub caching: Option<bool>,
    /// The name in the certificate that it showed, if that is the name of its user.
    pub certified: Option<String>,
    /// Whether it has waited for its turn to have a password looked at.
    pub has_turn: bool,
    /// What others are to be told.
    pub effects: Vec<Effect>,
    /// What is to be done before its next command.
    pub after: Option<After>,
    /// How long the command that runs makes the client wait beside what it takes itself.
    pub slept: Duration,
    /// When its last command ended, if that came with the one that is served.
    pub clock: Option<Instant>,
    /// How many values may be read together: fewer when they are long.
    pub run_max: usize,
}

impl Session {
    /// A client that has just connected.
    pub fn new(
        shared: &Shared,
        client: Arc<ClientHandle>,
        thread: usize,
        certified: Option<String>,
    ) -> Session {
        let acl_version = shared.acl.version();
        let user = shared.acl.default_user();
        let mut session = Session {
            client,
            thread,
            is_authenticated: false,
            user,
            acl_version,
            protocol: Protocol::Two,
            reply_mode: ReplyMode::On,
            queue: None,
            has_bad_queue: false,
            runs_group: false,
            queued_bytes: 0,
            named_bytes: 0,
            watching: Vec::new(),
            dirty: Arc::new(AtomicBool::new(false)),
            subscriptions: Subscriptions::default(),
            caching: None,
            certified,
            has_turn: false,
            effects: Vec::new(),
            after: None,
            slept: Duration::ZERO,
            clock: None,
            run_max: runs::RUN_MAX,
        };
        session.begin_anew(shared);
        session
    }

    /// It is who it was when it connected: the user that its certificate names, or the user `default`, who may
    /// have to say a password.
    pub fn begin_anew(&mut self, shared: &Shared) {
        let named = self.certified.as_deref().and_then(|name| shared.acl.user_that_is_on(name));
        if let Some(user) = named {
            return self.become_user(user, true);
        }
        let user = shared.acl.default_user();
        let needs_none = user.is_on() && user.needs_no_password();
        self.become_user(user, needs_none);
    }

    /// It is this user from now on.
    pub fn become_user(&mut self, user: Arc<User>, is_authenticated: bool) {
        self.client.describe(|about| about.user = user.name().to_owned());
        self.client.mark(flag::AUTHENTICATED, is_authenticated);
        self.is_authenticated = is_authenticated;
        self.user = user;
    }

    /// Looks its user up again if users have changed.
    #[inline]
    pub fn refresh_user(&mut self, shared: &Shared) {
        let version = shared.acl.version();
        if self.acl_version != version {
            self.acl_version = version;
            if let Some(user) = shared.acl.user(self.user.name()) {
                self.user = user;
            }
        }
    }

    /// Changes the version of the protocol.
    pub fn speak(&mut self, protocol: Protocol, out: &mut Replies) {
        self.protocol = protocol;
        out.set_protocol(protocol);
        self.client.set_protocol(protocol);
    }

    /// How many channels, patterns and shard channels it is subscribed to, as replies count them: those of
    /// `SSUBSCRIBE` by themselves.
    pub fn subscription_count(&self, kind: Kind) -> usize {
        match kind {
            Kind::Shard => self.subscriptions[Kind::Shard as usize].len(),
            _ => {
                self.subscriptions[Kind::Channel as usize].len()
                    + self.subscriptions[Kind::Pattern as usize].len()
            }
        }
    }

    /// Whether it is subscribed to anything.
    pub fn is_subscribed(&self) -> bool {
        self.subscriptions.iter().any(|names| !names.is_empty())
    }

    /// Subscribes.
    pub fn subscribe(&mut self, shared: &Shared, kind: Kind, name: &[u8]) {
        if self.subscriptions[kind as usize].insert(name.to_vec()) {
            self.named_bytes += named_bytes(name);
            shared.pubsub.subscribe(kind, name, &self.client);
            self.note_subscriptions(kind);
        }
    }

    /// Ends a subscription.
    pub fn unsubscribe(&mut self, shared: &Shared, kind: Kind, name: &[u8]) {
        if self.subscriptions[kind as usize].remove(name) {
            self.named_bytes -= named_bytes(name);
            shared.pubsub.unsubscribe(kind, name, &self.client);
            self.note_subscriptions(kind);
        }
    }

    fn note_subscriptions(&self, kind: Kind) {
        pubsub::note_count(&self.client, kind, self.subscriptions[kind as usize].len());
        self.client.mark(flag::PUBSUB, self.is_subscribed());
    }

    /// Watches one more key for its transaction.
    pub fn watch(&mut self, key: &[u8]) {
        self.named_bytes += named_bytes(key);
        self.watching.push(Watching { key: key.to_vec(), version: None });
    }

    /// Bytes of memory that it takes beside its buffers.
    pub fn kept_bytes(&self) -> usize {
        self.queued_bytes + self.named_bytes
    }

    /// Watches nothing any more.
    pub fn unwatch(&mut self, shared: &Arc<Shared>) {
        if !self.watching.is_empty() {
            for watching in std::mem::take(&mut self.watching) {
                self.named_bytes -= named_bytes(&watching.key);
                shared.watched.unwatch(&watching.key, &self.dirty);
            }
            shared.find_observers();
        }
        self.dirty.store(false, Ordering::Relaxed);
        self.client.watching.store(0, Ordering::Relaxed);
    }

    /// Forgets what was queued since `MULTI`.
    pub fn leave_multi(&mut self) {
        self.queue = None;
        self.has_bad_queue = false;
        self.queued_bytes = 0;
        self.client.queued.store(-1, Ordering::Relaxed);
        self.client.mark(flag::MULTI, false);
    }

    /// Ends everything that others know of this client: subscriptions, watched keys, caches.
    pub fn leave(&mut self, shared: &Arc<Shared>) {
        self.leave_multi();
        self.unwatch(shared);
        for kind in [Kind::Channel, Kind::Pattern, Kind::Shard] {
            for name in std::mem::take(&mut self.subscriptions[kind as usize]) {
                self.named_bytes -= named_bytes(&name);
                shared.pubsub.unsubscribe(kind, &name, &self.client);
            }
            self.note_subscriptions(kind);
        }
        if self.client.has(flag::TRACKING) {
            shared.tracking.stop(&self.client);
            shared.find_observers();
        }
        if self.client.has(flag::MONITOR) {
            self.client.mark(flag::MONITOR, false);
            shared.monitors.fetch_sub(1, Ordering::SeqCst);
            shared.find_observers();
        }
        self.caching = None;
    }
}

/// Bytes of memory that a name takes that a client watches or is subscribed to: it is kept twice, for the client and
/// for those who change it, each time in a tree or a table.
fn named_bytes(name: &[u8]) -> usize {
    const BESIDE_THE_NAME: usize = 64;
    2 * (name.len() + BESIDE_THE_NAME)
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("client", &self.client.id).finish_non_exhaustive()
    }
}
