//! The one table of statuses, and the error every fallible call returns.
//!
//! Owns: the frozen numbers that every surface shares, their C names, and what the caller should do
//! about each. Invariant: zero is success, positive numbers are expected outcomes, negative numbers
//! are errors; an [`Error`] always carries a negative one. A retired number stays as a comment.

use std::borrow::Cow;
use std::fmt;

/// What a fallible call of this crate returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

macro_rules! status_table {
    ($($(#[$doc:meta])* $variant:ident = $code:literal, $c_name:literal, $message:literal;)*) => {
        /// Every outcome and error of libkv, with the number it has on every surface.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        #[repr(i32)]
        pub enum Status {
            $($(#[$doc])* $variant = $code,)*
        }

        impl Status {
            /// Every status, outcomes first, in the order of the table in the documentation.
            pub const ALL: &[Status] = &[$(Status::$variant,)*];

            /// The status with this number, or `None` for a foreign number.
            pub fn from_code(code: i32) -> Option<Status> {
                match code {
                    $($code => Some(Status::$variant),)*
                    _ => None,
                }
            }

            /// The name of the constant in `kv.h`, for example `"KV_NOT_FOUND"`.
            pub fn c_name(self) -> &'static str {
                match self {
                    $(Status::$variant => $c_name,)*
                }
            }

            /// What happened and, for an error, what the caller should do.
            pub fn message(self) -> &'static str {
                match self {
                    $(Status::$variant => $message,)*
                }
            }
        }
    };
}

status_table! {
    /// Success.
    Ok = 0, "KV_OK", "success";
    /// The key is absent or expired.
    NotFound = 1, "KV_NOT_FOUND", "the key is absent or has expired";
    /// The key is there, and the call asked for it to be absent.
    Exists = 2, "KV_EXISTS", "the key is there already";
    /// The version does not match.
    Conflict = 3, "KV_CONFLICT", "the key has another version: read it again and retry";
    /// A scan or a cancelled watch has nothing more.
    Done = 4, "KV_DONE", "nothing more will come";
    /// Nothing happened within the time given.
    Timeout = 5, "KV_TIMEOUT", "nothing came within the time given";
    /// The buffer is too small for the whole value.
    ShortBuffer = 6, "KV_SHORT_BUFFER", "the buffer is too small: nothing was written, call again with the length reported";
    /// A watcher was too slow and missed events.
    Lagged = 7, "KV_LAGGED", "events were missed: resume at the revision reported";
    /// An argument is wrong.
    Invalid = -1, "KV_ERR_INVALID", "an argument is wrong: fix it; nothing changed";
    /// A key or a value is over its limit.
    TooLarge = -2, "KV_ERR_TOO_LARGE", "the key or the value is over its limit: shorten it or raise the limit; nothing changed";
    /// The store is at its limit and may not evict.
    Full = -3, "KV_ERR_FULL", "the store is at its limit and may not evict: delete something, raise max_entries or max_memory, or choose an eviction policy; nothing changed";
    /// The value is no integer, or the sum overflows.
    Type = -4, "KV_ERR_TYPE", "the value is not a decimal 64-bit integer, or the result would overflow; nothing changed";
    /// The disk is full.
    NoSpace = -5, "KV_ERR_NO_SPACE", "the disk is full: free some room, writes then resume by themselves; not applied";
    /// The outcome of an input or output operation is unknown.
    Io = -6, "KV_ERR_IO", "input or output failed and the outcome is unknown: see the error object";
    /// A file is damaged.
    Corrupt = -7, "KV_ERR_CORRUPT", "a file is damaged: see the error object and run kv verify";
    /// Another opener holds the directory.
    Locked = -8, "KV_ERR_LOCKED", "another opener holds the directory: close it first";
    /// The store was closed.
    Closed = -9, "KV_ERR_CLOSED", "the store behind this handle was closed: open it again";
    /// An earlier failure made the store read-only.
    Poisoned = -10, "KV_ERR_POISONED", "an earlier failure stopped all writes: close and reopen the store; reads still work";
    /// Unknown or unavailable.
    Unsupported = -11, "KV_ERR_UNSUPPORTED", "unknown option or format version, or not available here: see the error object";
    /// The handle crossed a `fork`.
    Forked = -12, "KV_ERR_FORKED", "the handle crossed fork(): open a new store in the child";
    /// An allocation failed.
    NoMemory = -13, "KV_ERR_NO_MEMORY", "an allocation sized by the caller's data failed: free memory or store less; nothing changed";
    /// A bug was contained.
    Panic = -14, "KV_ERR_PANIC", "a bug in libkv was contained and the store is poisoned: reopen it, and please report the message of its last fault";
    /// A remote store did not answer.
    Unavailable = -15, "KV_ERR_UNAVAILABLE", "the remote store did not answer: retry later";
    /// A batch on a cluster names keys of several slots.
    CrossSlot = -16, "KV_ERR_CROSS_SLOT", "the batch names keys of several slots: use hash tags";
}

impl Status {
    /// The frozen number.
    pub fn code(self) -> i32 {
        self as i32
    }

    /// Whether this is an error rather than success or an expected outcome.
    pub fn is_error(self) -> bool {
        self.code() < 0
    }
}

/// Why a call failed: a status of the error half of the table, and a message that names the thing
/// at fault and the remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    status: Status,
    message: Cow<'static, str>,
    os_code: Option<i32>,
}

impl Error {
    /// An error with a message of its own. A scan that cannot go on says so with `Conflict`.
    pub fn new(status: Status, message: impl Into<Cow<'static, str>>) -> Error {
        debug_assert!(status.is_error() || status == Status::Conflict, "{status:?} is no error");
        Error { status, message: message.into(), os_code: None }
    }

    /// An `Io` error: what could not be done, and why the system says so.
    pub(crate) fn from_os(what: &str, error: &std::io::Error) -> Error {
        Error {
            status: Status::Io,
            message: format!("{what}: {error}").into(),
            os_code: error.raw_os_error(),
        }
    }

    /// The kind of failure, as its frozen number.
    pub fn status(&self) -> Status {
        self.status
    }

    /// What is wrong and what to do, in one line without a full stop.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The operating system's error number, when there is one.
    pub fn os_code(&self) -> Option<i32> {
        self.os_code
    }
}

/// An error that says no more than its table entry. Allocates nothing, so hot paths may use it.
impl From<Status> for Error {
    fn from(status: Status) -> Error {
        Error::new(status, status.message())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.status.c_name())
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_frozen() {
        let table: Vec<(i32, &str)> = Status::ALL.iter().map(|s| (s.code(), s.c_name())).collect();
        assert_eq!(table.len(), 24);
        assert_eq!(table[0], (0, "KV_OK"));
        assert_eq!(table[7], (7, "KV_LAGGED"));
        assert_eq!(table[8], (-1, "KV_ERR_INVALID"));
        assert_eq!(table[23], (-16, "KV_ERR_CROSS_SLOT"));
        for (n, pair) in table.windows(2).enumerate() {
            if n != 7 {
                assert_eq!((pair[1].0 - pair[0].0).abs(), 1, "{pair:?}");
            }
        }
    }

    #[test]
    fn codes_round_trip() {
        for &status in Status::ALL {
            assert_eq!(Status::from_code(status.code()), Some(status));
            assert_eq!(status.is_error(), status.c_name().starts_with("KV_ERR_"));
        }
        assert_eq!(Status::from_code(8), None);
        assert_eq!(Status::from_code(-17), None);
    }

    #[test]
    fn display_names_the_status() {
        let error = Error::from(Status::Full);
        assert!(error.to_string().ends_with("(KV_ERR_FULL)"));
    }
}
