//! From the messages of `kv.v1` to what the store takes, and back.

use kvcore::{Condition, Expiry, TTL_NONE, Value};
use tonic::Status;

use super::proto::kv::v1;

/// When an entry expires.
///
/// # Errors
/// `INVALID_ARGUMENT` for what is no expiry.
pub fn expiry(expiry: Option<v1::Expiry>) -> Result<Expiry, Status> {
    use v1::expiry::When;
    match expiry.and_then(|expiry| expiry.when) {
        None | Some(When::Never(false) | When::Keep(false)) => Ok(Expiry::Default),
        Some(When::Never(true)) => Ok(Expiry::Never),
        Some(When::Keep(true)) => Ok(Expiry::Keep),
        Some(When::AtMs(at_ms)) => Ok(Expiry::AtMs(at_ms)),
        Some(When::TtlMs(ttl_ms)) => match u64::try_from(ttl_ms) {
            Ok(ttl_ms) if ttl_ms > 0 => Ok(Expiry::AfterMs(ttl_ms)),
            _ => Err(Status::invalid_argument(format!(
                "ttl_ms is {ttl_ms}, and has to be more than 0: leave expiry out for the server's default"
            ))),
        },
    }
}

/// What must hold for a change.
pub fn condition(condition: Option<v1::Condition>) -> Condition {
    use v1::condition::Holds;
    match condition.and_then(|condition| condition.holds) {
        None | Some(Holds::Absent(false) | Holds::Present(false)) => Condition::Any,
        Some(Holds::Absent(true)) => Condition::Absent,
        Some(Holds::Present(true)) => Condition::Present,
        Some(Holds::Version(version)) => Condition::Version(version),
    }
}

/// A new deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deadline {
    /// In so many milliseconds; `TTL_NONE` is never.
    In(i64),
    /// At this Unix time in milliseconds.
    At(i64),
}

/// When a key is to expire from now on.
///
/// # Errors
/// `INVALID_ARGUMENT` if nothing is said.
pub fn deadline(when: Option<v1::expire_request::When>) -> Result<Deadline, Status> {
    use v1::expire_request::When;
    match when {
        // The two ends of the range mean something else to the store, and no time is that long.
        Some(When::TtlMs(ttl_ms)) => Ok(Deadline::In(ttl_ms.clamp(-1, TTL_NONE - 1))),
        Some(When::AtMs(at_ms)) => Ok(Deadline::At(at_ms)),
        Some(When::Never(true)) => Ok(Deadline::In(TTL_NONE)),
        None | Some(When::Never(false)) => {
            Err(Status::invalid_argument("there is no deadline: give ttl_ms, at_ms or never"))
        }
    }
}

/// An entry as it is answered.
pub fn entry(key: Vec<u8>, value: &Value) -> v1::Entry {
    v1::Entry {
        key,
        value: value.to_vec(),
        version: value.version(),
        expire_at_ms: value.expire_at_ms(),
    }
}
