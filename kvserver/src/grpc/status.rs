//! Errors as gRPC tells them.

use kvcore::{Error, Status as Outcome};
use tonic::{Code, Status};

use crate::web::{Fault, Refusal};

/// The status of what went wrong at the store, or on the way to it. Its message names the thing at fault and the
/// remedy.
pub fn of_fault(fault: impl Into<Fault>) -> Status {
    let fault = fault.into();
    let code = match &fault {
        Fault::Store(error) => code_of(error),
        Fault::Refused(_) => Code::Unavailable,
        Fault::Busy => Code::ResourceExhausted,
    };
    Status::new(code, fault.to_string())
}

fn code_of(error: &Error) -> Code {
    match error.status() {
        Outcome::Invalid | Outcome::TooLarge | Outcome::Unsupported | Outcome::CrossSlot => {
            Code::InvalidArgument
        }
        Outcome::Full | Outcome::NoSpace | Outcome::NoMemory => Code::ResourceExhausted,
        Outcome::Type => Code::FailedPrecondition,
        Outcome::Conflict => Code::Aborted,
        Outcome::Closed | Outcome::Poisoned | Outcome::Unavailable => Code::Unavailable,
        _ => Code::Internal,
    }
}

/// Whether a call came to nothing through a fault of the server or of the store, and not of its client.
pub fn is_fault(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::Internal | Code::Unavailable | Code::ResourceExhausted | Code::Unknown
    )
}

/// The status of a refusal.
pub fn of_refusal(refusal: Refusal) -> Status {
    let code = match refusal {
        Refusal::Denied { .. } => Code::PermissionDenied,
        Refusal::TooMany { .. } => Code::ResourceExhausted,
        _ => Code::Unauthenticated,
    };
    Status::new(code, refusal.to_string())
}
