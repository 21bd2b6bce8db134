//! Who a caller is, and what it may do: the users and permissions of the Redis protocol, for every front end.
//!
//! Owns: [`Peer`], [`Caller`] and [`Refusal`]. Each call is judged as the Redis command that does the same, so one rule
//! (`+get ~app:*`) holds everywhere. What is refused is counted and noted for `ACL LOG`.
//!
//! Why each request says anew who it comes from: neither protocol has a login, and a password that was
//! changed must not work on in connections that are open. What a connection remembers is only that its
//! credentials were right before, so that its requests do not wait while somebody else at its address tries
//! wrong ones.

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use parking_lot::Mutex;

use super::Front;
use super::calls::Calls;
use crate::acl::{self, Context, DEFAULT_USER, Denied, Entry, Hash, Reason, User};
use crate::commands::spec::Command;
use crate::commands::table;
use crate::resp::Request;
use crate::shared::Turn;

/// The other side of a connection.
#[derive(Debug)]
pub struct Peer {
    /// Where it is.
    pub address: SocketAddr,
    /// Whether the connection is with TLS.
    pub is_tls: bool,
    /// The name in the certificate that it showed, if that is the name of its user.
    pub certified: Option<String>,
    /// The hash of the credentials that were right last.
    proven: Mutex<Option<Hash>>,
}

impl Peer {
    /// The other side of a connection that has sent nothing yet.
    pub fn new(address: SocketAddr, is_tls: bool, certified: Option<String>) -> Peer {
        Peer { address, is_tls, certified, proven: Mutex::new(None) }
    }

    /// Whether these credentials were right in the last request that had any.
    fn has_proven(&self, hash: &Hash) -> bool {
        self.proven.lock().as_ref().is_some_and(|proven| acl::is_same(proven, hash))
    }
}

/// Who a request comes from.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The user, as it was when the request came.
    pub user: Arc<User>,
    /// Where it is.
    pub address: SocketAddr,
    /// The state of the users at which `user` was looked up.
    acl_version: u64,
    /// What its request was let in for.
    pub calls: Arc<Calls>,
}

impl Caller {
    fn new(user: Arc<User>, address: SocketAddr, acl_version: u64) -> Caller {
        Caller { user, address, acl_version, calls: Arc::default() }
    }
}

/// Why a request is not let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It does not say who it comes from, and has to.
    Unknown,
    /// The user or the password is wrong.
    Wrong,
    /// Too many wrong passwords came from its address.
    TooMany {
        /// Seconds after which the next one may be looked at.
        retry_s: u64,
    },
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
            Refusal::TooMany { retry_s } => write!(
                f,
                "too many wrong passwords came from your address: retry in {retry_s} seconds"
            ),
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
    /// Finds out who a request comes from. Behind wrong passwords from its address it waits for its turn.
    ///
    /// # Errors
    /// `Unknown`, `Wrong`, `TooMany`.
    pub async fn admit(
        &self,
        authorization: Option<&[u8]>,
        peer: &Peer,
    ) -> Result<Caller, Refusal> {
        let acl = &self.shared.acl;
        // Before the user is looked up, so that a change behind it is seen.
        let acl_version = acl.version();
        let address = peer.address;
        let Some(header) = authorization else {
            let named = peer.certified.as_deref().and_then(|name| acl.user_that_is_on(name));
            let is_open = |user: &Arc<User>| user.is_on() && user.needs_no_password();
            let user = named.or_else(|| Some(acl.default_user()).filter(is_open));
            return user
                .map(|user| Caller::new(user, address, acl_version))
                .ok_or(Refusal::Unknown);
        };
        let (name, password) = credentials(header).ok_or(Refusal::Unknown)?;
        let hash = acl::hash_password(header);
        if !peer.has_proven(&hash) {
            self.wait_for_turn(address).await?;
        }
        let Some(user) = acl.authenticate(&name, &password) else {
            self.shared.attempts.wrong(address.ip(), self.shared.store.now_ms());
            self.note(Reason::Auth, b"auth".to_vec(), &name, address);
            return Err(Refusal::Wrong);
        };
        *peer.proven.lock() = Some(hash);
        Ok(Caller::new(user, address, acl_version))
    }

    /// Waits until a password from this address may be looked at.
    async fn wait_for_turn(&self, address: SocketAddr) -> Result<(), Refusal> {
        match self.shared.attempts.turn(address.ip(), self.shared.store.now_ms()) {
            Turn::Now => {}
            Turn::In(time) => tokio::select! {
                () = tokio::time::sleep(time) => {}
                () = self.shared.stopped() => {}
            },
            Turn::Refused { retry_s } => return Err(Refusal::TooMany { retry_s }),
        }
        Ok(())
    }

    /// Looks the user of a request up again if users have changed, for one that goes on for long. `false` if the
    /// user is gone or switched off, and the request has to end.
    pub fn is_still_let_in(&self, caller: &mut Caller) -> bool {
        let acl = &self.shared.acl;
        let version = acl.version();
        if caller.acl_version != version {
            let Some(user) = acl.user_that_is_on(caller.user.name()) else { return false };
            (caller.user, caller.acl_version) = (user, version);
        }
        true
    }

    /// Whether a caller may do what a command with these arguments does.
    ///
    /// # Errors
    /// `Denied`.
    pub fn permit(&self, caller: &Caller, args: &[&[u8]]) -> Result<(), Refusal> {
        let Err((command, what)) = self.check_and_note(caller, args) else { return Ok(()) };
        let (reason, object) = match &what {
            Denied::Command => (Reason::Command, command.as_bytes().to_vec()),
            Denied::Key(key) => (Reason::Key, key.clone()),
            Denied::Channel(name) => (Reason::Channel, name.clone()),
        };
        self.note(reason, object, caller.user.name(), caller.address);
        Err(Refusal::Denied { command, what })
    }

    /// Asks the permissions of a caller for a command, and notes that it was called or rejected.
    fn check_and_note(
        &self,
        caller: &Caller,
        args: &[&[u8]],
    ) -> Result<(), (&'static str, Denied)> {
        with_command(args, |command, request| {
            let outcome = caller.user.check(command, request);
            match outcome {
                Ok(()) => self.note_call(caller, command, request),
                Err(_) => self.note_rejected(command),
            }
            outcome.map_err(|denied| (command.name, denied))
        })
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
    with_command(args, |command, request| {
        user.check(command, request).map_err(|denied| (command.name, denied))
    })
}

/// Gives `ask` the command that has these arguments, the name first, and the request for it.
fn with_command(
    args: &[&[u8]],
    ask: impl FnOnce(&'static Command, Request<'_>) -> Result<(), (&'static str, Denied)>,
) -> Result<(), (&'static str, Denied)> {
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
    ask(command, Request::new(&bytes, &ranges))
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
