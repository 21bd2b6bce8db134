//! What a caller may ask of a write, and what a conditional write answers.
//!
//! Owns: [`Expiry`], [`Condition`], [`SetOptions`] and the outcome types. Invariant: the numbers a
//! foreign language passes for a TTL are turned into an [`Expiry`] here and nowhere else.

use std::time::Duration;

use crate::error::{Error, Result, Status};

/// A TTL of this number of milliseconds means the store's `default_ttl`.
pub const TTL_DEFAULT: i64 = 0;
/// A TTL of this number of milliseconds means: never expires.
pub const TTL_NONE: i64 = i64::MAX;
/// A TTL of this number of milliseconds means: keep the deadline the entry has.
pub const TTL_KEEP: i64 = i64::MIN;

/// When a written entry expires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Expiry {
    /// After the store's `default_ttl`; never, unless that is set.
    #[default]
    Default,
    /// Never.
    Never,
    /// When the entry it replaces would have; as `Default` when there is none.
    Keep,
    /// This many milliseconds from now. Zero is the same as `Default`; a sum that overflows is
    /// never.
    AfterMs(u64),
    /// At this Unix time in milliseconds. A time that has passed removes the entry;
    /// [`TTL_NONE`] is never; a negative time is refused.
    AtMs(i64),
}

impl Expiry {
    /// The expiry that a TTL in milliseconds stands for in the C interface: [`TTL_DEFAULT`],
    /// [`TTL_NONE`], [`TTL_KEEP`], or a positive number.
    ///
    /// # Errors
    /// `Invalid` for any other negative number.
    pub fn from_ttl_ms(ttl_ms: i64) -> Result<Expiry> {
        match ttl_ms {
            TTL_DEFAULT => Ok(Expiry::Default),
            TTL_NONE => Ok(Expiry::Never),
            TTL_KEEP => Ok(Expiry::Keep),
            1.. => Ok(Expiry::AfterMs(ttl_ms.unsigned_abs())),
            _ => Err(Error::new(
                Status::Invalid,
                "a TTL is a positive number of milliseconds, KV_TTL_DEFAULT, KV_TTL_NONE or KV_TTL_KEEP",
            )),
        }
    }

    /// Refuses a time before 1970.
    ///
    /// # Errors
    /// `Invalid`.
    pub fn check(self) -> Result<()> {
        match self {
            Expiry::AtMs(..0) => Err(Error::new(
                Status::Invalid,
                "a deadline is a Unix time in milliseconds and cannot be negative",
            )),
            _ => Ok(()),
        }
    }
}

/// What must hold for a write to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Condition {
    /// Nothing.
    #[default]
    Any,
    /// The key is absent.
    Absent,
    /// The key is there.
    Present,
    /// The key is there with this version.
    Version(u64),
}

/// How [`Store::set_with`](crate::Store::set_with) writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SetOptions {
    /// When the entry expires.
    pub expiry: Expiry,
    /// What must hold for the write to happen.
    pub condition: Condition,
}

impl SetOptions {
    /// Expires after `ttl`, rounded up to a millisecond. A zero `ttl` means the store's default.
    #[must_use]
    pub fn ttl(self, ttl: Duration) -> Self {
        let ms = ttl.as_nanos().div_ceil(1_000_000);
        SetOptions { expiry: Expiry::AfterMs(u64::try_from(ms).unwrap_or(u64::MAX)), ..self }
    }

    /// Expires at a Unix time in milliseconds.
    #[must_use]
    pub fn expire_at_ms(self, unix_ms: i64) -> Self {
        SetOptions { expiry: Expiry::AtMs(unix_ms), ..self }
    }

    /// Never expires, whatever the store's default.
    #[must_use]
    pub fn never(self) -> Self {
        SetOptions { expiry: Expiry::Never, ..self }
    }

    /// Keeps the deadline of the entry that is replaced.
    #[must_use]
    pub fn keep_ttl(self) -> Self {
        SetOptions { expiry: Expiry::Keep, ..self }
    }

    /// Writes only if the key is absent.
    #[must_use]
    pub fn if_absent(self) -> Self {
        SetOptions { condition: Condition::Absent, ..self }
    }

    /// Writes only if the key is there.
    #[must_use]
    pub fn if_present(self) -> Self {
        SetOptions { condition: Condition::Present, ..self }
    }

    /// Writes only if the key is there with this version.
    #[must_use]
    pub fn if_version(self, version: u64) -> Self {
        SetOptions { condition: Condition::Version(version), ..self }
    }
}

/// What a conditional set did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetOutcome {
    /// The value was stored.
    Stored {
        /// The version it got.
        version: u64,
    },
    /// Nothing was stored: the key is there, and [`Condition::Absent`] was asked.
    Exists,
    /// Nothing was stored: the key is absent, and it was asked to be there.
    NotFound,
    /// Nothing was stored: the key has another version.
    Conflict,
}

/// What a conditional delete did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeleteOutcome {
    /// The entry was deleted.
    Deleted,
    /// There was none.
    NotFound,
    /// It has another version, and stays.
    Conflict,
}

/// How long an entry has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remaining {
    /// It never expires.
    Never,
    /// This many milliseconds, at least 1.
    Ms(i64),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ttl_numbers() {
        assert_eq!(Expiry::from_ttl_ms(0), Ok(Expiry::Default));
        assert_eq!(Expiry::from_ttl_ms(i64::MAX), Ok(Expiry::Never));
        assert_eq!(Expiry::from_ttl_ms(i64::MIN), Ok(Expiry::Keep));
        assert_eq!(Expiry::from_ttl_ms(1), Ok(Expiry::AfterMs(1)));
        assert_eq!(Expiry::from_ttl_ms(-1).map_err(|e| e.status()), Err(Status::Invalid));
    }

    #[test]
    fn durations_round_up() {
        let options = SetOptions::default().ttl(Duration::from_nanos(1));
        assert_eq!(options.expiry, Expiry::AfterMs(1));
        let options = SetOptions::default().ttl(Duration::MAX);
        assert_eq!(options.expiry, Expiry::AfterMs(u64::MAX));
    }
}
