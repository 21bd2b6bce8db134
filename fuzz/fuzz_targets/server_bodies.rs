//! What the server's targets do with bytes, by the names of the targets. Apart from them, so that it also runs on a
//! stable Rust, without libFuzzer: `kvserver/tests/corpus.rs` gives it the inputs of `seeds/`.

use kvserver::fuzz;

/// Gives bytes to a parser, and says whether they are what it reads.
pub type Body = fn(&[u8]) -> bool;

/// The targets.
pub const TARGETS: [(&str, Body); 10] = [
    ("acl", fuzz::acl),
    ("commands", fuzz::commands),
    ("config", fuzz::config),
    ("dump", fuzz::dump),
    ("lines", fuzz::lines),
    ("number", fuzz::number),
    ("pattern", fuzz::pattern),
    ("query", fuzz::query),
    ("requests", fuzz::requests),
    ("words", fuzz::words),
];
