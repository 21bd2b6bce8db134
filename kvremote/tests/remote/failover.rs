//! A master is killed under load: no wrong result, errors of the documented kinds only, and service comes back.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use kvcore::{Expiry, Status};
use kvremote::RemoteStore;

use crate::race::End;
use crate::servers::{Cluster, wait_until};

/// Threads, each with keys of its own.
const THREADS: usize = 16;

/// What a thread counted with the server.
#[derive(Debug, Default)]
struct Counted {
    surely: i64,
    perhaps: i64,
}

/// Writes and reads until told to stop. Whatever fails does so in a documented way, and what is read was written.
fn load(store: &RemoteStore, thread: usize, stop: &AtomicBool, calls: &AtomicU64) -> Counted {
    let (key, counter) = (format!("k{thread}"), format!("n{thread}"));
    let mut counted = Counted::default();
    for round in 0u64.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        if let Err(error) = store.set(&key, round.to_string()) {
            assert_eq!(error.status(), Status::Unavailable, "{error}");
        }
        match store.get(&key) {
            // A replica that was promoted may be behind, and never ahead.
            Ok(Some(value)) => {
                let value: u64 = std::str::from_utf8(&value).unwrap().parse().unwrap();
                assert!(value <= round, "{value} was not written before round {round}");
            }
            Ok(None) => {}
            Err(error) => assert_eq!(error.status(), Status::Unavailable, "{error}"),
        }
        match store.get_many(&[&key, &counter]) {
            Ok(values) => assert_eq!(values.len(), 2),
            Err(error) => assert_eq!(error.status(), Status::Unavailable, "{error}"),
        }
        match store.incr(&counter, 1, Expiry::Default) {
            Ok(_) => counted.surely += 1,
            Err(error) if error.status() == Status::Unavailable => {}
            Err(error) => {
                assert_eq!(error.status(), Status::Io, "{error}");
                counted.perhaps += 1;
            }
        }
        calls.fetch_add(1, Ordering::Relaxed);
    }
    counted
}

#[test]
fn a_killed_master_is_replaced() {
    let cluster = Cluster::to_be_killed();
    // What a replica has confirmed outlives its master.
    let acked = cluster.open("prefix=acked:&ack_replicas=1");
    for number in 0..100 {
        acked.set(format!("k{number}"), number.to_string()).unwrap();
    }
    let store = cluster.open("prefix=load:&timeout=10s&near=4MiB");
    let (stop, calls) = (AtomicBool::new(false), AtomicU64::new(0));
    let counted: Vec<Counted> = std::thread::scope(|scope| {
        let end = End(&stop);
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (store, stop, calls) = (&store, &stop, &calls);
                scope.spawn(move || load(store, thread, stop, calls))
            })
            .collect();
        let go_on = |more: u64| {
            let goal = calls.load(Ordering::Relaxed) + more;
            wait_until("calls go on", || calls.load(Ordering::Relaxed) >= goal);
        };
        go_on(500);
        cluster.kill_master(0);
        go_on(500);
        drop(end);
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for (thread, Counted { surely, perhaps }) in counted.into_iter().enumerate() {
        // Nothing was counted twice.
        let counter = store.incr(format!("n{thread}"), 0, Expiry::Default).unwrap();
        assert!(counter <= surely + perhaps, "{counter} of {surely} and perhaps {perhaps}");
    }
    for number in 0..100 {
        let value = acked.get(format!("k{number}")).unwrap();
        assert_eq!(value.as_deref(), Some(number.to_string().as_bytes()));
    }
    // The near cache goes on with the new master.
    wait_until("the listeners are confirmed", || store.near_stats().confirmed);
    let other = cluster.open("prefix=load:");
    for thread in 0..THREADS {
        let key = format!("k{thread}");
        store.get(&key).unwrap();
        other.set(&key, "last").unwrap();
        wait_until("the change is told", || {
            store.get(&key).unwrap().as_deref() == Some(&b"last"[..])
        });
    }
}
