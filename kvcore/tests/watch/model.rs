//! Random operations, and three views of them: what the store holds, what a watch of everything adds up
//! to, and what watches of a part see.
//!
//! Adding up the events gives exactly the contents of the store after each operation, expiries and
//! evictions included, and there is an event for every revision.

use std::collections::BTreeMap;
use std::time::Duration;

use kvcore::{Event, EventKind, Expiry, ManualClock, SetOptions, Store, Watch, WatchOptions};
use proptest::prelude::*;

use super::{drain, open, short};

#[derive(Debug, Clone)]
enum Op {
    Set(u8, usize, u64),
    SetMany(Vec<u8>, u64),
    Del(u8),
    Take(u8),
    Append(u8, usize),
    Incr(u8),
    Expire(u8, i64),
    Persist(u8),
    Clear,
    Purge,
    Advance(u64),
    MaxEntries(u64),
}

fn op() -> impl Strategy<Value = Op> {
    let key = 0..8u8;
    // A value of 5,000 bytes is kept apart, and shared.
    let len = prop_oneof![0..20usize, Just(600), Just(5000)];
    let ttl = prop_oneof![Just(0u64), 1..6u64];
    prop_oneof![
        8 => (key.clone(), len.clone(), ttl.clone()).prop_map(|(k, len, ttl)| Op::Set(k, len, ttl)),
        2 => (prop::collection::vec(key.clone(), 0..6), ttl).prop_map(|(k, ttl)| Op::SetMany(k, ttl)),
        2 => key.clone().prop_map(Op::Del),
        1 => key.clone().prop_map(Op::Take),
        2 => (key.clone(), len).prop_map(|(k, len)| Op::Append(k, len)),
        1 => key.clone().prop_map(Op::Incr),
        3 => (key.clone(), -1..6i64).prop_map(|(k, ttl)| Op::Expire(k, ttl)),
        1 => key.prop_map(Op::Persist),
        1 => Just(Op::Clear),
        2 => Just(Op::Purge),
        3 => (1..6u64).prop_map(Op::Advance),
        1 => (1..6u64).prop_map(Op::MaxEntries),
    ]
}

fn name(key: u8) -> String {
    format!("{}{key}", if key < 4 { "low:" } else { "high:" })
}

fn apply(store: &Store, clock: &ManualClock, op: &Op) {
    let after = |ttl: u64| if ttl == 0 { Expiry::Default } else { Expiry::AfterMs(ttl) };
    // What the store refuses changes nothing, which is what the events must say.
    match op {
        Op::Set(key, len, ttl) => {
            let options = SetOptions::default();
            let options =
                if *ttl == 0 { options } else { options.ttl(Duration::from_millis(*ttl)) };
            let _ = store.set_with(name(*key), vec![*key; *len], &options);
        }
        Op::SetMany(keys, ttl) => {
            let items: Vec<_> = keys.iter().map(|key| (name(*key), vec![b'm'; 9])).collect();
            let _ = store.set_many(&items, after(*ttl));
        }
        Op::Del(key) => drop(store.del(name(*key)).unwrap()),
        Op::Take(key) => drop(store.take(name(*key)).unwrap()),
        Op::Append(key, len) => drop(store.append(name(*key), vec![b'a'; *len])),
        Op::Incr(key) => drop(store.incr(name(*key), 1, Expiry::Default)),
        Op::Expire(key, ttl) => drop(store.expire(name(*key), *ttl).unwrap()),
        Op::Persist(key) => drop(store.persist(name(*key)).unwrap()),
        Op::Clear => store.clear().unwrap(),
        Op::Purge => drop(store.purge_expired().unwrap()),
        Op::Advance(ms) => clock.advance_ms(*ms),
        Op::MaxEntries(max) => drop(store.configure("max_entries", &max.to_string())),
    }
}

/// What the events add up to.
#[derive(Default)]
struct Mirror(BTreeMap<Vec<u8>, (Vec<u8>, Option<i64>)>);

impl Mirror {
    fn add(&mut self, event: &Event, now: i64) {
        let key = event.key().to_vec();
        match event.kind() {
            EventKind::Set => {
                let value = event.value().unwrap().to_vec();
                self.0.insert(key, (value, event.expire_at_ms()));
            }
            EventKind::Touched => self.0.get_mut(&key).unwrap().1 = event.expire_at_ms(),
            EventKind::Expired => {
                let (_, deadline) = self.0.remove(&key).unwrap();
                assert!(deadline.unwrap() <= now, "expired early");
            }
            EventKind::Deleted | EventKind::Evicted => drop(self.0.remove(&key).unwrap()),
            EventKind::Cleared => self.0.clear(),
            other => panic!("{other:?}"),
        }
    }

    fn compare(&self, store: &Store, now: i64) {
        let live = |(_, (_, deadline)): &(_, &(_, Option<i64>))| deadline.is_none_or(|at| at > now);
        let mine: BTreeMap<_, _> =
            self.0.iter().filter(live).map(|(key, entry)| (key.clone(), entry.clone())).collect();
        let theirs: BTreeMap<_, _> = store
            .keys()
            .unwrap()
            .map(Result::unwrap)
            .filter_map(|key| {
                let value = store.get(&key).unwrap()?;
                Some((key, (value.to_vec(), value.expire_at_ms())))
            })
            .collect();
        assert_eq!(mine, theirs);
        assert_eq!(self.0.len() as u64, store.len().unwrap(), "expired and not freed");
    }
}

fn run(shards: &str, eviction: &str, ops: &[Op]) {
    let (store, clock) = open(&[("shards", shards), ("eviction", eviction)]);
    let mut all = store.watch(&WatchOptions::all()).unwrap();
    let mut mirror = Mirror::default();
    let mut events: Vec<Event> = Vec::new();
    let part = WatchOptions::prefix("low:").kinds(EventKind::Set | EventKind::Evicted);
    let mut parts: Vec<(Watch, u64)> = Vec::new();
    for op in ops {
        parts.push((store.watch(&part).unwrap(), store.stats().unwrap().revision + 1));
        apply(&store, &clock, op);
        for event in drain(&mut all) {
            assert_eq!(event.revision(), events.len() as u64 + 1, "a gap");
            mirror.add(&event, clock.now_ms());
            events.push(event);
        }
        mirror.compare(&store, clock.now_ms());
    }
    assert_eq!(store.stats().unwrap().revision, events.len() as u64);
    let is_part = |event: &&Event| {
        event.key().starts_with(b"low:")
            && matches!(event.kind(), EventKind::Set | EventKind::Evicted)
    };
    for (mut watch, from) in parts {
        let again = store.watch(&part.clone().from_revision(from)).unwrap();
        let expected = events.iter().filter(|event| event.revision() >= from).filter(is_part);
        let expected: Vec<_> = expected.map(short).collect();
        for watch in [&mut watch, &mut { again }] {
            assert_eq!(drain(watch).iter().map(short).collect::<Vec<_>>(), expected);
        }
    }
    store.validate();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..Default::default() })]

    #[test]
    fn events_add_up_to_the_contents(
        shards in prop_oneof![Just("1"), Just("4")],
        eviction in prop::sample::select(&["none", "lru", "random", "s3fifo"][..]),
        ops in prop::collection::vec(op(), 1..80),
    ) {
        run(shards, eviction, &ops);
    }
}
