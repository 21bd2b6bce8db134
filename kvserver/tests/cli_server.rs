//! `kv` as a process, on a server: a small one in this process, with the engine behind just the commands
//! that `kv` needs. It shows what `kv` sends and what it makes of the answers.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use std::io::{Read as _, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output};

use kvcore::{Expiry, Options, Remaining, ScanOptions, SetOptions, SetOutcome, Store};
use kvserver::resp::{Limits, Protocol, Read, Reader, Replies, Request};

const LIMITS: Limits = Limits { bulk_bytes_max: 1 << 20, authenticated: true };

/// Serves a store on a port of its own, to as many clients as come, and gives the address.
fn serve(store: &Store, password: Option<&'static str>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let store = store.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let client = Client { store: store.clone(), password, waiting: None };
            std::thread::spawn(move || client.serve(stream.unwrap()));
        }
    });
    address
}

struct Client {
    store: Store,
    /// What must be said first.
    password: Option<&'static str>,
    /// Replies of the commands behind a MULTI, and how many.
    waiting: Option<(Replies, usize)>,
}

impl Client {
    fn serve(mut self, mut stream: TcpStream) {
        let (mut reader, mut buffer) = (Reader::new(), Vec::new());
        let mut chunk = [0; 4096];
        loop {
            let count = stream.read(&mut chunk).unwrap_or(0);
            if count == 0 {
                return;
            }
            buffer.extend_from_slice(&chunk[..count]);
            let (mut taken, mut replies) = (0, Replies::new(Protocol::Two));
            loop {
                match reader.read(&buffer[taken..], LIMITS).unwrap() {
                    Read::Request(request, bytes) => {
                        self.answer(&request, &mut replies);
                        taken += bytes;
                    }
                    Read::Nothing(bytes) => taken += bytes,
                    Read::More(_) => break,
                }
            }
            buffer.drain(..taken);
            if stream.write_all(replies.as_bytes()).is_err() {
                return;
            }
        }
    }

    fn answer(&mut self, request: &Request<'_>, replies: &mut Replies) {
        let name = String::from_utf8_lossy(request.arg(0)).to_ascii_uppercase();
        let args: Vec<&[u8]> = request.args().skip(1).collect();
        match (name.as_str(), &mut self.waiting) {
            ("AUTH", _) if self.password.is_some_and(|p| args.last() == Some(&p.as_bytes())) => {
                self.password = None;
                replies.ok();
            }
            ("AUTH", _) => replies.error("WRONGPASS invalid username-password pair"),
            ("CLIENT", _) => replies.ok(),
            _ if self.password.is_some() => replies.error("NOAUTH Authentication required."),
            ("MULTI", _) => {
                self.waiting = Some((Replies::new(Protocol::Two), 0));
                replies.ok();
            }
            ("EXEC", _) => {
                let (done, count) = self.waiting.take().unwrap();
                replies.array(count);
                replies.raw(done.as_bytes());
            }
            (_, Some((done, count))) => {
                *count += 1;
                run(&self.store, &name, &args, done);
                replies.simple("QUEUED");
            }
            (_, None) => run(&self.store, &name, &args, replies),
        }
    }
}

fn number(text: &[u8]) -> i64 {
    std::str::from_utf8(text).unwrap().parse().unwrap()
}

/// Runs one command.
fn run(store: &Store, name: &str, args: &[&[u8]], replies: &mut Replies) {
    let deadline = |key: &[u8]| store.get(key).unwrap().map(|value| value.expire_at_ms());
    match (name, args) {
        ("PING", []) => replies.simple("PONG"),
        ("GET", [key]) => replies.bulk_or_null(store.get(key).unwrap().as_deref()),
        ("SET", [key, value, options @ ..]) => match set(store, key, value, options) {
            true => replies.ok(),
            false => replies.null(),
        },
        ("DEL", keys) => replies.integer(store.del_many(keys).unwrap() as i64),
        ("EXISTS", [key]) => replies.integer(i64::from(store.exists(key).unwrap())),
        ("PTTL", [key]) => replies.integer(match store.ttl(key).unwrap() {
            None => -2,
            Some(Remaining::Never) => -1,
            Some(Remaining::Ms(ms)) => ms,
        }),
        ("PEXPIRETIME", [key]) => {
            replies.integer(deadline(key).map_or(-2, |at| at.unwrap_or(-1)));
        }
        ("PEXPIRE", [key, ms]) => {
            replies.integer(i64::from(store.expire(key, number(ms)).unwrap()));
        }
        ("PEXPIREAT", [key, at]) => {
            replies.integer(i64::from(store.expire_at(key, number(at)).unwrap()));
        }
        ("PERSIST", [key]) => {
            let had = deadline(key).flatten().is_some();
            replies.integer(i64::from(had && store.persist(key).unwrap()));
        }
        ("INCRBY", [key, delta]) => match store.incr(key, number(delta), Expiry::Default) {
            Ok(sum) => replies.integer(sum),
            Err(_) => replies.error("ERR value is not an integer or out of range"),
        },
        ("SCAN", [b"0", b"MATCH", pattern, ..]) => {
            let prefix = pattern.strip_suffix(b"*").unwrap();
            let scan = store.scan(&ScanOptions::new().prefix(prefix)).unwrap();
            let keys: Vec<_> = scan.map(|entry| entry.unwrap().key().to_vec()).collect();
            replies.array(2);
            replies.bulk(b"0");
            // A key may come twice.
            replies.array(keys.len() * 2);
            keys.iter().chain(&keys).for_each(|key| replies.bulk(key));
        }
        ("DBSIZE", []) => replies.integer(store.len().unwrap() as i64),
        ("FLUSHDB", []) => {
            store.clear().unwrap();
            replies.ok();
        }
        ("INFO", []) => replies.bulk(b"# Stats\r\ntotal_commands_processed:7\r\n"),
        ("CONFIG", [b"GET", name]) => {
            replies.array(2);
            replies.bulk(name);
            replies.bulk(b"");
        }
        ("CONFIG", [b"SET", b"notify-keyspace-events", b"KA"]) => replies.ok(),
        ("PSUBSCRIBE", [pattern]) => {
            replies.array(3);
            replies.bulk(b"psubscribe");
            replies.bulk(pattern);
            replies.integer(1);
            for (key, kind) in [("a:1", "set"), ("a:\n", "del")] {
                replies.array(4);
                replies.bulk(b"pmessage");
                replies.bulk(pattern);
                replies.bulk(format!("__keyspace@0__:{key}").as_bytes());
                replies.bulk(kind.as_bytes());
            }
        }
        ("PUNSUBSCRIBE" | "UNSUBSCRIBE", _) => {
            replies.array(3);
            replies.bulk(name.to_lowercase().as_bytes());
            replies.null();
            replies.integer(0);
        }
        _ => replies.error(&format!("ERR unknown command '{name}'")),
    }
}

fn set(store: &Store, key: &[u8], value: &[u8], words: &[&[u8]]) -> bool {
    let (mut options, mut words) = (SetOptions::default(), words.iter());
    while let Some(word) = words.next() {
        options = match *word {
            b"PX" => {
                let ms = number(words.next().unwrap()).unsigned_abs();
                SetOptions { expiry: Expiry::AfterMs(ms), ..options }
            }
            b"PXAT" => options.expire_at_ms(number(words.next().unwrap())),
            b"KEEPTTL" => options.keep_ttl(),
            b"NX" => options.if_absent(),
            b"XX" => options.if_present(),
            other => panic!("{}", other.escape_ascii()),
        };
    }
    let outcome = store.set_with(key, value, &options).unwrap();
    matches!(outcome, SetOutcome::Stored { .. })
}

fn kv(address: &str, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kv"));
    command.args(["--server", address]).args(args).output().unwrap()
}

#[track_caller]
fn printed(output: &Output, code: i32) -> String {
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{error}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A store with a default TTL, as servers may have one, and its address.
fn server() -> (Store, String) {
    let options = Options::new().with("default_ttl", "6h").unwrap();
    let store = Store::memory(options).unwrap();
    let address = serve(&store, None);
    (store, address)
}

#[test]
fn single_keys() {
    let (store, address) = server();
    let ok = |args: &[&str]| printed(&kv(&address, args), 0);
    assert_eq!(ok(&["set", "k", "v", "--never"]), "OK\n");
    assert_eq!(store.ttl("k"), Ok(Some(Remaining::Never)));
    assert_eq!(ok(&["get", "k"]), "v\n");
    assert_eq!(ok(&["ttl", "k"]), "never\n");
    assert_eq!(ok(&["expire", "k", "--at", "9000000000000"]), "OK\n");
    assert!(ok(&["--json", "get", "k"]).contains("\"expire_at_ms\":9000000000000"));
    assert_eq!(ok(&["set", "k", "w", "--keep-ttl"]), "OK\n");
    assert!(ok(&["--json", "get", "k"]).contains("\"expire_at_ms\":9000000000000"));
    // Without a deadline to lose it is there all the same.
    assert_eq!(ok(&["expire", "k", "--never"]), "OK\n");
    assert_eq!(ok(&["expire", "k", "--never"]), "OK\n");
    assert_eq!(ok(&["incr", "n", "7"]), "7\n");
    assert_eq!(printed(&kv(&address, &["incr", "k"]), 3), "");
    assert_eq!(printed(&kv(&address, &["set", "k", "x", "--if-absent"]), 1), "not stored\n");
    assert_eq!(ok(&["del", "k", "n", "gone"]), "2\n");
    for args in [&["get", "k"][..], &["ttl", "k"], &["expire", "k", "5s"], &["del", "k"]] {
        assert_eq!(kv(&address, args).status.code(), Some(1), "{args:?}");
    }
}

#[test]
fn lists_backups_and_copies() {
    let (store, address) = server();
    for (key, expiry) in [("a:1", Expiry::Never), ("a:2", Expiry::AtMs(9_000_000_000_000))] {
        let options = SetOptions { expiry, ..SetOptions::default() };
        store.set_with(key, b"\xffvalue", &options).unwrap();
    }
    store.set_with("b", "", &SetOptions::default().never()).unwrap();
    let ok = |args: &[&str]| printed(&kv(&address, args), 0);
    assert_eq!(ok(&["scan", "a:", "--sorted"]), "a:1\na:2\n");
    assert_eq!(ok(&["scan", "--sorted", "--limit", "1"]), "a:1\n");
    let before = ok(&["--json", "scan", "--values", "--sorted"]);
    assert_eq!(before.lines().count(), 3);

    let name = format!("kv-cli-server-{}", std::process::id());
    let file = std::env::temp_dir().join(name).display().to_string();
    assert!(ok(&["backup", &file]).starts_with("3 entries, "));
    store.set_with("new", "", &SetOptions::default().never()).unwrap();
    assert_eq!(kv(&address, &["restore", &file]).status.code(), Some(2));
    assert_eq!(ok(&["restore", &file, "--replace"]), "3 entries\n");
    // Deadlines are those of the entries, and not what the server gives by default.
    assert_eq!(ok(&["--json", "scan", "--values", "--sorted"]), before);

    assert_eq!(ok(&["export", &file, "--prefix", "a:"]), "4 entries\n");
    store.clear().unwrap();
    ok(&["import", &file]);
    assert_eq!(store.len(), Ok(2));
    std::fs::remove_file(&file).unwrap();
}

#[test]
fn changes_and_figures() {
    let (_, address) = server();
    assert_eq!(kv(&address, &["watch", "a:"]).status.code(), Some(2));
    let seen = kv(&address, &["watch", "a:", "--notify", "--count", "2"]);
    assert_eq!(printed(&seen, 0), "set a:1\ndel a:\\n\n");
    let look = printed(&kv(&address, &["top", "--count", "1"]), 0);
    assert!(look.starts_with("entries 0  "), "{look}");
    assert!(printed(&kv(&address, &["stats"]), 0).contains("total_commands_processed"));
    let args = ["bench", "--time", "20ms", "--keys", "10", "--pipeline", "8", "--ttl", "1h"];
    assert!(printed(&kv(&address, &args), 0).contains("calls/s"));
}

#[test]
fn a_password_is_asked_for_and_never_shown() {
    let store = Store::memory(Options::new()).unwrap();
    store.set("k", "v").unwrap();
    let address = serve(&store, Some("hunter2"));
    // That it asks shows that it is alive.
    assert_eq!(printed(&kv(&address, &["ping"]), 0), "PONG\n");
    for args in [&["get", "k"][..], &["scan"], &["set", "k", "w"]] {
        let output = kv(&address, args);
        assert_eq!(output.status.code(), Some(3), "{args:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("asks for a password"));
    }
    let wrong = kv(&format!("redis://:hunter3@{address}"), &["get", "k"]);
    assert_eq!(wrong.status.code(), Some(3));
    assert!(!String::from_utf8_lossy(&wrong.stderr).contains("hunter3"));
    let right = format!("redis://:hunter2@{address}");
    assert_eq!(printed(&kv(&right, &["get", "k"]), 0), "v\n");
}
