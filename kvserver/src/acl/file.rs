//! The users in a file: a line for each, as `ACL LIST` shows them.
//!
//! Owns: reading and writing that file. It is read as a whole or not at all, and written beside the old one,
//! which it replaces once it is safe on disk. Passwords are written as hashes alone; a plain one (`>password`)
//! is read, as Valkey does, and is a hash with the next `ACL SAVE`. There are no comments, since they would be
//! lost then.
//!
//! Invariant: what is written is read as the same users. There are rules that a line cannot hold, such as a pattern
//! that is no UTF-8; a user that has one is not written, and neither are the others then.

// The engine reaches files through its seam; this program is no part of the engine.
#![allow(clippy::disallowed_methods)]

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::rules::RuleError;
use super::user::User;

/// Longest file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// Reads the users of a file.
///
/// # Errors
/// Everything that is wrong with it, as one line; no password is in it.
pub fn read_file(path: &Path) -> Result<Vec<User>, String> {
    let shown = path.display();
    let text = read(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => format!(
            "Error loading ACLs, opening file '{shown}': there is no such file: make it, empty if there are \
             no users yet"
        ),
        _ => format!("Error loading ACLs, opening file '{shown}': {error}"),
    })?;
    let (mut users, mut names, mut faults) = (Vec::new(), BTreeSet::new(), String::new());
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        match user_of(line) {
            Ok(None) => {}
            Ok(Some(user)) if names.insert(user.name().to_owned()) => users.push(user),
            Ok(Some(user)) => {
                let name = user.name();
                faults += &format!("WARNING: Duplicate user '{name}' found on line {number}. ");
            }
            Err(fault) => faults += &format!("{shown}:{number}: {fault}. "),
        }
    }
    if faults.is_empty() {
        return Ok(users);
    }
    faults +=
        "WARNING: ACL errors detected, no change to the previously active ACL rules was performed";
    Err(faults)
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 16 MiB"));
    }
    Ok(text)
}

/// The user of a line; `None` of an empty one.
fn user_of(line: &str) -> Result<Option<User>, String> {
    let mut words = line.split([' ', '\t', '\r']).filter(|word| !word.is_empty());
    let Some(first) = words.next() else { return Ok(None) };
    let name = words.next().filter(|_| first == "user");
    let name = name.ok_or("should start with user keyword followed by the username")?;
    if name.contains('\0') {
        return Err("the username contains invalid characters".to_owned());
    }
    let mut user = User::new(name);
    let rules: Vec<&[u8]> = words.map(str::as_bytes).collect();
    user.apply(&rules).map_err(|error| match error {
        RuleError::Unmatched { .. } => "Unmatched parenthesis in selector definition".to_owned(),
        RuleError::Refused { rule, why } => format!("Error in applying operation '{rule}': {why}"),
    })?;
    Ok(Some(user))
}

/// Writes users to a file, in the place of what was in it.
///
/// # Errors
/// What the system says, or `InvalidData` for a user that a line cannot hold; the file is as it was then.
pub fn write_file(path: &Path, users: &[Arc<User>]) -> io::Result<()> {
    for user in users {
        if user_of(&user.describe()).ok().flatten().as_ref() != Some(&**user) {
            let name = user.name().escape_debug();
            let fault = format!("the rules of the user '{name}' would not mean the same in a file");
            return Err(io::Error::new(io::ErrorKind::InvalidData, fault));
        }
    }
    let beside = name_beside(path);
    let written = write(&beside, users).and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        // What was written of it is of no use, and the failure that is told is the first one.
        let _ = fs::remove_file(&beside);
        return written;
    }
    // Only then is the new name safe as well.
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}

fn write(path: &Path, users: &[Arc<User>]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    for user in users {
        writeln!(file, "{}", user.describe())?;
    }
    file.sync_all()
}

/// A name in the same directory that nobody else uses.
fn name_beside(path: &Path) -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}-{number}.tmp", std::process::id()));
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of this test's own.
    struct Place(PathBuf);

    impl Place {
        fn new(text: &str) -> Place {
            static NEXT: AtomicU64 = AtomicU64::new(0);
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let name = format!("kv-users-{}-{number}", std::process::id());
            let place = Place(std::env::temp_dir().join(name));
            fs::write(&place.0, text).unwrap();
            place
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = fs::remove_file(&self.0);
        }
    }

    #[test]
    fn what_is_written_is_read_as_the_same_users() {
        let place = Place::new(
            "\n user ada on >secret ~app:* &news +@read (+set ~tmp:*)\r\nuser default off\n\tuser bob\n",
        );
        let users: Vec<_> = read_file(&place.0).unwrap().into_iter().map(Arc::new).collect();
        let names: Vec<&str> = users.iter().map(|user| user.name()).collect();
        assert_eq!(names, ["ada", "default", "bob"]);
        assert!(users[0].takes_password(b"secret") && users[0].is_on() && !users[2].is_on());
        write_file(&place.0, &users).unwrap();
        let text = fs::read_to_string(&place.0).unwrap();
        assert!(!text.contains("secret") && text.lines().count() == 3, "{text}");
        let again: Vec<_> = read_file(&place.0).unwrap().into_iter().map(Arc::new).collect();
        assert_eq!(again, users);
    }

    #[test]
    fn a_file_with_a_fault_is_refused_as_a_whole_and_shows_no_password() {
        let place =
            Place::new("user a on +get\nada on\nuser b +nonsense\nuser a\nuser c <hidden\n# x\n");
        let fault = read_file(&place.0).unwrap_err();
        let shown = place.0.display();
        for part in [
            format!("{shown}:2: should start with user keyword followed by the username. "),
            format!("{shown}:3: Error in applying operation '+nonsense': Unknown command"),
            "Duplicate user 'a' found on line 4. ".to_owned(),
            format!("{shown}:5: Error in applying operation '<(redacted)'"),
            format!("{shown}:6: should start"),
        ] {
            assert!(fault.contains(&part), "{part}: {fault}");
        }
        assert!(!fault.contains("hidden"), "{fault}");
        assert!(read_file(Path::new("/no/such/file")).unwrap_err().contains("make it"));
    }

    #[test]
    fn a_user_that_no_line_can_hold_is_not_written() {
        let place = Place::new("user a\n");
        for rule in [&b"~\xff*"[..], b"(~a) +get)", b"+get|a b"] {
            let mut user = User::new("ada");
            user.apply(&[rule]).unwrap();
            let error = write_file(&place.0, &[Arc::new(user)]).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
            assert!(error.to_string().contains("'ada'"), "{error}");
        }
        assert_eq!(fs::read_to_string(&place.0).unwrap(), "user a\n");
    }

    /// Rules of every kind, some of which say the opposite of others.
    const RULES: [&str; 34] = [
        "on",
        "off",
        "nopass",
        "resetpass",
        ">one",
        ">two",
        "<one",
        "skip-sanitize-payload",
        "sanitize-payload",
        "~a:*",
        "%R~b",
        "%W~b",
        "~*",
        "%R~*",
        "resetkeys",
        "&c",
        "&*",
        "resetchannels",
        "+@all",
        "-@all",
        "+@read",
        "-@read",
        "+get",
        "-get",
        "+client",
        "-client|id",
        "+client|setname",
        "+select|0",
        "+select|1",
        "-select",
        "(+get ~a)",
        "(%W~b -@all +@write &c)",
        "clearselectors",
        "reset",
    ];

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(512))]
        #[test]
        fn a_line_makes_the_user_that_it_describes(
            rules in proptest::collection::vec(proptest::sample::select(&RULES[..]), 0..16)
        ) {
            let mut user = User::new("ada");
            for rule in rules {
                // A rule that does not fit what is there is refused.
                let _ = user.apply(&[rule.as_bytes()]);
            }
            let line = user.describe();
            proptest::prop_assert_eq!(user_of(&line), Ok(Some(user)), "{}", line);
        }

        #[test]
        fn no_line_is_too_strange(line in "\\PC{0,60}|user [a-z(){}~%&+@| ]{0,40}") {
            if let Ok(Some(user)) = user_of(&line) {
                // It may be refused, and ends nothing.
                let _ = user_of(&user.describe());
            }
        }
    }

    #[test]
    fn a_file_that_cannot_be_replaced_stays() {
        let place = Place::new("user a\n");
        let nowhere = place.0.join("below");
        assert!(write_file(&nowhere, &[]).is_err());
        assert_eq!(fs::read_to_string(&place.0).unwrap(), "user a\n");
    }
}
