#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::stats::{LatencyMeter, LatencyMode};

fn report() -> Report {
    let shard = |entries| Stats { entries, gets: 4, hits: 3, misses: 1, ..Stats::default() };
    let shards = vec![shard(2), shard(5)];
    let mut stats = Stats { wal_buffer_bytes: 9, index_bytes: 64, ..Stats::default() };
    shards.iter().for_each(|shard| stats.add_shard(shard));
    stats.set_soon([1, 2, 3, 4]);
    let meter = LatencyMeter::new();
    meter.set_mode(LatencyMode::Full);
    for micros in [1, 10, 100] {
        meter.record(Timed::Get, Duration::from_micros(micros));
    }
    let latencies = Timed::ALL.map(|timed| (timed, meter.read(timed))).into();
    Report { stats, shards, latencies }
}

/// Samples by name and labels, and kinds by family, of a text that is held against the format.
fn parse(text: &str) -> (BTreeMap<String, f64>, BTreeMap<String, String>) {
    let (mut samples, mut kinds) = (BTreeMap::new(), BTreeMap::new());
    let mut family = String::new();
    assert!(text.ends_with('\n'));
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            family = help.split_once(' ').unwrap().0.to_string();
            let (name, kind) =
                lines.next().unwrap().strip_prefix("# TYPE ").unwrap().split_once(' ').unwrap();
            assert_eq!(name, family);
            assert!(["counter", "gauge", "histogram"].contains(&kind));
            let again = kinds.insert(family.clone(), kind.to_string());
            assert!(again.is_none(), "{family} comes twice");
            continue;
        }
        let (series, number) = line.rsplit_once(' ').unwrap();
        let name = series.split('{').next().unwrap();
        let suffix = name.strip_prefix(&family).unwrap();
        let suffixes: &[&str] = match kinds[&family].as_str() {
            "histogram" => &["_bucket", "_sum", "_count"],
            _ => &[""],
        };
        assert!(suffixes.contains(&suffix), "{line} under {family}");
        assert_eq!(kinds[&family] == "counter", name.ends_with("_total"), "{line}");
        assert!(name.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric()), "{line}");
        let again = samples.insert(series.to_string(), number.parse().unwrap());
        assert!(again.is_none(), "{series} comes twice");
    }
    (samples, kinds)
}

#[test]
fn prometheus_has_every_field_of_the_json() {
    let report = report();
    let json: Value = serde_json::from_str(&report.to_json()).unwrap();
    let (samples, _) = parse(&report.to_prometheus());
    let told = |name: &str| {
        let part = |family: &str, label: &str, suffix: &str| {
            let value = name.strip_suffix(suffix)?;
            samples.get(&format!("{family}{{{label}=\"{value}\"}}"))
        };
        let soon = [("1s", 1), ("10s", 10), ("1m", 60), ("10m", 600)];
        let within = soon.iter().find(|(text, _)| name == format!("expiring_in_{text}"));
        let soon = within.map(|(_, seconds)| {
            &samples[&format!("kv_expiring_soon_entries{{within_seconds=\"{seconds}\"}}")]
        });
        samples
            .get(&format!("kv_{name}"))
            .or_else(|| samples.get(&format!("kv_{name}_total")))
            .or_else(|| part("kv_memory_part_bytes", "part", "_bytes"))
            .or_else(|| part("kv_buffer_bytes", "part", "_bytes"))
            .or(soon)
            .copied()
    };
    let fields = json.as_object().unwrap();
    assert_eq!(fields["entries"], 7);
    assert_eq!(fields["hit_ratio"], 0.75);
    for (name, number) in fields {
        if let Some(number) = number.as_f64() {
            assert_eq!(told(name), Some(number), "{name}");
        }
    }
}

#[test]
fn shards_have_families_of_their_own() {
    let report = report();
    let json: Value = serde_json::from_str(&report.to_json()).unwrap();
    assert_eq!(json["shards"][1]["entries"], 5);
    assert_eq!(json["shards"].as_array().unwrap().len(), 2);
    assert!(json["shards"][0].get("wal_bytes").is_none());
    let (samples, kinds) = parse(&report.to_prometheus());
    assert_eq!(samples["kv_shard_entries{shard=\"1\"}"], 5.0);
    assert_eq!(samples["kv_shard_hits_total{shard=\"0\"}"], 3.0);
    assert_eq!(kinds["kv_shard_hits_total"], "counter");
}

#[test]
fn latencies_are_histograms_whose_buckets_add_up() {
    let (samples, kinds) = parse(&report().to_prometheus());
    assert_eq!(kinds["kv_latency_seconds"], "histogram");
    let bucket = |call: &str, le: &str| {
        samples[&format!("kv_latency_seconds_bucket{{call=\"{call}\",le=\"{le}\"}}")]
    };
    let bounds = BOUNDS.map(|power| seconds(1 << power).to_string());
    let gets: Vec<f64> = bounds.chain(["+Inf".to_string()]).map(|le| bucket("get", &le)).collect();
    assert!(gets.is_sorted());
    assert_eq!((gets[0], gets[gets.len() - 1]), (0.0, 3.0));
    assert_eq!(bucket("get", "0.000001024"), 1.0);
    assert_eq!(bucket("get", "0.000016384"), 2.0);
    assert_eq!(samples["kv_latency_seconds_count{call=\"get\"}"], 3.0);
    assert_eq!(samples["kv_latency_seconds_sum{call=\"get\"}"], 0.000111);
    assert_eq!(bucket("sync", "+Inf"), 0.0);
}

#[test]
fn nothing_is_told_of_latencies_that_nobody_asked_for() {
    let report = Report { latencies: Vec::new(), ..report() };
    let json: Value = serde_json::from_str(&report.to_json()).unwrap();
    assert!(json.get("latency").is_none());
    assert!(!report.to_prometheus().contains("latency"));
}
