//! Eight threads that write and three that watch: one order, complete, and the log's.

use std::collections::BTreeMap;
use std::thread;

use kvcore::simulation::{SimDisk, open as open_on};
use kvcore::{Clock, Event, EventKind, Expiry, Options, Store, Watch, WatchOptions, Watched};

const WRITERS: u64 = 8;
const STEPS: u64 = 1500;

/// Random writes on few keys. Returns the revision, key and value of every plain set.
fn write(store: &Store, writer: u64) -> Vec<(u64, String, String)> {
    let mut random = fastrand::Rng::with_seed(writer);
    let mut sets = Vec::new();
    for step in 0..STEPS {
        let key = format!("{} {}", if random.bool() { "hot" } else { "warm" }, random.u8(..20));
        let value = format!("{writer} {step}");
        match random.u8(..12) {
            0 => drop(store.del(&key).unwrap()),
            1 => drop(store.expire(&key, 1_000_000).unwrap()),
            2 => drop(store.append(&key, "x".repeat(random.usize(..3000))).unwrap()),
            3 => {
                let items = [("batch a", &value), ("batch b", &value), ("batch c", &value)];
                store.set_many(&items, Expiry::Default).unwrap();
            }
            4 if step % 500 == 0 => store.clear().unwrap(),
            _ => sets.push((store.set(&key, &value).unwrap(), key, value)),
        }
    }
    sets
}

/// Reads until the last event of a key that is written when all is done.
fn read_to_the_end(mut watch: Watch) -> Vec<Event> {
    let mut events: Vec<Event> = Vec::new();
    loop {
        match watch.next(None).unwrap() {
            Watched::Event(event) if event.key() == b"the end" => return events,
            Watched::Event(event) => events.push(event),
            other => panic!("{other:?} after {}", events.len()),
        }
    }
}

/// Everything that an event tells.
fn whole(event: &Event) -> (u64, EventKind, Vec<u8>, Option<Vec<u8>>, Option<i64>) {
    let value = event.value().map(<[u8]>::to_vec);
    (event.revision(), event.kind(), event.key().to_vec(), value, event.expire_at_ms())
}

/// What the events add up to.
fn add_up(events: &[Event]) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut mirror = BTreeMap::new();
    for event in events {
        match (event.kind(), event.value()) {
            (EventKind::Cleared, _) => mirror.clear(),
            (EventKind::Touched, _) => assert!(mirror.contains_key(event.key())),
            (_, Some(value)) => drop(mirror.insert(event.key().to_vec(), value.to_vec())),
            _ => assert!(mirror.remove(event.key()).is_some(), "{event:?}"),
        }
    }
    mirror
}

/// Batches of three keys come as a whole: nobody who has seen everything sees half of one.
fn batches_are_whole(events: &[Event]) {
    let sets = events.iter().filter(|event| event.value().is_some());
    let mut seen: BTreeMap<Vec<u8>, u32> = BTreeMap::new();
    for event in sets.filter(|event| event.key().starts_with(b"batch")) {
        *seen.entry(event.value().unwrap().to_vec()).or_default() += 1;
    }
    assert!(seen.values().all(|&count| count == 3));
}

/// Has all threads write and watch; returns every event.
fn hammer(store: &Store, first_revision: u64) -> Vec<Event> {
    let all = store.watch(&WatchOptions::all()).unwrap();
    let hot = store.watch(&WatchOptions::prefix("hot").kinds(EventKind::Set)).unwrap();
    let mut end = store.watch(&WatchOptions::key("the end").kinds(EventKind::Set)).unwrap();
    let mut asleep = store.watch(&WatchOptions::all()).unwrap();
    let (events, hot_events, sets) = thread::scope(|scope| {
        let all = scope.spawn(|| read_to_the_end(all));
        let hot = scope.spawn(|| {
            let mut hot = hot;
            let mut events = Vec::new();
            while let Watched::Event(event) = hot.next(None).unwrap() {
                if event.key() == b"hot end" {
                    return events;
                }
                events.push(event);
            }
            panic!("it lagged");
        });
        let writers: Vec<_> =
            (0..WRITERS).map(|writer| scope.spawn(move || write(store, writer))).collect();
        let sets: Vec<_> = writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect();
        store.set("hot end", "").unwrap();
        store.set("the end", "").unwrap();
        (all.join().unwrap(), hot.join().unwrap(), sets)
    });
    // A watch of one quiet key sees that key, and has missed nothing for it.
    assert!(matches!(end.next(None).unwrap(), Watched::Event(event) if event.key() == b"the end"));
    let revisions: Vec<u64> = events.iter().map(Event::revision).collect();
    let expected: Vec<u64> = (first_revision..).take(events.len()).collect();
    assert_eq!(revisions, expected, "a gap");
    batches_are_whole(&events);
    for (revision, key, value) in sets {
        let event = &events[(revision - first_revision) as usize];
        assert_eq!((event.kind(), event.key()), (EventKind::Set, key.as_bytes()));
        assert_eq!(event.value(), Some(value.as_bytes()));
    }
    let is_hot = |event: &&Event| {
        event.kind() == EventKind::Set
            && event.key().starts_with(b"hot ")
            && event.key() != b"hot end"
    };
    let expected: Vec<_> = events.iter().filter(is_hot).map(whole).collect();
    assert_eq!(hot_events.iter().map(whole).collect::<Vec<_>>(), expected);
    // Who slept has what the others saw, if it is still there.
    let mut slept = Vec::new();
    while let Watched::Event(event) = asleep.try_next().unwrap() {
        slept.push(whole(&event));
    }
    assert!(events.iter().map(whole).eq(slept.into_iter().take(events.len())));
    events
}

fn contents(store: &Store) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let keys = store.keys().unwrap().map(Result::unwrap).filter(|key| key != b"the end");
    keys.map(|key| (key.clone(), store.get(&key).unwrap().unwrap().to_vec())).collect()
}

#[test]
fn watches_see_what_memory_holds() {
    let options = Options::new().with("shards", "8").unwrap();
    let store = Store::memory(options).unwrap();
    let events = hammer(&store, 1);
    assert_eq!(add_up(&events), contents(&store));
}

#[test]
fn watches_see_what_the_log_holds() {
    for sync in ["interval", "always"] {
        let disk = SimDisk::new(7);
        let options = |buffer: &str| {
            let options = [
                ("shards", "8"),
                ("persistence", "wal"),
                ("sync", sync),
                ("wal_segment_bytes", "1MiB"),
                ("watch_buffer", buffer),
            ];
            let set =
                |options: Options, (name, value): (&str, &str)| options.with(name, value).unwrap();
            options.into_iter().fold(Options::new(), set)
        };
        let clock = || Clock::manual(1_700_000_000_000).0;
        let store = open_on(&disk, "/db", options("65536"), clock()).unwrap();
        let events = hammer(&store, 1);
        assert_eq!(add_up(&events), contents(&store));
        // The log of this life, read while it is open, and by the next life.
        let store = {
            let mut again = store.watch(&WatchOptions::all().from_revision(1)).unwrap();
            for event in &events {
                let Watched::Event(read) = again.try_next().unwrap() else { panic!("{event:?}") };
                assert_eq!(whole(&read), whole(event));
            }
            drop((again, store));
            open_on(&disk, "/db", options("4"), clock()).unwrap()
        };
        let replayed = store.watch(&WatchOptions::all().from_revision(1)).unwrap();
        let replayed = read_to_the_end(replayed);
        assert!(replayed.iter().map(whole).eq(events.iter().map(whole)));
    }
}
