//! What the fuzz targets do with bytes: one function for each parser of the server and of `kv`.
//!
//! Each gives the parser any bytes, says whether they are what it reads, and checks what must hold of the result:
//! above all that what was read, written again, is read as the same. Nothing here is part of the programs; the feature
//! `fuzzing` adds it for `fuzz/` and for the test that runs the same code on a stable Rust.

use crate::acl::User;
pub use crate::cli::fuzz::{commands, dump, lines};
pub use crate::config::fuzz::config;
use crate::glob;
pub use crate::http::fuzz::query;
use crate::number;
use crate::resp::{Limits, ProtocolError, Read, Reader};

/// What a client may send that has said who it is, and what one that has not.
const LIMITS: [Limits; 2] = [
    Limits { bulk_bytes_max: 1 << 20, authenticated: true },
    Limits { bulk_bytes_max: 1 << 20, authenticated: false },
];

/// A line that is longer is accepted when it comes whole and refused when it comes in pieces, as in Valkey.
const LINE_MAX: usize = 64 << 10;

/// Requests that were read, each with its arguments, and how the stream ended: the bytes that are no whole request
/// yet, or why it cannot be read on.
type Stream = (Vec<Vec<Vec<u8>>>, Result<usize, ProtocolError>);

/// Reads a stream of which `step` bytes come at a time.
fn stream(bytes: &[u8], step: usize, limits: Limits) -> Stream {
    let (mut reader, mut requests) = (Reader::new(), Vec::new());
    let (mut start, mut end) = (0, 0);
    loop {
        let taken = match reader.read(&bytes[start..end], limits) {
            Ok(Read::Request(request, taken)) => {
                requests.push(request.args().map(<[u8]>::to_vec).collect());
                taken
            }
            Ok(Read::Nothing(taken)) => taken,
            Ok(Read::More(_)) if end < bytes.len() => {
                end = bytes.len().min(end + step);
                continue;
            }
            Ok(Read::More(_)) => return (requests, Ok(end - start)),
            Err(error) => return (requests, Err(error)),
        };
        assert!(taken > 0, "nothing was taken, so it would go on for ever");
        start += taken;
    }
}

/// Any bytes as a stream of requests: the same ones come out wherever it is cut.
pub fn requests(bytes: &[u8]) -> bool {
    let whole = LIMITS.map(|limits| stream(bytes, bytes.len().max(1), limits));
    if bytes.len() < LINE_MAX {
        for (limits, whole) in LIMITS.into_iter().zip(&whole) {
            assert_eq!(&stream(bytes, 1, limits), whole, "cut at every byte");
            assert_eq!(&stream(bytes, 7, limits), whole, "cut at every seventh byte");
        }
    }
    whole[0].1 == Ok(0)
}

/// Any bytes as a line of words: what was read, in quotes and with every byte escaped, is the same words.
pub fn words(bytes: &[u8]) -> bool {
    let line: Vec<u8> = bytes.iter().copied().filter(|byte| *byte != b'\n').collect();
    if line.first() == Some(&b'*') {
        return false;
    }
    let (requests, end) = stream(&[&line, &b"\n"[..]].concat(), line.len() + 1, LIMITS[0]);
    let Some(words) = requests.first() else { return end.is_ok() };
    let quoted = words.iter().map(|word| {
        let escaped: String = word.iter().map(|byte| format!("\\x{byte:02x}")).collect();
        format!("\"{escaped}\"")
    });
    let quoted = quoted.collect::<Vec<_>>().join(" ") + "\n";
    if quoted.len() < LINE_MAX {
        assert_eq!(stream(quoted.as_bytes(), quoted.len(), LIMITS[0]).0, requests);
    }
    end.is_ok()
}

/// Any bytes as rules of a user, parted by blanks: the rules that describe the user make the same one.
pub fn acl(bytes: &[u8]) -> bool {
    let made = |rules: &[u8]| {
        let rules: Vec<&[u8]> = rules.split(|byte| *byte == b' ').collect();
        let mut user = User::new("ada");
        user.apply(&rules).map(|()| user)
    };
    let Ok(user) = made(bytes) else { return false };
    let text = user.describe();
    // A description is text: a pattern that is none loses bytes in it, and a bracket in one ends a selector.
    if std::str::from_utf8(bytes).is_ok() && !bytes.contains(&b'(') {
        let rules = text.strip_prefix("user ada ").unwrap_or_default();
        assert_eq!(made(rules.as_bytes()).map(|user| user.describe()), Ok(text));
    }
    true
}

/// Any bytes as a pattern and, behind an end of line, a text: every text is described by itself with its special
/// bytes escaped.
pub fn pattern(bytes: &[u8]) -> bool {
    let at = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (pattern, text) = (&bytes[..at], bytes.get(at + 1..).unwrap_or_default());
    let literal: Vec<u8> = text.iter().flat_map(|byte| [b'\\', *byte]).collect();
    assert!(glob::matches(&literal, text), "a text does not describe itself");
    assert!(glob::matches(b"*", text));
    glob::matches(pattern, text)
}

/// Any bytes as a number: an integer has one way to be written, and what was written is read again.
pub fn number(bytes: &[u8]) -> bool {
    let integer = number::integer(bytes);
    if let Some(value) = integer {
        assert_eq!(value.to_string().as_bytes(), bytes);
    }
    let float = number::float(bytes);
    if let Some(value) = float.filter(|value| value.is_finite()) {
        let written = number::float_text(value);
        let again = number::float(written.as_bytes());
        assert!(again.is_some_and(f64::is_finite), "{value} was written as {written}");
    }
    if let Some(sum) = number::sum_of_floats(bytes, b"0.5") {
        assert!(number::float(sum.as_bytes()).is_some(), "a sum is {sum}");
    }
    integer.is_some() || float.is_some()
}
