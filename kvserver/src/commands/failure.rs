//! Why a command was not done, as the client is told.
//!
//! Owns: the texts of errors that several commands share, word for word those of Valkey 7.2, and what the
//! errors of the store become.

use std::borrow::Cow;

use kvcore::{Error, Status};

/// An error for the client. It begins with its code: `ERR syntax error`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// This text.
    Text(Cow<'static, str>),
    /// The store refused.
    Store(Error),
}

impl Failure {
    /// An argument that fits nothing.
    pub const SYNTAX: Failure = Failure::fixed("ERR syntax error");
    /// An argument that should be an integer.
    pub const NOT_AN_INTEGER: Failure =
        Failure::fixed("ERR value is not an integer or out of range");
    /// An argument or a value that should be a floating-point number.
    pub const NOT_A_FLOAT: Failure = Failure::fixed("ERR value is not a valid float");
    /// A key that has to be there.
    pub const NO_SUCH_KEY: Failure = Failure::fixed("ERR no such key");
    /// A value would become too long.
    pub const TOO_LONG: Failure =
        Failure::fixed("ERR string exceeds maximum allowed size (proto-max-bulk-len)");
    /// A write when the limit on memory is reached.
    pub const OUT_OF_MEMORY: Failure =
        Failure::fixed("OOM command not allowed when used memory > 'maxmemory'.");

    /// An error with a text that is known in advance.
    pub const fn fixed(text: &'static str) -> Failure {
        Failure::Text(Cow::Borrowed(text))
    }

    /// An error with a text made for the occasion.
    pub fn new(text: String) -> Failure {
        Failure::Text(Cow::Owned(text))
    }

    /// The deadline that a command was given is none.
    pub fn expire_time(command: &str) -> Failure {
        Failure::new(format!("ERR invalid expire time in '{command}' command"))
    }

    /// A command was given too few arguments, or too many.
    pub fn arity(command: &str) -> Failure {
        Failure::new(format!("ERR wrong number of arguments for '{command}' command"))
    }

    /// A subcommand was given too many arguments, or what is none of its words.
    pub fn subcommand(command: &str, subcommand: &str) -> Failure {
        let command = command.to_ascii_uppercase();
        Failure::new(format!(
            "ERR unknown subcommand or wrong number of arguments for '{subcommand}'. Try {command} HELP."
        ))
    }

    /// The text for the client.
    pub fn text(&self) -> Cow<'_, str> {
        match self {
            Failure::Text(text) => Cow::Borrowed(text),
            Failure::Store(error) => match error.status() {
                Status::Full | Status::NoMemory => {
                    Failure::OUT_OF_MEMORY.text().into_owned().into()
                }
                Status::TooLarge if error.message().contains("value") => {
                    Failure::TOO_LONG.text().into_owned().into()
                }
                Status::NoSpace | Status::Io | Status::Poisoned => {
                    Cow::Owned(format!("MISCONF {}", error.message()))
                }
                _ => Cow::Owned(format!("ERR {}", error.message())),
            },
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Store(error)
    }
}
