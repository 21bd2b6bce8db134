//! What one server does beyond the cases.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kvcore::{Batch, BatchOutcome, EventKind, Options, ScanOptions, Status, WatchOptions, Watched};
use kvremote::RemoteStore;

use crate::race::End;
use crate::servers::{Server, one};

/// The next thing a watch tells, waiting as long as a test may take.
pub fn next(watch: &mut kvremote::RemoteWatch) -> Watched {
    watch.next(Some(Duration::from_secs(120))).unwrap()
}

#[test]
fn a_batch_is_made_at_one_moment() {
    let store = one().open("prefix=batch:");
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _end = End(&stop);
        scope.spawn(|| {
            loop {
                let is_last = stop.load(Ordering::Relaxed);
                let keys = store.get_many(&["a", "b"]).unwrap();
                // The pipeline is no moment of its own, so `b` may be newer, and never older.
                let [a, b] = [&keys[0], &keys[1]].map(|value| value.as_deref().map(<[u8]>::to_vec));
                assert!(b >= a, "{a:?} {b:?}");
                if is_last {
                    assert!(keys.iter().all(Option::is_some));
                    break;
                }
            }
        });
        for round in 0..200u32 {
            let text = format!("{round:04}");
            let mut batch = Batch::new();
            batch.set("a", &text).set("b", &text).del("c");
            let outcome = store.write(&batch).unwrap();
            assert_eq!(outcome, BatchOutcome::Applied { applied: 2, missing: 1 });
        }
    });
}

#[test]
fn prefixes_keep_stores_apart() {
    let (a, b) = (one().open("prefix=apart-a:"), one().open("prefix=apart-b:"));
    a.set("k", "1").unwrap();
    b.set("k", "2").unwrap();
    b.set("*", "3").unwrap();
    a.clear().unwrap();
    assert_eq!((a.len(), b.len()), (Ok(0), Ok(2)));
    assert_eq!(b.get("k").unwrap().as_deref(), Some(&b"2"[..]));
    b.clear().unwrap();
}

#[test]
fn watches_tell_what_happened() {
    let store = one().open("prefix=watch:");
    let mut all = store.watch(&WatchOptions::all()).unwrap();
    let kinds = EventKind::Set | EventKind::Deleted;
    let mut some = store.watch(&WatchOptions::key("b").kinds(kinds)).unwrap();
    store.set("a", "1").unwrap();
    store.expire("a", 600_000).unwrap();
    store.incr("b", 1, kvcore::Expiry::Default).unwrap();
    store.del("b").unwrap();
    let told: Vec<_> = (0..4)
        .map(|_| match next(&mut all) {
            Watched::Event(event) => (event.kind(), event.key().to_vec()),
            other => panic!("{other:?}"),
        })
        .collect();
    let expected = [
        (EventKind::Set, b"a".to_vec()),
        (EventKind::Touched, b"a".to_vec()),
        (EventKind::Set, b"b".to_vec()),
        (EventKind::Deleted, b"b".to_vec()),
    ];
    assert_eq!(told, expected);
    for kind in [EventKind::Set, EventKind::Deleted] {
        assert!(matches!(next(&mut some), Watched::Event(event) if event.kind() == kind));
    }
    assert!(matches!(some.try_next(), Ok(Watched::TimedOut)));
    some.canceller().cancel();
    assert!(matches!(next(&mut some), Watched::Cancelled));
}

#[test]
fn a_watch_that_lost_its_connection_says_so() {
    let server = Server::start(&["--notify-keyspace-events", "KA"]);
    let store = server.open("");
    let mut watch = store.watch(&WatchOptions::all()).unwrap();
    server.say(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    assert!(matches!(next(&mut watch), Watched::Lagged { .. }));
    store.set("k", "v").unwrap();
    assert!(matches!(next(&mut watch), Watched::Event(event) if event.key() == b"k"));
}

#[test]
fn lost_connections_are_mended() {
    let server = Server::start(&[]);
    let store = server.open("");
    store.set("k", "1").unwrap();
    for _ in 0..3 {
        server.say(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
        assert_eq!(store.get("k").unwrap().as_deref(), Some(&b"1"[..]));
    }
}

#[test]
fn a_lost_reply_is_an_unknown_outcome_only_where_it_matters() {
    let server = Server::start(&[]);
    let store = server.open("timeout=3s");
    store.set("n", "1").unwrap();
    server.signal("-STOP");
    let status = |error: kvcore::Error| error.status();
    assert_eq!(store.incr("n", 1, kvcore::Expiry::Default).map_err(status), Err(Status::Io));
    // It is not even connected any more, so nothing was sent.
    assert_eq!(store.append("n", "1").map_err(status), Err(Status::Unavailable));
    assert_eq!(store.set("k", "v").map_err(status), Err(Status::Unavailable));
    assert_eq!(store.get("n").map(drop).map_err(status), Err(Status::Unavailable));
    server.signal("-CONT");
    crate::servers::wait_until("the server is back", || store.get("n").is_ok());
}

#[test]
fn stats_add_up() {
    let server = Server::start(&[]);
    let store = server.open("allow_flush=true");
    store.set("a", "1").unwrap();
    store.set_with("b", "1", &kvcore::SetOptions::default().expire_at_ms(4e12 as i64)).unwrap();
    assert!(store.get("a").unwrap().is_some() && store.get("x").unwrap().is_none());
    let stats = store.stats().unwrap();
    assert_eq!((stats.entries, stats.expiring_entries), (2, 1));
    assert_eq!((stats.sets, stats.gets, stats.hits, stats.misses), (2, 2, 1, 1));
    assert!(stats.memory_bytes > 0);
    store.clear().unwrap();
    assert_eq!(store.len(), Ok(0));
}

#[test]
fn a_closed_store_answers_closed() {
    let store = one().open("");
    let other = store.clone();
    let mut scan = other.scan(&ScanOptions::new()).unwrap();
    store.shutdown().unwrap();
    store.shutdown().unwrap();
    assert_eq!(other.get("k").map(drop).map_err(|e| e.status()), Err(Status::Closed));
    assert_eq!(other.set("k", "v").map_err(|e| e.status()), Err(Status::Closed));
    assert!(matches!(scan.next(), Some(Err(error)) if error.status() == Status::Closed));
    assert!(scan.next().is_none());
    assert!(RemoteStore::open("a/directory", Options::new()).is_err());
}
