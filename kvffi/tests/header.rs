//! `include/kv.h` as C and C++ programs meet it: it compiles alone, and twice, under every standard
//! and without warnings; its constants are those of the core. That it is fresh is checked by
//! `cargo xtask header --check`.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod common;

use std::collections::BTreeMap;
use std::process::Command;

use common::{is_here, prototypes, read, root, run, scratch};
use kvcore::Status;

/// A program that uses everything which a header can get wrong without being called.
const PROGRAM: &str = "\
#include \"kv.h\"
#include \"kv.h\"
static const kv_set_options_t options = KV_SET_OPTIONS_INIT;
static const kv_set_result_t result = KV_SET_RESULT_INIT;
static const kv_value_info_t info = KV_VALUE_INFO_INIT;
static const kv_stats_t stats = KV_STATS_INIT;
static const kv_latency_t latency = KV_LATENCY_INIT;
static const int32_t timed[] = {KV_TIMED_GET, KV_TIMED_SET, KV_TIMED_SYNC};
static const kv_snapshot_info_t snapshot = KV_SNAPSHOT_INFO_INIT;
static const kv_watch_options_t watch = KV_WATCH_OPTIONS_INIT;
static const kv_event_t event = KV_EVENT_INIT;
static const kv_batch_result_t written = KV_BATCH_RESULT_INIT;
static const kv_scan_options_t scan = KV_SCAN_OPTIONS_INIT;
static const kv_entry_t entry = KV_ENTRY_INIT;
static const int32_t orders[] = {KV_ORDER_NONE, KV_ORDER_ASC, KV_ORDER_DESC};
static const int64_t times[] = {KV_TTL_DEFAULT, KV_TTL_NONE, KV_TTL_KEEP};
static const int32_t conditions[] = {KV_IF_ANY, KV_IF_ABSENT, KV_IF_PRESENT, KV_IF_VERSION};
int main(void) {
  kv_status_t status = KV_OK - KV_ERR_INVALID;
  kv_slice_t slice = {\"key\", 3};
  uint32_t versions = KV_ABI_VERSION + KV_VERSION_NUMBER;
  return options.struct_size + result.struct_size + info.struct_size + stats.struct_size +
             snapshot.struct_size + watch.struct_size + event.struct_size + written.struct_size +
             scan.struct_size + entry.struct_size + latency.struct_size + (size_t)timed[0] +
             (size_t)orders[0] ==
         slice.len + versions + (size_t)status + (size_t)times[0] + (size_t)conditions[0];
}
";

fn compile(compiler: &str, standard: &str, extension: &str) {
    let file = scratch("header").join(format!("{compiler}-{standard}.{extension}"));
    std::fs::write(&file, PROGRAM).unwrap();
    run(Command::new(compiler)
        .args(["-Wall", "-Wextra", "-pedantic", "-Werror", "-fsyntax-only"])
        .arg(format!("-std={standard}"))
        .arg("-I")
        .arg(root().join("include"))
        .arg(&file));
}

fn compile_all(c: &str, cpp: &str) {
    for standard in ["c99", "c11", "c17"] {
        compile(c, standard, "c");
    }
    for standard in ["c++11", "c++14", "c++17", "c++20"] {
        compile(cpp, standard, "cpp");
    }
}

#[test]
fn it_compiles_with_gcc() {
    compile_all("gcc", "g++");
}

#[test]
fn it_compiles_with_clang_if_there_is_one() {
    if is_here("clang") && is_here("clang++") {
        compile_all("clang", "clang++");
    }
}

/// The numbers that the header defines under a prefix.
fn constants(prefix: &str) -> BTreeMap<String, i64> {
    let header = read("include/kv.h");
    let defines = header.lines().filter_map(|line| line.strip_prefix("#define "));
    let words = defines.filter_map(|define| {
        let mut words = define.split_whitespace();
        Some((words.next()?, words.next()?.trim_matches(['(', ')'])))
    });
    words
        .filter(|(name, _)| name.starts_with(prefix))
        .filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?)))
        .collect()
}

#[test]
fn statuses_are_those_of_the_core() {
    let mut found = constants("KV_");
    for other in [
        "KV_IF_",
        "KV_TTL_",
        "KV_CHANGE_",
        "KV_PHASE_",
        "KV_ORDER_",
        "KV_TIMED_",
        "KV_CAN_",
        "KV_ABI_VERSION",
        "KV_VERSION_NUMBER",
    ] {
        found.retain(|name, _| !name.starts_with(other));
    }
    let expected: BTreeMap<String, i64> = Status::ALL
        .iter()
        .map(|status| (status.c_name().to_owned(), i64::from(status.code())))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn special_times_are_those_of_the_core() {
    assert_eq!(kv::KV_TTL_DEFAULT, kvcore::TTL_DEFAULT);
    assert_eq!(kv::KV_TTL_NONE, kvcore::TTL_NONE);
    assert_eq!(kv::KV_TTL_KEEP, kvcore::TTL_KEEP);
    let header = read("include/kv.h");
    for line in
        ["KV_TTL_NONE        INT64_MAX", "KV_TTL_KEEP        INT64_MIN", "KV_SPAN_NONE SIZE_MAX"]
    {
        assert!(header.contains(line), "{line}");
    }
}

#[test]
fn versions_are_those_of_the_package() {
    let parts: Vec<i64> =
        env!("CARGO_PKG_VERSION").split('.').map(|part| part.parse().unwrap()).collect();
    let number = parts[0] * 1_000_000 + parts[1] * 1_000 + parts[2];
    assert_eq!(constants("KV_VERSION_NUMBER")["KV_VERSION_NUMBER"], number);
    assert_eq!(constants("KV_ABI_VERSION")["KV_ABI_VERSION"], i64::from(kv::kv_abi_version()));
}

/// The list behind the tests of forks, panics, closed stores and NULL.
#[test]
fn every_call_on_a_store_is_in_the_list_of_the_c_tests() {
    let list = read("tests/c/every_call.h");
    for prototype in prototypes() {
        let name = common::function_name(&prototype);
        if prototype.contains("(kv_store_t *store") && name != "kv_close" {
            assert!(list.contains(&format!("{{\"{name}\", ")), "{name} is missing");
        }
    }
}

#[test]
fn every_function_says_which_statuses_it_has() {
    let header = read("include/kv.h");
    for prototype in prototypes() {
        let name = common::function_name(&prototype);
        if !prototype.starts_with("kv_status_t") || name == "kv_error_status" {
            continue;
        }
        let before = &header[..header.find(&format!("\nkv_status_t {name}(")).unwrap()];
        let comment = &before[before.rfind("/**").unwrap()..];
        assert!(comment.contains("Answers KV_OK"), "{name} does not list its statuses");
        assert!(comment.contains("KV_ERR_PANIC"), "{name} does not list KV_ERR_PANIC");
    }
}
