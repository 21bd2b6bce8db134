//! The Redis protocol from outside: a server on a loopback port, and clients of it.

#![allow(clippy::unwrap_used)]

mod access;
mod client;
mod durability;
mod framing;
mod keys;
mod limits;
mod messages;
mod strings;
mod transactions;
