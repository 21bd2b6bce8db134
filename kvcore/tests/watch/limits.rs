//! What a slow watch misses, what that costs, and that it says so.

use kvcore::{Store, WatchOptions, Watched};

use super::{drain, lagged, open, told};

#[test]
fn a_slow_watch_is_told_what_it_missed() {
    let (store, _) = open(&[("watch_buffer", "4")]);
    let mut slow = store.watch(&WatchOptions::all()).unwrap();
    for n in 0..10 {
        store.set(format!("k{n}"), "").unwrap();
    }
    assert_eq!(lagged(&mut slow), (7, 6));
    assert_eq!(told(&mut slow), ["set k6", "set k7", "set k8", "set k9"]);
    store.set("k", "").unwrap();
    assert_eq!(told(&mut slow), ["set k"]);
    let mut again = store.watch(&WatchOptions::all().from_revision(2)).unwrap();
    assert_eq!(lagged(&mut again), (8, 6));
}

#[test]
fn a_watch_of_a_quiet_key_does_not_lag() {
    let (store, _) = open(&[("watch_buffer", "4")]);
    let mut quiet = store.watch(&WatchOptions::key("quiet")).unwrap();
    assert!(matches!(quiet.try_next().unwrap(), Watched::TimedOut));
    for n in 0..100 {
        store.set(format!("k{n}"), "").unwrap();
    }
    assert_eq!(told(&mut quiet), [""; 0]);
    store.set("quiet", "").unwrap();
    for n in 0..3 {
        store.set(format!("k{n}"), "").unwrap();
    }
    assert_eq!(told(&mut quiet), ["set quiet"]);
}

#[test]
fn a_group_that_is_larger_than_the_buffer_is_a_gap() {
    let (store, _) = open(&[("watch_buffer", "4")]);
    let mut watch = store.watch(&WatchOptions::all()).unwrap();
    assert_eq!(drain(&mut watch).len(), 0);
    let items: Vec<_> = (0..10).map(|n| (format!("k{n}"), "")).collect();
    store.set_many(&items, kvcore::Expiry::Default).unwrap();
    assert_eq!(lagged(&mut watch), (7, 6));
    assert_eq!(drain(&mut watch).len(), 4);
}

fn pinned(store: &Store) -> u64 {
    store.stats().unwrap().pinned_bytes
}

#[test]
fn bytes_are_bounded_and_counted() {
    let (store, _) = open(&[("watch_buffer", "1000"), ("watch_buffer_bytes", "64KiB")]);
    assert_eq!(pinned(&store), 0);
    let mut watch = store.watch(&WatchOptions::all()).unwrap();
    let slots = pinned(&store);
    for n in 0..1000 {
        store.set(format!("k{n}"), vec![7; 1000]).unwrap();
        assert!(pinned(&store) - slots <= 64 << 10);
    }
    assert!(pinned(&store) - slots > 60 << 10);
    let (revision, missed) = lagged(&mut watch);
    assert_eq!(revision, missed + 1);
    let kept = drain(&mut watch);
    assert_eq!(kept[0].revision(), revision);
    assert_eq!(kept.len() as u64, 1000 - missed);
    assert!(kept.len() > 50);
    // A single event may be larger than all of the limit.
    store.set("k", vec![7; 1 << 20]).unwrap();
    assert_eq!(drain(&mut watch).len(), 1);
    store.set("l", "").unwrap();
    assert_eq!(told(&mut watch), ["set l"]);
    let mut from = store.watch(&WatchOptions::all().from_revision(1001)).unwrap();
    assert_eq!(lagged(&mut from), (1002, 1));
}

#[test]
fn the_buffer_outlives_the_last_watch_for_one_that_comes_back() {
    let (store, _) = open(&[("watch_buffer", "8")]);
    let mut watch = store.watch(&WatchOptions::all()).unwrap();
    let slots = pinned(&store);
    store.set("a", "").unwrap();
    assert_eq!(told(&mut watch), ["set a"]);
    drop(watch);
    for n in 0..5 {
        store.set(format!("k{n}"), "").unwrap();
    }
    let mut watch = store.watch(&WatchOptions::all().from_revision(2)).unwrap();
    assert_eq!(told(&mut watch), ["set k0", "set k1", "set k2", "set k3", "set k4"]);
    drop(watch);
    // Nobody comes back: what is kept goes, and nothing is told any more.
    for n in 0..20 {
        store.set(format!("k{n}"), "").unwrap();
    }
    assert_eq!(pinned(&store), slots);
    let newest = store.stats().unwrap().revision;
    let mut watch = store.watch(&WatchOptions::all().from_revision(newest)).unwrap();
    assert_eq!(lagged(&mut watch), (newest + 1, 1));
}

#[test]
fn closing_lets_go_of_the_buffer() {
    let (store, _) = open(&[]);
    let watch = store.watch(&WatchOptions::all()).unwrap();
    let value = vec![7; 1 << 20];
    store.set("k", &value).unwrap();
    let held = store.get("k").unwrap().unwrap();
    store.shutdown().unwrap();
    assert_eq!(held.len(), value.len());
    drop(watch);
}
