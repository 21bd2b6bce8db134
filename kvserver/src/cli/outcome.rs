//! How a command ends: the exit codes, and the one message of a failure.
//!
//! Owns: the table of exit codes, which scripts rely on; it is frozen, and `docs/cli.md` lists it. A failure
//! says in one line what is wrong and what to do, on standard error.

use std::fmt;
use std::io;

use kvcore::Status;

use super::tls;

/// How a command ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It did what was asked. Exit code 0.
    Done,
    /// It did its work, and the answer is no: the key is not there, the condition did not hold, damage was
    /// found. Exit code 1.
    No,
}

impl Outcome {
    /// `Done` if so.
    pub fn of(yes: bool) -> Outcome {
        if yes { Outcome::Done } else { Outcome::No }
    }

    /// The exit code.
    pub fn code(self) -> u8 {
        match self {
            Outcome::Done => 0,
            Outcome::No => 1,
        }
    }
}

/// Why a command failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
    /// It was asked in a wrong way: ask differently. Exit code 2.
    Usage,
    /// The store, the server or the system refused or failed. Exit code 3.
    Failed,
    /// Somebody else has the directory open, or the server does not answer: try again later. Exit code 4.
    Unavailable,
}

/// What every part of the command line answers.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

/// A command that failed.
#[derive(Debug)]
pub struct Failure {
    reason: Reason,
    message: String,
    is_broken_pipe: bool,
}

impl Failure {
    /// It was asked in a wrong way.
    pub fn usage(message: impl Into<String>) -> Failure {
        Failure { reason: Reason::Usage, message: message.into(), is_broken_pipe: false }
    }

    /// Something refused or failed.
    pub fn failed(message: impl Into<String>) -> Failure {
        Failure { reason: Reason::Failed, message: message.into(), is_broken_pipe: false }
    }

    /// What the system would not do with a file.
    pub fn file(what: &str, path: &std::path::Path, error: &io::Error) -> Failure {
        Failure::failed(format!("cannot {what} {}: {error}", path.display()))
    }

    /// Whether the reader of the output has gone, which is nothing to complain of.
    pub fn is_broken_pipe(&self) -> bool {
        self.is_broken_pipe
    }

    /// The exit code.
    pub fn code(&self) -> u8 {
        match self.reason {
            Reason::Usage => 2,
            Reason::Failed => 3,
            Reason::Unavailable => 4,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl From<kvcore::Error> for Failure {
    fn from(error: kvcore::Error) -> Failure {
        let reason = match error.status() {
            Status::Invalid | Status::Unsupported => Reason::Usage,
            Status::Locked | Status::Unavailable => Reason::Unavailable,
            _ => Reason::Failed,
        };
        Failure { reason, message: error.to_string(), is_broken_pipe: false }
    }
}

/// An error of writing the output.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        let is_broken_pipe = error.kind() == io::ErrorKind::BrokenPipe;
        Failure { reason: Reason::Failed, message: error.to_string(), is_broken_pipe }
    }
}

impl From<redis::RedisError> for Failure {
    fn from(error: redis::RedisError) -> Failure {
        let is_gone = error.is_io_error() || error.is_connection_refusal() || error.is_timeout();
        let text = error.to_string();
        let remedy = tls::remedy(&text);
        let reason = match error.kind() {
            _ if remedy.is_some() => Reason::Failed,
            redis::ErrorKind::InvalidClientConfig => Reason::Usage,
            _ if is_gone => Reason::Unavailable,
            _ => Reason::Failed,
        };
        let message = if let Some(remedy) = remedy {
            format!("server: {text}: {remedy}")
        } else if text.contains("NOAUTH") {
            "the server asks for a password: give redis://USER:PASSWORD@HOST".into()
        } else {
            format!("server: {text}")
        };
        Failure { reason, message, is_broken_pipe: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_has_its_code() {
        let of = |status: Status| Failure::from(kvcore::Error::from(status)).code();
        assert_eq!(of(Status::Invalid), 2);
        assert_eq!(of(Status::Locked), 4);
        assert_eq!(of(Status::Corrupt), 3);
        assert_eq!(of(Status::Full), 3);
        assert_eq!((Outcome::of(true).code(), Outcome::of(false).code()), (0, 1));
        assert!(Failure::from(io::Error::from(io::ErrorKind::BrokenPipe)).is_broken_pipe());
    }
}
