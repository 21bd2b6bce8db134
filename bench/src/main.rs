//! `cargo xtask bench`: libkv in Rust, C, Python and Go against other engines and bare calls.
//!
//! One run measures everything that is compared, in turns, and gives medians. Figures are ratios,
//! because times belong to a machine. A missed goal is printed and is no failure; a part that did
//! not run is one.
//!
//! The surfaces are compared by `surfaces`, a file for each part: `race` (Rust and C), `python`,
//! `go`, `ttl`. The engines are compared by `engines`, what they keep on disk by `durable`, and the server with
//! Redis by `server`; the remote store is compared by `remote`. What has to hold for long, beside others, or against
//! somebody who means harm, has a command of its own in `trials`.

// The engine reaches time and files through its seams; this program is no part of the engine.
#![allow(clippy::disallowed_methods)]

mod c_abi;
mod clock;
mod contestants;
mod durable;
mod engines;
mod go;
mod hits;
mod machine;
mod outside;
mod plan;
mod plot;
mod python;
mod race;
mod relay;
mod remote;
mod results;
mod samples;
mod scale;
mod server;
// Those of the tests of the remote store, which use more of them.
#[allow(dead_code, clippy::unwrap_used)]
#[path = "../../kvremote/tests/remote/servers.rs"]
mod servers;
mod surfaces;
mod text;
mod trials;
mod ttl;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};

// What libkv.so has, so that no contestant in Rust runs on another allocator than libkv from C.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(arguments: &[String]) -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("no parent folder")?;
    let Some((first, rest)) = arguments.split_first() else {
        return surfaces::run(root, arguments);
    };
    match first.as_str() {
        engines::CHILD => engines::measure_one(rest),
        "memory" => engines::run(root, rest),
        durable::CHILD => durable::measure_one(rest),
        "durable" => durable::run(root, rest),
        hits::PART => hits::run(root, rest),
        server::PART => server::run(root, rest),
        remote::PART => remote::run(root, rest),
        "churn" => trials::churn::run(root, rest),
        "limit" => trials::limit::run(root, rest),
        "collide" => trials::collide::run(root, rest),
        "watch" => trials::watch::run(root, rest),
        _ => surfaces::run(root, arguments),
    }
}
