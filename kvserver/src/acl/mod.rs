//! Users, their passwords, and what they may do.
//!
//! Owns: [`Acl`], the table of users. Invariants: the user `default` is always there; passwords are kept as
//! SHA-256 alone and compared without a branch on their bytes; a user is replaced as a whole, so that nobody
//! sees one half changed. Whoever keeps a user compares [`Acl::version`] before relying on it.

mod file;
mod log;
mod permissions;
mod rules;
mod user;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::RwLock;

pub use file::{read_file, write_file};
pub use log::{AclLog, Context, Entry, Reason};
pub use permissions::{Denied, Permissions};
use rules::RuleError;
pub use user::{Hash, User, hash_password, is_same};

/// The name of the user that clients are before they say otherwise.
pub const DEFAULT_USER: &str = "default";

/// All users.
#[derive(Debug)]
pub struct Acl {
    users: RwLock<BTreeMap<String, Arc<User>>>,
    version: AtomicU64,
    /// Whether a user that `ACL SETUSER` makes, or begins anew, may use all channels (`acl-pubsub-default`).
    pub gives_channels: AtomicBool,
    /// What was refused.
    pub log: AclLog,
}

impl Acl {
    /// The user `default`, who may do everything, with this password or without one.
    pub fn new(password: Option<&str>) -> Acl {
        let mut user = User::unlimited(DEFAULT_USER);
        if let Some(password) = password {
            user.set_only_password(password.as_bytes());
        }
        let users = BTreeMap::from([(DEFAULT_USER.to_owned(), Arc::new(user))]);
        Acl {
            users: RwLock::new(users),
            version: AtomicU64::new(1),
            gives_channels: AtomicBool::new(false),
            log: AclLog::default(),
        }
    }

    /// Rises whenever a user changes.
    #[inline]
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// A user by name.
    pub fn user(&self, name: &str) -> Option<Arc<User>> {
        self.users.read().get(name).cloned()
    }

    /// The user that clients are at first.
    pub fn default_user(&self) -> Arc<User> {
        self.user(DEFAULT_USER).unwrap_or_else(|| Arc::new(User::new(DEFAULT_USER)))
    }

    /// All users, by name.
    pub fn users(&self) -> Vec<Arc<User>> {
        self.users.read().values().cloned().collect()
    }

    /// The user with a name as these rules make it, from what it is now or from nothing. It is not put in.
    ///
    /// # Errors
    /// Which rule was refused, and why.
    pub fn changed(&self, name: &str, rules: &[&[u8]]) -> Result<User, RuleError> {
        let all_channels: Option<&[u8]> =
            self.gives_channels.load(Ordering::Relaxed).then_some(b"allchannels");
        let begun = self.user(name).map_or_else(
            || {
                let mut user = User::new(name);
                user.apply(all_channels.as_slice()).map(|()| user)
            },
            |user| Ok((*user).clone()),
        );
        let mut user = begun?;
        let resets = |rule: &&[u8]| rule.eq_ignore_ascii_case(b"reset");
        let rules: Vec<&[u8]> = rules
            .iter()
            .flat_map(|rule| [Some(*rule), all_channels.filter(|_| resets(rule))])
            .flatten()
            .collect();
        user.apply(&rules)?;
        Ok(user)
    }

    /// Puts a user in, in the place of the one with its name.
    pub fn put(&self, user: User) {
        self.users.write().insert(user.name().to_owned(), Arc::new(user));
        self.version.fetch_add(1, Ordering::AcqRel);
    }

    /// Takes a user out. `false` if there is none.
    pub fn remove(&self, name: &str) -> bool {
        let removed = self.users.write().remove(name).is_some();
        self.version.fetch_add(1, Ordering::AcqRel);
        removed
    }

    /// Puts these users in the place of all that there are. The user `default` stays as it is if it is not among
    /// them. Answers the names of those that are gone.
    pub fn replace(&self, users: Vec<User>) -> Vec<String> {
        let mut next: BTreeMap<String, Arc<User>> =
            users.into_iter().map(|user| (user.name().to_owned(), Arc::new(user))).collect();
        let mut now = self.users.write();
        if let Some(user) = now.get(DEFAULT_USER) {
            next.entry(DEFAULT_USER.to_owned()).or_insert_with(|| Arc::clone(user));
        }
        let gone = now.keys().filter(|name| !next.contains_key(*name)).cloned().collect();
        *now = next;
        drop(now);
        self.version.fetch_add(1, Ordering::AcqRel);
        gone
    }

    /// The user with this name, if it may come in.
    pub fn user_that_is_on(&self, name: &str) -> Option<Arc<User>> {
        self.user(name).filter(|user| user.is_on())
    }

    /// The user with this name and password, if it may come in.
    pub fn authenticate(&self, name: &str, password: &[u8]) -> Option<Arc<User>> {
        let user = self.user(name);
        // An unknown name takes as long as a wrong password.
        let known = user.clone().unwrap_or_else(|| Arc::new(User::new(name)));
        let fits = known.takes_password(password);
        user.filter(|user| fits && user.is_on())
    }
}
