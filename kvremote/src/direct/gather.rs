//! Many keys at once, by the short way: one request to each master, all in flight together.
//!
//! Owns: [`Gather`]. Commands are packed as the keys come, each master's into one buffer; a round sends all buffers and
//! then takes the replies, whose bytes go straight to who wants them. Invariant: every key that was added is either
//! answered or among those that are left over, whatever happens to its master; those go the other way.
//!
//! Why one `GET` for each key: the keys of one `MGET` have to be of one slot, and there are 16,384 of those.

use std::sync::Arc;

use tokio::time::Instant;

use super::{Direct, Line, Lost, REQUEST_MAX, Refused, Reply, Taken, pack};
use crate::engine::Engine;
use crate::near::{Ticket, Told};
use crate::topology::Topology;

/// Keys that a master is asked for in one round, at most.
const KEYS_MAX: usize = 2000;

/// A key that is asked for: its place among the keys of the call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    pub(crate) place: usize,
    /// If the near cache may keep the value: its deadline is asked for as well.
    pub(crate) ticket: Option<Ticket>,
}

/// The keys that one master is asked for.
#[derive(Default)]
struct Group {
    packed: Vec<u8>,
    wanted: Vec<Wanted>,
}

/// Keys that are asked for together.
pub(crate) struct Gather<'a> {
    direct: &'a Arc<Direct>,
    engine: &'a Engine,
    topology: Arc<Topology>,
    /// When it is given up, with all its rounds.
    until: Instant,
    /// One for each master.
    groups: Vec<Group>,
    left_over: Vec<Wanted>,
}

impl<'a> Gather<'a> {
    /// Nothing yet. `None` where there is no short way.
    pub(crate) fn new(direct: Option<&'a Arc<Direct>>, engine: &'a Engine) -> Option<Gather<'a>> {
        let direct = direct?;
        Some(Gather::from(direct, engine, direct.topology()?))
    }

    /// Nothing yet, from servers of which this is the picture.
    pub(super) fn from(
        direct: &'a Arc<Direct>,
        engine: &'a Engine,
        topology: Arc<Topology>,
    ) -> Gather<'a> {
        let groups = topology.masters().iter().map(|_| Group::default()).collect();
        Gather { direct, engine, topology, until: direct.until(), groups, left_over: Vec::new() }
    }

    /// Adds a key, as the server knows it. Returns whether it is time for a [`round`](Gather::round).
    pub(crate) fn add(&mut self, slot: u16, key: &[u8], wanted: Wanted) -> bool {
        let group = self.topology.owner(slot).and_then(|owner| self.groups.get_mut(owner));
        let Some(group) = group else {
            self.left_over.push(wanted);
            return false;
        };
        pack(&mut group.packed, &[b"GET", key]);
        if wanted.ticket.is_some() {
            pack(&mut group.packed, &[b"PEXPIRETIME", key]);
            pack(&mut group.packed, &[b"PTTL", key]);
        }
        group.wanted.push(wanted);
        // Half of it is left for the next key, which may be a long one.
        group.packed.len() > REQUEST_MAX / 2 || group.wanted.len() >= KEYS_MAX
    }

    /// Asks for all keys that were added since the last round, and tells of each that is answered.
    pub(crate) fn round(&mut self, mut tell: impl FnMut(Wanted, Option<Told<'_>>)) {
        // All are sent before the first is waited for.
        let sent: Vec<Option<Taken>> =
            (0..self.groups.len()).map(|master| self.send(master)).collect();
        for (master, taken) in sent.into_iter().enumerate() {
            let group = &mut self.groups[master];
            group.packed.clear();
            let mut wanted = std::mem::take(&mut group.wanted).into_iter();
            if let Some(taken) = taken {
                self.receive(taken, &mut wanted, &mut tell);
            }
            self.left_over.extend(wanted);
        }
    }

    /// Sends what is packed for a master. `None` if it has to go the other way.
    fn send(&self, master: usize) -> Option<Taken> {
        let (group, server) = (self.groups.get(master)?, self.topology.masters().get(master)?);
        if group.wanted.is_empty() || group.packed.len() > REQUEST_MAX {
            return None;
        }
        let mut taken = self.direct.take(self.engine, &self.topology, server)?;
        if taken.line()?.send(&group.packed, self.until).is_ok() {
            return Some(taken);
        }
        self.direct.lose(self.engine, taken);
        None
    }

    /// Takes the replies of a master, until one is missing.
    fn receive(
        &mut self,
        mut taken: Taken,
        wanted: &mut impl Iterator<Item = Wanted>,
        tell: &mut impl FnMut(Wanted, Option<Told<'_>>),
    ) {
        let Some(line) = taken.line() else { return };
        let mut has_moved = false;
        for wanted in wanted {
            match answer(line, wanted, tell) {
                Ok(None) => {}
                Ok(Some(refused)) => {
                    has_moved |= refused == Refused::Moved;
                    self.left_over.push(wanted);
                }
                Err(Lost) => {
                    self.left_over.push(wanted);
                    return self.direct.lose(self.engine, taken);
                }
            }
        }
        taken.put_back();
        if has_moved {
            self.direct.look_again(self.engine);
        }
    }

    /// The keys that were not answered.
    pub(crate) fn left_over(self) -> Vec<Wanted> {
        self.left_over
    }
}

/// Takes the replies for one key and tells of them, unless the server refused.
fn answer(
    line: &mut Line,
    wanted: Wanted,
    tell: &mut impl FnMut(Wanted, Option<Told<'_>>),
) -> Result<Option<Refused>, Lost> {
    if wanted.ticket.is_none() {
        let told = match line.next()? {
            Reply::Nil => None,
            Reply::Bytes(value) => Some(Told { value, expire_at_ms: None, left_ms: None }),
            Reply::Error(error) => return Ok(Some(Refused::of(error))),
            Reply::Number(_) => return Err(Lost),
        };
        tell(wanted, told);
        return Ok(None);
    }
    let mut refused = None;
    let value = match line.next()? {
        Reply::Nil => None,
        Reply::Bytes(value) => Some(value.to_vec()),
        Reply::Error(error) => {
            refused = Some(Refused::of(error));
            None
        }
        Reply::Number(_) => return Err(Lost),
    };
    let mut number = || match line.next()? {
        Reply::Number(number) => Ok(number),
        Reply::Error(error) => {
            refused = refused.or(Some(Refused::of(error)));
            Ok(-1)
        }
        Reply::Nil | Reply::Bytes(_) => Err(Lost),
    };
    let (at, left) = (number()?, number()?);
    if refused.is_none() {
        // A key that went in between is gone.
        let value = value.as_deref().filter(|_| at != -2);
        let some = |number: i64| (number != -1).then_some(number);
        tell(
            wanted,
            value.map(|value| Told { value, expire_at_ms: some(at), left_ms: some(left) }),
        );
    }
    Ok(refused)
}
