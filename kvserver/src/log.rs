//! What the server tells whoever started it: lines on standard error, for the journal of a service manager.
//!
//! Few things are told: how it began and ended, and what an operator has to know of or mend. Keys, values and
//! passwords are never among them.

use std::io::{self, Write};

/// Tells one line.
pub fn say(line: &str) {
    // Whoever started it without looking does without.
    let _ = writeln!(io::stderr(), "kv-server: {line}");
}
