//! Statistics as text: one JSON object, or the text format of Prometheus, version 0.0.4.
//!
//! Owns: the table of families. One row makes a number's name, its help and its kind in both; the names are
//! those of the fields of [`Stats`]. Shards have families of their own, because a sum over a family must not
//! count the store twice.

use std::fmt::{Display, Write as _};

use serde_json::{Map, Value, json};

use super::{Latency, SOON_MS, Stats, Timed};
use crate::error::{Error, Result, Status};

/// What is told of a store.
pub(crate) struct Report {
    pub(crate) stats: Stats,
    pub(crate) shards: Vec<Stats>,
    /// None if nothing was ever to be timed.
    pub(crate) latencies: Vec<(Timed, Latency)>,
}

/// What a number does.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// It rises and falls.
    Gauge,
    /// It only rises.
    Counter,
}

/// A row of the table.
struct Family {
    name: &'static str,
    kind: Kind,
    /// Whether a shard has it too.
    of_shards: bool,
    help: &'static str,
    of: fn(&Stats) -> u64,
}

const fn row(
    name: &'static str,
    kind: Kind,
    of_shards: bool,
    help: &'static str,
    of: fn(&Stats) -> u64,
) -> Family {
    Family { name, kind, of_shards, help, of }
}

use Kind::{Counter, Gauge};

const FAMILIES: &[Family] = &[
    row("entries", Gauge, true, "Entries, with expired ones not yet freed.", |s| s.entries),
    row("expiring_entries", Gauge, true, "Entries with a deadline.", |s| s.expiring_entries),
    row("expired_pending", Gauge, true, "Expired entries not yet freed.", |s| s.expired_pending),
    row("key_bytes", Gauge, true, "Sum of key lengths.", |s| s.key_bytes),
    row("value_bytes", Gauge, true, "Sum of value lengths.", |s| s.value_bytes),
    row("memory_bytes", Gauge, true, "Bytes charged to the data.", |s| s.memory_bytes),
    row("resident_bytes", Gauge, true, "Bytes held from the system.", |s| s.resident_bytes),
    row("pinned_bytes", Gauge, false, "Bytes held beside the data.", |s| s.pinned_bytes),
    row("gets", Counter, true, "Reads of a value.", |s| s.gets),
    row("hits", Counter, true, "Reads that found a value.", |s| s.hits),
    row("misses", Counter, true, "Reads that found none.", |s| s.misses),
    row("sets", Counter, true, "Values written.", |s| s.sets),
    row("deletes", Counter, true, "Entries deleted by a call.", |s| s.deletes),
    row("expired", Counter, true, "Entries freed after expiry.", |s| s.expired),
    row("evicted", Counter, true, "Entries evicted to make room.", |s| s.evicted),
    row("callbacks_dropped", Counter, false, "Callbacks dropped.", |s| s.callbacks_dropped),
    row("wal_bytes", Gauge, false, "Bytes in the log.", |s| s.wal_bytes),
    row("wal_syncs", Counter, false, "Flushes of the log to the disk.", |s| s.wal_syncs),
    row("snapshots", Counter, false, "Snapshots taken.", |s| s.snapshots),
    row("revision", Gauge, false, "Revision of the last change.", |s| s.revision),
    row("near_hits", Counter, false, "Reads answered by the near cache.", |s| s.near_hits),
    row("near_fills", Counter, false, "Values the near cache took in.", |s| s.near_fills),
    row("near_invalidations", Counter, false, "Changes told to the near cache.", |s| {
        s.near_invalidations
    }),
    row("near_drops", Counter, false, "Values the near cache refused.", |s| s.near_drops),
];

/// The name of a part, and how much it is.
type Part = (&'static str, fn(&Stats) -> u64);

/// The parts of `memory_bytes`, by what they are for.
const PARTS: &[Part] = &[
    ("index", |s| s.index_bytes),
    ("entry", |s| s.entry_bytes),
    ("large", |s| s.large_bytes),
    ("expiry", |s| s.expiry_bytes),
    ("policy", |s| s.policy_bytes),
    ("order", |s| s.order_bytes),
];

/// What is held beside it.
const BUFFERS: &[Part] = &[
    ("callback", |s| s.callback_bytes),
    ("watch", |s| s.watch_bytes),
    ("wal_buffer", |s| s.wal_buffer_bytes),
];

/// Bounds of the buckets of latencies, as powers of two of nanoseconds: from 64 ns to a minute.
const BOUNDS: std::ops::RangeInclusive<u32> = 6..=36;

/// The quantiles that JSON has.
const QUANTILES: [(&str, f64); 4] =
    [("p50_ns", 0.5), ("p90_ns", 0.9), ("p99_ns", 0.99), ("p999_ns", 0.999)];

impl Report {
    /// What writes a format.
    ///
    /// # Errors
    /// `Unsupported` for another one than `"json"` and `"prometheus"`.
    pub(crate) fn writer(format: &str) -> Result<fn(&Report) -> String> {
        match format {
            "json" => Ok(Report::to_json),
            "prometheus" => Ok(Report::to_prometheus),
            _ => Err(Error::new(
                Status::Unsupported,
                "statistics come as \"json\" or \"prometheus\"",
            )),
        }
    }

    /// One JSON object: a member for each field, `hit_ratio`, `shards`, and `latency` if something was
    /// ever to be timed.
    pub(crate) fn to_json(&self) -> String {
        // A struct of integers always serialises to an object.
        let mut all = match serde_json::to_value(self.stats) {
            Ok(Value::Object(fields)) => fields,
            _ => Map::new(),
        };
        all.insert("hit_ratio".to_string(), json!(self.stats.hit_ratio()));
        let shards: Vec<Value> = self.shards.iter().map(shard_json).collect();
        all.insert("shards".to_string(), json!(shards));
        if !self.latencies.is_empty() {
            let latencies: Map<String, Value> = self
                .latencies
                .iter()
                .map(|(timed, latency)| (timed.name().to_string(), latency_json(latency)))
                .collect();
            all.insert("latency".to_string(), json!(latencies));
        }
        Value::Object(all).to_string()
    }

    /// The Prometheus text format: a family for each number, with `kv_` before its name.
    pub(crate) fn to_prometheus(&self) -> String {
        let mut text = Exposition(String::new());
        for family in FAMILIES {
            let (name, kind) = family.told("kv_");
            text.family(&name, kind, family.help);
            text.sample(&name, &[], (family.of)(&self.stats));
        }
        text.family("kv_hit_ratio", "gauge", "Reads that found a value, as a share from 0 to 1.");
        text.sample("kv_hit_ratio", &[], self.stats.hit_ratio());
        self.write_memory(&mut text);
        self.write_soon(&mut text);
        for family in FAMILIES.iter().filter(|family| family.of_shards) {
            let (name, kind) = family.told("kv_shard_");
            text.family(&name, kind, family.help);
            for (number, shard) in self.shards.iter().enumerate() {
                text.sample(&name, &[("shard", &number)], (family.of)(shard));
            }
        }
        if !self.latencies.is_empty() {
            self.write_latencies(&mut text);
        }
        text.0
    }

    fn write_memory(&self, text: &mut Exposition) {
        let tables = [
            ("kv_memory_part_bytes", "Bytes charged to the data, by what they are for.", PARTS),
            ("kv_buffer_bytes", "Bytes of queues and buffers beside the data.", BUFFERS),
        ];
        for (name, help, parts) in tables {
            text.family(name, "gauge", help);
            for (part, of) in parts {
                text.sample(name, &[("part", part)], of(&self.stats));
            }
        }
    }

    fn write_soon(&self, text: &mut Exposition) {
        let name = "kv_expiring_soon_entries";
        text.family(name, "gauge", "About how many entries expire within so many seconds.");
        for (within_ms, count) in SOON_MS.iter().zip(self.stats.soon()) {
            text.sample(name, &[("within_seconds", &(within_ms / 1000))], count);
        }
    }

    fn write_latencies(&self, text: &mut Exposition) {
        let name = "kv_latency_seconds";
        text.family(name, "histogram", "How long calls took, as far as they were timed.");
        for (timed, latency) in &self.latencies {
            let call: (&str, &dyn Display) = ("call", &timed.name());
            let bucket = format!("{name}_bucket");
            for power in BOUNDS {
                let bound = seconds(1 << power);
                text.sample(&bucket, &[call, ("le", &bound)], latency.within_ns(power));
            }
            text.sample(&bucket, &[call, ("le", &"+Inf")], latency.count());
            text.sample(&format!("{name}_sum"), &[call], seconds(latency.sum_ns()));
            text.sample(&format!("{name}_count"), &[call], latency.count());
        }
    }
}

impl Family {
    /// Name and kind in the text format.
    fn told(&self, prefix: &str) -> (String, &'static str) {
        match self.kind {
            Gauge => (format!("{prefix}{}", self.name), "gauge"),
            Counter => (format!("{prefix}{}_total", self.name), "counter"),
        }
    }
}

/// Text in the making.
struct Exposition(String);

impl Exposition {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// One number. No value of a label has a character that is to be escaped.
    fn sample(&mut self, name: &str, labels: &[(&str, &dyn Display)], number: impl Display) {
        self.0.push_str(name);
        for (place, (label, value)) in labels.iter().enumerate() {
            let before = if place == 0 { '{' } else { ',' };
            let _ = write!(self.0, "{before}{label}=\"{value}\"");
        }
        let end = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.0, "{end} {number}");
    }
}

fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

fn shard_json(shard: &Stats) -> Value {
    let rows = FAMILIES.iter().filter(|family| family.of_shards);
    let numbers = rows.map(|family| (family.name.to_string(), json!((family.of)(shard))));
    Value::Object(numbers.collect())
}

fn latency_json(latency: &Latency) -> Value {
    let mut members = Map::new();
    members.insert("count".to_string(), json!(latency.count()));
    members.insert("sum_ns".to_string(), json!(latency.sum_ns()));
    for (name, share) in QUANTILES {
        members.insert(name.to_string(), json!(latency.quantile_ns(share)));
    }
    members.insert("max_ns".to_string(), json!(latency.max_ns()));
    Value::Object(members)
}

#[cfg(all(test, not(kv_shuttle)))]
mod tests;
