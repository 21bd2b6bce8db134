//! Keys: their lifetimes, their names, looking for them.

use std::collections::BTreeSet;

use crate::client::{Running, check};
use kvserver::ServerOptions;

#[test]
fn deadlines_and_their_conditions() {
    let running = Running::at_rest();
    check(
        &mut running.client(),
        &[
            ("EXPIRE none 1", ":0"),
            ("TTL none", ":-2"),
            ("SET k v", "+OK"),
            ("EXPIRE k 100 XX", ":0"),
            ("EXPIRE k 100 GT", ":0"),
            ("EXPIRE k 100 NX", ":1"),
            ("EXPIRE k 200 NX", ":0"),
            ("EXPIRE k 50 GT", ":0"),
            ("EXPIRE k 200 GT", ":1"),
            ("EXPIRE k 300 LT", ":0"),
            ("EXPIRE k 100 LT", ":1"),
            ("TTL k", ":100"),
            (
                "EXPIRE k 1 NX XX",
                "-ERR NX and XX, GT or LT options at the same time are not compatible",
            ),
            ("EXPIRE k 1 GT LT", "-ERR GT and LT options at the same time are not compatible"),
            ("EXPIRE k 1 AB", "-ERR Unsupported option AB"),
            ("EXPIRE k 9223372036854775807", "-ERR invalid expire time in 'expire' command"),
            ("PEXPIREAT k 4102444800000", ":1"),
            ("EXPIRETIME k", ":4102444800"),
            ("PEXPIRETIME k", ":4102444800000"),
            ("PERSIST k", ":1"),
            ("PERSIST k", ":0"),
            ("EXPIRE k -1", ":1"),
            ("EXISTS k", ":0"),
        ],
    );
}

#[test]
fn names() {
    let running = Running::at_rest();
    check(
        &mut running.client(),
        &[
            ("SET a 1 EX 100", "+OK"),
            ("RENAME a b", "+OK"),
            ("TTL b", ":100"),
            ("RENAME a b", "-ERR no such key"),
            ("SET a 2", "+OK"),
            ("RENAMENX a b", ":0"),
            ("COPY b a", ":0"),
            ("COPY b a REPLACE", ":1"),
            ("TTL a", ":100"),
            ("COPY a a", "-ERR source and destination objects are the same"),
            ("EXISTS a b a none", ":3"),
            ("TYPE a", "+string"),
            ("TYPE none", "+none"),
            ("OBJECT ENCODING a", "$int"),
            ("DEL a b none", ":2"),
            ("DBSIZE", ":0"),
            ("RANDOMKEY", "nil"),
        ],
    );
}

#[test]
fn a_deleted_value_is_answered_if_that_is_asked_for() {
    let options =
        ServerOptions { threads: 1, resp_del_returns_value: true, ..ServerOptions::default() };
    let running = Running::with(options);
    check(
        &mut running.client(),
        &[("SET k v", "+OK"), ("DEL k", "$v"), ("DEL k", "nil"), ("DEL k l", ":0")],
    );
}

#[test]
fn a_scan_meets_every_key_once() {
    let running = Running::new();
    let mut client = running.client();
    for n in 0..500 {
        client.ask(&format!("SET key{n} v"));
    }
    let (mut cursor, mut met) = ("0".to_owned(), Vec::new());
    loop {
        let reply = client.ask(&format!("SCAN {cursor} COUNT 20 MATCH key*"));
        let (next, keys) = reply[2..reply.len() - 2].split_once(" [").unwrap();
        met.extend(keys.split(' ').filter(|key| !key.is_empty()).map(str::to_owned));
        cursor = next.to_owned();
        if cursor == "0" {
            break;
        }
    }
    assert_eq!(met.len(), 500);
    assert_eq!(met.iter().collect::<BTreeSet<_>>().len(), 500);
    assert_eq!(client.ask("KEYS key49?").matches("$key49").count(), 10);
    assert_eq!(client.ask("SCAN x"), "-ERR invalid cursor");
    assert_eq!(client.ask("SCAN 0 COUNT 0"), "-ERR syntax error");
    assert_eq!(client.ask("FLUSHALL"), "+OK");
    assert_eq!(client.ask("SCAN 0"), "[$0 []]");
}
