//! Why a front end did not do to the store what it was asked.
//!
//! Owns: [`Fault`], the errors of the store and those of the way to it. HTTP and gRPC word it each in their own
//! terms. Why it is no error of the store: in front of a store on other servers there are faults that are
//! neither the store's nor the caller's, and a caller has to see whose they are.

use kvcore::{Error, Status};

/// Why the store was not read or changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The store says so.
    Store(Error),
    /// The servers that have the store refuse this gateway: its user, its password, or what that user may do.
    Refused(Error),
    /// As many requests as there may be wait for the servers that have the store. Nothing was sent.
    Busy,
}

impl From<Error> for Fault {
    fn from(error: Error) -> Fault {
        match kvremote::is_user_refused(&error) {
            true => Fault::Refused(error),
            false => Fault::Store(error),
        }
    }
}

impl From<Status> for Fault {
    fn from(status: Status) -> Fault {
        Fault::Store(status.into())
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Fault::Store(error) => error.fmt(f),
            Fault::Refused(error) => write!(
                f,
                "the servers behind this gateway refuse the gateway itself: whoever runs it has to mend user and \
                 password of 'store', or what that user may do ({})",
                error.message()
            ),
            Fault::Busy => f.write_str(
                "all requests that this gateway may have under way wait for the servers behind it: retry later",
            ),
        }
    }
}

/// What a call of a front end on its store comes to.
pub type Done<T> = std::result::Result<T, Fault>;
