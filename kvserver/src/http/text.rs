//! Bytes that need not be text, in JSON and in headers.
//!
//! Owns: how a key or a value is written, which all answers share: `"key": "a"` if it is UTF-8, and
//! `"key_base64": "/w=="` if it is not. Also how durations and entity tags are read.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kvcore::{Expiry, duration_ms};
use serde_json::{Map, Value};

use super::problem::Problem;

/// Puts bytes into an object, as text if they are.
pub fn put(object: &mut Map<String, Value>, name: &str, bytes: &[u8]) {
    match std::str::from_utf8(bytes) {
        Ok(text) => object.insert(name.to_owned(), text.into()),
        Err(_) => object.insert(format!("{name}_base64"), STANDARD.encode(bytes).into()),
    };
}

/// What the member `name` or `name_base64` of a request says.
///
/// # Errors
/// If both are there, or the second one is no base64.
pub fn bytes(
    name: &str,
    text: Option<String>,
    base64: Option<String>,
) -> Result<Option<Vec<u8>>, Problem> {
    match (text, base64) {
        (Some(_), Some(_)) => Err(Problem::invalid(format!(
            "'{name}' and '{name}_base64' are both given: give one of them"
        ))),
        (Some(text), None) => Ok(Some(text.into_bytes())),
        (None, Some(base64)) => match STANDARD.decode(&base64) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(_) => Err(Problem::invalid(format!("'{name}_base64' is not base64 with padding"))),
        },
        (None, None) => Ok(None),
    }
}

/// What a TTL in words says: `30s`, `none` for one that never expires, `keep` for the deadline that the entry
/// has. Without one the store's `default_ttl` holds.
///
/// # Errors
/// If it is no duration.
pub fn expiry(ttl: Option<&str>) -> Result<Expiry, Problem> {
    match ttl {
        None => Ok(Expiry::Default),
        Some("none") => Ok(Expiry::Never),
        Some("keep") => Ok(Expiry::Keep),
        Some(text) => match duration_ms(text) {
            Some(ms) if ms > 0 => Ok(Expiry::AfterMs(ms)),
            _ => Err(Problem::invalid(format!(
                "the ttl '{text}' is no duration: write 500ms, 30s, 5m, 6h or 1d, or none, or keep"
            ))),
        },
    }
}

/// The entity tag of a version.
pub fn tag(version: u64) -> String {
    format!("\"{version}\"")
}

/// The version that an entity tag stands for. `None` for the tag of something else.
pub fn version(tag: &str) -> Option<u64> {
    let digits = tag.trim().strip_prefix('"')?.strip_suffix('"')?;
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ttls_in_words() {
        assert_eq!(expiry(None).unwrap(), Expiry::Default);
        assert_eq!(expiry(Some("none")).unwrap(), Expiry::Never);
        assert_eq!(expiry(Some("keep")).unwrap(), Expiry::Keep);
        assert_eq!(expiry(Some("1500ms")).unwrap(), Expiry::AfterMs(1500));
        assert_eq!(expiry(Some("6h")).unwrap(), Expiry::AfterMs(21_600_000));
        for wrong in ["", "0", "0s", "5", "-1s", "1w", "1.5s"] {
            assert!(expiry(Some(wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn tags_are_versions() {
        assert_eq!(version(&tag(7)), Some(7));
        assert_eq!(version(" \"0\" "), Some(0));
        for wrong in ["7", "\"\"", "W/\"7\"", "\"+7\"", "\"7\",\"8\"", "*"] {
            assert_eq!(version(wrong), None, "{wrong}");
        }
    }
}
