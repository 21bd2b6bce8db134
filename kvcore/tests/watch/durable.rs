//! Watches of a store in a directory: the past out of the log, and nothing that a crash takes back.

use std::time::Duration;

use kvcore::simulation::{SimDisk, open as open_on};
use kvcore::{Clock, ManualClock, Options, SetOptions, Store, WatchOptions, Watched};

use super::{drain, lagged, short, told};

struct Disk {
    disk: SimDisk,
    clock: Clock,
    hand: ManualClock,
}

impl Disk {
    fn new(seed: u64) -> Disk {
        let (clock, hand) = Clock::manual(1_700_000_000_000);
        Disk { disk: SimDisk::new(seed), clock, hand }
    }

    fn open(&self, more: &[(&str, &str)]) -> Store {
        let basic = [("persistence", "wal"), ("shards", "4"), ("sync", "always")];
        let set =
            |options: Options, (name, value): &(&str, &str)| options.with(name, value).unwrap();
        let options = basic.iter().chain(more).fold(Options::new(), set);
        open_on(&self.disk, "/db", options, self.clock.clone()).unwrap()
    }
}

fn from(revision: u64) -> WatchOptions {
    WatchOptions::all().from_revision(revision)
}

#[test]
fn the_past_is_read_from_the_log_across_lives() {
    let disk = Disk::new(1);
    let store = disk.open(&[]);
    store.set("a", "1").unwrap();
    store
        .set_with("a", vec![b'x'; 9000], &SetOptions::default().ttl(Duration::from_secs(9)))
        .unwrap();
    store.persist("a").unwrap();
    store.del("a").unwrap();
    let mut watch = store.watch(&from(2)).unwrap();
    store.set("b", "").unwrap();
    let events = drain(&mut watch);
    assert_eq!(events.iter().map(kvcore::Event::revision).collect::<Vec<_>>(), [2, 3, 4, 5]);
    assert_eq!(short(&events[0]).2.map(|value| value.len()), Some(9000));
    assert_eq!(short(&events[0]).3, Some(disk.hand.now_ms() + 9000));
    drop((watch, store));
    let store = disk.open(&[]);
    store.set("c", "").unwrap();
    store.clear().unwrap();
    drop(store);
    let store = disk.open(&[]);
    let mut watch = store.watch(&from(1)).unwrap();
    store.set("d", "").unwrap();
    let all = ["set a", "set a", "touched a", "deleted a", "set b", "set c", "cleared ", "set d"];
    assert_eq!(told(&mut watch), all);
    let mut sets = store.watch(&WatchOptions::prefix("b").from_revision(1)).unwrap();
    assert_eq!(told(&mut sets), ["set b", "cleared "]);
    let mut far = store.watch(&from(100)).unwrap();
    assert_eq!(lagged(&mut far), (9, 0));
}

#[test]
fn a_crash_between_two_lives_is_no_gap() {
    let disk = Disk::new(2);
    let store = disk.open(&[]);
    store.set("a", "").unwrap();
    disk.disk.kill();
    drop(store);
    let store = disk.open(&[]);
    let next = store.set("b", "").unwrap();
    assert!(next > 1000, "revisions go on above the ceiling");
    let mut watch = store.watch(&from(1)).unwrap();
    assert_eq!(told(&mut watch), ["set a", "set b"]);
    // Who saw more of the first life than was kept of it has missed that.
    let mut ahead = store.watch(&from(5)).unwrap();
    assert_eq!(lagged(&mut ahead), (next, next - 5));
    assert_eq!(told(&mut ahead), ["set b"]);
    let mut exact = store.watch(&from(2)).unwrap();
    assert_eq!(told(&mut exact), ["set b"]);
}

#[test]
fn what_expired_is_missed_and_that_is_said() {
    let disk = Disk::new(3);
    let store = disk.open(&[]);
    let short_lived = SetOptions::default().ttl(Duration::from_millis(5));
    store.set_with("t", "", &short_lived).unwrap();
    disk.hand.advance_ms(5);
    store.set("t", "again").unwrap();
    store.set_with("u", "", &short_lived).unwrap();
    let mut watch = store.watch(&from(1)).unwrap();
    assert!(matches!(watch.try_next().unwrap(), Watched::Event(event) if event.key() == b"t"));
    assert_eq!(lagged(&mut watch), (3, 1));
    assert_eq!(told(&mut watch), ["set t", "set u"]);
    drop((watch, store));
    // It expires while nobody has the store open.
    disk.hand.advance_ms(5);
    let store = disk.open(&[]);
    store.set("v", "").unwrap();
    let mut watch = store.watch(&from(4)).unwrap();
    assert!(matches!(watch.try_next().unwrap(), Watched::Event(event) if event.key() == b"u"));
    assert_eq!(lagged(&mut watch), (6, 1));
    assert_eq!(told(&mut watch), ["set v"]);
}

#[test]
fn a_log_that_was_retired_is_a_gap() {
    let disk = Disk::new(4);
    let store = disk.open(&[
        ("persistence", "hybrid"),
        ("snapshot_keep", "1"),
        ("wal_segment_bytes", "64KiB"),
    ]);
    for n in 0..200 {
        store.set(format!("k{}", n % 10), vec![b'x'; 2000]).unwrap();
    }
    store.snapshot(None).unwrap();
    let last = store.set("last", "").unwrap();
    let mut watch = store.watch(&from(1)).unwrap();
    let (revision, missed) = lagged(&mut watch);
    assert!(revision > 1 && revision <= last && missed == revision - 1);
    let rest = drain(&mut watch);
    assert_eq!(rest[0].revision(), revision);
    assert_eq!(rest.last().unwrap().revision(), last);
}

#[test]
fn a_long_log_goes_over_into_the_buffer() {
    let disk = Disk::new(5);
    let store =
        disk.open(&[("sync", "never"), ("watch_buffer", "8"), ("wal_segment_bytes", "64KiB")]);
    for n in 0..3000 {
        store.set(format!("k{}", n % 10), format!("{n:0100}")).unwrap();
    }
    let mut watch = store.watch(&from(1)).unwrap();
    // More is written than the buffer takes, while the log is read.
    for revision in 1..=6000 {
        match watch.try_next().unwrap() {
            Watched::Event(event) => assert_eq!(event.revision(), revision),
            other => panic!("{other:?} for {revision}"),
        }
        if revision <= 3000 {
            store.set("k", format!("{revision}")).unwrap();
        }
    }
    assert!(matches!(watch.try_next().unwrap(), Watched::TimedOut));
    // A start far behind the beginning of the log.
    let mut late = store.watch(&from(5990)).unwrap();
    assert_eq!(drain(&mut late).len(), 11);
}

#[test]
fn with_sync_always_nothing_is_seen_before_it_is_durable() {
    let disk = Disk::new(6);
    let store = disk.open(&[]);
    let mut watch = store.watch(&WatchOptions::all()).unwrap();
    disk.disk.hold_syncs();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| store.set("k", "").unwrap());
        while disk.disk.syncs_held() == 0 {
            std::thread::yield_now();
        }
        assert!(store.get("k").unwrap().is_some(), "a reader may see it");
        assert!(matches!(watch.try_next().unwrap(), Watched::TimedOut));
        disk.disk.release_syncs();
        writer.join().unwrap();
    });
    assert_eq!(told(&mut watch), ["set k"]);
}

#[test]
fn no_power_cut_takes_back_what_was_seen() {
    for seed in 0..60 {
        let disk = Disk::new(seed);
        let store = disk.open(&[("wal_segment_bytes", "64KiB")]);
        let mut watch = store.watch(&WatchOptions::all()).unwrap();
        disk.disk.cut_power_after(3 + seed * 2);
        let mut seen = Vec::new();
        for n in 0..100 {
            let key = format!("k{}", n % 7);
            let written = match n % 5 {
                0 => store.del(&key).map(drop),
                1 => {
                    store.set_many(&[(&key, "a"), (&"z".to_string(), "b")], kvcore::Expiry::Default)
                }
                _ => store.set(&key, format!("{n}")).map(drop),
            };
            while let Ok(Watched::Event(event)) = watch.try_next() {
                seen.push((event.revision(), short(&event)));
            }
            if written.is_err() {
                break;
            }
        }
        drop((watch, store));
        disk.disk.crash();
        let store = disk.open(&[]);
        let mut watch = store.watch(&from(1)).unwrap();
        let kept: Vec<_> =
            drain(&mut watch).iter().map(|event| (event.revision(), short(event))).collect();
        assert!(kept.starts_with(&seen), "seed {seed}: saw {seen:?}, kept {kept:?}");
    }
}
