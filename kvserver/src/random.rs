//! The seam to randomness.

#![allow(clippy::disallowed_methods)]

use std::io::{self, Read};

/// A number below `bound`, each as likely as any other. `bound` is not zero. Not for secrets.
pub fn below(bound: u32) -> u32 {
    fastrand::u32(..bound)
}

/// Hexadecimal digits that nobody can guess, from the system.
///
/// # Errors
/// What the system says.
pub fn secret_hex(digits: usize) -> io::Result<String> {
    let mut bytes = vec![0; digits.div_ceil(2)];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    let mut text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    text.truncate(digits);
    Ok(text)
}
