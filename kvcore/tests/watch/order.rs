//! What a watch sees of which call.

use std::time::Duration;

use kvcore::{Batch, EventKind, EventKinds, Expiry, SetOptions, Status, Update, WatchOptions};

use super::{drain, lagged, named, open, short, told};

#[test]
fn every_kind_of_change_is_told() {
    let (store, hand) = open(&[("max_entries", "3"), ("eviction", "lru"), ("shards", "1")]);
    store.set("before", "it begins").unwrap();
    let mut watch = store.watch(&WatchOptions::all()).unwrap();
    let now = hand.now_ms();
    store.set("a", "1").unwrap();
    store.set_with("a", "2", &SetOptions::default().ttl(Duration::from_millis(50))).unwrap();
    store.incr("n", 5, Expiry::Default).unwrap();
    store.append("n", "7").unwrap();
    store.persist("a").unwrap();
    store.expire("n", 30).unwrap();
    store.del("before").unwrap();
    store.take("a").unwrap();
    store.set("a", "3").unwrap();
    store.expire("a", 0).unwrap();
    hand.advance_ms(30);
    store.purge_expired().unwrap();
    for key in ["p", "q", "r", "s"] {
        store.set(key, "").unwrap();
    }
    store.clear().unwrap();
    let text = |text: &str| Some(text.to_string());
    let key = str::to_string;
    let expected = vec![
        (EventKind::Set, key("a"), text("1"), None),
        (EventKind::Set, key("a"), text("2"), Some(now + 50)),
        (EventKind::Set, key("n"), text("5"), None),
        (EventKind::Set, key("n"), text("57"), None),
        (EventKind::Touched, key("a"), None, None),
        (EventKind::Touched, key("n"), None, Some(now + 30)),
        (EventKind::Deleted, key("before"), None, None),
        (EventKind::Deleted, key("a"), None, None),
        (EventKind::Set, key("a"), text("3"), None),
        (EventKind::Deleted, key("a"), None, None),
        (EventKind::Expired, key("n"), None, None),
        (EventKind::Set, key("p"), text(""), None),
        (EventKind::Set, key("q"), text(""), None),
        (EventKind::Set, key("r"), text(""), None),
        (EventKind::Evicted, key("p"), None, None),
        (EventKind::Set, key("s"), text(""), None),
        (EventKind::Cleared, key(""), None, None),
    ];
    let events = drain(&mut watch);
    assert_eq!(events.iter().map(short).collect::<Vec<_>>(), expected);
    // Every revision is an event.
    let revisions: Vec<u64> = events.iter().map(kvcore::Event::revision).collect();
    assert_eq!(revisions, (2..2 + expected.len() as u64).collect::<Vec<_>>());
    assert_eq!(store.stats().unwrap().revision, *revisions.last().unwrap());
}

#[test]
fn every_change_of_a_group_is_told() {
    let (store, _) = open(&[]);
    for key in ["a", "b", "c", "d"] {
        store.set(key, "1").unwrap();
    }
    store.set("large", vec![b'x'; 10_000]).unwrap();
    let mut watch = store.watch(&WatchOptions::all()).unwrap();
    let mut batch = Batch::new();
    batch.set("a", "2").del("b").expire("c", 1_000).expire("large", 1_000).del("absent");
    batch.del("d").set("d", "new");
    store.write(&batch).unwrap();
    // In the order of shards and hashes, and a key that several operations name comes once.
    let mut events = drain(&mut watch);
    let mut group: Vec<String> = events.iter().map(named).collect();
    group.sort();
    assert_eq!(group, ["deleted b", "set a", "set d", "touched c", "touched large"]);
    store
        .transact(&["a", "d"], |keys| {
            keys.del("a")?;
            keys.expire_at("d", 1).map(drop)
        })
        .unwrap();
    store.update("c", |_| Update::Delete).unwrap();
    store.set("last", "x").unwrap();
    events.extend(drain(&mut watch));
    let mut rest: Vec<String> = events[5..].iter().map(named).collect();
    rest[..2].sort();
    assert_eq!(rest, ["deleted a", "deleted d", "deleted c", "set last"]);
    // Every revision is an event: one that is not would hold up all watches.
    let revisions: Vec<u64> = events.iter().map(kvcore::Event::revision).collect();
    assert_eq!(revisions, (6..=store.stats().unwrap().revision).collect::<Vec<_>>());
}

#[test]
fn what_changes_nothing_is_not_told() {
    let (store, hand) = open(&[]);
    let now = hand.now_ms().unsigned_abs();
    let mut watch = store.watch(&WatchOptions::all()).unwrap();
    store.del("absent").unwrap();
    store.take("absent").unwrap();
    store.persist("absent").unwrap();
    store.expire("absent", 10).unwrap();
    store.incr("absent", 1, Expiry::AtMs(-1)).unwrap_err();
    store.set_with("absent", "x", &SetOptions::default().if_present()).unwrap();
    store.set_with("absent", "x", &SetOptions::default().expire_at_ms(now as i64 - 1)).unwrap();
    store.set("k", "text").unwrap();
    store.incr("k", 1, Expiry::Default).unwrap_err();
    store.persist("k").unwrap();
    store.get("k").unwrap();
    assert_eq!(told(&mut watch), ["set k"]);
}

#[test]
fn expired_and_written_again_is_two_events() {
    let (store, hand) = open(&[]);
    store.set_with("k", "1", &SetOptions::default().ttl(Duration::from_millis(5))).unwrap();
    let mut watch = store.watch(&WatchOptions::key("k")).unwrap();
    hand.advance_ms(5);
    store.set("k", "2").unwrap();
    assert_eq!(told(&mut watch), ["expired k", "set k"]);
}

#[test]
fn a_watch_sees_what_it_asked_for() {
    let (store, _) = open(&[]);
    let mut one = store.watch(&WatchOptions::key("user:1")).unwrap();
    let mut users = store.watch(&WatchOptions::prefix("user:")).unwrap();
    let mut gone = store.watch(&WatchOptions::all().kinds(EventKind::Deleted)).unwrap();
    let mut empty = store.watch(&WatchOptions::key("")).unwrap();
    for key in ["user:1", "user:10", "other", "", "user:"] {
        store.set(key, "x").unwrap();
    }
    store.del("user:1").unwrap();
    store.clear().unwrap();
    assert_eq!(told(&mut one), ["set user:1", "deleted user:1", "cleared "]);
    assert_eq!(
        told(&mut users),
        ["set user:1", "set user:10", "set user:", "deleted user:1", "cleared "]
    );
    assert_eq!(told(&mut gone), ["deleted user:1"]);
    assert_eq!(told(&mut empty), ["set ", "cleared "]);
}

#[test]
fn kinds_are_bits() {
    assert_eq!(EventKind::ALL.map(EventKind::bit), [1, 2, 4, 8, 16, 64]);
    assert_eq!(EventKinds::from_bits(0).unwrap(), EventKinds::ALL);
    assert_eq!(EventKinds::from_bits(3).unwrap(), EventKind::Set | EventKind::Deleted);
    for bits in [32, 128, 33, u32::MAX] {
        assert_eq!(EventKinds::from_bits(bits).unwrap_err().status(), Status::Invalid);
    }
}

#[test]
fn a_watch_begins_at_a_revision() {
    let (store, _) = open(&[]);
    let mut first = store.watch(&WatchOptions::all()).unwrap();
    for key in ["a", "b", "c"] {
        store.set(key, key).unwrap();
    }
    let mut second = store.watch(&WatchOptions::all().from_revision(2)).unwrap();
    assert_eq!(told(&mut second), ["set b", "set c"]);
    let mut next = store.watch(&WatchOptions::all().from_revision(4)).unwrap();
    assert_eq!(told(&mut next), [""; 0]);
    let mut far = store.watch(&WatchOptions::all().from_revision(5)).unwrap();
    assert_eq!(lagged(&mut far), (4, 0));
    store.set("d", "d").unwrap();
    for watch in [&mut second, &mut next, &mut far] {
        assert_eq!(told(watch), ["set d"]);
    }
    assert_eq!(told(&mut first).len(), 4);
}

#[test]
fn what_came_before_the_first_watch_is_not_kept() {
    let (store, _) = open(&[]);
    store.set("a", "").unwrap();
    store.set("b", "").unwrap();
    let mut watch = store.watch(&WatchOptions::all().from_revision(1)).unwrap();
    assert_eq!(lagged(&mut watch), (3, 2));
    store.set("c", "").unwrap();
    assert_eq!(told(&mut watch), ["set c"]);
}

#[test]
fn large_values_are_shared_and_stay_what_they_were() {
    let (store, _) = open(&[]);
    let mut watch = store.watch(&WatchOptions::all()).unwrap();
    let large = vec![b'x'; 1 << 20];
    store.set("k", &large).unwrap();
    store.append("k", "y").unwrap();
    store.append("k", "z").unwrap();
    store.set("k", "small").unwrap();
    let lens: Vec<_> =
        drain(&mut watch).iter().map(|event| event.value().unwrap().to_vec()).collect();
    let expected =
        [&large[..], &[&large[..], b"y"].concat(), &[&large[..], b"yz"].concat(), b"small"];
    assert!(lens.iter().map(Vec::as_slice).eq(expected));
}

#[test]
fn a_set_of_many_keys_is_one_group_of_events() {
    let (store, hand) = open(&[("shards", "4")]);
    store.set_with("b", "old", &SetOptions::default().ttl(Duration::from_millis(5))).unwrap();
    let mut watch = store.watch(&WatchOptions::all()).unwrap();
    hand.advance_ms(5);
    store.set_many(&[("a", "1"), ("b", "2"), ("c", "3")], Expiry::Default).unwrap();
    let mut events = told(&mut watch);
    events.sort();
    assert_eq!(events, ["expired b", "set a", "set b", "set c"]);
}

#[test]
fn restoring_is_a_gap() {
    let folder = std::env::temp_dir().join(format!("kvcore-watch-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("empty.snapshot");
    let (store, _) = open(&[]);
    store.snapshot(Some(&file)).unwrap();
    let mut waiting = store.watch(&WatchOptions::all()).unwrap();
    let mut behind = store.watch(&WatchOptions::all()).unwrap();
    assert_eq!(told(&mut waiting), [""; 0]);
    store.set("a", "").unwrap();
    assert_eq!(told(&mut waiting), ["set a"]);
    store.restore(&file).unwrap();
    let (revision, missed) = lagged(&mut waiting);
    assert_eq!(missed, 1);
    assert_eq!(lagged(&mut behind), (revision, 2));
    store.set("b", "").unwrap();
    assert_eq!(told(&mut waiting), ["set b"]);
    assert_eq!(told(&mut behind), ["set b"]);
    std::fs::remove_dir_all(folder).unwrap();
}
