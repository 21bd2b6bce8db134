//! The Redis protocol from outside: a server on a loopback port, and clients of it.

#![allow(clippy::unwrap_used)]

mod access;
mod bits;
mod client;
mod durability;
mod eviction;
mod framing;
mod hostile;
mod keys;
mod limits;
mod messages;
mod pipelines;
mod server;
mod strings;
mod transactions;
