//! What a URL may hold, given any bytes: see [`crate::fuzz`].

use percent_encoding::{NON_ALPHANUMERIC, percent_encode};

use super::query::{Query, decode};
use super::text;

/// The parameters that paths have.
const NAMES: [&str; 5] = ["ttl", "prefix", "limit", "cursor", "key"];

/// Any bytes as the query of a URL, with its TTL, its limit and its keys.
pub fn query(bytes: &[u8]) -> bool {
    // Any key comes back from how it is written in a path.
    let path = percent_encode(bytes, NON_ALPHANUMERIC).to_string();
    assert_eq!(decode(&path), bytes);
    let Ok(query) = std::str::from_utf8(bytes) else { return false };
    // What a tag says of a version is what that version has for a tag.
    if let Some(version) = text::version(query) {
        assert_eq!(text::version(&text::tag(version)), Some(version));
    }
    let Ok(mut query) = Query::parse(Some(query), &NAMES) else { return false };
    let Ok(ttl) = query.text("ttl") else { return false };
    let Ok(limit) = query.number("limit", 1, 10_000) else { return false };
    assert!(limit.is_none_or(|limit| (1..=10_000).contains(&limit)));
    if let Some(prefix) = query.bytes("prefix") {
        let written = format!("prefix={}", percent_encode(&prefix, NON_ALPHANUMERIC));
        let again = Query::parse(Some(&written), &NAMES).ok();
        assert_eq!(again.and_then(|mut query| query.bytes("prefix")), Some(prefix));
    }
    text::expiry(ttl.as_deref()).is_ok()
}
