//! `INFO`: what the server is and has done, section by section, under the names that Redis has for it.

use std::fmt::Write;
use std::sync::atomic::Ordering;

use kvcore::Stats;

use super::auth::REDIS_VERSION;
use super::call::{Call, Outcome};
use super::spec::{Command, Flags, Group, NO_KEYS};
use super::table;
use crate::net::per_call;
use crate::shared::Shared;
use crate::shared::clients::flag;
use crate::shared::pubsub::Kind;

/// The commands of this file.
pub const COMMANDS: &[Command] = &[Command::new(
    "info",
    -1,
    &[Flags::LOADING, Flags::STALE, Flags::DANGEROUS],
    NO_KEYS,
    Group::Server,
    info,
)
.about("1.0.0", "Answers what the server is and has done.")];

/// Writes one section.
type Writer = fn(&Shared, &Stats, &mut String);

/// The sections: name, whether it comes without being asked for, title, and what writes it.
const SECTIONS: &[(&str, bool, &str, Writer)] = &[
    ("server", true, "Server", server),
    ("clients", true, "Clients", clients),
    ("memory", true, "Memory", memory),
    ("persistence", true, "Persistence", persistence),
    ("stats", true, "Stats", stats),
    ("replication", true, "Replication", replication),
    ("cpu", true, "CPU", cpu),
    ("modules", true, "Modules", |_, _, _| {}),
    ("commandstats", false, "Commandstats", commandstats),
    ("latencystats", false, "Latencystats", latencystats),
    ("errorstats", true, "Errorstats", errorstats),
    ("cluster", true, "Cluster", |_, _, text| text.push_str("cluster_enabled:0\r\n")),
    ("keyspace", true, "Keyspace", keyspace),
    ("libkv", true, "Libkv", libkv),
];

fn info(call: &mut Call<'_, '_>) -> Outcome {
    let words: Vec<String> = (1..call.len()).map(|at| call.text(at).to_ascii_lowercase()).collect();
    let is_asked = |word: &str| words.iter().any(|asked| asked == word);
    let everything = is_asked("all") || is_asked("everything");
    let by_default = words.is_empty() || is_asked("default");
    let stats = call.shared.store.stats()?;
    let mut text = String::new();
    for (name, is_default, title, write) in SECTIONS {
        if everything || is_asked(name) || (by_default && *is_default) {
            if !text.is_empty() {
                text.push_str("\r\n");
            }
            line(&mut text, format_args!("# {title}"));
            write(call.shared, &stats, &mut text);
        }
    }
    call.out.verbatim(*b"txt", text.as_bytes());
    Ok(())
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a string never fails.
    let _ = text.write_fmt(line);
    text.push_str("\r\n");
}

/// Writes `name:value` lines.
macro_rules! lines {
    ($text:expr, $($name:literal: $value:expr),* $(,)?) => {
        $(line($text, format_args!(concat!($name, ":{}"), $value));)*
    };
}

fn server(shared: &Shared, _: &Stats, text: &mut String) {
    let up_s = (shared.store.now_ms() - shared.started_ms) / 1000;
    lines!(text,
        "redis_version": REDIS_VERSION,
        "server_name": "libkv",
        "libkv_version": env!("CARGO_PKG_VERSION"),
        "redis_mode": "standalone",
        "os": std::env::consts::OS,
        "arch_bits": usize::BITS,
        "multiplexing_api": "tokio",
        "process_id": std::process::id(),
        "run_id": shared.run_id,
        "tcp_port": shared.options.resp.map_or(0, |address| address.port()),
        "server_time_usec": shared.store.now_ms() * 1000,
        "uptime_in_seconds": up_s,
        "uptime_in_days": up_s / 86400,
        "hz": 10,
        "io_threads_active": i32::from(shared.options.threads > 1),
    );
}

fn clients(shared: &Shared, _: &Stats, text: &mut String) {
    let all = shared.clients.all();
    let count = |bits: u32| all.iter().filter(|client| client.has(bits)).count();
    let watching: Vec<usize> =
        all.iter().map(|client| client.watching.load(Ordering::Relaxed)).collect();
    let longest = |load: fn(&crate::shared::clients::ClientHandle) -> usize| {
        all.iter().map(|client| load(client)).max().unwrap_or(0)
    };
    lines!(text,
        "connected_clients": shared.clients.len(),
        "cluster_connections": 0,
        "maxclients": shared.settings.clients_max.load(Ordering::Relaxed),
        "client_recent_max_input_buffer": longest(|client| client.query_bytes.load(Ordering::Relaxed)),
        "client_recent_max_output_buffer": longest(|client| client.reply_bytes.load(Ordering::Relaxed)),
        "blocked_clients": shared.pause.waiting(),
        "tracking_clients": shared.tracking.clients(),
        "pubsub_clients": count(flag::PUBSUB),
        "watching_clients": watching.iter().filter(|count| **count > 0).count(),
        "clients_in_timeout_table": 0,
        "total_watched_keys": watching.iter().sum::<usize>(),
        "total_blocking_keys": 0,
        "total_blocking_keys_on_nokey": 0,
    );
}

/// Bytes as people read them.
pub fn human(bytes: u64) -> String {
    let units = ["B", "K", "M", "G", "T"];
    let (mut value, mut unit) = (bytes as f64, 0);
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes}B") } else { format!("{value:.2}{}", units[unit]) }
}

fn memory(shared: &Shared, stats: &Stats, text: &mut String) {
    let clients = shared.clients.memory_bytes() as u64;
    let used = shared.used_memory(stats);
    let most = shared.settings.memory_max.load(Ordering::Relaxed);
    lines!(text,
        "used_memory": used,
        "used_memory_human": human(used),
        "used_memory_rss": stats.resident_bytes + clients,
        "used_memory_dataset": stats.key_bytes + stats.value_bytes,
        "used_memory_overhead": used - (stats.key_bytes + stats.value_bytes).min(used),
        "used_memory_scripts": 0,
        "used_memory_functions": 0,
        "maxmemory": most,
        "maxmemory_human": human(most),
        "maxmemory_policy": super::config::policy_name(shared),
        "mem_clients_normal": clients,
        "mem_clients_peak": shared.clients.memory_bytes_peak(),
        "mem_not_counted_for_evict": stats.pinned_bytes,
        "mem_fragmentation_ratio": format_args!(
            "{:.2}",
            stats.resident_bytes as f64 / stats.memory_bytes.max(1) as f64
        ),
        "mem_allocator": "mimalloc",
        "active_defrag_running": 0,
        "lazyfree_pending_objects": 0,
        "lazyfreed_objects": 0,
    );
}

fn persistence(shared: &Shared, stats: &Stats, text: &mut String) {
    let is_sound = shared.store.last_fault().is_none();
    let saving = i32::from(shared.is_saving.load(Ordering::Relaxed));
    let word = if is_sound { "ok" } else { "err" };
    lines!(text,
        "loading": 0,
        "async_loading": 0,
        "rdb_changes_since_last_save": stats.revision,
        "rdb_bgsave_in_progress": saving,
        "rdb_last_save_time": shared.last_save_s.load(Ordering::Relaxed),
        "rdb_last_bgsave_status": word,
        "rdb_saves": stats.snapshots,
        "aof_enabled": i32::from(shared.store.directory().is_some()),
        "aof_rewrite_in_progress": saving,
        "aof_rewrite_scheduled": 0,
        "aof_last_bgrewrite_status": word,
        "aof_last_write_status": word,
        "wal_bytes": stats.wal_bytes,
        "wal_syncs": stats.wal_syncs,
    );
}

fn stats(shared: &Shared, stats: &Stats, text: &mut String) {
    let counters = &shared.counters;
    let [expired, evicted, hits, misses] = [0, 1, 2, 3].map(|at: usize| {
        let now = [stats.expired, stats.evicted, stats.hits, stats.misses][at];
        now.saturating_sub(counters.store_base[at].load(Ordering::Relaxed))
    });
    let noted = shared.tracking.noted();
    let load = |count: &std::sync::atomic::AtomicU64| count.load(Ordering::Relaxed);
    lines!(text,
        "total_connections_received": load(&counters.connections),
        "total_commands_processed": counters.calls(),
        "total_net_input_bytes": counters.input_bytes(),
        "total_net_output_bytes": counters.output_bytes(),
        "rejected_connections": load(&counters.rejected_connections),
        "expired_keys": expired,
        "evicted_keys": evicted + shared.eviction.evicted(),
        "evicted_clients": load(&counters.evicted_clients),
        "keyspace_hits": hits,
        "keyspace_misses": misses,
        "pubsub_channels": shared.pubsub.count(Kind::Channel),
        "pubsub_patterns": shared.pubsub.count(Kind::Pattern),
        "pubsubshard_channels": shared.pubsub.count(Kind::Shard),
        "tracking_total_keys": noted.keys,
        "tracking_total_items": noted.items,
        "tracking_total_prefixes": noted.prefixes,
        "total_error_replies": load(&counters.errors),
        "acl_access_denied_auth": load(&counters.denied[0]),
        "acl_access_denied_cmd": load(&counters.denied[1]),
        "acl_access_denied_key": load(&counters.denied[2]),
        "acl_access_denied_channel": load(&counters.denied[3]),
    );
}

fn replication(_: &Shared, _: &Stats, text: &mut String) {
    lines!(text, "role": "master", "connected_slaves": 0, "master_repl_offset": 0);
}

fn cpu(_: &Shared, _: &Stats, text: &mut String) {
    let used = crate::usage::cpu();
    lines!(text,
        "used_cpu_sys": format_args!("{:.6}", used.system_s),
        "used_cpu_user": format_args!("{:.6}", used.user_s),
        "used_cpu_sys_children": "0.000000",
        "used_cpu_user_children": "0.000000",
    );
}

fn commandstats(shared: &Shared, _: &Stats, text: &mut String) {
    for (id, entry) in table::all().enumerate() {
        let total = shared.counters.total(id);
        if total != Default::default() {
            line(
                text,
                format_args!(
                    "cmdstat_{}:calls={},usec={},usec_per_call={},rejected_calls={},failed_calls={}",
                    entry.command.name,
                    total.calls,
                    total.usec,
                    per_call(total.usec, total.calls),
                    total.rejected,
                    total.failed,
                ),
            );
        }
    }
}

/// The times in microseconds that half, 99 % and 99.9 % of the calls of each command did not exceed, to the
/// next power of two.
fn latencystats(shared: &Shared, _: &Stats, text: &mut String) {
    for (id, entry) in table::all().enumerate() {
        let took = shared.counters.took(id);
        let calls = took.last().copied().unwrap_or(0);
        let bound_us = |per_mille: u64| {
            let needed = (calls * per_mille).div_ceil(1000);
            1u64 << took.iter().position(|sum| *sum >= needed).unwrap_or(0)
        };
        if calls > 0 {
            line(
                text,
                format_args!(
                    "latency_percentiles_usec_{}:p50={}.000,p99={}.000,p99.9={}.000",
                    entry.command.name,
                    bound_us(500),
                    bound_us(990),
                    bound_us(999),
                ),
            );
        }
    }
}

fn errorstats(shared: &Shared, _: &Stats, text: &mut String) {
    for (code, count) in shared.counters.errors_by_code() {
        line(text, format_args!("errorstat_{code}:count={count}"));
    }
}

fn keyspace(_: &Shared, stats: &Stats, text: &mut String) {
    if stats.entries > 0 {
        // Tools want three numbers; of the lifetimes no average is kept.
        line(
            text,
            format_args!("db0:keys={},expires={},avg_ttl=0", stats.entries, stats.expiring_entries),
        );
    }
}

/// What Redis has no name for: above all, how well expiry keeps up.
fn libkv(_: &Shared, stats: &Stats, text: &mut String) {
    lines!(text,
        "active_keys": stats.entries - stats.expired_pending.min(stats.entries),
        "expired_keys_pending": stats.expired_pending,
        "expired_keys_freed": stats.expired,
        "expiry_keeps_up_percent": format_args!(
            "{:.2}",
            100.0 * stats.expired as f64 / (stats.expired + stats.expired_pending).max(1) as f64
        ),
        "hit_rate_percent": format_args!("{:.2}", stats.hit_rate()),
        "key_bytes": stats.key_bytes,
        "value_bytes": stats.value_bytes,
        "resident_bytes": stats.resident_bytes,
        "revision": stats.revision,
    );
}
