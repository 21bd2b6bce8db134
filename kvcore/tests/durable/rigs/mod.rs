//! What is run both in a few seconds, by the tests, and for hours, by the example `proof`.
//!
//! A rig takes the number of a run and panics if a promise was broken in it. The same number always
//! gives the same run, so a violation is found again by its number.

pub mod bits;
pub mod damage;
pub mod errors;
pub mod hostile;
pub mod lives;
pub mod nested;
pub mod replay;
pub mod sequences;
pub mod stuck;

/// What a store may be told about `sync` and `persistence`.
pub const MODES: [&[(&str, &str)]; 4] = [
    &[("sync", "always"), ("persistence", "hybrid")],
    &[("sync", "interval"), ("persistence", "hybrid")],
    &[("sync", "never"), ("persistence", "wal")],
    &[("persistence", "snapshot")],
];

/// Whether a mode keeps a log, so that the death of the process loses nothing.
pub fn keeps_log(mode: &[(&str, &str)]) -> bool {
    !mode.contains(&("persistence", "snapshot"))
}
