//! Who takes part in the comparison of engines, and in which group.
//!
//! Ten million entries of all engines at once do not fit into the memory of a small machine, so the
//! others race in two groups. libkv takes part in both, and a ratio is taken within a group.

use std::ops::Deref;

use anyhow::Result;

use crate::c_abi::{self, CStore, Calls};
use crate::contestants::{self, Subject, WITH_POLICY};
use crate::outside::required;

/// libkv as it is opened without options.
pub const LIBKV: &str = "libkv";
/// libkv with a policy, and a TTL on every entry.
pub const LIBKV_ALL: &str = "libkv, TTL, policy";
/// The others.
pub const PEERS: [&str; 5] = ["papaya", "dashmap", "scc", "quick_cache", "moka"];

/// Those that race with each other.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// libkv and maps.
    Maps,
    /// libkv and caches.
    Caches,
    /// libkv from Rust and from C.
    C,
}

impl Group {
    /// Its name on the command line of a child and in the results.
    pub fn name(self) -> &'static str {
        match self {
            Group::Maps => "maps",
            Group::Caches => "caches",
            Group::C => "from C",
        }
    }

    /// The group of that name.
    pub fn named(name: &str) -> Option<Group> {
        [Group::Maps, Group::Caches, Group::C].into_iter().find(|group| group.name() == name)
    }

    /// The group of another engine.
    pub fn of(peer: &str) -> Group {
        if matches!(peer, "quick_cache" | "moka") { Group::Caches } else { Group::Maps }
    }

    /// Who is in it. With a TTL everyone has one; without, libkv also takes part with everything on.
    pub fn members(self, with_ttl: bool) -> Vec<&'static str> {
        let mut members = vec![LIBKV];
        if self == Group::C {
            members.push(c_abi::NAME);
            return members;
        }
        if !with_ttl {
            members.push(LIBKV_ALL);
        }
        members.extend(PEERS.into_iter().filter(|peer| Group::of(peer) == self));
        members
    }
}

/// An open store.
pub enum Opened {
    /// Of an engine in Rust.
    Rust(Box<dyn Subject>),
    /// Behind `kv.h`.
    C(CStore<'static>),
}

impl Deref for Opened {
    type Target = dyn Subject;

    fn deref(&self) -> &(dyn Subject + 'static) {
        match self {
            Opened::Rust(subject) => &**subject,
            Opened::C(store) => store,
        }
    }
}

/// Opens an empty store of a member, which will be given so many entries.
pub fn open(member: &str, with_ttl: bool, entries: usize) -> Result<Opened> {
    Ok(match member {
        LIBKV_ALL => Opened::Rust(contestants::open(WITH_POLICY, true, entries)?),
        c_abi::NAME => {
            // The loops stay loaded for as long as the program runs.
            let calls = Box::leak(Box::new(Calls::load(&required("KVBENCH_CALLS")?)?));
            Opened::C(calls.open(with_ttl)?)
        }
        name => Opened::Rust(contestants::open(name, with_ttl, entries)?),
    })
}
