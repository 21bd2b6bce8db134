//! The server of libkv: one store behind the Redis protocol, gRPC and HTTP.

#![forbid(unsafe_code)]

pub mod glob;
pub mod number;
pub mod resp;
