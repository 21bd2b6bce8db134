//! The order against a `BTreeMap`.

use std::collections::BTreeMap;
use std::ops::Bound;

use proptest::prelude::*;

use super::{From, Keys, OrderIndex};
use crate::slab::EntryId;

/// Keys by id. Ids are given out once, so one that is used after its entry went is found out.
#[derive(Default)]
struct Entries {
    keys: Vec<Option<Vec<u8>>>,
}

impl Entries {
    fn add(&mut self, key: &[u8]) -> EntryId {
        self.keys.push(Some(key.to_vec()));
        EntryId::new(self.keys.len() as u32)
    }

    fn forget(&mut self, id: EntryId) {
        self.keys[id.number() as usize - 1] = None;
    }
}

impl Keys for Entries {
    fn key(&self, id: EntryId) -> &[u8] {
        match &self.keys[id.number() as usize - 1] {
            Some(key) => key,
            None => panic!("{id:?} is read after its entry went"),
        }
    }
}

#[derive(Default)]
struct Pair {
    entries: Entries,
    model: BTreeMap<Vec<u8>, EntryId>,
}

struct Both {
    index: OrderIndex,
    pair: Pair,
}

impl Both {
    fn new() -> Both {
        Both { index: OrderIndex::new(), pair: Pair::default() }
    }

    fn toggle(&mut self, key: &[u8]) {
        let (entries, model) = (&mut self.pair.entries, &mut self.pair.model);
        match model.remove(key) {
            Some(id) => {
                let before = self.index.bytes();
                self.index.remove(key, entries);
                assert!(self.index.bytes() <= before);
                entries.forget(id);
            }
            None => {
                let id = entries.add(key);
                let most = self.index.bytes() + self.index.growth_for(1);
                self.index.insert(key, id, entries);
                assert!(self.index.bytes() <= most, "an insert took more than was foretold");
                model.insert(key.to_vec(), id);
            }
        }
    }

    fn move_entry(&mut self, key: &[u8]) {
        if let Some(old) = self.pair.model.get_mut(key) {
            let new = self.pair.entries.add(key);
            self.index.moved(key, *old, new, &self.pair.entries);
            self.pair.entries.forget(*old);
            *old = new;
        }
    }

    fn check(&self, from: &[u8]) {
        let (entries, model) = (&self.pair.entries, &self.pair.model);
        self.index.validate(model.len(), entries);
        assert_eq!(self.index.bytes() == 0, model.is_empty());
        for included in [false, true] {
            let edge = if included { Bound::Included(from) } else { Bound::Excluded(from) };
            for backwards in [false, true] {
                let mut got = Vec::new();
                let from = Some(From { key: from, included });
                self.index.visit(from, backwards, entries, |id| {
                    got.push(id);
                    got.len() < 7
                });
                let want: Vec<EntryId> = if backwards {
                    let below = model.range::<[u8], _>((Bound::Unbounded, edge));
                    below.rev().take(7).map(|(_, id)| *id).collect()
                } else {
                    model
                        .range::<[u8], _>((edge, Bound::Unbounded))
                        .take(7)
                        .map(|(_, id)| *id)
                        .collect()
                };
                assert_eq!(got, want);
            }
        }
    }
}

fn key() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(prop::sample::select(&[0u8, 1, 255][..]), 0..6),
        (0u32..400).prop_map(|n| format!("user:{n:06}").into_bytes()),
        (0u32..400).prop_map(|n| format!("user:{n}:name").into_bytes()),
        (0u32..9).prop_map(|n| vec![b'k'; n as usize * 40]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_is_a_sorted_map(steps in prop::collection::vec((key(), 0u8..4), 1..1500)) {
        let mut both = Both::new();
        for (number, (key, what)) in steps.iter().enumerate() {
            match what {
                0 => both.move_entry(key),
                _ => both.toggle(key),
            }
            if number % 50 == 0 {
                both.check(key);
            }
        }
        for (key, _) in &steps {
            if both.pair.model.contains_key(key) {
                both.toggle(key);
            }
        }
        both.check(b"");
    }

    #[test]
    fn many_inserts_take_no_more_than_was_foretold(
        first in prop::collection::vec(key(), 0..700),
        more in prop::collection::vec(key(), 0..700),
    ) {
        let mut both = Both::new();
        for key in first.iter().chain(&more) {
            if !both.pair.model.contains_key(key) && first.contains(key) {
                both.toggle(key);
            }
        }
        let fresh: std::collections::BTreeSet<&Vec<u8>> =
            more.iter().filter(|key| !both.pair.model.contains_key(*key)).collect();
        let most = both.index.bytes() + both.index.growth_for(fresh.len());
        fresh.into_iter().for_each(|key| both.toggle(key));
        prop_assert!(both.index.bytes() <= most);
    }
}

#[test]
fn nodes_of_keys_that_come_in_order_are_full() {
    let mut both = Both::new();
    for n in 0..20_000u32 {
        both.toggle(&n.to_be_bytes());
    }
    both.check(&7_777u32.to_be_bytes());
    assert!(both.index.bytes() < 20_000 * 9, "{} bytes", both.index.bytes());
    for n in (0..20_000u32).filter(|n| n % 16 != 0) {
        both.toggle(&n.to_be_bytes());
    }
    both.check(&7_777u32.to_be_bytes());
    assert!(both.index.bytes() < 1_250 * 40, "{} bytes", both.index.bytes());
    for n in (0..20_000u32).step_by(16) {
        both.toggle(&n.to_be_bytes());
    }
    both.check(b"");
}
