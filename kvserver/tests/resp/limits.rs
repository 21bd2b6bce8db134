//! What is bounded: clients, what they send, what they do not read, memory.

use crate::client::{Running, check};
use kvserver::ServerOptions;

#[test]
fn there_are_no_more_clients_than_allowed() {
    let options = ServerOptions { threads: 1, clients_max: 2, ..ServerOptions::default() };
    let running = Running::with(options);
    let (mut one, mut two) = (running.client(), running.client());
    assert_eq!((one.ask("PING"), two.ask("PING")), ("+PONG".to_owned(), "+PONG".to_owned()));
    let mut three = running.client();
    assert_eq!(three.reply(), "-ERR max number of clients reached");
    assert!(three.is_closed());
    assert_eq!(one.ask("QUIT"), "+OK");
    assert!(one.is_closed());
    assert!(two.ask("INFO stats").contains("rejected_connections:1"));
}

#[test]
fn a_client_that_does_not_read_is_not_served_on() {
    let options =
        ServerOptions { threads: 1, reply_bytes_max: 1 << 20, ..ServerOptions::default() };
    let running = Running::with(options);
    let (mut one, mut other) = (running.client(), running.client());
    other.ask_words(&["SET", "k", &"v".repeat(100_000)]);
    // 100 MB of replies, of which the server keeps little more than one.
    one.send(&b"GET k\r\n".repeat(1000));
    assert_eq!(other.ask("PING"), "+PONG");
    let kept = running.shared.clients.memory_bytes();
    assert!(kept < 16 << 20, "{kept} bytes are kept");
    for _ in 0..1000 {
        assert_eq!(one.reply().len(), 100_001);
    }
}

#[test]
fn a_subscriber_that_does_not_read_goes() {
    let options = ServerOptions { threads: 1, push_bytes_max: 1 << 20, ..ServerOptions::default() };
    let running = Running::with(options);
    let (mut slow, mut other) = (running.client(), running.client());
    slow.ask("SUBSCRIBE c");
    let message = "m".repeat(900_000);
    let receivers: Vec<String> =
        (0..200).map(|_| other.ask_words(&["PUBLISH", "c", &message])).collect();
    assert_eq!(receivers[0], ":1");
    assert_eq!(receivers[199], ":0");
}

#[test]
fn a_full_store_refuses_what_needs_memory() {
    let running = Running::new();
    let mut client = running.client();
    check(
        &mut client,
        &[
            ("SET k v", "+OK"),
            ("CONFIG SET maxmemory 1", "+OK"),
            ("SET l v", "-OOM command not allowed when used memory > 'maxmemory'."),
            ("GET k", "$v"),
            ("MULTI", "+OK"),
            ("GET k", "+QUEUED"),
            ("EXEC", "[$v]"),
            ("DEL k", ":1"),
            ("CONFIG SET maxmemory 0", "+OK"),
            ("SET l v", "+OK"),
            (
                "CONFIG SET maxmemory x",
                "-ERR CONFIG SET failed (possibly related to argument 'maxmemory') - argument must be a memory value",
            ),
        ],
    );
}

#[test]
fn of_the_limits_on_output_those_that_hold_can_be_set() {
    let running = Running::new();
    let refused = |why: &str| {
        format!(
            "-ERR CONFIG SET failed (possibly related to argument 'client-output-buffer-limit') - {why}"
        )
    };
    let mut client = running.client();
    for (limits, reply) in [
        ("pubsub 1mb 0 0", "+OK".to_owned()),
        ("normal 0 0 0 slave 0 0 0", "+OK".to_owned()),
        (
            "normal 1mb 0 0",
            refused(
                "a client that does not read its replies waits, and is not disconnected: give normal 0 0 0",
            ),
        ),
        (
            "pubsub 1mb 1mb 60",
            refused("subscribers have a hard limit alone: give pubsub BYTES 0 0"),
        ),
        ("pubsub 1mb", refused("Wrong number of arguments in buffer limit configuration.")),
        ("none 0 0 0", refused("Invalid client class specified in buffer limit configuration.")),
        (
            "pubsub 1mbs 0 0",
            refused("Error in hard, soft or soft_seconds setting in buffer limit configuration."),
        ),
    ] {
        let words = ["CONFIG", "SET", "client-output-buffer-limit", limits];
        assert_eq!(client.ask_words(&words), reply, "{limits}");
    }
    check(
        &mut client,
        &[(
            "CONFIG GET client-output-buffer-limit",
            "[$client-output-buffer-limit $normal 0 0 0 slave 0 0 0 pubsub 1048576 0 0]",
        )],
    );
}
