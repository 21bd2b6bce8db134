//! Many requests at once: what is done together answers and acts as if it came one by one.

use crate::client::{Client, Running, request};
use kvserver::ServerOptions;

/// Sends requests in one go, and shows all replies.
fn ask_all(client: &mut Client, lines: &[&str]) -> Vec<String> {
    let requests = lines.iter().map(|line| request(&line.split(' ').collect::<Vec<_>>()));
    client.send(&requests.collect::<Vec<_>>().concat());
    lines.iter().map(|_| client.reply()).collect()
}

#[test]
fn runs_of_gets_and_sets_keep_the_order() {
    let running = Running::new();
    let mut client = running.client();
    let replies = ask_all(
        &mut client,
        &[
            "SET a 1",
            "set b 2",
            "SET a 3",
            "GET a",
            "get b",
            "GET c",
            "SET c 4",
            "SET c 5 NX",
            "SET b 6",
            "SET b 7",
            "INCR b",
            "GET b",
            "GET c",
        ],
    );
    let expected =
        ["+OK", "+OK", "+OK", "$3", "$2", "nil", "+OK", "nil", "+OK", "+OK", ":8", "$8", "$4"];
    assert_eq!(replies, expected);
    let counted = client.ask("INFO commandstats");
    assert!(counted.contains("cmdstat_set:calls=7,"), "{counted}");
    assert!(counted.contains("cmdstat_get:calls=5,"), "{counted}");
}

#[test]
fn keys_that_are_looked_up_ahead_are_served_one_by_one() {
    let running = Running::new();
    let mut client = running.client();
    let names: Vec<String> = (0..50).map(|number| format!("key:{number}")).collect();
    let incrs: Vec<String> =
        names.iter().flat_map(|name| vec![format!("INCR {name}"); 2]).collect();
    let lines: Vec<&str> = incrs.iter().map(String::as_str).collect();
    let sums = ask_all(&mut client, &lines);
    assert!(sums.chunks(2).all(|pair| pair == [":1", ":2"]), "{sums:?}");
    // All keys, one of them twice, and one that is not there.
    let all = format!("{} key:7 none", names.join(" "));
    assert_eq!(client.ask(&format!("EXISTS {all}")), ":51");
    assert_eq!(client.ask(&format!("TOUCH {all}")), ":51");
    let some = ["DEL key:0", "DEL key:0", "UNLINK key:1", "EXISTS key:1", "DEL key:2 key:3 none"];
    assert_eq!(ask_all(&mut client, &some), [":1", ":0", ":1", ":0", ":2"]);
    assert_eq!(client.ask(&format!("DEL {all}")), ":46");
    assert_eq!(client.ask("DBSIZE"), ":0");
}

#[test]
fn a_run_longer_than_is_done_at_a_time_is_done_wholly() {
    let running = Running::new();
    let mut client = running.client();
    let keys: Vec<usize> = (0..1000).collect();
    let sets: Vec<String> = keys.iter().map(|key| format!("SET key:{key} {key}")).collect();
    let gets: Vec<String> = keys.iter().map(|key| format!("GET key:{key}")).collect();
    let lines: Vec<&str> = sets.iter().chain(&gets).map(String::as_str).collect();
    let replies = ask_all(&mut client, &lines);
    assert!(replies[..1000].iter().all(|reply| reply == "+OK"));
    let expected: Vec<String> = keys.iter().map(|key| format!("${key}")).collect();
    assert_eq!(replies[1000..], expected);
}

#[test]
fn a_value_of_any_length_is_kept_by_a_run() {
    let running = Running::new();
    let mut client = running.client();
    for length in [0, 1, 9, 10, 99_999, 100_000, 100_001] {
        let value = "v".repeat(length);
        let set = request(&["SET", "k", &value]);
        client.send(&[&set[..], &set].concat());
        assert_eq!((client.reply(), client.reply()), ("+OK".to_owned(), "+OK".to_owned()));
        assert_eq!(client.ask("STRLEN k"), format!(":{length}"));
    }
}

#[test]
fn long_values_are_not_gathered_by_a_run() {
    let options =
        ServerOptions { threads: 1, reply_bytes_max: 1 << 20, ..ServerOptions::default() };
    let running = Running::with(options);
    let mut client = running.client();
    client.ask_words(&["SET", "k", &"v".repeat(1 << 20)]);
    // 64 MiB of replies, of which nobody reads any.
    client.send(&request(&["GET", "k"]).repeat(64));
    let mut other = running.client();
    for _ in 0..100 {
        assert_eq!(other.ask("PING"), "+PONG");
        let kept = running.shared.clients.memory_bytes();
        assert!(kept <= 8 << 20, "{kept} bytes are kept");
    }
    for number in 0..64 {
        assert_eq!(client.reply().len(), (1 << 20) + 1, "reply {number}");
    }
}

#[test]
fn who_is_to_be_told_is_told_of_each_set_of_a_run() {
    let running = Running::new();
    let (mut writer, mut watcher, mut subscriber) =
        (running.client(), running.client(), running.client());
    watcher.ask("WATCH b");
    let replies = ask_all(&mut writer, &["SET a 1", "SET b 2", "SET c 3"]);
    assert_eq!(replies, ["+OK", "+OK", "+OK"]);
    assert_eq!(ask_all(&mut watcher, &["MULTI", "PING", "EXEC"]), ["+OK", "+QUEUED", "nil"]);
    writer.ask("CONFIG SET notify-keyspace-events E$");
    subscriber.ask("SUBSCRIBE __keyevent@0__:set");
    ask_all(&mut writer, &["SET a 1", "SET a 2", "SET b 3"]);
    for key in ["a", "a", "b"] {
        assert_eq!(subscriber.reply(), format!("[$message $__keyevent@0__:set ${key}]"));
    }
}

#[test]
fn a_client_that_wants_no_replies_gets_none_of_a_run() {
    let running = Running::new();
    let mut client = running.client();
    client.send(b"CLIENT REPLY OFF\r\nSET a 1\r\n");
    client.send(&[request(&["SET", "a", "2"]), request(&["SET", "b", "3"])].concat());
    client.send(b"CLIENT REPLY ON\r\n");
    assert_eq!(client.reply(), "+OK");
    assert_eq!(client.ask("MGET a b"), "[$2 $3]");
}
