//! What clients are told without asking: messages, events of keys, invalidations.

use crate::client::{Running, check};

#[test]
fn messages_reach_subscribers() {
    let running = Running::new();
    let (mut one, mut other) = (running.client(), running.client());
    assert_eq!(one.ask("SUBSCRIBE news"), "[$subscribe $news :1]");
    assert_eq!(one.ask("PSUBSCRIBE n*"), "[$psubscribe $n* :2]");
    assert_eq!(other.ask("PUBLISH news hello"), ":2");
    assert_eq!(one.reply(), "[$message $news $hello]");
    assert_eq!(one.reply(), "[$pmessage $n* $news $hello]");
    assert!(one.ask("GET k").starts_with("-ERR Can't execute 'get'"));
    assert_eq!(one.ask("PING"), "[$pong $]");
    assert_eq!(other.ask("PUBSUB NUMSUB news"), "[$news :1]");
    assert_eq!(one.ask("UNSUBSCRIBE"), "[$unsubscribe $news :1]");
    assert_eq!(one.ask("PUNSUBSCRIBE"), "[$punsubscribe $n* :0]");
    assert_eq!(other.ask("PUBLISH news hello"), ":0");
    drop(one);
}

#[test]
fn the_third_version_tells_pushes_apart() {
    let running = Running::new();
    let mut client = running.client();
    assert!(client.ask("HELLO 3").starts_with("{$server $redis"));
    assert_eq!(client.ask("GET none"), "nil");
    assert_eq!(client.ask("SUBSCRIBE c"), ">[$subscribe $c :1]");
    assert_eq!(client.ask("PUBLISH c m"), ":1");
    assert_eq!(client.reply(), ">[$message $c $m]");
    assert_eq!(client.ask("HELLO 4"), "-NOPROTO unsupported protocol version");
}

#[test]
fn changes_of_keys_are_published() {
    let running = Running::new();
    let (mut one, mut other) = (running.client(), running.client());
    check(
        &mut other,
        &[
            ("CONFIG SET notify-keyspace-events KEA", "+OK"),
            ("CONFIG GET notify-keyspace-events", "[$notify-keyspace-events $AKE]"),
        ],
    );
    one.ask("PSUBSCRIBE *");
    other.ask("SET k v EX 100");
    assert_eq!(one.reply(), "[$pmessage $* $__keyspace@0__:k $set]");
    assert_eq!(one.reply(), "[$pmessage $* $__keyevent@0__:set $k]");
    assert_eq!(one.reply(), "[$pmessage $* $__keyspace@0__:k $expire]");
    assert_eq!(one.reply(), "[$pmessage $* $__keyevent@0__:expire $k]");
    other.ask("CONFIG SET notify-keyspace-events Ex");
    other.ask("PEXPIRE k 1");
    assert_eq!(one.reply(), "[$pmessage $* $__keyevent@0__:expired $k]");
}

#[test]
fn caches_are_told_of_changes() {
    let running = Running::new();
    let (mut one, mut other) = (running.client(), running.client());
    one.ask("HELLO 3");
    check(&mut one, &[("CLIENT TRACKING ON", "+OK"), ("GET k", "nil")]);
    other.ask("SET k 1");
    assert_eq!(one.reply(), ">[$invalidate [$k]]");
    // Told once, until it is read again.
    other.ask("SET k 2");
    assert_eq!(one.ask("MGET k l"), "[$2 nil]");
    other.ask("MULTI");
    other.ask("SET k 3");
    other.ask("SET l 3");
    other.ask("EXEC");
    assert_eq!(one.reply(), ">[$invalidate [$k]]");
    assert_eq!(one.reply(), ">[$invalidate [$l]]");
    other.ask("FLUSHALL");
    assert_eq!(one.reply(), ">[$invalidate nil]");
    check(
        &mut one,
        &[
            ("CLIENT TRACKING OFF", "+OK"),
            ("CLIENT TRACKING ON BCAST PREFIX a PREFIX b NOLOOP", "+OK"),
            ("SET a1 1", "+OK"),
        ],
    );
    other.ask("SET c 1");
    other.ask("SET b1 1");
    assert_eq!(one.reply(), ">[$invalidate [$b1]]");
}

#[test]
fn a_client_that_has_left_is_not_told_in_the_place_of_another() {
    let running = Running::new();
    let (mut one, mut target, mut other) = (running.client(), running.client(), running.client());
    one.ask("HELLO 3");
    let id = target.ask("CLIENT ID");
    let id = id.trim_start_matches(':');
    assert_eq!(one.ask(&format!("CLIENT TRACKING ON REDIRECT {id}")), "+OK");
    assert_eq!(one.ask("GET k"), "nil");
    // Whoever has this reply may rely on the client being gone.
    assert_eq!(target.ask("QUIT"), "+OK");
    other.ask("SET k v");
    assert_eq!(one.reply(), format!(">[$tracking-redir-broken :{id}]"));
}
