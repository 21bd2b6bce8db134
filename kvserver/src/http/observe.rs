//! What is asked to see how the server does: metrics, health, statistics, deadlines.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, HeaderName};
use axum::{Extension, Json};
use kvcore::ScanOptions;
use serde_json::{Value, json};

use super::problem::Problem;
use crate::shared::Shared;
use crate::web::{Caller, Front};

/// The text format of Prometheus.
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Entries that are looked at to tell what expires when. They are the first ones in the order of hashes, which
/// is as good as drawing them, since a store hashes with a random seed.
const SAMPLE: usize = 10_000;

/// Upper ends of the ranges in which deadlines are counted, in milliseconds from now.
const RANGES_MS: [u64; 7] =
    [10_000, 60_000, 600_000, 3_600_000, 21_600_000, 86_400_000, 604_800_000];

/// `GET /healthz`: whether the process answers.
pub async fn healthz() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: whether reads and writes are served.
pub async fn readyz(State(front): State<Arc<Front>>) -> Result<&'static str, Problem> {
    let shared = &front.shared;
    if shared.is_stopping() {
        return Err(Problem::busy("the server is stopping: send requests elsewhere"));
    }
    // What went wrong is told to those who may read the metrics, and not to everybody.
    if shared.data.last_fault().is_some() {
        return Err(Problem::busy("an earlier failure stopped all writes: restart the server"));
    }
    front.check_store().await.map_err(|_| Problem::busy("the store does not answer"))?;
    Ok("ready\n")
}

/// `GET /metrics`: the counters of store and server for Prometheus.
pub async fn metrics(
    State(front): State<Arc<Front>>,
    Extension(caller): Extension<Caller>,
) -> Result<([(HeaderName, &'static str); 1], String), Problem> {
    front.permit(&caller, &[b"info"])?;
    let mut text = front.read(|store| store.stats_text("prometheus")).await?;
    for (name, help, kind, number) in families(&front) {
        // Writing to a string never fails.
        let _ = writeln!(text, "# HELP kv_server_{name} {help}\n# TYPE kv_server_{name} {kind}");
        let _ = writeln!(text, "kv_server_{name} {number}");
    }
    Ok(([(CONTENT_TYPE, PROMETHEUS)], text))
}

/// The server's own families: name, help, type, value.
fn families(front: &Front) -> [(&'static str, &'static str, &'static str, u64); 13] {
    let shared = &front.shared;
    let counters = &shared.counters;
    let (http, grpc) = (&front.counts.http, &front.counts.grpc);
    let of = |count: &std::sync::atomic::AtomicU64| count.load(Ordering::Relaxed);
    let denied = counters.denied.iter().map(of).sum();
    [
        ("uptime_seconds", "Seconds since the start.", "gauge", uptime_s(shared)),
        ("clients", "Clients connected.", "gauge", shared.clients.len() as u64),
        ("connections_total", "Connections accepted.", "counter", of(&counters.connections)),
        (
            "rejected_connections_total",
            "Connections refused.",
            "counter",
            of(&counters.rejected_connections),
        ),
        (
            "tls_failed_total",
            "Connections on which TLS came to nothing.",
            "counter",
            of(&counters.tls_failed),
        ),
        ("commands_total", "Commands, and calls of HTTP and gRPC.", "counter", counters.calls()),
        ("errors_total", "Errors answered to such commands.", "counter", of(&counters.errors)),
        ("denied_total", "Refusals for a missing permission.", "counter", denied),
        ("writable", "1 unless a failure stopped writes.", "gauge", {
            u64::from(shared.data.last_fault().is_none())
        }),
        ("http_answered_total", "HTTP requests answered.", "counter", of(&http.answered)),
        ("http_refused_total", "HTTP requests refused or failed.", "counter", of(&http.refused)),
        ("grpc_admitted_total", "gRPC requests let in.", "counter", of(&grpc.answered)),
        ("grpc_refused_total", "gRPC requests not let in.", "counter", of(&grpc.refused)),
    ]
}

fn uptime_s(shared: &Shared) -> u64 {
    u64::try_from(shared.store.now_ms() - shared.started_ms).unwrap_or(0) / 1000
}

/// `GET /v1/stats`: the same as JSON.
pub async fn stats(
    State(front): State<Arc<Front>>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Value>, Problem> {
    front.permit(&caller, &[b"info"])?;
    let store = serde_json::to_value(front.read(libkv::Store::stats).await?);
    let store = store.map_err(|_| Problem::internal("the statistics cannot be written as JSON"))?;
    let server: serde_json::Map<String, Value> = families(&front)
        .into_iter()
        .map(|(name, _, _, number)| (name.to_owned(), number.into()))
        .collect();
    let now_ms = front.shared.store.now_ms();
    Ok(Json(json!({ "now_ms": now_ms, "store": store, "server": server })))
}

/// `GET /v1/deadlines`: what expires when, counted among a sample of the entries.
pub async fn deadlines(
    State(front): State<Arc<Front>>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Value>, Problem> {
    front.permit(&caller, &[b"info"])?;
    let options = ScanOptions::new().keys_only().limit(SAMPLE as u64);
    let entries = front.scan_all(options).await?.next(SAMPLE).await?;
    let now_ms = front.shared.store.now_ms();
    let (mut counts, mut later, mut never) = ([0_u64; RANGES_MS.len()], 0_u64, 0_u64);
    for entry in &entries {
        let Some(at_ms) = entry.expire_at_ms() else {
            never += 1;
            continue;
        };
        let left_ms = u64::try_from(at_ms - now_ms).unwrap_or(0);
        match RANGES_MS.iter().position(|end| left_ms < *end) {
            Some(range) => counts[range] += 1,
            None => later += 1,
        }
    }
    let ranges: Vec<Value> = RANGES_MS
        .iter()
        .zip(counts)
        .map(|(end, count)| json!({ "within_ms": end, "count": count }))
        .collect();
    let total = front.read(|store| store.stats().map(|stats| stats.entries)).await?;
    Ok(Json(json!({
        "sampled": entries.len(),
        "entries": total,
        "ranges": ranges,
        "later": later,
        "never": never,
    })))
}
