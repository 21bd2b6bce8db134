//! Tests of the remote store against real servers, which they start on free ports of this machine.
//!
//! They need `redis-server` (Debian: `apt-get install redis-server`) or `valkey-server`; `cargo xtask test` installs it.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

// The reader of the cases is that of the engine's driver, which uses more of it.
#[allow(dead_code)]
#[path = "../../../kvcore/tests/conformance/case.rs"]
mod case;
mod cluster;
mod conformance;
mod failover;
mod near;
mod own;
// The program of `cargo xtask failover` uses more of these two.
#[allow(dead_code)]
mod race;
mod refusals;
mod scripted;
#[allow(dead_code)]
mod servers;
mod single;
mod tls;
