//! Reads what a server answered.
//!
//! Pure functions from a reply to the types of the calls. A reply of another shape is an error and no panic:
//! it comes from outside.

use kvcore::{Error, Result, Status};
use redis::Value;

use crate::fault;

/// A reply that is none of those that the command can have.
pub(crate) fn unexpected(reply: &Value) -> Error {
    let shown: String = format!("{reply:?}").chars().take(100).collect();
    Error::new(Status::Io, format!("the server answered what the protocol does not allow: {shown}"))
}

/// Takes an error out of a reply.
///
/// # Errors
/// The server's.
pub(crate) fn checked(reply: Value) -> Result<Value> {
    match reply {
        Value::ServerError(error) => Err(fault::server_error(&error.into())),
        reply => Ok(reply),
    }
}

/// A number.
pub(crate) fn number(reply: Value) -> Result<i64> {
    match checked(reply)? {
        Value::Int(number) => Ok(number),
        Value::BulkString(text) => {
            let number = std::str::from_utf8(&text).ok().and_then(|text| text.parse().ok());
            number.ok_or_else(|| unexpected(&Value::BulkString(text)))
        }
        reply => Err(unexpected(&reply)),
    }
}

/// A number that is never negative.
pub(crate) fn count(reply: Value) -> Result<u64> {
    Ok(u64::try_from(number(reply)?).unwrap_or(0))
}

/// Bytes, or nothing.
pub(crate) fn bytes(reply: Value) -> Result<Option<Vec<u8>>> {
    match checked(reply)? {
        Value::Nil => Ok(None),
        Value::BulkString(bytes) => Ok(Some(bytes)),
        Value::SimpleString(text) => Ok(Some(text.into_bytes())),
        Value::VerbatimString { text, .. } => Ok(Some(text.into_bytes())),
        Value::Okay => Ok(Some(b"OK".to_vec())),
        reply => Err(unexpected(&reply)),
    }
}

/// Whether a conditional command was done: `OK`, or nothing.
pub(crate) fn done(reply: Value) -> Result<bool> {
    Ok(bytes(reply)?.is_some())
}

/// Text.
pub(crate) fn text(reply: Value) -> Result<String> {
    let bytes = bytes(reply)?.unwrap_or_default();
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A list.
pub(crate) fn list(reply: Value) -> Result<Vec<Value>> {
    match checked(reply)? {
        Value::Array(items) | Value::Set(items) => Ok(items),
        reply => Err(unexpected(&reply)),
    }
}

/// What stands next among several replies.
pub(crate) fn next(replies: &mut impl Iterator<Item = Value>) -> Result<Value> {
    replies.next().ok_or_else(|| unexpected(&Value::Nil))
}

/// What a pair of `GET` and `PEXPIRETIME` says: the value and its deadline. A key that went in between is
/// gone.
pub(crate) fn value(get: Value, expire_time: Value) -> Result<Option<(Vec<u8>, Option<i64>)>> {
    let (value, at) = (bytes(get)?, number(expire_time)?);
    Ok(match (value, at) {
        (None, _) | (_, -2) => None,
        (Some(value), -1) => Some((value, None)),
        (Some(value), at) => Some((value, Some(at))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes() {
        assert_eq!(number(Value::Int(-3)), Ok(-3));
        assert_eq!(number(Value::BulkString(b"9007199254740993".to_vec())), Ok(9007199254740993));
        assert_eq!(bytes(Value::Nil), Ok(None));
        assert_eq!(done(Value::Okay), Ok(true));
        assert!(number(Value::Nil).is_err() && bytes(Value::Int(1)).is_err());
        let get = || Value::BulkString(b"v".to_vec());
        assert_eq!(value(get(), Value::Int(-1)), Ok(Some((b"v".to_vec(), None))));
        assert_eq!(value(get(), Value::Int(5)), Ok(Some((b"v".to_vec(), Some(5)))));
        assert_eq!(value(get(), Value::Int(-2)), Ok(None));
    }
}
