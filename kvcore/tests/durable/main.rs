//! Stores in a directory of a simulated disk, against a model: what is there after every crash.
//!
//! A script of operations runs until the power fails at some call of the disk, or a call fails with
//! some error. Then a new store is opened on what the disk has kept. What it holds must be the state
//! after some number of operations, with everything among them that was acknowledged as safe.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)]
#![cfg(all(feature = "simulation", not(kv_shuttle)))]

mod crashes;
mod damage;
mod faults;
mod proofs;
mod rigs;
mod runs;
mod script;
mod threads;
