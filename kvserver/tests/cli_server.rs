//! `kv` as a process, on a server: the real one, in this process, on a port of its own.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use std::process::{Command, Output, Stdio};

use kvcore::{Expiry, Options, Remaining, SetOptions, Store};
use kvserver::{Server, ServerOptions, Shared};

/// Serves a store for as long as this process lives, and gives the address.
fn serve(store: &Store, password: Option<&str>) -> String {
    let password = password.map(str::to_string);
    let options = ServerOptions { threads: 1, password, ..ServerOptions::default() };
    let shared = Shared::new(store.clone(), options).unwrap();
    let server = Server::start(shared, ([127, 0, 0, 1], 0).into()).unwrap();
    let address = server.address().to_string();
    std::mem::forget(server);
    address
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

    assert_eq!(ok(&["export", &file, "--prefix", "a:"]), "2 entries\n");
    store.clear().unwrap();
    ok(&["import", &file]);
    assert_eq!(store.len(), Ok(2));
    std::fs::remove_file(&file).unwrap();
}

#[test]
fn changes_and_figures() {
    let (_, address) = server();
    assert_eq!(kv(&address, &["watch", "a:"]).status.code(), Some(2));
    let mut watch = Command::new(env!("CARGO_BIN_EXE_kv"));
    watch.args(["--server", &address, "watch", "a:", "--notify", "--count", "2"]);
    let mut watch = watch.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // What is told before it listens is lost.
    let client = redis::Client::open(format!("redis://{address}")).unwrap();
    let mut connection = client.get_connection().unwrap();
    while redis::cmd("PUBSUB").arg("NUMPAT").query::<u64>(&mut connection).unwrap() == 0 {
        assert_eq!(watch.try_wait().unwrap(), None);
    }
    for args in [&["set", "b", "1"][..], &["set", "a:\n", "1"], &["del", "a:\n"]] {
        assert_eq!(kv(&address, args).status.code(), Some(0));
    }
    let seen = watch.wait_with_output().unwrap();
    assert_eq!(printed(&seen, 0), "set a:\\n\ndel a:\\n\n");
    let look = printed(&kv(&address, &["top", "--count", "1"]), 0);
    assert!(look.starts_with("entries 1  "), "{look}");
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
