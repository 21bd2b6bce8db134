//! Reading and changing keys in one step.

#![allow(clippy::unwrap_used)]
#![cfg(not(kv_shuttle))]
#![allow(clippy::disallowed_methods)]

use std::panic::{AssertUnwindSafe, catch_unwind};

use kvcore::{Error, Expiry, Options, Remaining, Status, Store, TTL_NONE, Update};

fn number(value: Option<&[u8]>) -> i64 {
    value.map_or(0, |value| std::str::from_utf8(value).unwrap().parse().unwrap())
}

#[test]
fn money_moves_and_none_is_lost() {
    const ACCOUNTS: usize = 8;
    const EACH: i64 = 1_000;
    let store = Store::memory(Options::new().with("shards", "4").unwrap()).unwrap();
    let names: Vec<String> = (0..ACCOUNTS).map(|n| format!("account:{n}")).collect();
    for name in &names {
        store.set(name, EACH.to_string()).unwrap();
    }
    std::thread::scope(|scope| {
        for thread in 0..3 {
            let (store, names) = (&store, &names);
            scope.spawn(move || {
                for round in 0..2_000 {
                    let (from, to) = (&names[(round + thread) % 8], &names[(round * 3 + 1) % 8]);
                    store
                        .transact(&[from, to], |keys| {
                            let left = number(keys.get(from)?) - 1;
                            keys.set(from, left.to_string(), Expiry::Keep)?;
                            // Also right if both are one account.
                            let more = number(keys.get(to)?) + 1;
                            keys.set(to, more.to_string(), Expiry::Keep)
                        })
                        .unwrap();
                }
            });
        }
        for _ in 0..300 {
            let sum = store.transact(&names, |keys| {
                let each = names.iter().map(|name| Ok(number(keys.get(name)?)));
                each.sum::<Result<i64, Error>>()
            });
            assert_eq!(sum, Ok(ACCOUNTS as i64 * EACH));
        }
    });
    store.validate();
}

#[test]
fn update_sets_keeps_and_deletes() {
    let store = Store::memory(Options::new()).unwrap();
    for _ in 0..3 {
        store.update("n", |value| Update::Set((number(value) + 1).to_string().into())).unwrap();
    }
    assert_eq!(store.get("n").unwrap().as_deref(), Some(&b"3"[..]));
    store.expire("n", 600_000).unwrap();
    store.update("n", |_| Update::Set(b"4".to_vec())).unwrap();
    assert!(matches!(store.ttl("n").unwrap(), Some(Remaining::Ms(_))));
    let version = store.get("n").unwrap().unwrap().version();
    store.update("n", |_| Update::Keep).unwrap();
    assert_eq!(store.get("n").unwrap().unwrap().version(), version);
    store.update("n", |_| Update::SetWith(b"5".to_vec(), Expiry::Never)).unwrap();
    assert_eq!(store.ttl("n").unwrap(), Some(Remaining::Never));
    assert!(store.expire("n", TTL_NONE).unwrap());
    store.update("n", |_| Update::Delete).unwrap();
    store
        .update("n", |value| {
            assert_eq!(value, None);
            Update::Delete
        })
        .unwrap();
    assert!(!store.exists("n").unwrap());
}

#[test]
fn an_error_or_a_panic_changes_nothing() {
    let store = Store::memory(Options::new()).unwrap();
    store.set("a", "1").unwrap();
    let failed = store.transact(&["a"], |keys| {
        keys.del("a")?;
        assert_eq!(keys.get("a")?, None);
        keys.set("b", "2", Expiry::Default)
    });
    assert_eq!(failed.map_err(|error| error.status()), Err(Status::Invalid));
    let caught = catch_unwind(AssertUnwindSafe(|| {
        store.transact(&["a", "b"], |keys| -> Result<(), Error> {
            keys.set("a", "3", Expiry::Default)?;
            panic!("planted");
        })
    }));
    assert!(caught.is_err());
    assert_eq!(store.get("a").unwrap().as_deref(), Some(&b"1"[..]));
    assert!(store.last_fault().is_none());
    store.set("a", "4").unwrap();
    store.validate();
}

#[test]
fn room_is_made_and_the_closure_asked_again() {
    let options = Options::new().with("max_entries", "2").unwrap().with("shards", "1").unwrap();
    let store = Store::memory(options.clone().with("eviction", "lru").unwrap()).unwrap();
    store.set("old", "1").unwrap();
    store.set("own", "2").unwrap();
    let mut asked = 0;
    store
        .transact(&["own", "new"], |keys| {
            asked += 1;
            let value = keys.get("own")?.unwrap().to_vec();
            keys.set("new", value, Expiry::Default)
        })
        .unwrap();
    assert!(asked > 1);
    assert_eq!(store.get_many(&["old", "own", "new"]).unwrap().iter().flatten().count(), 2);
    assert!(!store.exists("old").unwrap());

    let store = Store::memory(options).unwrap();
    store.set("old", "1").unwrap();
    store.set("own", "2").unwrap();
    let full = store.update("new", |_| Update::Set(b"3".to_vec()));
    assert_eq!(full.map_err(|error| error.status()), Err(Status::Full));
    assert!(store.exists("old").unwrap());
}

#[test]
fn deadlines_are_seen_and_set_as_they_will_be_written() {
    let (clock, hand) = kvcore::Clock::manual(1_000_000);
    let store =
        Store::with_clock(Options::new().with("ttl_jitter", "50%").unwrap(), clock).unwrap();
    let version = store.set("a", "1").unwrap();
    let deadline = store
        .transact(&["a", "b", "c"], |keys| {
            assert_eq!(keys.held("a")?.and_then(|held| held.version), Some(version));
            assert_eq!(keys.held("b")?, None);
            assert!(!keys.expire_at("b", 2_000_000)?);
            // A deadline with jitter is settled once.
            keys.set("b", "2", Expiry::AfterMs(1000))?;
            let deadline = keys.held("b")?.and_then(|held| held.expire_at_ms);
            assert_eq!(
                keys.held("b")?.map(|held| (held.value, held.version)),
                Some((&b"2"[..], None))
            );
            assert!(keys.expire_at("a", 1_000_500)?);
            assert_eq!(
                keys.held("a")?.map(|held| (held.value, held.expire_at_ms)),
                Some((&b"1"[..], Some(1_000_500)))
            );
            // What is set with a deadline that has passed is not there.
            keys.set("c", "3", Expiry::AtMs(1_000_000))?;
            assert_eq!(keys.get("c")?, None);
            assert_eq!(keys.now_ms(), 1_000_000);
            Ok(deadline)
        })
        .unwrap();
    assert_eq!(store.get("b").unwrap().unwrap().expire_at_ms(), deadline);
    assert_eq!(store.get("a").unwrap().unwrap().expire_at_ms(), Some(1_000_500));
    assert_eq!(store.get("c").unwrap().as_deref(), None);
    // Keeping means the deadline of this moment, and removing takes both.
    store
        .transact(&["a"], |keys| {
            keys.set("a", "4", Expiry::Keep)?;
            assert_eq!(keys.held("a")?.and_then(|held| held.expire_at_ms), Some(1_000_500));
            assert!(keys.expire_at("a", kvcore::TTL_NONE)?);
            assert_eq!(keys.held("a")?.map(|held| held.expire_at_ms), Some(None));
            assert!(keys.expire_at("a", 0)?);
            assert_eq!(keys.held("a")?, None);
            Ok(())
        })
        .unwrap();
    hand.advance_ms(1);
    assert_eq!(store.get("a").unwrap().as_deref(), None);
    store.validate();
}
