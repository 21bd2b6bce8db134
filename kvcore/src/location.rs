//! Reads the text a store is opened by.
//!
//! Owns: the grammar of locations. A plain path is never parsed; only the prefixes `kv:` and
//! `valkey…:` carry options, behind a `?`. `%` with two hexadecimal digits stands for a byte there;
//! any other `%` stands for itself, so that `max_memory=25%` needs no escape.

use crate::error::{Error, Result, Status};
use crate::options::{Options, shown};

/// Where the contents of a store live.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Location {
    /// In memory alone.
    Memory,
    /// In this directory.
    Directory(String),
    /// On this server or cluster.
    Remote(RemotePlace),
}

/// The part of a `valkey…://` location before its options. It may hold a password, so it is never shown.
#[derive(PartialEq, Eq)]
pub struct RemotePlace(String);

impl RemotePlace {
    /// All of it, from the scheme on.
    pub fn secret_text(&self) -> &str {
        &self.0
    }

    /// What may be shown: without user and password.
    pub fn without_user(&self) -> &str {
        self.0.rsplit('@').next().unwrap_or_default()
    }
}

impl std::fmt::Debug for RemotePlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("RemotePlace").field(&self.without_user()).finish()
    }
}

impl Location {
    /// Reads the text that a store is opened by, and applies the options it carries, which win over
    /// `options`: `":memory:"`, a directory, `kv:PLACE?name=value&…`, or `valkey://…` and
    /// `valkey-cluster://…`.
    ///
    /// # Errors
    /// `Invalid` for an empty text, an option without `=` or one that is not UTF-8 once decoded; those of
    /// [`Options::set`]. A password is in none of them.
    pub fn read(location: &str, options: &mut Options) -> Result<Location> {
        let is_remote =
            location.split_once("://").is_some_and(|(scheme, _)| scheme.starts_with("valkey"));
        if !is_remote && !location.starts_with("kv:") {
            return place(location);
        }
        let (before, query) = location.split_once('?').unwrap_or((location, ""));
        let applied = apply(query, options);
        if is_remote && query.contains('@') && applied.is_err() {
            // The first ? may stand in a password, which must not come out again in a message.
            return Err(Error::new(
                Status::Invalid,
                "the options of the location cannot be read: in a user or password write ? as %3F, \
                 and in an option @ as %40",
            ));
        }
        applied?;
        match before.strip_prefix("kv:") {
            Some(path) => place(&percent_decoded(path)?),
            None => Ok(Location::Remote(RemotePlace(before.to_string()))),
        }
    }
}

/// Sets the options of a query, `name=value&…`.
fn apply(query: &str, options: &mut Options) -> Result<()> {
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').ok_or_else(|| {
            Error::new(
                Status::Invalid,
                format!("'{}' in the location is no option: write name=value", shown(pair)),
            )
        })?;
        options.set(&percent_decoded(name)?, &percent_decoded(value)?)?;
    }
    Ok(())
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

/// A text with `%` and two hexadecimal digits put back into the byte they stand for.
///
/// # Errors
/// `Invalid` if the bytes are not UTF-8.
pub fn percent_decoded(text: &str) -> Result<String> {
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
        (Location::read(text, &mut options), options)
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
            Location::read("kv::memory:?max_entries=5&eviction=random", &mut options),
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
    }

    #[test]
    fn a_password_is_not_shown() {
        let (place, options) = location("valkey://me:secret@h:1?timeout=2s&prefix=a%40b");
        assert_eq!(format!("{place:?}"), r#"Ok(Remote(RemotePlace("h:1")))"#);
        assert_eq!((options.number("timeout"), options.text("prefix")), (2000, "a@b"));
        for text in
            ["valkey://me:sec?ret@h:1", "valkey://me:sec?timeout=ret@h", "valkey://u:?ret=1@h"]
        {
            let error = location(text).0.unwrap_err();
            assert_eq!(error.status(), Status::Invalid, "{text}");
            assert!(!error.message().contains("ret"), "{error}");
        }
    }
}
