//! Streams cut at any byte, lines of words, and what is no request at all.

use crate::client::{Running, request};

#[test]
fn the_stream_may_be_cut_at_every_byte() {
    let running = Running::new();
    let stream = [
        request(&["SET", "k", "a b\r\nc"]),
        b"GET k\r\n".to_vec(),
        b"\r\n*0\r\n*-1\r\n".to_vec(),
        request(&["GET", "k"]),
        request(&["GET", "k"]),
        b"set x 'y z'\n".to_vec(),
        request(&["GET", "x"]),
    ]
    .concat();
    let expected = ["+OK", "$a b\r\nc", "$a b\r\nc", "$a b\r\nc", "+OK", "$y z"];
    for cut in 1..stream.len() {
        let mut client = running.client();
        client.send(&stream[..cut]);
        client.send(&stream[cut..]);
        for reply in expected {
            assert_eq!(client.reply(), reply, "cut at {cut}");
        }
    }
    // All at once, one byte after the other.
    let mut client = running.client();
    stream.iter().for_each(|byte| client.send(&[*byte]));
    expected.iter().for_each(|reply| assert_eq!(client.reply(), *reply));
}

#[test]
fn what_came_before_nonsense_is_answered_and_then_the_connection_closes() {
    let running = Running::new();
    for (bytes, error) in [
        (&b"*x\r\n"[..], "invalid multibulk length"),
        (b"*3\r\n$3\r\nSET\r\n$1\r\nx\r\nfooz\r\n", "expected '$', got 'f'"),
        (b"*3\r\n$3\r\nSET\r\n$1\r\nx\r\n$-10\r\n", "invalid bulk length"),
        (b"set \"a\n", "unbalanced quotes in request"),
    ] {
        let mut client = running.client();
        client.send(&[b"PING\r\n", bytes].concat());
        assert_eq!(client.reply(), "+PONG");
        assert_eq!(client.reply(), format!("-ERR Protocol error: {error}"));
        assert!(client.is_closed());
    }
}

#[test]
fn nothing_behind_quit_is_run() {
    let running = Running::new();
    let mut client = running.client();
    client.send(b"SET a 1\r\nQUIT\r\nSET a 2\r\n");
    assert_eq!((client.reply(), client.reply()), ("+OK".to_owned(), "+OK".to_owned()));
    assert!(client.is_closed());
    let mut telnet = running.client();
    telnet.send(b"GET a\r\nexit\r\n");
    assert_eq!((telnet.reply(), telnet.reply()), ("$1".to_owned(), "+OK".to_owned()));
    assert!(telnet.is_closed());
}

#[test]
fn a_client_may_write_much_before_it_reads() {
    let running = Running::new();
    let mut client = running.client();
    let mut writer = running.client();
    writer.ask_words(&["SET", "k", &"v".repeat(5)]);
    client.send(&b"GET k\r\nPING\r\n".repeat(100_000));
    for _ in 0..100_000 {
        assert_eq!(client.reply(), "$vvvvv");
        assert_eq!(client.reply(), "+PONG");
    }
}

#[test]
fn names_and_counts_of_arguments_are_checked() {
    let running = Running::new();
    let mut client = running.client();
    assert_eq!(
        client.ask("foo bar baz"),
        "-ERR unknown command 'foo', with args beginning with: 'bar' 'baz' "
    );
    assert_eq!(client.ask("GET"), "-ERR wrong number of arguments for 'get' command");
    assert_eq!(client.ask("CONFIG"), "-ERR wrong number of arguments for 'config' command");
    assert_eq!(client.ask("CONFIG GET"), "-ERR wrong number of arguments for 'config|get' command");
    assert_eq!(client.ask("CONFIG foo"), "-ERR unknown subcommand 'foo'. Try CONFIG HELP.");
}
