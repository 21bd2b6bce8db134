//! Clients that mean harm: what they are refused, who goes, and that the others are served.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::client::{Client, Running};
use kvserver::ServerOptions;

/// Bytes that the buffers of all clients may take in these tests.
const BUDGET: usize = 4 << 20;
/// Bytes of a value that is asked for, or of a message.
const LARGE: usize = 100_000;
/// What the sockets of the system take in of what nobody reads is less than so many of them.
const MANY: usize = 400;

fn small() -> ServerOptions {
    ServerOptions {
        threads: 1,
        reply_bytes_max: 1 << 20,
        push_bytes_max: 1 << 20,
        query_bytes_max: 1 << 20,
        clients_bytes_max: BUDGET,
        ..ServerOptions::default()
    }
}

/// The clients that were disconnected for their memory, once the buffers fit into the budget and there is one.
fn evicted(polite: &mut Client, running: &Running) -> usize {
    loop {
        let info = polite.ask("INFO stats");
        let (_, rest) = info.split_once("evicted_clients:").unwrap();
        let count = rest.split("\r\n").next().unwrap().parse().unwrap();
        if count > 0 && running.shared.clients.memory_bytes() <= BUDGET {
            return count;
        }
    }
}

#[test]
fn clients_that_do_not_read_wait_before_anybody_has_to_go() {
    const ASKED: usize = 100;
    let running = Running::with(small());
    let mut polite = running.client();
    polite.ask_words(&["SET", "k", &"v".repeat(LARGE)]);
    // Each may keep a mebibyte of replies, and all together less than that.
    let mut silent: Vec<Client> = (0..6).map(|_| running.client()).collect();
    for client in &mut silent {
        client.send(&b"GET k\r\n".repeat(ASKED));
    }
    assert_eq!(polite.ask("STRLEN k"), format!(":{LARGE}"));
    for client in &mut silent {
        (0..ASKED).for_each(|_| assert_eq!(client.reply().len(), 1 + LARGE));
    }
    assert_eq!(running.shared.counters.evicted_clients.load(Ordering::Relaxed), 0);
    let most = running.shared.clients.memory_bytes_peak();
    assert!(most <= BUDGET, "{most} bytes were kept");
}

#[test]
fn the_system_takes_little_of_what_nobody_reads() {
    let running = Running::with(small());
    let mut polite = running.client();
    polite.ask_words(&["SET", "k", &"v".repeat(LARGE)]);
    let before = running.shared.counters.output_bytes();
    let mut silent = running.client();
    silent.send(&b"GET k\r\n".repeat(MANY));
    let is_full = || {
        let clients = running.shared.clients.all();
        clients.iter().any(|client| client.reply_bytes.load(Ordering::Relaxed) > 1 << 20)
    };
    while !is_full() {
        assert_eq!(polite.ask("PING"), "+PONG");
    }
    // By itself Linux makes the buffers of a connection that is fed some megabytes long.
    let taken = running.shared.counters.output_bytes() - before;
    assert!(taken < 3 << 19, "{taken} bytes");
    (0..MANY).for_each(|_| assert_eq!(silent.reply().len(), 1 + LARGE));
}

#[test]
fn many_that_never_read_never_take_more_than_there_is() {
    let running = Running::with(small());
    let mut polite = running.client();
    polite.ask_words(&["SET", "k", &"v".repeat(64 << 10)]);
    // The first replies of all of them together are three times the budget.
    let mut silent: Vec<Client> = (0..200).map(|_| running.client()).collect();
    for client in &mut silent {
        client.try_send(&b"GET k\r\n".repeat(MANY));
    }
    assert!(evicted(&mut polite, &running) > 0);
    let most = running.shared.clients.memory_bytes_peak();
    assert!(most <= BUDGET, "{most} bytes were kept");
}

#[test]
fn a_message_to_many_that_never_read_is_given_up_where_the_budget_ends() {
    let running = Running::with(small());
    let mut polite = running.client();
    let mut silent: Vec<Client> = (0..50).map(|_| running.client()).collect();
    for client in &mut silent {
        client.ask("SUBSCRIBE c");
    }
    let message = "m".repeat(LARGE);
    let published = (0..MANY).take_while(|_| {
        polite.ask_words(&["PUBLISH", "c", &message]);
        running.shared.counters.evicted_clients.load(Ordering::Relaxed) == 0
    });
    assert!(published.count() < MANY);
    let most = running.shared.clients.memory_bytes_peak();
    assert!(most <= BUDGET, "{most} bytes were kept");
}

#[test]
fn who_takes_leave_does_not_take_the_budget_along() {
    let running = Running::with(small());
    let mut polite = running.client();
    polite.ask_words(&["SET", "k", &"v".repeat(LARGE)]);
    let mut silent: Vec<Client> = (0..50).map(|_| running.client()).collect();
    for client in &mut silent {
        client.try_send(&[b"GET k\r\n".repeat(9), b"QUIT\r\n".to_vec()].concat());
    }
    // Their last replies count until they are taken, or given up.
    while running.shared.clients.memory_bytes() > LARGE {
        assert_eq!(polite.ask("PING"), "+PONG");
    }
    let most = running.shared.clients.memory_bytes_peak();
    assert!(most <= BUDGET, "{most} bytes were kept");
}

#[test]
fn what_is_watched_and_subscribed_to_is_in_the_same_budget() {
    let running = Running::with(small());
    let mut greedy = running.client();
    let name = "n".repeat(1000);
    let words: Vec<String> = (0..600).map(|number| format!("{name}{number}")).collect();
    let some = [&["SUBSCRIBE"][..], &words.iter().map(String::as_str).collect::<Vec<_>>()].concat();
    let mut polite = running.client();
    let before = running.shared.clients.memory_bytes();
    greedy.send(&crate::client::request(&some));
    (0..words.len()).for_each(|_| drop(greedy.reply()));
    assert_eq!(polite.ask("PING"), "+PONG");
    assert!(running.shared.clients.memory_bytes() > before + 600 * 1000);
    assert_eq!(greedy.ask("RESET"), "+RESET");
    assert_eq!(polite.ask("PING"), "+PONG");
    assert!(running.shared.clients.memory_bytes() < 600 * 1000);
}

#[test]
fn messages_that_nobody_reads_are_in_the_same_budget() {
    let running = Running::with(small());
    let mut polite = running.client();
    let mut silent: Vec<Client> = (0..10).map(|_| running.client()).collect();
    for client in &mut silent {
        client.ask("SUBSCRIBE c");
    }
    // Each may keep a mebibyte of them in its mailbox.
    let message = "m".repeat(LARGE);
    for _ in 0..MANY {
        polite.ask_words(&["PUBLISH", "c", &message]);
    }
    assert!(evicted(&mut polite, &running) >= 1);
}

#[test]
fn arguments_without_end_are_refused_by_what_they_take() {
    let running = Running::with(small());
    let mut polite = running.client();
    let mut endless = running.client();
    // So many are allowed, and nothing is reserved for them.
    endless.send(b"*1000000000\r\n");
    let some = b"$1\r\na\r\n".repeat(10_000);
    let steps = (0..1000).take_while(|_| endless.try_send(&some)).count();
    assert!(steps < 1000, "70 MB were taken in");
    assert_eq!(polite.ask("PING"), "+PONG");
    let kept = running.shared.clients.memory_bytes();
    assert!(kept <= BUDGET, "{kept} bytes are kept");
}

#[test]
fn headers_that_promise_too_much_are_refused_at_once() {
    let running = Running::with(small());
    for (header, answer) in [
        ("*2147483648\r\n", "invalid multibulk length"),
        ("*1\r\n$10737418240\r\n", "invalid bulk length"),
        ("*1\r\n$99999999999999999999\r\n", "invalid bulk length"),
    ] {
        let mut client = running.client();
        client.send(header.as_bytes());
        assert_eq!(client.reply(), format!("-ERR Protocol error: {answer}"));
        assert!(client.is_closed());
    }
}

#[test]
fn a_byte_now_and_then_is_no_way_to_stay_without_a_password() {
    let password = Some("secret".to_owned());
    let options = |seconds| ServerOptions {
        password: password.clone(),
        handshake_timeout_s: seconds,
        ..small()
    };
    let running = Running::with(options(1));
    let mut slow = running.client();
    slow.send(b"*2\r\n$4\r\nAUTH\r\n$1000\r\n");
    let sent = (0..900).take_while(|_| {
        std::thread::sleep(Duration::from_millis(20));
        slow.try_send(b"x")
    });
    assert!(sent.count() < 900, "it was let go on for 18 s");
    let patient = Running::with(options(60));
    let mut known = patient.client();
    assert_eq!(known.ask("AUTH secret"), "+OK");
    assert_eq!(known.ask("PING"), "+PONG");
}

#[test]
fn whoever_sends_anything_is_answered_and_does_not_disturb() {
    let running = Running::with(small());
    let mut polite = running.client();
    let mut state = 1_u64;
    for _ in 0..50 {
        let mut bytes = vec![0; 20_000];
        for byte in &mut bytes {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            *byte = (state >> 56) as u8;
        }
        let mut client = running.client();
        client.try_send(&bytes);
        assert_eq!(polite.ask("PING"), "+PONG");
    }
}
