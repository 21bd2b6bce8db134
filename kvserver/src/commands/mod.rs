//! The commands, a file for each group, and the table of all of them.

pub mod acl;
pub mod auth;
mod bits;
mod call;
pub mod client;
mod command;
pub mod config;
mod dump;
mod expire_time;
mod expiry;
mod failure;
pub mod get_run;
mod help;
mod increments;
mod info;
mod keys;
mod keyspace;
mod lcs;
mod memory;
pub mod monitor;
mod object;
mod persistence;
mod pubsub;
mod ranges;
mod scan;
mod server;
mod slowlog;
pub mod spec;
mod strings;
pub mod table;
mod tracking;
mod transactions;

pub use call::{After, Call, Effect, Outcome};
pub use failure::Failure;
pub use keyspace::Keyspace;
