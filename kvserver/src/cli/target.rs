//! What a command works on: a directory, a store in memory, or a running server.
//!
//! Owns: the grammar of `TARGET`, and what `--server` means. `--server` stands in the place of `TARGET`, so
//! that a script can name its server once and each command has one form; it is put there before the
//! arguments are parsed.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap::Command;

use super::outcome::{Failure, Result};

/// A store, by where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Nowhere: it is made, and gone with the command.
    Memory,
    /// In this directory.
    Directory(PathBuf),
    /// Behind the server of this URL, which may hold a password.
    Server(String),
}

impl Target {
    /// Reads a target: `:memory:`, a URL, or else a directory.
    ///
    /// # Errors
    /// Usage: a URL of another scheme, an empty text.
    pub fn parse(text: &OsStr) -> Result<Target> {
        let Some(utf8) = text.to_str() else { return Ok(Target::Directory(text.into())) };
        let Some((scheme, rest)) = utf8.split_once("://") else {
            return match utf8 {
                "" => Err(Failure::usage("the target is empty: give a directory or redis://HOST")),
                ":memory:" => Ok(Target::Memory),
                path => Ok(Target::Directory(path.into())),
            };
        };
        match scheme {
            "redis" | "valkey" => Ok(Target::Server(format!("redis://{rest}"))),
            "rediss" | "valkeys" => Ok(Target::Server(format!("rediss://{rest}"))),
            "redis+unix" | "unix" => Ok(Target::Server(utf8.into())),
            _ => Err(Failure::usage(format!(
                "a server's address cannot begin with {scheme}://: give redis://[USER:PASSWORD@]HOST[:PORT]"
            ))),
        }
    }

    /// The directory.
    ///
    /// # Errors
    /// Usage if it is none; `what` is what the command does with files.
    pub fn directory(&self, what: &str) -> Result<&PathBuf> {
        match self {
            Target::Directory(path) => Ok(path),
            _ => Err(Failure::usage(format!("{what} files: give the directory of a store"))),
        }
    }
}

/// The other arguments before a command that have a value behind them.
const WITH_VALUE: [&str; 5] = ["-o", "--option", "--ca-file", "--cert-file", "--key-file"];

/// Puts what `--server` names into the place of the command's target.
///
/// # Errors
/// Usage: `--server` without an address.
pub fn place_server(args: Vec<OsString>, command: &Command) -> Result<Vec<OsString>> {
    let mut placed = Vec::with_capacity(args.len());
    let mut server: Option<OsString> = None;
    // Where the name of the command is among those placed.
    let mut name_at = None;
    let mut args = args.into_iter();
    placed.extend(args.next());
    while let Some(arg) = args.next() {
        let text = arg.to_string_lossy().into_owned();
        if text == "--" {
            placed.push(arg);
            placed.extend(args.by_ref());
        } else if text == "--server" {
            let address = args.next();
            server = Some(address.ok_or_else(|| {
                Failure::usage("--server needs an address, such as localhost:6379")
            })?);
        } else if let Some(address) = text.strip_prefix("--server=") {
            server = Some(address.into());
        } else if WITH_VALUE.contains(&text.as_str()) {
            placed.push(arg);
            placed.extend(args.next());
        } else {
            if name_at.is_none() && !text.starts_with('-') {
                name_at = Some(placed.len());
            }
            placed.push(arg);
        }
    }
    let (Some(server), Some(at)) = (server, name_at) else { return Ok(placed) };
    let name = placed[at].to_string_lossy().into_owned();
    let Some(position) = target_position(command, &name) else {
        return Err(Failure::usage(format!(
            "kv {name} does not take a server: leave out --server"
        )));
    };
    let place = if position == 0 { at + 1 } else { placed.len() };
    placed.insert(place, with_scheme(&server));
    Ok(placed)
}

/// Which positional argument of a command is its target.
fn target_position(command: &Command, name: &str) -> Option<usize> {
    let command = command.find_subcommand(name)?;
    command.get_positionals().position(|arg| arg.get_id() == "target")
}

fn with_scheme(address: &OsStr) -> OsString {
    if address.to_string_lossy().contains("://") {
        return address.to_os_string();
    }
    let mut url = OsString::from("redis://");
    url.push(address);
    url
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::args::Cli;

    fn placed(line: &str) -> Result<String> {
        let args = line.split(' ').map(OsString::from).collect();
        let placed = place_server(args, &Cli::command())?;
        let placed: Vec<_> = placed.iter().map(|arg| arg.to_string_lossy()).collect();
        Ok(placed.join(" "))
    }

    #[test]
    fn a_target_is_a_directory_unless_it_says_otherwise() {
        let parse = |text: &str| Target::parse(OsStr::new(text));
        assert_eq!(parse("data").unwrap(), Target::Directory("data".into()));
        assert_eq!(parse(":memory:").unwrap(), Target::Memory);
        let server = Target::Server("redis://h:1".into());
        assert_eq!(parse("redis://h:1").unwrap(), server);
        assert_eq!(parse("valkey://h:1").unwrap(), server);
        let with_tls = Target::Server("rediss://h:1".into());
        assert_eq!(parse("rediss://h:1").unwrap(), with_tls);
        assert_eq!(parse("valkeys://h:1").unwrap(), with_tls);
        assert_eq!(parse("").unwrap_err().code(), 2);
        assert_eq!(parse("http://h").unwrap_err().code(), 2);
        assert!(server.directory("verify reads").is_err());
    }

    #[test]
    fn a_server_stands_in_the_place_of_the_target() {
        for (line, expected) in [
            ("kv get dir k", "kv get dir k"),
            ("kv --server h:1 get k", "kv get redis://h:1 k"),
            ("kv get k --server=redis://u:p@h", "kv get redis://u:p@h k"),
            (
                "kv -o eviction=lru --json --server h set k v",
                "kv -o eviction=lru --json set redis://h k v",
            ),
            ("kv --ca-file ca.pem --server h get k", "kv --ca-file ca.pem get redis://h k"),
            ("kv --server rediss://h get k", "kv get rediss://h k"),
            ("kv --server h restore file", "kv restore file redis://h"),
            ("kv get k -- --server", "kv get k -- --server"),
        ] {
            assert_eq!(placed(line).unwrap(), expected);
        }
        assert_eq!(placed("kv get --server").unwrap_err().code(), 2);
        assert_eq!(placed("kv --server h verify d").unwrap_err().code(), 2);
    }
}
