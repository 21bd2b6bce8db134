//! Deadlines as clients write them.
//!
//! Owns: the four units of `SET`, `GETEX` and `EXPIRE`, and which numbers are no deadline: a negative one, and
//! one so far away that it does not fit a number of milliseconds.

use kvcore::{Expiry, TTL_NONE};

use super::call::Call;
use super::failure::Failure;

/// What a number stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Seconds from now.
    Seconds,
    /// Milliseconds from now.
    Millis,
    /// A Unix time in seconds.
    AtSeconds,
    /// A Unix time in milliseconds.
    AtMillis,
}

impl Unit {
    /// The unit of an option of `SET` or `GETEX`.
    pub fn of_option(word: &[u8]) -> Option<Unit> {
        let units = [
            (&b"ex"[..], Unit::Seconds),
            (b"px", Unit::Millis),
            (b"exat", Unit::AtSeconds),
            (b"pxat", Unit::AtMillis),
        ];
        units.iter().find(|(name, _)| word.eq_ignore_ascii_case(name)).map(|(_, unit)| *unit)
    }

    /// Whether it counts from now.
    pub fn is_relative(self) -> bool {
        matches!(self, Unit::Seconds | Unit::Millis)
    }

    /// A number of this unit in milliseconds.
    pub fn millis(self, number: i64) -> Option<i64> {
        match self {
            Unit::Seconds | Unit::AtSeconds => number.checked_mul(1000),
            Unit::Millis | Unit::AtMillis => Some(number),
        }
    }
}

impl Call<'_, '_> {
    /// The argument at a position as the expiry of a value that is written.
    pub fn expiry(&self, position: usize, unit: Unit) -> Result<Expiry, Failure> {
        let number = self.integer(position)?;
        let refused = || Failure::expire_time(self.command.name);
        if number <= 0 {
            return Err(refused());
        }
        let millis = unit.millis(number).ok_or_else(refused)?;
        if unit.is_relative() {
            millis.checked_add(self.shared.store.now_ms()).ok_or_else(refused)?;
            return Ok(Expiry::AfterMs(millis.unsigned_abs()));
        }
        // The largest number would mean that it stays.
        Ok(Expiry::AtMs(millis.min(TTL_NONE - 1)))
    }
}
