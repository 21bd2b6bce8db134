//! A sorted scan of a store that does not keep its keys sorted, in bounded memory.
//!
//! A pass goes through the whole store and keeps the next keys of the order, as many as fit
//! [`PASS_BYTES`]; their entries are read when their turn comes. The next pass goes on behind the last
//! of them. A key that stays is among the next ones in exactly one pass.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use super::walk::BUCKETS;
use super::{Entry, Wanted};
use crate::clock::Now;
use crate::entry::Head;
use crate::error::Result;
use crate::shard::{Reader, Seen, Shard};
use crate::store::Core;
use crate::value::{PinMeter, Value, ValueInfo};

/// Bytes of keys that a pass keeps, with what it takes to keep them.
const PASS_BYTES: usize = 4 << 20;

/// Where a sorted scan is.
pub(super) struct Passes {
    descends: bool,
    /// The last key of the pass before: everything up to it has come.
    behind: Option<Box<[u8]>>,
    /// Keys of this pass whose turn has not come, the next one last.
    ahead: Vec<Box<[u8]>>,
    /// Whether this pass was the last: it kept every key that was left.
    is_last: bool,
}

impl Passes {
    pub(super) fn new(descends: bool) -> Passes {
        Passes { descends, behind: None, ahead: Vec::new(), is_last: false }
    }

    /// The next entry; it may expire at any moment.
    pub(super) fn next(
        &mut self,
        core: &Core,
        wanted: &Wanted,
        contents: u64,
    ) -> Result<Option<Entry>> {
        loop {
            while let Some(key) = self.ahead.pop() {
                let mut read =
                    Read { key: &key, keys_only: wanted.keys_only, pins: core.context.pins };
                if let Some(entry) = core.read(&key, false, &mut read)?
                    && wanted.admits(entry.version())
                {
                    return Ok(Some(entry));
                }
                // It went since the pass, or is another one.
                core.check_contents(contents)?;
            }
            if self.is_last {
                return Ok(None);
            }
            self.pass(core, wanted, contents)?;
        }
    }

    /// Finds the next keys of the order.
    fn pass(&mut self, core: &Core, wanted: &Wanted, contents: u64) -> Result<()> {
        let most = usize::try_from(wanted.left).unwrap_or(usize::MAX);
        let mut next = Next { descends: self.descends, most, ..Next::default() };
        for number in 0..core.shard_count() {
            let mut from = Some(0);
            while let Some(start) = from {
                let shard = core.read_shard(number);
                core.check_contents(contents)?;
                from = shard.visit_live(start, BUCKETS, &core.context, |shown| {
                    let key = shown.key();
                    let is_wanted = wanted.bounds.contains(key) && wanted.admits(shown.version());
                    if is_wanted && self.is_ahead(key) {
                        next.offer(key);
                    }
                    true
                });
            }
        }
        self.is_last = !next.left_out;
        self.ahead = next.sorted();
        self.ahead.reverse();
        if let Some(last) = self.ahead.first() {
            self.behind = Some(last.clone());
        }
        Ok(())
    }

    /// Whether the turn of a key has not come by the end of the pass before.
    fn is_ahead(&self, key: &[u8]) -> bool {
        let turn = if self.descends { Ordering::Less } else { Ordering::Greater };
        self.behind.as_ref().is_none_or(|behind| key.cmp(behind) == turn)
    }
}

/// The next keys of the order among those that were offered. The heap has the last of them on top.
#[derive(Default)]
struct Next {
    descends: bool,
    /// How many are wanted at most.
    most: usize,
    ascending: BinaryHeap<Box<[u8]>>,
    descending: BinaryHeap<Reverse<Box<[u8]>>>,
    bytes: usize,
    /// Whether a key was offered that is not among them.
    left_out: bool,
}

impl Next {
    fn offer(&mut self, key: &[u8]) {
        let cost = cost(key);
        let is_full = self.len() >= self.most || self.bytes + cost > PASS_BYTES;
        if is_full && self.last().is_some_and(|last| !self.comes_before(key, last)) {
            self.left_out = true;
            return;
        }
        self.push(key.into());
        self.bytes += cost;
        // One key is kept in any case, or there would be no end.
        while self.len() > self.most || self.bytes > PASS_BYTES && self.len() > 1 {
            self.left_out = true;
            self.bytes -= self.pop().map_or(0, |key| self::cost(&key));
        }
    }

    fn comes_before(&self, key: &[u8], last: &[u8]) -> bool {
        if self.descends { key > last } else { key < last }
    }

    fn len(&self) -> usize {
        self.ascending.len() + self.descending.len()
    }

    fn last(&self) -> Option<&[u8]> {
        match self.descends {
            true => self.descending.peek().map(|Reverse(key)| &**key),
            false => self.ascending.peek().map(|key| &**key),
        }
    }

    fn push(&mut self, key: Box<[u8]>) {
        match self.descends {
            true => self.descending.push(Reverse(key)),
            false => self.ascending.push(key),
        }
    }

    fn pop(&mut self) -> Option<Box<[u8]>> {
        match self.descends {
            true => self.descending.pop().map(|Reverse(key)| key),
            false => self.ascending.pop(),
        }
    }

    /// The keys in their order.
    fn sorted(self) -> Vec<Box<[u8]>> {
        match self.descends {
            true => self.descending.into_sorted_vec().into_iter().map(|Reverse(key)| key).collect(),
            false => self.ascending.into_sorted_vec(),
        }
    }
}

/// What keeping a key takes.
fn cost(key: &[u8]) -> usize {
    crate::budget::allocation(key.len()) + size_of::<Box<[u8]>>()
}

/// Reads an entry whose turn has come.
struct Read<'a> {
    key: &'a [u8],
    keys_only: bool,
    pins: &'static PinMeter,
}

impl Reader<Entry> for Read<'_> {
    fn peeked(&mut self, head: &Head, value: &[u8], _: &Now<'_>) -> Entry {
        let info = ValueInfo::of(head);
        let value = (!self.keys_only).then(|| Value::copy(value, self.pins, info));
        Entry::new(self.key, value, info)
    }

    fn locked(&mut self, shard: &Shard, seen: &Seen, _: &Now<'_>) -> Entry {
        shard.shown(seen).entry(self.keys_only, self.pins)
    }
}

#[cfg(all(test, not(kv_shuttle)))]
mod tests {
    use super::*;

    #[test]
    fn the_next_keys_are_kept_and_no_others() {
        let keys: Vec<Vec<u8>> =
            (0..200u32).map(|n| (n * 7919 % 200).to_be_bytes().into()).collect();
        for descends in [false, true] {
            for most in [1, 3, 199, 200, 1000] {
                let mut next = Next { descends, most, ..Next::default() };
                keys.iter().for_each(|key| next.offer(key));
                assert_eq!(next.left_out, most < 200);
                let mut sorted = keys.clone();
                sorted.sort();
                if descends {
                    sorted.reverse();
                }
                sorted.truncate(most);
                let got: Vec<Vec<u8>> = next.sorted().into_iter().map(Vec::from).collect();
                assert_eq!(got, sorted);
            }
        }
    }

    #[test]
    fn memory_is_bounded_and_one_key_always_fits() {
        let mut next = Next { most: usize::MAX, ..Next::default() };
        for n in 0..200u8 {
            next.offer(&vec![n; 60_000]);
            assert!(next.bytes <= PASS_BYTES && !next.sorted_is_empty());
        }
        assert!(next.left_out && next.len() > 50);
        assert_eq!(next.sorted()[0][0], 0);
    }

    impl Next {
        fn sorted_is_empty(&self) -> bool {
            self.len() == 0
        }
    }
}
