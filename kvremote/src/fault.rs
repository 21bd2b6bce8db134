//! What a failure of the client or the server means: whether the command may be sent again, and which error
//! the caller gets.
//!
//! Owns: [`Failure`]. Invariant: a command counts as not done only if the server said so or nothing was
//! sent; a lost connection leaves it unknown. The text of an error is the server's or the system's, in which
//! no password appears.

use kvcore::{Error, Status};
use redis::{ErrorKind, RedisError, ServerErrorKind};

/// How the texts of the errors begin by which a server refuses the user of the store. The table of statuses is
/// frozen and has none for them.
const LOGIN_REFUSED: &str = "the server refused user and password";
const NOT_PERMITTED: &str = "the user of this connection may not do that";

/// What a failed attempt means.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The server refused for a reason that passes: the command was not done, and may be sent again.
    NotNow(RedisError),
    /// The key is on its way to another server, which has to be asked: its name and port.
    Ask(String),
    /// Nothing could be sent.
    NotSent(RedisError),
    /// The connection was lost after sending: whether the command was done is unknown.
    Lost(RedisError),
    /// Sending again would not help.
    Final(Error),
}

impl Failure {
    pub(crate) fn of(error: RedisError) -> Failure {
        match error.kind() {
            ErrorKind::Server(kind) => Failure::of_server(kind, error),
            ErrorKind::ClusterConnectionNotFound => Failure::NotSent(error),
            _ if error.is_connection_refusal() => Failure::NotSent(error),
            ErrorKind::Io | ErrorKind::Parse => Failure::Lost(error),
            ErrorKind::RESP3NotSupported => Failure::Final(Error::new(
                Status::Unsupported,
                "the server does not speak RESP3: use Valkey, or Redis 7 or newer",
            )),
            ErrorKind::AuthenticationFailed => Failure::Final(refused_login(&error)),
            _ => Failure::Final(server_error(&error)),
        }
    }

    fn of_server(kind: ServerErrorKind, error: RedisError) -> Failure {
        match kind {
            ServerErrorKind::Ask => match error.redirect_node() {
                Some((node, _)) => Failure::Ask(node.to_string()),
                None => Failure::NotNow(error),
            },
            ServerErrorKind::Moved
            | ServerErrorKind::TryAgain
            | ServerErrorKind::ClusterDown
            | ServerErrorKind::MasterDown
            | ServerErrorKind::BusyLoading
            | ServerErrorKind::ReadOnly => Failure::NotNow(error),
            // It says so instead of taking the connection.
            _ if text(&error).contains("max number of clients reached") => Failure::NotSent(error),
            _ => Failure::Final(server_error(&error)),
        }
    }
}

/// Why nothing was answered in time, or at all.
pub(crate) fn unavailable(what: &str, error: Option<&RedisError>) -> Error {
    let why = error.map(|error| format!(": {}", text(error))).unwrap_or_default();
    Error::new(Status::Unavailable, format!("{what}{why}: retry later"))
}

/// A change was sent, and its reply was lost.
pub(crate) fn outcome_unknown(error: Option<&RedisError>) -> Error {
    let why = error.map(|error| format!(" ({})", text(error))).unwrap_or_default();
    Error::new(
        Status::Io,
        format!(
            "the reply of the server was lost{why}, so whether the change was made is unknown: \
             read the key before trying again"
        ),
    )
}

/// The error that stands for what a server answered and will answer again.
pub(crate) fn server_error(error: &RedisError) -> Error {
    let code = error.code().unwrap_or_default();
    let said = text(error);
    let has = |part: &str| said.contains(part);
    match code {
        "WRONGTYPE" => Error::new(
            Status::Type,
            "the key holds something other than a string on the server; nothing changed",
        ),
        "OOM" => Error::new(Status::Full, format!("the server is at its limit of memory: {said}")),
        "NOAUTH" | "WRONGPASS" => refused_login(error),
        "NOPERM" => Error::new(Status::Invalid, format!("{NOT_PERMITTED}: {said}")),
        "CROSSSLOT" => Status::CrossSlot.into(),
        "TOOLARGE" => Status::TooLarge.into(),
        "NOREPLICAS" | "MISCONF" | "CLUSTERDOWN" => {
            unavailable("the server takes no changes at the moment", Some(error))
        }
        "EXECABORT" => Error::new(Status::Unavailable, format!("nothing was changed: {said}")),
        _ if has("not an integer") || has("would overflow") => Status::Type.into(),
        _ if has("exceeds maximum allowed size") => Status::TooLarge.into(),
        _ => Error::new(Status::Unsupported, format!("the server refused: {said}")),
    }
}

fn refused_login(error: &RedisError) -> Error {
    Error::new(Status::Invalid, format!("{LOGIN_REFUSED}: {}", text(error)))
}

/// Whether an error says that the server refuses the user of the store: its password, or what it may do. To the
/// program that opened the store both are wrong arguments, and have that status; a program that has opened it for
/// others tells them apart by this from what its callers did wrong.
pub fn is_user_refused(error: &Error) -> bool {
    error.status() == Status::Invalid
        && [LOGIN_REFUSED, NOT_PERMITTED].iter().any(|text| error.message().starts_with(text))
}

/// What an error says, on one line.
fn text(error: &RedisError) -> String {
    error.to_string().chars().take(300).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use redis::{Value, parse_redis_value};

    fn said(line: &str) -> RedisError {
        match parse_redis_value(format!("-{line}\r\n").as_bytes()).unwrap() {
            Value::ServerError(error) => error.into(),
            value => panic!("{value:?} is no error"),
        }
    }

    #[test]
    fn what_may_be_sent_again() {
        for line in ["MOVED 5 h:1", "TRYAGAIN x", "CLUSTERDOWN x", "LOADING x", "READONLY x"] {
            assert!(matches!(Failure::of(said(line)), Failure::NotNow(_)), "{line}");
        }
        let asked = Failure::of(said("ASK 5 h:1"));
        assert!(matches!(&asked, Failure::Ask(node) if node == "h:1"), "{asked:?}");
        let lost = RedisError::from(std::io::Error::from(std::io::ErrorKind::BrokenPipe));
        assert!(matches!(Failure::of(lost), Failure::Lost(_)));
        let refused = RedisError::from(std::io::Error::from(std::io::ErrorKind::ConnectionRefused));
        assert!(matches!(Failure::of(refused), Failure::NotSent(_)));
        let full = Failure::of(said("ERR max number of clients reached"));
        assert!(matches!(full, Failure::NotSent(_)), "{full:?}");
    }

    #[test]
    fn errors_of_the_server_have_a_status() {
        for (line, status) in [
            ("WRONGTYPE Operation against a key", Status::Type),
            ("ERR value is not an integer or out of range", Status::Type),
            ("ERR increment or decrement would overflow", Status::Type),
            ("OOM command not allowed", Status::Full),
            ("NOPERM this user has no permissions", Status::Invalid),
            ("WRONGPASS invalid username-password pair", Status::Invalid),
            ("ERR string exceeds maximum allowed size (512MB)", Status::TooLarge),
            ("ERR unknown command 'EVAL'", Status::Unsupported),
        ] {
            let Failure::Final(error) = Failure::of(said(line)) else { panic!("{line}") };
            assert_eq!(error.status(), status, "{line}: {error}");
            let refuses = ["NOPERM", "WRONGPASS"].iter().any(|code| line.starts_with(code));
            assert_eq!(is_user_refused(&error), refuses, "{line}");
        }
    }
}
