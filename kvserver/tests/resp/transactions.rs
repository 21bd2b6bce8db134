//! `MULTI` and `WATCH`: all or nothing, and nothing if somebody was faster.

use crate::client::{Running, check};

#[test]
fn queued_commands_are_done_as_one() {
    let running = Running::at_rest();
    check(
        &mut running.client(),
        &[
            ("EXEC", "-ERR EXEC without MULTI"),
            ("DISCARD", "-ERR DISCARD without MULTI"),
            ("MULTI", "+OK"),
            ("MULTI", "-ERR MULTI calls can not be nested"),
            ("SET a 1 EX 100", "+QUEUED"),
            ("INCR a", "+QUEUED"),
            ("TTL a", "+QUEUED"),
            ("PING", "+QUEUED"),
            ("DBSIZE", "+QUEUED"),
            ("RENAME a b", "+QUEUED"),
            ("GET a", "+QUEUED"),
            ("INCR c", "+QUEUED"),
            ("APPEND c x", "+QUEUED"),
            ("INCR c", "+QUEUED"),
            (
                "EXEC",
                "[+OK :2 :100 +PONG :1 +OK nil :1 :2 -ERR value is not an integer or out of range]",
            ),
            ("MGET a b c", "[nil $2 $1x]"),
            ("TTL b", ":100"),
        ],
    );
}

#[test]
fn a_command_that_could_not_be_queued_ends_it() {
    let running = Running::new();
    check(
        &mut running.client(),
        &[
            ("MULTI", "+OK"),
            ("SET a 1", "+QUEUED"),
            ("nonsense", "-ERR unknown command 'nonsense', with args beginning with: "),
            ("EXEC", "-EXECABORT Transaction discarded because of previous errors."),
            ("GET a", "nil"),
            ("MULTI", "+OK"),
            ("SHUTDOWN", "-ERR Command not allowed inside a transaction"),
            ("DISCARD", "+OK"),
        ],
    );
}

#[test]
fn a_watched_key_that_changed_stops_it() {
    let running = Running::new();
    let (mut one, mut other) = (running.client(), running.client());
    for changes in [
        &["SET k 1"][..],
        // Absent before and absent after, but not the same.
        &["DEL k", "SET k 1", "DEL k"],
        &["EXPIRE k 100"],
        &["FLUSHALL"],
        &["RENAME other k"],
    ] {
        other.ask("SET other x");
        if changes.len() == 1 {
            other.ask("SET k 0");
        } else {
            other.ask("DEL k");
        }
        assert_eq!(one.ask("WATCH k"), "+OK");
        changes.iter().for_each(|change| drop(other.ask(change)));
        check(&mut one, &[("MULTI", "+OK"), ("SET k 2", "+QUEUED"), ("EXEC", "nil")]);
        // It holds for one transaction.
        check(&mut one, &[("MULTI", "+OK"), ("PING", "+QUEUED"), ("EXEC", "[+PONG]")]);
    }
    other.ask("SET k 0");
    check(&mut one, &[("WATCH k", "+OK"), ("GET k", "$0"), ("MULTI", "+OK")]);
    other.ask("SET unwatched 1");
    check(
        &mut one,
        &[("INCR k", "+QUEUED"), ("WATCH k", "-ERR WATCH inside MULTI is not allowed")],
    );
    check(&mut one, &[("EXEC", "[:1]")]);
    one.ask("WATCH k");
    other.ask("SET k 5");
    check(
        &mut one,
        &[("UNWATCH", "+OK"), ("MULTI", "+OK"), ("GET k", "+QUEUED"), ("EXEC", "[$5]")],
    );
}

#[test]
fn transactions_of_several_threads_lose_nothing() {
    let running = Running::with(kvserver::ServerOptions { threads: 2, ..Default::default() });
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut client = running.client();
                for _ in 0..200 {
                    client.send(b"MULTI\r\nINCR a\r\nDECR b\r\nEXEC\r\n");
                    (0..4).for_each(|_| drop(client.reply()));
                }
            });
        }
    });
    assert_eq!(running.client().ask("MGET a b"), "[$800 $-800]");
}
