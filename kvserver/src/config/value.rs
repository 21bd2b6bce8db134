//! From the text of an option to what it means.
//!
//! Pure functions of a row and a text. A failure says what the option takes, and never repeats a secret.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};

use super::table::{Kind, ServerOption};

/// Where a front end listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listen {
    /// Nowhere.
    Off,
    /// At this address.
    At(SocketAddr),
}

impl Listen {
    /// Whether somebody on another machine could connect.
    pub fn is_open_to_others(self) -> bool {
        match self {
            Listen::Off => false,
            Listen::At(address) => !address.ip().is_loopback(),
        }
    }
}

/// A text that must not be shown: its `Debug` and its absence of `Display` see to that.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps a text.
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    /// The text, for comparing it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// What a text means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Listen(Listen),
    Text(String),
    Bool(bool),
    /// A number, bytes or milliseconds; `None` is `auto`.
    Number(Option<u64>),
}

/// Reads the text of an option.
///
/// # Errors
/// What the option takes, to follow its name.
pub(super) fn read(row: &ServerOption, text: &str) -> Result<Value, String> {
    let within = |number: u64, min: u64, max: u64| {
        (min..=max).contains(&number).then_some(Value::Number(Some(number)))
    };
    let value = match row.kind {
        Kind::Listen => listen(text).map(Value::Listen),
        Kind::Path | Kind::Text | Kind::Location | Kind::Secret => {
            Some(Value::Text(text.to_string()))
        }
        Kind::Choice(words) => words.contains(&text).then(|| Value::Text(text.to_string())),
        Kind::Bool => kvcore::flag_value(text).map(Value::Bool),
        Kind::AutoCount { .. } if text == "auto" => Some(Value::Number(None)),
        Kind::Count { min, max } | Kind::AutoCount { min, max } => {
            text.parse().ok().and_then(|number| within(number, min, max))
        }
        Kind::Bytes { min } => kvcore::size_bytes(text).and_then(|n| within(n, min, u64::MAX)),
        Kind::Duration => kvcore::duration_ms(text).map(|ms| Value::Number(Some(ms))),
    };
    value.ok_or_else(|| format!("cannot be '{}': give {}", text.escape_debug(), takes(row.kind)))
}

fn listen(text: &str) -> Option<Listen> {
    if text == "off" {
        return Some(Listen::Off);
    }
    if let Some(port) = text.strip_prefix("localhost:") {
        return Some(Listen::At((Ipv4Addr::LOCALHOST, port.parse().ok()?).into()));
    }
    text.parse().ok().map(Listen::At)
}

/// What an option of this kind takes.
fn takes(kind: Kind) -> String {
    match kind {
        Kind::Listen => "an address and a port, such as 127.0.0.1:6379, or off".into(),
        Kind::Path | Kind::Text | Kind::Location | Kind::Secret => "a text".into(),
        Kind::Bool => "true or false".into(),
        Kind::Choice(words) => words.join(" or "),
        Kind::Count { min, max } => format!("a number from {min} to {max}"),
        Kind::AutoCount { min, max } => format!("a number from {min} to {max}, or auto"),
        Kind::Bytes { min } => format!("a size from {min} bytes on, such as 64MiB"),
        Kind::Duration => "a duration with its unit, such as 30s, or 0".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::table::{SERVER_OPTIONS, find};

    #[test]
    fn every_default_fits_its_own_row() {
        for row in SERVER_OPTIONS {
            assert!(read(row, row.default).is_ok(), "{}", row.name);
        }
    }

    #[test]
    fn only_loopback_is_closed_to_others() {
        for (text, open) in [
            ("off", false),
            ("127.0.0.1:1", false),
            ("[::1]:1", false),
            ("localhost:1", false),
            ("0.0.0.0:1", true),
            ("[::]:1", true),
            ("10.0.0.1:1", true),
        ] {
            assert_eq!(listen(text).map(Listen::is_open_to_others), Some(open), "{text}");
        }
        for text in ["", "6379", "localhost", "host:1", "1.2.3.4", "localhost:x"] {
            assert_eq!(listen(text), None, "{text}");
        }
    }

    #[test]
    fn what_does_not_fit_says_what_would() {
        let fault = |name: &str, text: &str| read(find(name).unwrap(), text).unwrap_err();
        assert!(fault("threads", "0").contains("from 1 to 1024, or auto"));
        assert!(fault("clients_max", "many").contains("a number from 1"));
        assert!(fault("query_bytes_max", "1").contains("64MiB"));
        assert!(fault("idle_timeout", "5").contains("unit"));
        assert!(fault("tls_client_cert", "maybe").contains("give required or optional"));
        assert!(fault("resp_del_returns_value", "maybe").contains("true or false"));
    }

    #[test]
    fn a_secret_is_not_shown() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "Secret");
    }
}
