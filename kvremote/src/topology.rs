//! Who serves which slot.
//!
//! Owns: [`Topology`], a picture of the cluster at some moment. The client routes by a picture of its own;
//! this one says whom to ask for a scan, which keys share a pipeline, and whose listener vouches for an entry of
//! the near cache. Invariant: every master in it serves a slot.

use kvcore::{Error, Result, Status};
use redis::Value;

use crate::address::Endpoint;
use crate::replies;
use crate::slot::SLOTS;

/// No master serves the slot.
const NOBODY: u16 = u16::MAX;

/// The masters, and their slots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Topology {
    masters: Vec<Endpoint>,
    /// For each slot the number of its master; empty if one server has all.
    owners: Box<[u16]>,
}

impl Topology {
    /// One server with every slot.
    pub(crate) fn single(server: Endpoint) -> Topology {
        Topology { masters: vec![server], owners: Box::default() }
    }

    /// Reads the answer to `CLUSTER SLOTS`. A server that does not know its own name is called `fallback`.
    ///
    /// # Errors
    /// `Unavailable` if no slot is served, `Io` for an answer of another shape.
    pub(crate) fn read(reply: Value, fallback: &str) -> Result<Topology> {
        let mut topology = Topology { masters: Vec::new(), owners: vec![NOBODY; SLOTS].into() };
        for range in replies::list(reply)? {
            let mut fields = replies::list(range)?.into_iter();
            let from = replies::count(replies::next(&mut fields)?)? as usize;
            let to = replies::count(replies::next(&mut fields)?)? as usize;
            let mut server = replies::list(replies::next(&mut fields)?)?.into_iter();
            let host = replies::text(replies::next(&mut server)?)?;
            let port = replies::count(replies::next(&mut server)?)?;
            let host = if host.is_empty() || host == "?" { fallback.to_string() } else { host };
            let port = u16::try_from(port).unwrap_or(0);
            let master = topology.number_of(Endpoint { host, port });
            let owned = topology.owners.get_mut(from..=to);
            owned.ok_or_else(|| replies::unexpected(&Value::Int(to as i64)))?.fill(master);
        }
        if topology.masters.is_empty() {
            return Err(Error::new(
                Status::Unavailable,
                "no server of the cluster has slots: create the cluster with valkey-cli --cluster create",
            ));
        }
        Ok(topology)
    }

    fn number_of(&mut self, server: Endpoint) -> u16 {
        let known = self.masters.iter().position(|master| *master == server);
        let number = known.unwrap_or_else(|| {
            self.masters.push(server);
            self.masters.len() - 1
        });
        // A cluster has fewer servers than slots.
        number as u16
    }

    /// Every master.
    pub(crate) fn masters(&self) -> &[Endpoint] {
        &self.masters
    }

    /// The number among the masters of the one that serves a slot.
    pub(crate) fn owner(&self, slot: u16) -> Option<usize> {
        if self.owners.is_empty() {
            return Some(0);
        }
        let owner = *self.owners.get(usize::from(slot))?;
        (owner != NOBODY).then_some(usize::from(owner))
    }

    /// The master of a slot.
    pub(crate) fn master(&self, slot: u16) -> Option<&Endpoint> {
        self.owner(slot).and_then(|owner| self.masters.get(owner))
    }

    /// Whether a server has the same slots in another picture.
    pub(crate) fn serves_the_same(&self, server: &Endpoint, other: &Topology) -> bool {
        let slots = 0..SLOTS as u16;
        let serves = |topology: &Topology, slot| topology.master(slot) == Some(server);
        slots.into_iter().all(|slot| serves(self, slot) == serves(other, slot))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(from: i64, to: i64, host: &str, port: i64) -> Value {
        let server = vec![
            Value::BulkString(host.as_bytes().to_vec()),
            Value::Int(port),
            Value::BulkString(b"id".to_vec()),
        ];
        Value::Array(vec![Value::Int(from), Value::Int(to), Value::Array(server)])
    }

    #[test]
    fn slots_of_masters() {
        let reply = Value::Array(vec![
            range(0, 99, "a", 1),
            range(200, 16383, "b", 2),
            range(100, 150, "", 1),
        ]);
        let topology = Topology::read(reply, "a").unwrap();
        assert_eq!(topology.masters().len(), 2);
        let port = |slot| topology.master(slot).map(|server| server.port);
        assert_eq!([port(0), port(150), port(151), port(16383)], [Some(1), Some(1), None, Some(2)]);
        let moved = Topology::read(Value::Array(vec![range(0, 16383, "b", 2)]), "a").unwrap();
        assert!(!topology.serves_the_same(&topology.masters()[1], &moved));
        assert!(topology.serves_the_same(&topology.masters()[1], &topology));
    }

    #[test]
    fn a_cluster_without_slots() {
        let error = Topology::read(Value::Array(Vec::new()), "a").unwrap_err();
        assert_eq!(error.status(), Status::Unavailable);
        let wrong = Value::Array(vec![range(0, 16384, "a", 1)]);
        assert_eq!(Topology::read(wrong, "a").map_err(|e| e.status()), Err(Status::Io));
    }
}
