//! The structs of the header have in C the layout they have in Rust, and no implicit padding.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod common;

use std::fmt::Write as _;
use std::mem::{offset_of, size_of};
use std::process::Command;

use common::{read, root, run, scratch};
use kv::{
    kv_batch_result_t, kv_entry_t, kv_event_t, kv_latency_t, kv_scan_options_t, kv_set_options_t,
    kv_set_result_t, kv_slice_t, kv_snapshot_info_t, kv_span_t, kv_stats_t, kv_value_info_t,
    kv_watch_options_t,
};

struct Layout {
    name: &'static str,
    size: usize,
    fields: Vec<Field>,
}

struct Field {
    name: &'static str,
    offset: usize,
    size: usize,
}

fn field_size<T, F>(_: fn(&T) -> &F) -> usize {
    size_of::<F>()
}

macro_rules! layout {
    ($name:ident: $($field:ident)*) => {
        Layout {
            name: stringify!($name),
            size: size_of::<$name>(),
            fields: vec![$(Field {
                name: stringify!($field),
                offset: offset_of!($name, $field),
                size: field_size(|it: &$name| &it.$field),
            }),*],
        }
    };
}

fn layouts() -> Vec<Layout> {
    vec![
        layout!(kv_slice_t: data len),
        layout!(kv_span_t: offset len),
        layout!(kv_set_options_t: struct_size ttl_ms expire_at_ms version condition reserved),
        layout!(kv_set_result_t: struct_size version),
        layout!(kv_watch_options_t: struct_size key_or_prefix from_revision changes exact),
        layout!(kv_event_t: struct_size key value revision lagged expire_at_ms change reserved),
        layout!(kv_batch_result_t: struct_size applied missing failed_index),
        layout!(kv_scan_options_t: struct_size prefix start end limit order keys_only
            point_in_time reserved),
        layout!(kv_entry_t: struct_size key value version expire_at_ms),
        layout!(kv_value_info_t: struct_size version created_at_ms expire_at_ms hits),
        layout!(kv_snapshot_info_t: struct_size entries bytes revision created_at_ms seconds),
        layout!(kv_stats_t: struct_size entries expiring_entries expired_pending key_bytes
            value_bytes memory_bytes resident_bytes pinned_bytes gets hits misses sets deletes
            expired evicted callbacks_dropped wal_bytes wal_syncs snapshots revision index_bytes
            entry_bytes large_bytes expiry_bytes policy_bytes order_bytes callback_bytes watch_bytes
            wal_buffer_bytes expiring_in_1s expiring_in_10s expiring_in_1m expiring_in_10m
            hit_ratio near_hits near_fills near_invalidations near_drops),
        layout!(kv_latency_t: struct_size count sum_ns p50_ns p90_ns p99_ns p999_ns max_ns),
    ]
}

/// A C program that prints what the compiler thinks.
fn program(layouts: &[Layout]) -> String {
    let mut text = "#include <stdio.h>\n#include \"kv.h\"\nint main(void) {\n".to_owned();
    for Layout { name, fields, .. } in layouts {
        let _ = writeln!(text, "  printf(\"{name} %zu\\n\", sizeof({name}));");
        for Field { name: field, .. } in fields {
            let place = format!("offsetof({name}, {field})");
            let size = format!("sizeof((({name} *)0)->{field})");
            let _ = writeln!(text, "  printf(\"{name}.{field} %zu %zu\\n\", {place}, {size});");
        }
    }
    text + "  return 0;\n}\n"
}

/// The same, as Rust thinks.
fn expected(layouts: &[Layout]) -> String {
    let mut text = String::new();
    for Layout { name, size, fields } in layouts {
        let _ = writeln!(text, "{name} {size}");
        for Field { name: field, offset, size } in fields {
            let _ = writeln!(text, "{name}.{field} {offset} {size}");
        }
    }
    text
}

#[test]
fn c_and_rust_agree() {
    let folder = scratch("layout");
    let layouts = layouts();
    std::fs::write(folder.join("layout.c"), program(&layouts)).unwrap();
    run(Command::new("gcc")
        .args(["-std=c99", "-Wall", "-Wextra", "-Werror", "-I"])
        .arg(root().join("include"))
        .arg("-o")
        .arg(folder.join("layout"))
        .arg(folder.join("layout.c")));
    assert_eq!(run(&mut Command::new(folder.join("layout"))), expected(&layouts));
}

/// No padding, which also shows that the lists above leave no field out.
#[test]
fn fields_follow_each_other_without_gaps() {
    for Layout { name, size, fields } in layouts() {
        let mut end = 0;
        for field in fields {
            assert_eq!(field.offset, end, "{name}.{}", field.name);
            end = field.offset + field.size;
        }
        assert_eq!(size, end, "{name} is padded at its end, or a field is not listed");
    }
}

#[test]
fn every_struct_of_the_header_is_listed() {
    let header = read("include/kv.h");
    let structs = header.lines().filter(|line| line.starts_with("typedef struct kv_"));
    let laid_out: Vec<&str> = structs
        .filter_map(|line| line.strip_prefix("typedef struct ")?.strip_suffix(" {"))
        .collect();
    let layouts = layouts();
    assert_eq!(laid_out.len(), layouts.len());
    for layout in layouts {
        assert!(laid_out.contains(&layout.name), "{}", layout.name);
        let first = layout.fields[0].name;
        let grows = !["kv_slice_t", "kv_span_t"].contains(&layout.name);
        assert_eq!(first == "struct_size", grows, "{} begins with {first}", layout.name);
    }
}
