//! `kv` as a process, on directories of its own: what it prints, and how it exits.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

/// A directory of this test's own.
struct Place(PathBuf);

impl Place {
    fn new() -> Place {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("kv-cli-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Place(path)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs `kv` with this standard input.
fn kv_with(input: &[u8], args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kv"));
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // A command that reads nothing may have ended.
    let _ = stdin.write_all(input);
    drop(stdin);
    child.wait_with_output().unwrap()
}

fn kv(args: &[&str]) -> Output {
    kv_with(b"", args)
}

/// What it printed, after checking how it ended.
#[track_caller]
fn printed(output: &Output, code: i32) -> String {
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{error}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[track_caller]
fn ok(args: &[&str]) -> String {
    printed(&kv(args), 0)
}

/// The lines of JSON that it printed.
#[track_caller]
fn json_lines(output: &Output, code: i32) -> Vec<Value> {
    printed(output, code).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn single_keys() {
    let place = Place::new();
    let dir = &place.path("store");
    assert_eq!(ok(&["set", dir, "user:1", "Ada"]), "OK\n");
    assert_eq!(ok(&["get", dir, "user:1"]), "Ada\n");
    assert_eq!(ok(&["get", dir, "user:1", "--raw"]), "Ada");
    assert_eq!(ok(&["ttl", dir, "user:1"]), "never\n");
    assert_eq!(ok(&["expire", dir, "user:1", "6h"]), "OK\n");
    let left = json_lines(&kv(&["--json", "ttl", dir, "user:1"]), 0);
    assert!(left[0]["ttl_ms"].as_i64().is_some_and(|ms| ms > 0 && ms <= 21_600_000));
    assert_eq!(ok(&["expire", dir, "user:1", "--never"]), "OK\n");
    assert_eq!(ok(&["ttl", dir, "user:1"]), "never\n");
    assert_eq!(ok(&["incr", dir, "count"]), "1\n");
    assert_eq!(ok(&["incr", dir, "count", "-5"]), "-4\n");
    assert_eq!(ok(&["del", dir, "user:1", "count", "gone"]), "2\n");
    assert_eq!(ok(&["set", dir, "k", "v", "--at", "1"]), "OK\n");
    assert_eq!(printed(&kv(&["get", dir, "k"]), 1), "");
}

#[test]
fn absent_and_refused_have_their_exit_codes() {
    let place = Place::new();
    let dir = &place.path("store");
    ok(&["set", dir, "a", "1"]);
    for args in [
        &["get", dir, "b"][..],
        &["ttl", dir, "b"],
        &["expire", dir, "b", "1s"],
        &["del", dir, "b"],
        &["scan", dir, "b"],
        &["set", dir, "a", "2", "--if-absent"],
        &["set", dir, "b", "2", "--if-present"],
    ] {
        assert_eq!(kv(args).status.code(), Some(1), "{args:?}");
    }
    assert_eq!(
        json_lines(&kv(&["--json", "get", dir, "b"]), 1),
        [json!({"key": "b", "found": false})]
    );
    for args in [
        &["frobnicate"][..],
        &["get", dir],
        &["expire", dir, "a"],
        &["set", dir, "a", "1", "--ttl", "5"],
        &["get", &place.path("nowhere"), "a"],
        &["-o", "evictoin=lru", "get", dir, "a"],
        &["verify", "redis://localhost:1"],
        &["get", "http://localhost", "a"],
    ] {
        assert_eq!(kv(args).status.code(), Some(2), "{args:?}");
    }
    ok(&["set", dir, "a", "x"]);
    assert_eq!(kv(&["incr", dir, "a"]).status.code(), Some(3));
    // Nobody listens at port 1.
    assert_eq!(kv(&["get", "redis://127.0.0.1:1", "a"]).status.code(), Some(4));
    assert_eq!(kv(&["ping", "redis://127.0.0.1:1"]).status.code(), Some(4));
}

#[test]
fn a_directory_that_is_open_elsewhere_is_unavailable() {
    let place = Place::new();
    let dir = &place.path("store");
    let store = kvcore::Store::open_directory(dir, kvcore::Options::new()).unwrap();
    for command in ["ping", "stats", "verify", "log"] {
        let output = kv(&[command, dir]);
        printed(&output, 4);
        assert!(String::from_utf8_lossy(&output.stderr).contains("open elsewhere"));
    }
    store.shutdown().unwrap();
    assert_eq!(ok(&["ping", dir]), "PONG\n");
}

#[test]
fn any_bytes_go_in_and_come_out() {
    let place = Place::new();
    let dir = &place.path("store");
    let bytes: Vec<u8> = (0..=255).collect();
    assert_eq!(printed(&kv_with(&bytes, &["set", dir, "k", "--stdin"]), 0), "OK\n");
    assert_eq!(kv(&["get", dir, "k", "--raw"]).stdout, bytes);
    let read = json_lines(&kv(&["--json", "get", dir, "k"]), 0);
    assert!(read[0]["value_base64"].as_str().unwrap().starts_with("AAECAw"));
    assert!(printed(&kv(&["scan", dir, "--values"]), 0).starts_with("k\t\\u{0}"));
}

#[test]
fn a_scan_lists_a_prefix_in_order() {
    let place = Place::new();
    let dir = &place.path("store");
    for key in ["b:2", "a:1", "b:1", "b:3"] {
        ok(&["set", dir, key, key]);
    }
    assert_eq!(ok(&["scan", dir, "b:", "--sorted", "--limit", "2"]), "b:1\nb:2\n");
    let lines = json_lines(&kv(&["--json", "scan", dir, "a", "--values"]), 0);
    assert_eq!(lines, [json!({"key": "a:1", "value": "a:1"})]);
}

#[test]
fn the_log_is_readable_and_damage_is_told() {
    let place = Place::new();
    let dir = &place.path("store");
    ok(&["set", dir, "a", "1", "--at", "9000000000000"]);
    ok(&["del", dir, "a"]);
    let lines = json_lines(&kv(&["log", dir, "--json"]), 0);
    assert_eq!(lines.len(), 2);
    assert_eq!((&lines[0]["op"], &lines[1]["op"]), (&json!("set"), &json!("delete")));
    assert_eq!(lines[0]["value"], "1");
    assert_eq!(lines[0]["expire_at_ms"], 9_000_000_000_000_i64);
    assert_eq!((&lines[0]["lsn"], &lines[1]["lsn"]), (&json!(1), &json!(2)));
    assert!(ok(&["log", dir, "--from", "2"]).contains("delete a"));
    // The same changes, by revision.
    let changes = json_lines(&kv(&["watch", dir, "--json"]), 0);
    let kinds: Vec<_> = changes.iter().filter_map(|change| change["kind"].as_str()).collect();
    assert_eq!(kinds, ["set", "deleted"]);
    spoil(&first_segment(dir), 200);
    let lines = json_lines(&kv(&["log", dir, "--json"]), 1);
    let told =
        lines.iter().any(|line| line["error"].as_str().is_some_and(|e| e.contains("offset")));
    assert!(told, "{lines:?}");
}

/// The oldest segment of the log.
fn first_segment(dir: &str) -> PathBuf {
    let names = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut logs: Vec<_> =
        names.filter(|path| path.extension().is_some_and(|e| e == "log")).collect();
    logs.sort();
    logs.remove(0)
}

/// Changes a byte of a file.
fn spoil(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at] ^= 0xff;
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn entries_survive_every_way_out_and_in() {
    let place = Place::new();
    let (dir, file) = (&place.path("store"), &place.path("backup.kvs"));
    ok(&["set", dir, "plain", "text"]);
    ok(&["set", dir, "until", "later", "--at", "9000000000000"]);
    printed(&kv_with(b"\xff\x00\r\n", &["set", dir, "bytes", "--stdin"]), 0);
    let all = |dir: &str| ok(&["--json", "scan", dir, "--values", "--sorted"]);
    let before = all(dir);
    assert_eq!(before.lines().count(), 3);
    for format in ["jsonl", "resp"] {
        let (text, copy) = (&place.path(format), &place.path(&format!("from-{format}")));
        assert_eq!(ok(&["export", dir, text, "--format", format]), "3 entries\n");
        assert_eq!(ok(&["import", copy, text, "--format", format]), "3 entries\n");
        assert_eq!(all(copy), before);
        // And through standard input and output.
        let piped = kv(&["export", dir, "--format", format]);
        // In another order, perhaps.
        assert_eq!(piped.stdout.len(), std::fs::read(text).unwrap().len());
        let again = kv_with(&piped.stdout, &["import", copy, "-", "--format", format]);
        assert_eq!(printed(&again, 0), "3 entries\n");
        assert_eq!(all(copy), before);
    }
    let answer = json_lines(&kv(&["--json", "backup", dir, file]), 0);
    assert_eq!(answer[0]["entries"], 3);
    let restored = &place.path("restored");
    assert_eq!(ok(&["restore", file, restored]), "3 entries\n");
    assert_eq!(all(restored), before);
    // What is there is not replaced unasked.
    ok(&["set", restored, "new", "x"]);
    assert_eq!(kv(&["restore", file, restored]).status.code(), Some(2));
    assert_eq!(ok(&["restore", file, restored, "--replace"]), "3 entries\n");
    assert_eq!(all(restored), before);
}

#[test]
fn damage_is_found_and_the_rest_is_saved() {
    let place = Place::new();
    let (dir, out) = (&place.path("store"), &place.path("saved"));
    let lines: Vec<_> = (0..50).map(|n| json!({"key": format!("k{n}"), "value": "v"})).collect();
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    printed(&kv_with(text.as_bytes(), &["import", dir]), 0);
    ok(&["set", dir, "later", "v"]);
    assert!(ok(&["verify", dir]).starts_with("sound: "));
    spoil(&first_segment(dir), 200);
    let report = json_lines(&kv(&["--json", "verify", dir]), 1);
    assert_eq!(report[0]["sound"], false);
    assert!(!report[0]["findings"].as_array().unwrap().is_empty());
    assert!(printed(&kv(&["verify", dir]), 1).contains("at offset"));
    // A store that is damaged is not opened.
    assert_eq!(kv(&["get", dir, "later"]).status.code(), Some(3));
    let rescue = printed(&kv(&["salvage", dir, out]), 1);
    assert!(rescue.contains("1 entries saved"), "{rescue}");
    assert_eq!(ok(&["get", out, "later"]), "v\n");
    assert_eq!(kv(&["salvage", dir, out]).status.code(), Some(2));
}

#[test]
fn an_import_stops_where_it_cannot_go_on() {
    let place = Place::new();
    let dir = &place.path("store");
    let text = b"{\"key\":\"a\",\"value\":\"1\"}\n\n{\"key\":\"b\"}\n";
    let output = kv_with(text, &["import", dir]);
    printed(&output, 3);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains("line 3: it has neither value"), "{error}");
    assert!(error.contains("1 entries are in"), "{error}");
    assert_eq!(ok(&["get", dir, "a"]), "1\n");
}

#[test]
fn a_script_runs_at_the_prompt() {
    let place = Place::new();
    let dir = &place.path("store");
    let script = b"set \"a b\" 1\nincr \"a b\" 41\n\nget missing\nget \"a b\"\nexit\nget missing\n";
    assert_eq!(printed(&kv_with(script, &["open", dir]), 0), "OK\n42\n42\n");
    let output = kv_with(b"set a 1\nfrob\nset b 2\n", &["open", dir]);
    assert_eq!(printed(&output, 2), "OK\n");
    assert_eq!(kv(&["get", dir, "b"]).status.code(), Some(1));
}

#[test]
fn figures_are_told() {
    let place = Place::new();
    let dir = &place.path("store");
    ok(&["set", dir, "a", "1"]);
    assert!(ok(&["stats", dir]).lines().any(|line| line.split_whitespace().eq(["entries", "1"])));
    assert_eq!(json_lines(&kv(&["stats", dir, "--json"]), 0)[0]["entries"], 1);
    assert!(ok(&["stats", dir, "--format", "prometheus"]).contains("\nkv_entries 1\n"));
    let looks = json_lines(&kv(&["top", dir, "--json", "--count", "2", "--every", "1ms"]), 0);
    assert_eq!((looks.len(), &looks[1]["entries"]), (2, &json!(1)));
    let args = ["--json", "bench", ":memory:", "--time", "20ms", "--keys", "10", "--threads", "2"];
    let measured = json_lines(&kv(&args), 0);
    assert!(measured[0]["calls"].as_u64().is_some_and(|calls| calls > 0));
    assert_eq!(kv(&["bench", dir, "--pipeline", "2"]).status.code(), Some(2));
}

#[test]
fn completions_and_pages_are_of_both_programs() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(ok(&["completions", shell]).contains("salvage"), "{shell}");
        let server = ok(&["completions", shell, "--program", "kv-server"]);
        assert!(server.contains("password-file"), "{shell}");
    }
    assert!(ok(&["man"]).contains(".TH kv 1"));
    assert!(ok(&["man", "--program", "kv-server"]).contains("default\\-ttl"));
    let place = Place::new();
    ok(&["man", "--out", &place.path("man")]);
    assert!(Path::new(&place.path("man/kv-backup.1")).exists());
    assert!(ok(&["--help"]).contains("Exit codes"));
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let place = Place::new();
    let dir = &place.path("store");
    let lines: String =
        (0..20_000).map(|n| format!("{{\"key\":\"{n}\",\"value\":\"\"}}\n")).collect();
    printed(&kv_with(lines.as_bytes(), &["import", dir]), 0);
    let mut command = Command::new(env!("CARGO_BIN_EXE_kv"));
    command.args(["scan", dir]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr), (Some(0), vec![]));
}
