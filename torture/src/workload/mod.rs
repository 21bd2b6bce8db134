//! What a writer does, what it notes of it outside of the crash, and what may be found afterwards.
//!
//! One model serves every rig that ends a writer: `ops` is what a thread does, a function of seed,
//! life and thread alone, so that intents need no words; `ledger` is the file in which a writer notes
//! how far it came; `dump` is what a store was found to hold; `model` compares. `writer` is the program
//! that is killed.

mod dump;
mod ledger;
mod model;
mod ops;
mod setting;
pub mod writer;

pub use dump::Dump;
pub use ledger::{Ledger, monotonic_ns, wall_ms};
pub use model::{Bound, Model, Verdict};
pub use setting::{Persistence, Setting};

/// Threads that write at the same time.
pub const THREADS: usize = 8;
