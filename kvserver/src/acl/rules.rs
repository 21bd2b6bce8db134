//! The rules of `ACL SETUSER`: what each word does to a user.

use super::permissions::{KeyPattern, Permissions};
use super::user::{Hash, User, hash_password, hex};
use crate::commands::spec::Access;
use crate::commands::table;

/// Why a rule was refused, in the words of Valkey.
type Refused = &'static str;

const SYNTAX: Refused = "Syntax error";
const UNKNOWN: Refused = "Unknown command or category name in ACL";
const DUPLICATE_KEYS: Refused = "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not have any effect. Try 'resetkeys' to start with an empty list of patterns";
const DUPLICATE_CHANNELS: Refused = "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and does not have any effect. Try 'resetchannels' to start with an empty list of channels";
const NO_SUCH_PASSWORD: Refused =
    "The password you are trying to remove from the user does not exist";
const BAD_HASH: Refused = "The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters";
const FIRST_ARG: Refused = "Allowing first-arg of a subcommand is not supported";
const UNKNOWN_SUBCOMMAND: Refused = "Unknown command or category name in ACL";

/// What stands in the place of a password in an error.
const REDACTED: &str = "(redacted)";

/// Why rules were refused. Its text is the one of `ACL SETUSER`, without a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RuleError {
    /// A selector that begins with this word has no end.
    Unmatched {
        /// The word.
        start: String,
    },
    /// A rule was refused.
    Refused {
        /// The rule.
        rule: String,
        /// Why, in the words of Valkey.
        why: &'static str,
    },
}

impl std::fmt::Display for RuleError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            RuleError::Unmatched { start } => {
                write!(f, "Unmatched parenthesis in acl selector starting at '{start}'.")
            }
            RuleError::Refused { rule, why } => {
                write!(f, "Error in ACL SETUSER modifier '{rule}': {why}")
            }
        }
    }
}

/// A rule as an error repeats it.
fn shown(rule: &[u8]) -> String {
    match rule {
        [sign @ (b'>' | b'<'), ..] => format!("{}{REDACTED}", char::from(*sign)),
        _ => String::from_utf8_lossy(rule).into_owned(),
    }
}

impl User {
    /// Applies rules, one after the other.
    ///
    /// # Errors
    /// Which rule was refused, and why. The user may have changed.
    pub fn apply(&mut self, rules: &[&[u8]]) -> Result<(), RuleError> {
        for rule in joined(rules)? {
            let text = String::from_utf8_lossy(&rule).into_owned();
            self.apply_one(&rule, &text)
                .map_err(|why| RuleError::Refused { rule: shown(&rule), why })?;
        }
        Ok(())
    }

    fn apply_one(&mut self, rule: &[u8], text: &str) -> Result<(), Refused> {
        match text.to_ascii_lowercase().as_str() {
            "on" => self.is_on = true,
            "off" => self.is_on = false,
            "nopass" => {
                self.needs_no_password = true;
                self.passwords.clear();
            }
            "resetpass" => {
                self.needs_no_password = false;
                self.passwords.clear();
            }
            "sanitize-payload" => self.sanitizes = true,
            "skip-sanitize-payload" => self.sanitizes = false,
            "clearselectors" => self.selectors.clear(),
            "reset" => *self = User::new(self.name()),
            _ => match rule {
                [b'>', password @ ..] => self.add_hash(hash_password(password)),
                [b'<', password @ ..] => self.remove_hash(hash_password(password))?,
                [b'#', digits @ ..] => self.add_hash(read_hash(digits)?),
                [b'!', digits @ ..] => self.remove_hash(read_hash(digits)?)?,
                [b'(', ..] => {
                    let inner = rule
                        .strip_suffix(b")")
                        .ok_or("Unmatched parenthesis in selector definition.")?;
                    let mut selector = Permissions::none();
                    for word in
                        inner[1..].split(|byte| *byte == b' ').filter(|word| !word.is_empty())
                    {
                        selector.apply(word)?;
                    }
                    self.selectors.push(selector);
                }
                _ => self.root.apply(rule)?,
            },
        }
        Ok(())
    }

    fn add_hash(&mut self, hash: Hash) {
        if !self.passwords.contains(&hash) {
            self.passwords.push(hash);
        }
        self.needs_no_password = false;
    }

    fn remove_hash(&mut self, hash: Hash) -> Result<(), Refused> {
        let at = self.passwords.iter().position(|own| *own == hash).ok_or(NO_SUCH_PASSWORD)?;
        self.passwords.remove(at);
        Ok(())
    }

    /// The flags of a user, as `ACL GETUSER` has them.
    pub fn flag_names(&self) -> Vec<&'static str> {
        let mut names = vec![if self.is_on { "on" } else { "off" }];
        if self.needs_no_password {
            names.push("nopass");
        }
        names.push(if self.sanitizes { "sanitize-payload" } else { "skip-sanitize-payload" });
        names
    }

    /// The user as one line, as `ACL LIST` has it: its name and then rules that would make it.
    pub fn describe(&self) -> String {
        let mut text = format!("user {} {}", self.name(), self.flag_names().join(" "));
        for hash in &self.passwords {
            text.push_str(" #");
            text.push_str(&hex(hash));
        }
        text.push(' ');
        text.push_str(&self.root.describe());
        for selector in &self.selectors {
            text.push_str(&format!(" ({})", selector.describe()));
        }
        text
    }
}

/// Joins the words of a selector that was given as several: `(+get` and `~a)`.
fn joined(rules: &[&[u8]]) -> Result<Vec<Vec<u8>>, RuleError> {
    let mut all: Vec<Vec<u8>> = Vec::with_capacity(rules.len());
    // The selector that has begun, and the word that it began with.
    let mut open: Option<(Vec<u8>, &[u8])> = None;
    for rule in rules {
        match &mut open {
            Some((selector, _)) => {
                selector.push(b' ');
                selector.extend_from_slice(rule);
            }
            None if rule.starts_with(b"(") => open = Some((rule.to_vec(), rule)),
            None => {
                all.push(rule.to_vec());
                continue;
            }
        }
        if rule.ends_with(b")")
            && let Some((selector, _)) = open.take()
        {
            all.push(selector);
        }
    }
    match open {
        None => Ok(all),
        Some((_, start)) => Err(RuleError::Unmatched { start: shown(start) }),
    }
}

impl Permissions {
    /// Applies a rule on commands, keys or channels.
    fn apply(&mut self, rule: &[u8]) -> Result<(), Refused> {
        let text = String::from_utf8_lossy(rule);
        match text.to_ascii_lowercase().as_str() {
            "allcommands" | "+@all" => self.set_all_commands(true),
            "nocommands" | "-@all" => self.set_all_commands(false),
            "allkeys" | "~*" => {
                self.all_keys = true;
                self.keys.clear();
            }
            "resetkeys" => {
                self.all_keys = false;
                self.keys.clear();
            }
            "allchannels" | "&*" => {
                self.all_channels = true;
                self.channels.clear();
            }
            "resetchannels" => {
                self.all_channels = false;
                self.channels.clear();
            }
            lower => match rule {
                [b'~', pattern @ ..] => self.add_keys(Access::BOTH, pattern)?,
                [b'%', rest @ ..] => {
                    let at = rest.iter().position(|byte| *byte == b'~').ok_or(SYNTAX)?;
                    let mut access = Access::NONE;
                    for letter in &rest[..at] {
                        access = match letter.to_ascii_uppercase() {
                            b'R' => Access(access.0 | Access::READ.0),
                            b'W' => Access(access.0 | Access::WRITE.0),
                            _ => return Err(SYNTAX),
                        };
                    }
                    if access == Access::NONE {
                        return Err(SYNTAX);
                    }
                    self.add_keys(access, &rest[at + 1..])?;
                }
                [b'&', pattern @ ..] => {
                    if self.all_channels {
                        return Err(DUPLICATE_CHANNELS);
                    }
                    no_blanks(pattern)?;
                    if !self.channels.iter().any(|own| own == pattern) {
                        self.channels.push(pattern.to_vec());
                    }
                }
                [b'+', b'@', ..] | [b'-', b'@', ..] => {
                    if !self.set_category(&lower[2..], rule[0] == b'+') {
                        return Err(UNKNOWN);
                    }
                }
                [b'+', ..] => self.allow_named(&lower[1..])?,
                [b'-', ..] => {
                    let id = table::find_full(&lower[1..]).ok_or(UNKNOWN)?;
                    self.set_command(id, false);
                }
                _ => return Err(SYNTAX),
            },
        }
        Ok(())
    }

    fn add_keys(&mut self, access: Access, pattern: &[u8]) -> Result<(), Refused> {
        if self.all_keys {
            return Err(DUPLICATE_KEYS);
        }
        no_blanks(pattern)?;
        if pattern == b"*" && access == Access::BOTH {
            self.all_keys = true;
            self.keys.clear();
            return Ok(());
        }
        match self.keys.iter_mut().find(|own| own.pattern == pattern) {
            Some(own) => own.access.0 |= access.0,
            None => self.keys.push(KeyPattern { access, pattern: pattern.to_vec() }),
        }
        Ok(())
    }

    /// Allows a command, a subcommand, or a command with a first argument.
    fn allow_named(&mut self, name: &str) -> Result<(), Refused> {
        if let Some(id) = table::find_full(name) {
            self.set_command(id, true);
            return Ok(());
        }
        let (command, argument) = name.rsplit_once('|').ok_or(UNKNOWN)?;
        let id = table::find_full(command).ok_or(UNKNOWN)?;
        if command.contains('|') {
            return Err(FIRST_ARG);
        }
        if !table::get(id).subcommands.is_empty() {
            return Err(UNKNOWN_SUBCOMMAND);
        }
        if argument.is_empty() {
            return Err(SYNTAX);
        }
        if self.allows_command(id) {
            return Ok(());
        }
        self.allow_first_arg(id, argument);
        Ok(())
    }

    /// All rules, as `ACL LIST` writes them.
    pub fn describe(&self) -> String {
        let channels = match self.all_channels {
            true => self.describe_channels(),
            false => ["resetchannels".to_owned(), self.describe_channels()].join(" "),
        };
        let parts =
            [self.describe_keys(), channels.trim_end().to_owned(), self.describe_commands()];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
    }
}

fn no_blanks(pattern: &[u8]) -> Result<(), Refused> {
    if pattern.iter().any(|byte| byte.is_ascii_whitespace() || *byte == 0) {
        Err(SYNTAX)
    } else {
        Ok(())
    }
}

fn read_hash(digits: &[u8]) -> Result<Hash, Refused> {
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut hash = Hash::default();
    if digits.len() != 2 * hash.len() {
        return Err(BAD_HASH);
    }
    for (to, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
        *to = value(pair[0]).ok_or(BAD_HASH)? << 4 | value(pair[1]).ok_or(BAD_HASH)?;
    }
    Ok(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(rules: &[&str]) -> Result<User, String> {
        let mut user = User::new("ada");
        let rules: Vec<&[u8]> = rules.iter().map(|rule| rule.as_bytes()).collect();
        user.apply(&rules).map(|()| user).map_err(|error| error.to_string())
    }

    #[test]
    fn a_user_is_written_as_the_rules_that_make_it() {
        for (rules, written) in [
            (
                &["on", "nopass", "~*", "&*", "+@all"][..],
                "user ada on nopass sanitize-payload ~* &* +@all",
            ),
            (
                &["~a*", "%R~b", "+get"],
                "user ada off sanitize-payload ~a* %R~b resetchannels -@all +get",
            ),
            (
                &["+@all", "-config|set"],
                "user ada off sanitize-payload resetchannels +@all -config|set",
            ),
            (
                &["(+get ~x)"],
                "user ada off sanitize-payload resetchannels -@all (~x resetchannels -@all +get)",
            ),
            (
                &["(+get", "~x)"],
                "user ada off sanitize-payload resetchannels -@all (~x resetchannels -@all +get)",
            ),
        ] {
            let made = user(rules).unwrap().describe();
            assert_eq!(made, written);
            let again: Vec<&str> = written.split(' ').skip(2).collect();
            assert_eq!(user(&again).unwrap().describe(), written);
        }
    }

    #[test]
    fn rules_that_mean_nothing_are_refused() {
        for (rule, why) in [
            ("+nothing", UNKNOWN),
            ("+@nothing", UNKNOWN),
            ("+get|a|b", UNKNOWN),
            ("+config|get|a", FIRST_ARG),
            ("what", SYNTAX),
            ("%~a", SYNTAX),
            ("%X~a", SYNTAX),
            ("#123", BAD_HASH),
        ] {
            let error = user(&[rule]).unwrap_err();
            assert_eq!(error, format!("Error in ACL SETUSER modifier '{rule}': {why}"));
        }
        assert!(user(&["(+get"]).is_err());
    }

    #[test]
    fn an_error_shows_no_password() {
        let error = user(&["<never"]).unwrap_err();
        assert_eq!(
            error,
            format!("Error in ACL SETUSER modifier '<(redacted)': {NO_SUCH_PASSWORD}")
        );
        let error = user(&["(+get", ">never"]).unwrap_err();
        assert_eq!(error, "Unmatched parenthesis in acl selector starting at '(+get'.");
    }
}
