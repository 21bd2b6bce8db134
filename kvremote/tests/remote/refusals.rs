//! What cannot be done, each with its documented error, in no error a password.

use kvcore::{
    Batch, Options, Order, Result, ScanOptions, SetOptions, SetOutcome, Status, WatchOptions,
};
use kvremote::RemoteStore;

use crate::servers::{Server, cluster, one};

fn status<T>(result: Result<T>) -> Option<Status> {
    result.err().map(|error| error.status())
}

fn open(location: &str) -> Result<RemoteStore> {
    RemoteStore::open(location, Options::new())
}

#[test]
fn what_a_server_cannot_do() {
    for store in [one().open(""), cluster().open("")] {
        let unsupported = Some(Status::Unsupported);
        assert_eq!(
            status(store.set_with("k", "v", &SetOptions::default().if_version(1))),
            unsupported
        );
        assert_eq!(status(store.del_if("k", 1)), unsupported);
        assert_eq!(status(store.scan(&ScanOptions::new().order(Order::Asc))), unsupported);
        assert_eq!(status(store.scan(&ScanOptions::new().start("a"))), unsupported);
        assert_eq!(status(store.scan(&ScanOptions::new().end("z"))), unsupported);
        assert_eq!(store.scan(&ScanOptions::new().end("")).unwrap().count(), 0);
        assert_eq!(status(store.scan(&ScanOptions::new().point_in_time())), unsupported);
        assert_eq!(status(store.watch(&WatchOptions::all().from_revision(1))), unsupported);
        assert_eq!(status(store.clear()), unsupported);
        assert_eq!(status(store.snapshot(None)), unsupported);
        assert_eq!(status(store.restore("x")), unsupported);
        assert_eq!(status(store.sync()), unsupported);
        assert_eq!(status(store.purge_expired()), unsupported);
        assert_eq!(status(store.configure("timeout", "1s")), unsupported);
        let mut batch = Batch::new();
        batch.set_with("k", "v", &SetOptions::default().if_version(1));
        assert_eq!(status(store.write(&batch)), unsupported);
        let can = store.capabilities();
        assert!(!(can.versions || can.ordered_scans || can.clear || can.snapshots));
        assert!(can.watches && !can.near_cache);
    }
    assert!(one().open("").capabilities().cross_slot_batches);
    assert!(!cluster().open("").capabilities().cross_slot_batches);
}

#[test]
fn other_types_are_no_strings() {
    let store = one().open("prefix=types:");
    one().say(&["RPUSH", "types:list", "a"]);
    assert_eq!(status(store.get("list")), Some(Status::Type));
    assert_eq!(status(store.incr("list", 1, kvcore::Expiry::Default)), Some(Status::Type));
    assert_eq!(status(store.append("list", "x")), Some(Status::Type));
    assert_eq!(store.scan(&ScanOptions::new()).unwrap().count(), 0);
    one().say(&["DEL", "types:list"]);
}

#[test]
fn a_wrong_password() {
    let server = Server::start(&["--user", "default", "on", "nopass", "~*", "+@all"]);
    server.say(&["ACL", "SETUSER", "me", "on", ">right", "~*", "&*", "+@all"]);
    for text in ["me:hush-wrong", ":hush-wrong", "nobody:hush-wrong"] {
        let text = format!("valkey://{text}@{}", server.address());
        match open(&text) {
            // A default user without a password takes any.
            Ok(_) => assert!(text.contains("//:")),
            Err(error) => {
                assert_eq!(error.status(), Status::Invalid, "{error}");
                assert!(!format!("{error} {error:?}").contains("hush"), "{error}");
            }
        }
    }
    let store = open(&format!("valkey://me:right@{}", server.address())).unwrap();
    store.set("k", "v").unwrap();
    assert!(!format!("{store:?}").contains("right"));
    server.say(&["ACL", "SETUSER", "me", "-set"]);
    assert_eq!(status(store.set("k", "v")), Some(Status::Invalid));
}

#[test]
fn nobody_there() {
    for scheme in ["valkey", "valkey-cluster"] {
        // Nobody but the system itself may listen there.
        let error = open(&format!("{scheme}://127.0.0.1:1?timeout=1s")).unwrap_err();
        assert_eq!(error.status(), Status::Unavailable, "{error}");
    }
}

#[test]
fn servers_of_the_other_kind() {
    let error = open(&format!("valkey-cluster://{}", one().address())).unwrap_err();
    assert_eq!(error.status(), Status::Unsupported, "{error}");
    assert!(error.message().contains("valkey://"), "{error}");
    let store = cluster().servers[0].open("prefix=kind:");
    let error = (0..50).find_map(|number| store.set(format!("k{number}"), "v").err()).unwrap();
    assert_eq!(error.status(), Status::Unsupported, "{error}");
    assert!(error.message().contains("valkey-cluster://"), "{error}");
    cluster().open("prefix=kind:").clear().unwrap();
}

#[test]
fn a_cluster_without_slots() {
    let server = Server::start(&["--cluster-enabled", "yes"]);
    let error = open(&format!("valkey-cluster://{}?timeout=1s", server.address())).unwrap_err();
    assert_eq!(error.status(), Status::Unavailable, "{error}");
}

#[test]
fn channels_that_are_forbidden() {
    let server = Server::start(&["--notify-keyspace-events", "KA"]);
    server.say(&["ACL", "SETUSER", "me", "on", ">right", "~*", "resetchannels", "+@all"]);
    let store = open(&format!("valkey://me:right@{}", server.address())).unwrap();
    let refused = || status(store.watch(&WatchOptions::prefix("user:")));
    assert_eq!(refused(), Some(Status::Invalid));
    server.say(&["ACL", "SETUSER", "me", "&__keyspace@0__:user:*"]);
    assert_eq!(refused(), None);
}

#[test]
fn replicas_that_confirm_no_change() {
    let store = one().open("prefix=confirmed:&ack_replicas=1&timeout=3s");
    // Made, but there is no replica.
    assert_eq!(status(store.set("k", "v")), Some(Status::Io));
    let absent = SetOptions::default().if_absent();
    assert_eq!(store.set_with("k", "w", &absent), Ok(SetOutcome::Exists));
    assert_eq!(status(store.incr("k", 1, kvcore::Expiry::Default)), Some(Status::Type));
    one().open("prefix=confirmed:").clear().unwrap();
}

#[test]
fn events_that_are_switched_off() {
    let server = Server::start(&[]);
    let store = server.open("");
    let error = store.watch(&WatchOptions::all()).unwrap_err();
    assert_eq!(error.status(), Status::Unsupported);
    assert!(error.message().contains("notify-keyspace-events"), "{error}");
}

#[test]
fn tls_where_there_is_none() {
    let location = format!("valkey://{}?tls=true&timeout=2s", one().address());
    let error = open(&location).unwrap_err();
    assert!(matches!(error.status(), Status::Unavailable | Status::Invalid), "{error}");
    let error = open("valkey://127.0.0.1:1?tls=true&tls_ca_file=/no/such/file").unwrap_err();
    assert_eq!(error.status(), Status::Io);
    assert!(error.message().contains("/no/such/file"), "{error}");
}
