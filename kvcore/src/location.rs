//! Reads the text a store is opened by.
//!
//! Owns: the grammar of locations. A plain path is never parsed; only the prefixes `kv:` and
//! `valkey…:` carry options, behind a `?`. `%` with two hexadecimal digits stands for a byte there;
//! any other `%` stands for itself, so that `max_memory=25%` needs no escape.

use crate::error::{Error, Result, Status};
use crate::options::{Options, shown};

/// Where the contents of a store live.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Location {
    /// In memory alone.
    Memory,
    /// In this directory.
    Directory(String),
    /// On this remote server or cluster.
    Remote(String),
}

/// Reads `location` and applies the options it carries, which win over `options`.
pub(crate) fn read(location: &str, options: &mut Options) -> Result<Location> {
    let remote = location.split_once("://").is_some_and(|(scheme, _)| scheme.starts_with("valkey"));
    let parsed = location.strip_prefix("kv:");
    if parsed.is_none() && !remote {
        return place(location);
    }
    let (place_text, query) = location.split_once('?').unwrap_or((location, ""));
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').ok_or_else(|| {
            Error::new(
                Status::Invalid,
                format!("'{}' in the location is no option: write name=value", shown(pair)),
            )
        })?;
        options.set(&decode(name)?, &decode(value)?)?;
    }
    match place_text.strip_prefix("kv:") {
        Some(path) => place(&decode(path)?),
        // What is before an @ may be a password, and must not come out again in a message.
        None => Ok(Location::Remote(place_text.rsplit('@').next().unwrap_or("").to_string())),
    }
}

fn place(path: &str) -> Result<Location> {
    match path {
        "" => Err(Error::new(
            Status::Invalid,
            "the path is empty: give a directory, or \":memory:\" for a store in memory",
        )),
        ":memory:" => Ok(Location::Memory),
        _ => Ok(Location::Directory(path.to_string())),
    }
}

fn decode(text: &str) -> Result<String> {
    let digit = |byte: u8| (byte as char).to_digit(16).map(|digit| digit as u8);
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let high = bytes.get(at + 1).copied().and_then(digit);
        let low = bytes.get(at + 2).copied().and_then(digit);
        match (bytes[at], high, low) {
            (b'%', Some(high), Some(low)) => {
                out.push(high << 4 | low);
                at += 3;
            }
            (byte, ..) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8(out).map_err(|_| {
        let message = format!("'{}' in the location is not UTF-8 once decoded", shown(text));
        Error::new(Status::Invalid, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn location(text: &str) -> (Result<Location>, Options) {
        let mut options = Options::new();
        (read(text, &mut options), options)
    }

    #[test]
    fn plain_paths_are_not_parsed() {
        assert_eq!(location(":memory:").0, Ok(Location::Memory));
        assert_eq!(location("a?b=c").0, Ok(Location::Directory("a?b=c".into())));
        assert_eq!(location("./kv:x").0, Ok(Location::Directory("./kv:x".into())));
        assert_eq!(location("").0.map_err(|e| e.status()), Err(Status::Invalid));
    }

    #[test]
    fn options_in_a_location_win() {
        let mut options = Options::new().with("max_entries", "1").unwrap();
        assert_eq!(
            read("kv::memory:?max_entries=5&eviction=random", &mut options),
            Ok(Location::Memory)
        );
        assert_eq!((options.max_entries(), options.eviction()), (5, "random"));
        assert_eq!(
            location("kv:/var/lib/a%20b?ttl_jitter=10%&shards=2").0,
            Ok(Location::Directory("/var/lib/a b".into()))
        );
    }

    #[test]
    fn bad_locations_name_the_fault() {
        for (text, status) in [
            ("kv::memory:?max_entries", Status::Invalid),
            ("kv::memory:?nonsense=1", Status::Unsupported),
            ("kv::memory:?shards=3", Status::Invalid),
            ("kv:%ff", Status::Invalid),
        ] {
            assert_eq!(location(text).0.map_err(|e| e.status()), Err(status), "{text}");
        }
        assert_eq!(
            location("valkey://h:6379?x=1").0.map_err(|e| e.status()),
            Err(Status::Unsupported)
        );
        assert_eq!(location("valkey://h:6379").0, Ok(Location::Remote("valkey://h:6379".into())));
        assert_eq!(location("valkey://me:secret@h:1").0, Ok(Location::Remote("h:1".into())));
    }
}
