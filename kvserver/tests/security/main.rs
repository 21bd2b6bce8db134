//! Who is let in, and what is told to whom: TLS, users, permissions, wrong passwords and secrets, on all three
//! front ends of a server in this process.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod certificates;
mod grpc;
mod guessing;
mod prefixes;
mod programs;
mod refusals;
mod rig;
mod secrets;
mod tls;
mod users;
