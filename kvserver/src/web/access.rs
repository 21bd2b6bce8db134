//! Who a caller is, and what it may do: the users and permissions of the Redis protocol, for every front end.
//!
//! Owns: [`Caller`] and [`Refusal`]. Each call is judged as the Redis command that does the same, so one rule
//! (`+get ~app:*`) holds everywhere. What is refused is counted and noted for `ACL LOG`.
//!
//! Why each request says anew who it comes from: neither protocol has a login, and a password that was
//! changed must not work on in connections that are open.

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Front;
use crate::acl::{Context, DEFAULT_USER, Denied, Entry, Reason, User};
use crate::commands::table;
use crate::resp::Request;

/// How long the answer to a wrong password takes, so that guessing is slow.
const BACK_OFF: Duration = Duration::from_millis(200);

/// Who a request comes from.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The user, as it was when the request came.
    pub user: Arc<User>,
    /// Where it is.
    pub address: SocketAddr,
}

/// Why a request is not let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It does not say who it comes from, and has to.
    Unknown,
    /// The user or the password is wrong.
    Wrong,
    /// The user may not do this.
    Denied {
        /// The command of the Redis protocol that does the same.
        command: &'static str,
        /// What is missing.
        what: Denied,
    },
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Refusal::Unknown => f.write_str(
                "this server asks who you are: send the header Authorization with Basic and a user, or \
                 with Bearer and the password of the user default",
            ),
            Refusal::Wrong => f.write_str("the user or the password is wrong, or the user is switched off"),
            Refusal::Denied { command, what } => {
                let what = match what {
                    Denied::Command => "run it".to_owned(),
                    Denied::Key(key) => format!("use the key '{}'", key.escape_ascii()),
                    Denied::Channel(name) => format!("use the channel '{}'", name.escape_ascii()),
                };
                write!(
                    f,
                    "this needs what the command '{command}' needs, and the user may not {what}: ask for \
                     the permission (ACL SETUSER), or come as another user"
                )
            }
        }
    }
}

impl Front {
    /// Finds out who a request comes from. A wrong password is answered late.
    ///
    /// # Errors
    /// `Unknown`, `Wrong`.
    pub async fn admit(
        &self,
        authorization: Option<&[u8]>,
        address: SocketAddr,
    ) -> Result<Caller, Refusal> {
        let acl = &self.shared.acl;
        let Some(header) = authorization else {
            let user = acl.default_user();
            let is_open = user.is_on() && user.needs_no_password();
            return if is_open { Ok(Caller { user, address }) } else { Err(Refusal::Unknown) };
        };
        let (name, password) = credentials(header).ok_or(Refusal::Unknown)?;
        match acl.authenticate(&name, &password) {
            Some(user) => Ok(Caller { user, address }),
            None => {
                self.note(Reason::Auth, b"auth".to_vec(), &name, address);
                tokio::time::sleep(BACK_OFF).await;
                Err(Refusal::Wrong)
            }
        }
    }

    /// Whether a caller may do what a command with these arguments does.
    ///
    /// # Errors
    /// `Denied`.
    pub fn permit(&self, caller: &Caller, args: &[&[u8]]) -> Result<(), Refusal> {
        if caller.user.is_unlimited() {
            return Ok(());
        }
        let Err((command, what)) = check(&caller.user, args) else { return Ok(()) };
        let (reason, object) = match &what {
            Denied::Command => (Reason::Command, command.as_bytes().to_vec()),
            Denied::Key(key) => (Reason::Key, key.clone()),
            Denied::Channel(name) => (Reason::Channel, name.clone()),
        };
        self.note(reason, object, caller.user.name(), caller.address);
        Err(Refusal::Denied { command, what })
    }

    /// Whether a caller may see a key and its value. What is hidden from it is not noted as refused.
    pub fn may_see(&self, caller: &Caller, key: &[u8]) -> bool {
        caller.user.is_unlimited() || check(&caller.user, &[b"get", key]).is_ok()
    }

    fn note(&self, reason: Reason, object: Vec<u8>, user: &str, address: SocketAddr) {
        self.shared.counters.denied[reason as usize].fetch_add(1, Ordering::Relaxed);
        let now_ms = self.shared.store.now_ms();
        self.shared.acl.log.add(Entry {
            id: 0,
            count: 1,
            reason,
            context: Context::Toplevel,
            object,
            user: user.to_owned(),
            client: format!("addr={address} front={}", self.name),
            created_ms: now_ms,
            updated_ms: now_ms,
        });
    }
}

/// Asks the permissions of a user.
fn check(user: &User, args: &[&[u8]]) -> Result<(), (&'static str, Denied)> {
    let name = args.first().copied().unwrap_or_default();
    // A name without a row is a mistake in this program, and nobody may do it.
    let command = table::find(name).map(table::get).ok_or(("unknown", Denied::Command))?;
    let bytes = args.concat();
    let mut at = 0;
    let ranges: Vec<Range<usize>> = args
        .iter()
        .map(|arg| {
            at += arg.len();
            at - arg.len()..at
        })
        .collect();
    user.check(command, Request::new(&bytes, &ranges)).map_err(|denied| (command.name, denied))
}

/// User and password of a header `Authorization`; `None` if it is of no kind that is known.
fn credentials(header: &[u8]) -> Option<(String, Vec<u8>)> {
    let at = header.iter().position(|byte| *byte == b' ')?;
    let (scheme, rest) = (&header[..at], header[at..].trim_ascii());
    if scheme.eq_ignore_ascii_case(b"bearer") {
        return Some((DEFAULT_USER.to_owned(), rest.to_vec()));
    }
    if !scheme.eq_ignore_ascii_case(b"basic") {
        return None;
    }
    let pair = STANDARD.decode(rest).ok()?;
    let colon = pair.iter().position(|byte| *byte == b':')?;
    let name = std::str::from_utf8(&pair[..colon]).ok()?;
    let name = if name.is_empty() { DEFAULT_USER } else { name };
    Some((name.to_owned(), pair[colon + 1..].to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_read_from_both_schemes() {
        let of = |header: &str| credentials(header.as_bytes());
        let pair =
            |name: &str, password: &str| Some((name.to_owned(), password.as_bytes().to_vec()));
        assert_eq!(of("Bearer secret"), pair("default", "secret"));
        assert_eq!(of("bearer  secret "), pair("default", "secret"));
        assert_eq!(of("Basic YWRhOmE6Yg=="), pair("ada", "a:b"));
        assert_eq!(of("Basic OnB3"), pair("default", "pw"));
        for wrong in ["", "Basic", "Basic !", "Basic YWRh", "Digest x"] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
    }
}
