//! One call of a command: what it is given, and what it leaves behind.

use std::sync::Arc;
use std::time::Duration;

use super::failure::Failure;
use super::keyspace::Keyspace;
use super::spec::Command;
use crate::net::{Queued, Session};
use crate::resp::{Replies, Request};
use crate::shared::events::Classes;
use crate::shared::{Shared, observer};

/// What a command comes to. Its reply is written already, and taken back if it failed.
pub type Outcome = Result<(), Failure>;

/// What is to be done once a command has run and before the next one of its client does.
pub enum After {
    /// Let some time pass, and then write the reply.
    Sleep(Duration, fn(&mut Replies)),
    /// Let some time pass before the replies are sent, which are written.
    Delay(Duration),
    /// Run this request again after some time, when it is its turn to have a password looked at.
    Again(Duration, Queued),
    /// Do something that takes long on a thread of its own, and answer what comes of it.
    Work(Box<dyn FnOnce(&Shared) -> Outcome + Send>),
    /// Send what was written and disconnect.
    Close,
    /// Stop the server.
    Shutdown,
}

/// What others are to be told of once the change is made.
#[derive(Debug)]
pub enum Effect {
    /// A key has changed.
    Changed(Vec<u8>),
    /// A key was read inside a transaction by a client that keeps a cache.
    Read(Vec<u8>),
    /// All keys are gone.
    Cleared,
    /// An event of a key.
    Event(Classes, &'static str, Vec<u8>),
}

/// One call of a command.
pub struct Call<'c, 't> {
    /// The arguments, the name first.
    pub request: Request<'c>,
    /// Its row in the table.
    pub command: &'static Command,
    /// The server.
    pub shared: &'c Arc<Shared>,
    /// The client.
    pub session: &'c mut Session,
    /// Where the reply goes.
    pub out: &'c mut Replies,
    /// The keys.
    pub keys: Keyspace<'c, 't>,
}

impl<'c> Call<'c, '_> {
    /// How many arguments there are, the name counted.
    pub fn len(&self) -> usize {
        self.request.len()
    }

    /// Whether there are none, which does not happen.
    pub fn is_empty(&self) -> bool {
        self.request.is_empty()
    }

    /// The argument at a position, the name at 0.
    pub fn arg(&self, position: usize) -> &'c [u8] {
        self.request.arg(position)
    }

    /// The arguments from a position on.
    pub fn args_from(&self, position: usize) -> impl ExactSizeIterator<Item = &'c [u8]> + use<'c> {
        self.request.args().skip(position)
    }

    /// Whether an argument is this word, in upper or lower case.
    pub fn is(&self, position: usize, word: &str) -> bool {
        self.arg(position).eq_ignore_ascii_case(word.as_bytes())
    }

    /// The argument at a position as an integer.
    pub fn integer(&self, position: usize) -> Result<i64, Failure> {
        crate::number::integer(self.arg(position)).ok_or(Failure::NOT_AN_INTEGER)
    }

    /// The argument at a position as text, with what is no text replaced.
    pub fn text(&self, position: usize) -> String {
        String::from_utf8_lossy(self.arg(position)).into_owned()
    }

    /// Where a command goes through keys that are all its arguments from `first` on: brings the next ones near when it
    /// comes to the first of them, so that their cache misses overlap. `number` counts the keys.
    #[inline]
    pub fn prefetch(&self, first: usize, number: usize) {
        const AHEAD: usize = 16;
        if !number.is_multiple_of(AHEAD) || self.len() - first <= number + 1 {
            return;
        }
        if let Keyspace::Store(store) | Keyspace::Untouched(store) = &self.keys {
            let (from, mut keys) = (first + number, [&[][..]; AHEAD]);
            let count = AHEAD.min(self.len() - from);
            (0..count).for_each(|at| keys[at] = self.arg(from + at));
            store.prefetch(&keys[..count]);
        }
    }

    /// A key has changed: tells those who watch or cache it, once the change is made.
    #[inline]
    pub fn changed(&mut self, key: &[u8]) {
        if self.shared.observers() & (observer::WATCH | observer::TRACKING) != 0 {
            self.session.effects.push(Effect::Changed(key.to_vec()));
        }
    }

    /// Publishes an event of a key, once the change is made.
    #[inline]
    pub fn event(&mut self, class: Classes, name: &'static str, key: &[u8]) {
        if self.shared.observers() & observer::EVENTS != 0 {
            self.session.effects.push(Effect::Event(class, name, key.to_vec()));
        }
    }

    /// A key has changed by a command on strings: both of the above.
    #[inline]
    pub fn changed_by(&mut self, class: Classes, name: &'static str, key: &[u8]) {
        self.changed(key);
        self.event(class, name, key);
    }
}

impl std::fmt::Debug for Call<'_, '_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Arguments may be secrets.
        f.debug_struct("Call").field("command", &self.command.name).finish_non_exhaustive()
    }
}
