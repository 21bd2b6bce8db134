//! Making room by policies that are chosen while the server runs.

use crate::client::{Client, Running, check};
use kvcore::{Options, Store};
use kvserver::ServerOptions;

/// Sets the limit so far above what is used that a value of 200 KB does not fit.
fn limit(client: &mut Client) {
    let info = client.ask("INFO memory");
    let used = info.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap();
    let limit = used.trim().parse::<u64>().unwrap() + 100_000;
    assert_eq!(client.ask(&format!("CONFIG SET maxmemory {limit}")), "+OK");
}

#[test]
fn only_keys_with_deadlines_go_and_whoever_caches_them_is_told_first() {
    let running = Running::new();
    let mut client = running.client();
    client.ask("HELLO 3");
    limit(&mut client);
    check(
        &mut client,
        &[
            ("CONFIG SET maxmemory-policy volatile-random", "+OK"),
            ("CLIENT TRACKING ON", "+OK"),
            ("SETEX volatile 10000 v", "+OK"),
            ("SET lasting v", "+OK"),
            ("GET volatile", "$v"),
            ("SETBIT large 1600000 0", ":0"),
            ("GETBIT large 0", ">[$invalidate [$volatile]]"),
        ],
    );
    assert_eq!(client.reply(), ":0");
    check(
        &mut client,
        &[
            ("EXISTS volatile lasting", ":1"),
            ("SET more v", "-OOM command not allowed when used memory > 'maxmemory'."),
            ("CONFIG SET maxmemory-policy allkeys-random", "+OK"),
        ],
    );
    // Every key may go now, and has to before the next command.
    client.send(b"SET more v\r\n");
    while client.reply() != "+OK" {}
    assert!(client.ask("INFO stats").contains("evicted_keys:"));
    check(
        &mut client,
        &[
            ("EXISTS large", ":0"),
            ("CONFIG SET maxmemory 0 maxmemory-policy noeviction", "+OK"),
            ("CONFIG GET maxmemory-policy", "{$maxmemory-policy $noeviction}"),
        ],
    );
}

#[test]
fn the_key_that_expires_soonest_goes_first() {
    let running = Running::new();
    let mut client = running.client();
    check(
        &mut client,
        &[
            ("CONFIG SET maxmemory-policy volatile-ttl", "+OK"),
            ("SET late v EX 1000", "+OK"),
            ("SET soon v EX 100", "+OK"),
            ("SET later v EX 2000", "+OK"),
        ],
    );
    limit(&mut client);
    client.ask("SETBIT large 1600000 0");
    // All three go for a value that is larger than all of them, and no more.
    check(&mut client, &[("EXISTS late soon later", ":0"), ("EXISTS large", ":1")]);
}

#[test]
fn a_policy_that_cannot_be_had_is_refused() {
    let store = Store::memory(Options::new().with("eviction", "lru").unwrap()).unwrap();
    let options = ServerOptions {
        threads: 1,
        eviction: "lru".to_owned(),
        evicts: false,
        ..ServerOptions::default()
    };
    let running = Running::on(store, options);
    check(
        &mut running.client(),
        &[
            (
                "CONFIG SET maxmemory-policy volatile-lru",
                "-ERR CONFIG SET failed (possibly related to argument 'maxmemory-policy') - argument(s) must be one of the following: noeviction, allkeys-lru, allkeys-random, volatile-random, volatile-ttl; policies by use have to be chosen when the server starts, with --eviction",
            ),
            ("CONFIG GET maxmemory-policy", "[$maxmemory-policy $noeviction]"),
            ("CONFIG SET maxmemory-policy allkeys-lru", "+OK"),
            ("CONFIG GET maxmemory-policy", "[$maxmemory-policy $allkeys-lru]"),
        ],
    );
}

#[test]
fn a_limit_that_the_store_was_opened_with_is_told() {
    let store = Store::memory(Options::new().with("max_memory", "64MiB").unwrap()).unwrap();
    let running = Running::on(store, ServerOptions { threads: 1, ..ServerOptions::default() });
    check(&mut running.client(), &[("CONFIG GET maxmemory", "[$maxmemory $67108864]")]);
}

#[test]
fn what_a_client_without_touch_reads_is_no_use() {
    let options = Options::new().with("entry_stats", "true").unwrap();
    let running = Running::on(Store::memory(options).unwrap(), ServerOptions::default());
    let mut client = running.client();
    check(
        &mut client,
        &[
            ("SET k v", "+OK"),
            ("CLIENT NO-TOUCH maybe", "-ERR syntax error"),
            ("CLIENT NO-TOUCH ON", "+OK"),
            ("GET k", "$v"),
            ("MGET k k", "[$v $v]"),
            ("STRLEN k", ":1"),
            ("OBJECT FREQ k", ":0"),
            ("TOUCH k", ":1"),
            ("OBJECT FREQ k", ":1"),
            ("CLIENT NO-TOUCH OFF", "+OK"),
            ("GET k", "$v"),
            // What asks about a key is no use of it in any case.
            ("OBJECT ENCODING k", "$embstr"),
            ("EXPIRETIME k", ":-1"),
            ("OBJECT FREQ k", ":2"),
            ("CLIENT NO-TOUCH ON", "+OK"),
        ],
    );
    // Nor are several reads that come together.
    client.send(&crate::client::request(&["GET", "k"]).repeat(4));
    (0..4).for_each(|_| assert_eq!(client.reply(), "$v"));
    assert!(client.ask("CLIENT INFO").contains(" flags=T "));
    assert_eq!(client.ask("RESET"), "+RESET");
    assert_eq!(client.ask("OBJECT FREQ k"), ":2");
    assert_eq!(client.ask("GET k"), "$v");
    assert_eq!(client.ask("OBJECT FREQ k"), ":3");
}
