//! What one change tells watchers.
//!
//! Owns: [`Told`], the events of a change between its lock and the moment at which they may be known.
//! Nearly every change has one event, so that one needs no list.

use super::event::{Body, EventKind};
use crate::entry::NEVER;
use crate::value::LargeValue;
use std::sync::Arc;

/// The events of one change, in the order of their revisions.
#[derive(Default)]
pub(crate) struct Told {
    first: Option<(u64, Body)>,
    more: Vec<(u64, Body)>,
}

impl Told {
    /// An entry has a new value.
    pub(crate) fn set(&mut self, revision: u64, key: &[u8], value: [&[u8]; 2], deadline: i64) {
        self.push(revision, Body::copy(EventKind::Set, key, value, deadline));
    }

    /// An entry has a new value, which is shared.
    pub(crate) fn set_large(
        &mut self,
        revision: u64,
        key: &[u8],
        value: &Arc<LargeValue>,
        deadline: i64,
    ) {
        self.push(revision, Body::share(key, value, deadline));
    }

    /// An entry has another deadline.
    pub(crate) fn touched(&mut self, revision: u64, key: &[u8], deadline: i64) {
        self.push(revision, Body::copy(EventKind::Touched, key, [b"", b""], deadline));
    }

    /// An entry went, or all did.
    pub(crate) fn gone(&mut self, revision: u64, kind: EventKind, key: &[u8]) {
        self.push(revision, Body::copy(kind, key, [b"", b""], NEVER));
    }

    fn push(&mut self, revision: u64, body: Body) {
        let to = (revision, body);
        if self.first.is_none() {
            self.first = Some(to);
        } else {
            self.more.push(to);
        }
    }

    /// The last revision of the change.
    pub(super) fn last(&self) -> Option<u64> {
        self.more.last().or(self.first.as_ref()).map(|(revision, _)| *revision)
    }

    /// The events, the last one first.
    pub(super) fn backwards(self) -> impl Iterator<Item = (u64, Body)> {
        self.more.into_iter().rev().chain(self.first)
    }
}
