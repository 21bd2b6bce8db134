//! Connections of the Redis protocol: accepting, reading, serving, writing.
//!
//! Owns: the threads that serve (`server`), one task a connection (`connection`), which reads and writes, the
//! requests between (`pipeline`), what is known of a client (`session`), and the way from a request to its command
//! (`execute`). Invariant: a connection belongs to one thread, which never waits for anything but its event loop.

mod connection;
mod execute;
mod group;
mod listener;
mod pipeline;
mod server;
mod session;
mod waiting;

pub use execute::{deny, log_denied, per_call};
use execute::{execute_queued, keyspace, run_command};
pub use group::{Made, Queued, run};
pub use server::Server;
pub use session::{ReplyMode, Session, Watching};
