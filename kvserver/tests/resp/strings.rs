//! Values: whole ones, parts, numbers and bits.

use crate::client::{Running, check, request};

#[test]
fn set_and_its_options() {
    let running = Running::at_rest();
    check(
        &mut running.client(),
        &[
            ("SET k 1", "+OK"),
            ("GET k", "$1"),
            ("GET none", "nil"),
            ("SET k 2 NX", "nil"),
            ("SET k 2 XX GET", "$1"),
            ("SET n 1 NX GET", "nil"),
            ("SET k 3 EX 0", "-ERR invalid expire time in 'set' command"),
            ("SET k 3 EX 9223372036854775807", "-ERR invalid expire time in 'set' command"),
            ("SET k 3 EX x", "-ERR value is not an integer or out of range"),
            ("SET k 3 EX 10 PX 10", "-ERR syntax error"),
            ("SET k 3 NX XX", "-ERR syntax error"),
            ("SET k 3 EX 100", "+OK"),
            ("SET k 4 KEEPTTL", "+OK"),
            ("TTL k", ":100"),
            ("SET k 5", "+OK"),
            ("TTL k", ":-1"),
            ("SETEX k 0 v", "-ERR invalid expire time in 'setex' command"),
            ("GETEX k EX 50", "$5"),
            ("TTL k", ":50"),
            ("GETEX k PERSIST", "$5"),
            ("TTL k", ":-1"),
            ("GETSET k 6", "$5"),
            ("GETDEL k", "$6"),
            ("GETDEL k", "nil"),
        ],
    );
}

#[test]
fn many_at_once() {
    let running = Running::new();
    check(
        &mut running.client(),
        &[
            ("MSET a 1 b 2", "+OK"),
            ("MGET a x b", "[$1 nil $2]"),
            ("MSETNX c 3 a 9", ":0"),
            ("EXISTS c", ":0"),
            ("MSETNX c 3 d 4", ":1"),
            ("MSET a", "-ERR wrong number of arguments for 'mset' command"),
            ("MSET a 1 b", "-ERR wrong number of arguments for 'mset' command"),
        ],
    );
    let mut client = running.client();
    let pairs: Vec<String> = (0..20_000).map(|n| format!("many{}", n / 2)).collect();
    let mut words = vec!["MSET"];
    words.extend(pairs.iter().map(String::as_str));
    assert_eq!(client.ask_words(&words), "+OK");
    let gets: Vec<u8> = (0..10_000).flat_map(|n| request(&["GET", &format!("many{n}")])).collect();
    client.send(&gets);
    (0..10_000).for_each(|n| assert_eq!(client.reply(), format!("$many{n}")));
}

#[test]
fn parts_and_numbers() {
    let running = Running::new();
    check(
        &mut running.client(),
        &[
            ("APPEND s Hello", ":5"),
            ("SETRANGE s 6 x", ":7"),
            ("GETRANGE s 0 -3", "$Hello"),
            ("SETRANGE s -1 x", "-ERR offset is out of range"),
            ("SETRANGE none 0 ", ":0"),
            ("STRLEN s", ":7"),
            ("INCR n", ":1"),
            ("DECRBY n 3", ":-2"),
            ("INCRBY n 9223372036854775807", ":9223372036854775805"),
            ("INCRBY n 3", "-ERR increment or decrement would overflow"),
            ("DECRBY n -9223372036854775808", "-ERR decrement would overflow"),
            ("INCR s", "-ERR value is not an integer or out of range"),
            ("SET f 1", "+OK"),
            ("INCRBYFLOAT f -1.1", "$-0.1"),
            ("INCRBYFLOAT s 1", "-ERR value is not a valid float"),
            ("INCRBYFLOAT f inf", "-ERR increment would produce NaN or Infinity"),
            ("SET a ohmytext", "+OK"),
            ("SET b mynewtext", "+OK"),
            ("LCS a b", "$mytext"),
            ("LCS a b LEN", ":6"),
            ("LCS a b IDX MINMATCHLEN 4", "[$matches [[[:4 :7] [:5 :8]]] $len :6]"),
        ],
    );
}

#[test]
fn bits() {
    let running = Running::new();
    check(
        &mut running.client(),
        &[
            ("SETBIT b 7 1", ":0"),
            ("GETBIT b 7", ":1"),
            ("GETBIT b 100", ":0"),
            ("SETBIT b 4294967296 1", "-ERR bit offset is not an integer or out of range"),
            ("SETBIT b 1 2", "-ERR bit is not an integer or out of range"),
            ("SET s foobar", "+OK"),
            ("BITCOUNT s", ":26"),
            ("BITCOUNT s 5 30 BIT", ":17"),
            ("BITPOS s 1", ":1"),
            ("BITPOS none 0", ":0"),
            ("BITPOS none 1", ":-1"),
            ("BITOP NOT d s", ":6"),
            ("BITCOUNT d", ":22"),
            ("BITOP XOR d s s", ":6"),
            ("BITCOUNT d", ":0"),
            ("BITOP AND d none none", ":0"),
            ("EXISTS d", ":0"),
        ],
    );
}
