//! One user: whether it may come in, with which passwords, and what it may do then.

use sha2::{Digest, Sha256};

use super::permissions::{Denied, Permissions};
use crate::commands::spec::{Access, Command};
use crate::resp::Request;

/// A password as it is kept.
pub type Hash = [u8; 32];

/// A password as it is kept: its SHA-256, as `ACL` has it.
pub fn hash_password(password: &[u8]) -> Hash {
    Sha256::digest(password).into()
}

/// The 64 hexadecimal digits of a hash.
pub fn hex(hash: &Hash) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether two hashes are the same, in a time that does not tell where they differ.
pub fn is_same(a: &Hash, b: &Hash) -> bool {
    let difference = a.iter().zip(b).fold(0, |all, (a, b)| all | (a ^ b));
    std::hint::black_box(difference) == 0
}

/// A user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    name: String,
    pub(super) is_on: bool,
    pub(super) needs_no_password: bool,
    pub(super) sanitizes: bool,
    pub(super) passwords: Vec<Hash>,
    /// What it may do, and other sets of which any one is enough.
    pub(super) root: Permissions,
    pub(super) selectors: Vec<Permissions>,
}

impl User {
    /// A user that may do nothing, not even come in.
    pub fn new(name: &str) -> User {
        User {
            name: name.to_owned(),
            is_on: false,
            needs_no_password: false,
            sanitizes: true,
            passwords: Vec::new(),
            root: Permissions::none(),
            selectors: Vec::new(),
        }
    }

    /// A user that may do everything, without a password.
    pub fn unlimited(name: &str) -> User {
        User { is_on: true, needs_no_password: true, root: Permissions::all(), ..User::new(name) }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it may come in.
    pub fn is_on(&self) -> bool {
        self.is_on
    }

    /// Whether it may come in with any password.
    pub fn needs_no_password(&self) -> bool {
        self.needs_no_password
    }

    /// Its passwords, as hexadecimal digits of their hashes.
    pub fn passwords(&self) -> Vec<String> {
        self.passwords.iter().map(hex).collect()
    }

    /// What it may do: the first one, and the selectors behind it.
    pub fn permissions(&self) -> impl Iterator<Item = &Permissions> {
        std::iter::once(&self.root).chain(&self.selectors)
    }

    /// Takes this password and no other. An empty one stands for none.
    pub fn set_only_password(&mut self, password: &[u8]) {
        self.needs_no_password = password.is_empty();
        self.passwords.clear();
        if !password.is_empty() {
            self.passwords.push(hash_password(password));
        }
    }

    /// Whether it may come in with this password. All passwords are compared, whichever fits.
    pub fn takes_password(&self, password: &[u8]) -> bool {
        let given = hash_password(password);
        let fits = self.passwords.iter().fold(false, |fits, own| fits | is_same(own, &given));
        fits || self.needs_no_password
    }

    /// Whether it may do everything, so that nothing has to be looked at.
    #[inline]
    pub fn is_unlimited(&self) -> bool {
        self.root.is_all()
    }

    /// Whether it may do this.
    ///
    /// # Errors
    /// What is missing, of that which fits best.
    pub fn check(&self, command: &Command, request: Request<'_>) -> Result<(), Denied> {
        if self.is_unlimited() {
            return Ok(());
        }
        self.any(|permissions| permissions.check(command, request))
    }

    /// Whether it may know that a key is there: whether any of its patterns describes the key.
    pub fn may_name(&self, key: &[u8]) -> bool {
        self.permissions().any(|permissions| permissions.allows_key(key, Access::NONE))
    }

    /// Whether it may know of every key, so that no key has to be looked at.
    pub fn may_name_all(&self) -> bool {
        self.permissions().any(|permissions| permissions.all_keys)
    }

    /// What keys begin with that it may read: the patterns up to their first special character, in order, none
    /// the beginning of another one. What begins otherwise it may not read; of what begins so, not all.
    pub fn readable_prefixes(&self) -> Vec<Vec<u8>> {
        let mut prefixes: Vec<Vec<u8>> =
            self.permissions().flat_map(Permissions::readable_prefixes).collect();
        prefixes.sort_unstable();
        prefixes.dedup_by(|next, kept| next.starts_with(kept));
        prefixes
    }

    /// Whether it may use a channel. A pattern has to be allowed as it is written.
    pub fn may_use_channel(&self, channel: &[u8], is_pattern: bool) -> bool {
        self.permissions().any(|permissions| permissions.allows_channel(channel, is_pattern))
    }

    /// Asks one set of permissions after the other.
    fn any(&self, check: impl Fn(&Permissions) -> Result<(), Denied>) -> Result<(), Denied> {
        let mut worst = Denied::Command;
        for permissions in self.permissions() {
            match check(permissions) {
                Ok(()) => return Ok(()),
                // The furthest that any of them came says most.
                Err(denied) => worst = worst.max(denied),
            }
        }
        Err(worst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_kept_as_hashes() {
        let mut user = User::new("ada");
        user.set_only_password(b"password");
        assert_eq!(
            user.passwords(),
            ["5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8"]
        );
        assert!(user.takes_password(b"password"));
        assert!(!user.takes_password(b"Password"));
        assert!(!user.takes_password(b""));
        user.set_only_password(b"");
        assert!(user.takes_password(b"anything"));
        assert!(!format!("{user:?}").contains("password\""));
    }
}
