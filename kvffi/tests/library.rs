//! `libkv.so` as a linker meets it: which symbols it shows, its soname, that it is never unloaded and
//! needs no static TLS.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod common;

use std::path::PathBuf;
use std::process::Command;

use common::{header_functions, read, run};

/// Cargo builds it beside the tests that depend on this crate.
fn library() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let path = tests.parent().unwrap().join("libkv.so");
    assert!(path.exists(), "{} is missing", path.display());
    path
}

fn symbols() -> Vec<String> {
    let mut expected: Vec<String> = read("kvffi/symbols.txt").lines().map(str::to_owned).collect();
    if cfg!(feature = "planted-panics") {
        expected.push("kv_test_plant_panic".to_owned());
    }
    expected.sort();
    expected
}

#[test]
fn it_shows_what_symbols_txt_lists_and_nothing_else() {
    let shown = run(Command::new("nm").args(["-D", "--defined-only"]).arg(library()));
    let mut shown: Vec<&str> =
        shown.lines().map(|line| line.split_whitespace().last().unwrap()).collect();
    shown.sort_unstable();
    assert_eq!(shown, symbols());
}

#[test]
fn symbols_txt_lists_what_the_header_declares() {
    let mut declared = header_functions();
    declared.sort();
    let listed: Vec<String> = read("kvffi/symbols.txt").lines().map(str::to_owned).collect();
    assert_eq!(listed, declared);
}

#[test]
fn its_dynamic_section_is_in_order() {
    let dynamic = run(Command::new("readelf").args(["-W", "-d"]).arg(library()));
    assert!(dynamic.contains("soname: [libkv.so.0]"), "{dynamic}");
    assert!(dynamic.contains("NODELETE"), "{dynamic}");
    assert!(!dynamic.contains("STATIC_TLS"), "{dynamic}");
    assert!(!dynamic.contains("TEXTREL"), "{dynamic}");
}
