//! The server of libkv: one store behind the Redis protocol, gRPC and HTTP.

#![deny(unsafe_code)]

mod acl;
pub mod cli;
mod commands;
pub mod config;
#[cfg(feature = "fuzzing")]
pub mod fuzz;
pub mod glob;
mod grpc;
mod http;
mod log;
mod net;
pub mod number;
mod options;
mod random;
pub mod resp;
mod shared;
mod signals;
mod socket;
mod tls;
mod usage;
mod web;

pub use log::say;
pub use net::Server;
pub use options::ServerOptions;
pub use shared::Shared;
pub use signals::Signals;
pub use tls::{ClientCertificate, TlsOptions};
pub use usage::raise_file_limit;
