//! What came with one read: requests, served one after the other.
//!
//! Owns: [`Pipeline`], a connection but for its socket: the client, its requests as they are read, and the
//! replies that wait. Nothing here waits: changes are made and recorded, and the connection waits for the log once,
//! for all of them. What one connection does at a time is bounded by requests and by bytes of replies, so that
//! others of its thread have their turn.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{Session, execute, waiting};
use crate::commands::{After, runs};
use crate::resp::{Protocol, Read, Reader, Replies};
use crate::shared::Shared;
use crate::shared::clients::End;

/// Requests of one connection that are served before others have their turn, and bytes of their replies.
const REQUESTS_AT_ONCE: usize = 4096;
const REPLY_BYTES_AT_ONCE: usize = 64 << 10;

/// Bytes of replies behind which a client waits where memory is tight. With one value that goes beyond them they are what
/// each of a thousand clients that do not read can have, and all of that has to be far below what they may have.
const WAITING_BYTES_TIGHT: usize = 16 << 10;

/// How often a client whom only tight memory holds up looks whether it still is: nobody would wake it.
pub(super) const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// After so many looks it goes on all the same. Then clients that take too much are thrown out, as without waiting.
const LOOKS_MAX: u32 = 50;

/// Why serving stops for a moment, or for ever.
pub(super) enum Stop {
    /// Everything that can be served is.
    Idle,
    /// Others have their turn, or replies have to be read first.
    Full,
    /// Clients have to wait, as an administrator said.
    Paused,
    /// Something has to be done before the next request.
    After(After),
    /// The connection is done once its replies are written.
    Close,
}

/// A connection but for its socket.
pub(super) struct Pipeline {
    shared: Arc<Shared>,
    pub(super) session: Session,
    pub(super) reader: Reader,
    pub(super) out: Replies,
    /// How much of `out` is written.
    pub(super) written: usize,
    /// How often in a row it was looked whether memory is still tight, as long as that alone holds the client up.
    looks: u32,
}

impl Pipeline {
    pub(super) fn new(shared: Arc<Shared>, session: Session) -> Pipeline {
        let (reader, out) = (Reader::new(), Replies::new(Protocol::Two));
        Pipeline { shared, session, reader, out, written: 0, looks: 0 }
    }

    /// Bytes of replies that wait for the client to read them.
    pub(super) fn waiting(&self) -> usize {
        self.out.len() - self.written
    }

    /// Whether so many replies wait that no more requests are served. Where memory is tight, a quarter of one turn is
    /// enough: then a thousand clients that do not read wait, and nobody has to go for them. Not for ever, though: a
    /// client may read only once it has written all, and memory may be tight for good.
    pub(super) fn is_full(&self) -> bool {
        let waiting = self.waiting();
        waiting > self.shared.options.reply_bytes_max
            || self.may_be_held_up() && self.looks < LOOKS_MAX && self.shared.are_clients_tight()
    }

    /// Whether tight memory would hold this client up.
    pub(super) fn may_be_held_up(&self) -> bool {
        self.waiting() > WAITING_BYTES_TIGHT
    }

    /// It was looked again whether memory is tight, [`LOOK_AGAIN`] after the last time.
    pub(super) fn looked(&mut self) {
        self.looks = self.looks.saturating_add(1);
    }

    /// Serves requests in `input` and says how many bytes of it they took.
    pub(super) fn serve(&mut self, input: &[u8]) -> (usize, Stop) {
        let waiting = self.waiting();
        if self.written > waiting || (self.written > 0 && waiting <= REPLY_BYTES_AT_ONCE) {
            // Who reads slowly and never all of it would have what it has read kept for ever. Much is moved only for
            // as much that goes.
            self.out.consume(std::mem::take(&mut self.written));
        }
        if self.is_full() {
            // Memory became tight while it waited for its turn: it takes no room for replies that it does not get.
            return (0, Stop::Full);
        }
        self.out.begin(REPLY_BYTES_AT_ONCE);
        self.session.clock = None;
        if !self.may_be_held_up() {
            self.looks = 0;
        }
        let (mut taken, before) = (0, self.out.len());
        // The keys of the requests up to here were looked up ahead.
        let mut ahead = 0;
        for _ in 0..REQUESTS_AT_ONCE {
            if self.is_full() || self.out.len() - before > REPLY_BYTES_AT_ONCE {
                return (taken, Stop::Full);
            }
            let rest = &input[taken..];
            if self.reader.is_at_start() {
                let run = runs::serve(&self.shared, &mut self.session, rest, &mut self.out);
                if run > 0 {
                    taken += run;
                    continue;
                }
                if ahead <= taken {
                    ahead = taken + runs::prefetch(&self.shared, rest);
                }
            }
            match self.reader.read(rest, execute::limits(&self.shared, &self.session)) {
                Ok(Read::Request(request, bytes)) => {
                    if waiting::has_to_wait(&self.shared, &self.session, request) {
                        return (taken, Stop::Paused);
                    }
                    taken += bytes;
                    execute::execute(&self.shared, &mut self.session, request, &mut self.out);
                }
                Ok(Read::Nothing(bytes)) => taken += bytes,
                Ok(Read::More(_)) => return (taken, Stop::Idle),
                Err(error) => {
                    self.shared.counters.count_error("ERR");
                    self.out.error(&format!("ERR {error}"));
                    return (taken, Stop::Close);
                }
            }
            if let Some(after) = self.session.after.take() {
                return (taken, Stop::After(after));
            }
            if self.take_mail().is_some() {
                return (taken, Stop::Close);
            }
        }
        (taken, Stop::Full)
    }

    /// Whether there is mail, and it may be put behind the replies. While the client reads none of those, it
    /// stays in the mailbox, where it is counted.
    pub(super) fn takes_mail(&self) -> bool {
        let client = &self.session.client;
        let most = self.shared.settings.push_bytes_max.load(Ordering::Relaxed);
        client.has_mail() && (self.waiting() <= most || client.is_ended())
    }

    /// Puts mail behind the replies, if there is any and it may. Answers whether the client is to go.
    pub(super) fn take_mail(&mut self) -> Option<End> {
        if self.takes_mail() { self.session.client.take_mail(&mut self.out) } else { None }
    }
}
