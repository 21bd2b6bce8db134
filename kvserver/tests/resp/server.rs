//! What administrators and tests ask of a server: pauses, times, settings.

use crate::client::{Client, Running, check};

/// Waits until so many clients wait.
fn until_blocked(client: &mut Client, count: usize) {
    while !client.ask("INFO clients").contains(&format!("blocked_clients:{count}\r\n")) {}
}

#[test]
fn paused_writes_wait_and_reads_go_on() {
    let running = Running::new();
    let (mut one, mut other) = (running.client(), running.client());
    check(
        &mut one,
        &[
            ("MULTI", "+OK"),
            ("SET k 1", "+QUEUED"),
            ("CLIENT PAUSE 100000 WRITE", "+QUEUED"),
            ("SET l 1", "+QUEUED"),
            ("EXEC", "[+OK +OK +OK]"),
            ("GET l", "$1"),
            ("SET k", "-ERR wrong number of arguments for 'set' command"),
        ],
    );
    other.send(b"GET k\r\nSET k 2\r\nGET k\r\n");
    assert_eq!(other.reply(), "$1");
    until_blocked(&mut one, 1);
    check(&mut one, &[("GET k", "$1"), ("CLIENT UNPAUSE", "+OK")]);
    assert_eq!((other.reply(), other.reply()), ("+OK".to_owned(), "$2".to_owned()));
    until_blocked(&mut one, 0);
}

#[test]
fn a_pause_ends_by_itself() {
    let running = Running::new();
    let mut client = running.client();
    check(
        &mut client,
        &[
            ("CLIENT PAUSE 50 ALL", "+OK"),
            ("SET k v", "+OK"),
            ("CLIENT PAUSE 1 never", "-ERR CLIENT PAUSE mode must be WRITE or ALL"),
            ("CLIENT PAUSE -1", "-ERR timeout is negative"),
            ("CLIENT PAUSE x", "-ERR timeout is not an integer or out of range"),
        ],
    );
}

#[test]
fn nothing_is_freed_during_a_pause_and_everything_behind_it() {
    let running = Running::new();
    let mut client = running.client();
    client.send(b"MULTI\r\nSET k v PX 1\r\nCLIENT PAUSE 100000 WRITE\r\nEXEC\r\n");
    for _ in 0..4 {
        client.reply();
    }
    while client.ask("GET k") != "nil" {}
    assert!(client.ask("INFO stats").contains("\r\nexpired_keys:0\r\n"));
    assert_eq!(client.ask("CLIENT UNPAUSE"), "+OK");
    assert!(client.ask("INFO stats").contains("\r\nexpired_keys:1\r\n"));
}

#[test]
fn expired_keys_are_freed_by_commands_alone_if_that_is_asked_for() {
    let running = Running::new();
    let mut client = running.client();
    check(&mut client, &[("DEBUG SET-ACTIVE-EXPIRE 0", "+OK"), ("SET k v PX 1", "+OK")]);
    client.ask("SET l v PX 1");
    while client.ask("TTL l") != ":-2" {}
    check(
        &mut client,
        &[
            // The last one may have found it expired in the middle, and left it to the next.
            ("TTL l", ":-2"),
            ("DBSIZE", ":1"),
            ("MGET k l", "[nil nil]"),
            ("DBSIZE", ":0"),
            ("DEBUG SET-ACTIVE-EXPIRE 1", "+OK"),
            ("DEBUG SET-ACTIVE-EXPIRE x", "-ERR syntax error"),
        ],
    );
}

#[test]
fn the_table_of_cached_keys_is_limited() {
    let running = Running::new();
    let (mut one, mut other) = (running.client(), running.client());
    one.ask("HELLO 3");
    check(&mut one, &[("CLIENT TRACKING ON", "+OK"), ("MGET a b c", "[nil nil nil]")]);
    assert_eq!(other.ask("CONFIG SET tracking-table-max-keys 1"), "+OK");
    assert!(one.reply().starts_with(">[$invalidate ["));
    assert!(one.reply().starts_with(">[$invalidate ["));
    assert!(other.ask("INFO stats").contains("tracking_total_keys:1\r\n"));
    check(&mut other, &[("CONFIG GET tracking-table-max-keys", "[$tracking-table-max-keys $1]")]);
}

#[test]
fn slow_commands_are_kept_without_secrets() {
    let running = Running::new();
    let mut client = running.client();
    check(
        &mut client,
        &[
            ("CONFIG SET slowlog-log-slower-than 0", "+OK"),
            ("SLOWLOG RESET", "+OK"),
            ("ACL SETUSER someone on >secret", "+OK"),
            ("CONFIG SET requirepass secret", "+OK"),
            ("CONFIG SET slowlog-log-slower-than 100000", "+OK"),
        ],
    );
    let log = client.ask("SLOWLOG GET");
    assert!(!log.contains("secret"), "{log}");
    assert!(log.contains("[$ACL $SETUSER $(redacted) $(redacted) $(redacted)]"), "{log}");
    assert!(log.contains("[$CONFIG $SET $requirepass $(redacted)]"), "{log}");
    check(
        &mut client,
        &[
            ("SLOWLOG RESET", "+OK"),
            ("MULTI", "+OK"),
            ("DEBUG SLEEP 0.11", "+QUEUED"),
            ("EXEC", "[+OK]"),
        ],
    );
    // On a busy machine other commands may have been slow too.
    assert_eq!(client.ask("SLOWLOG GET").matches("[$DEBUG $SLEEP $0.11]").count(), 1);
}

#[test]
fn times_of_commands_and_events() {
    let running = Running::new();
    let mut client = running.client();
    check(
        &mut client,
        &[
            ("CONFIG RESETSTAT", "+OK"),
            ("LATENCY HISTOGRAM set", "[]"),
            ("SET k v", "+OK"),
            ("SET k v", "+OK"),
            ("CONFIG SET latency-monitor-threshold 10", "+OK"),
            ("DEBUG SLEEP 0.02", "+OK"),
            ("LATENCY GRAPH none", "-ERR No samples available for event 'none'"),
        ],
    );
    assert!(client.ask("LATENCY HISTOGRAM set").starts_with("[$set [$calls :2 $histogram_usec ["));
    assert!(client.ask("LATENCY HISTOGRAM config").contains("$config|resetstat"));
    let graph = client.ask("LATENCY GRAPH command");
    let high = graph.strip_prefix("$command - high ").and_then(|rest| rest.split(' ').next());
    assert!(high.is_some_and(|ms| ms.parse::<u32>().unwrap() >= 20), "{graph}");
    assert!(client.ask("LATENCY DOCTOR").contains("command: "));
    assert!(client.ask("INFO latencystats").contains("latency_percentiles_usec_set:p50="));
    check(&mut client, &[("LATENCY RESET", ":1"), ("LATENCY LATEST", "[]")]);
}

#[test]
fn replies_of_every_kind_can_be_asked_for() {
    let running = Running::new();
    let mut client = running.client();
    check(
        &mut client,
        &[
            ("DEBUG PROTOCOL attrib", "$Some real reply following the attribute"),
            ("DEBUG PROTOCOL true", ":1"),
            ("DEBUG PROTOCOL bignum", "$1234567999999999999999999999999999999"),
            ("DEBUG OBJECT none", "-ERR no such key"),
        ],
    );
    client.ask("HELLO 3");
    check(
        &mut client,
        &[
            ("DEBUG PROTOCOL false", "#f"),
            ("DEBUG PROTOCOL bignum", "(1234567999999999999999999999999999999"),
            ("DEBUG PROTOCOL set", "~[:0 :1 :2]"),
            ("DEBUG PROTOCOL verbatim", "$txt:This is a verbatim\nstring"),
        ],
    );
}

#[test]
fn a_fixed_setting_can_only_be_set_to_what_it_is() {
    let running = Running::new();
    check(
        &mut running.client(),
        &[
            ("CONFIG SET daemonize no", "+OK"),
            (
                "CONFIG SET daemonize yes",
                "-ERR CONFIG SET failed (possibly related to argument 'daemonize') - can't set immutable config",
            ),
            (
                "CONFIG SET maxmemory-clients 200%",
                "-ERR CONFIG SET failed (possibly related to argument 'maxmemory-clients') - percentage argument must be less or equal to 100",
            ),
            ("MODULE LIST", "[]"),
            ("COMMAND LIST FILTERBY PATTERN client|id", "[$client|id]"),
        ],
    );
}

#[test]
fn a_call_with_too_few_arguments_counts_as_rejected() {
    let running = Running::new();
    let mut client = running.client();
    check(
        &mut client,
        &[
            ("SET k", "-ERR wrong number of arguments for 'set' command"),
            ("CLIENT", "-ERR wrong number of arguments for 'client' command"),
            ("CLIENT none", "-ERR unknown subcommand 'none'. Try CLIENT HELP."),
        ],
    );
    let stats = client.ask("INFO commandstats");
    let set = stats.lines().find(|line| line.starts_with("cmdstat_set:")).unwrap();
    assert!(set.contains("calls=0,") && set.contains(",rejected_calls=1,"), "{set}");
}
