//! The commands that took long, without the secrets among their arguments.

use std::collections::VecDeque;

use parking_lot::Mutex;

use crate::resp::Request;

/// Arguments of a command that are kept, and bytes of each.
const ARGS_MAX: usize = 32;
const ARG_BYTES_MAX: usize = 128;

/// A command that took long.
#[derive(Debug, Clone)]
pub struct Slow {
    /// Its number, which rises.
    pub id: u64,
    /// When it was done, in Unix seconds.
    pub at_s: i64,
    /// How long it took, in microseconds.
    pub took_us: u64,
    /// Its arguments, cut where they are long.
    pub args: Vec<Vec<u8>>,
    /// Where the client was.
    pub address: String,
    /// The name of the client.
    pub name: String,
}

/// The last commands that took long.
#[derive(Debug, Default)]
pub struct SlowLog {
    entries: Mutex<(VecDeque<Slow>, u64)>,
}

impl SlowLog {
    /// Keeps a command, and no more than `most` in all.
    pub fn add(&self, mut slow: Slow, most: usize) {
        let mut entries = self.entries.lock();
        slow.id = entries.1;
        entries.1 += 1;
        entries.0.push_front(slow);
        entries.0.truncate(most);
    }

    /// The newest ones.
    pub fn newest(&self, count: usize) -> Vec<Slow> {
        self.entries.lock().0.iter().take(count).cloned().collect()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.lock().0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets all.
    pub fn clear(&self) {
        self.entries.lock().0.clear();
    }
}

/// Whether a setting is a password by its name: `requirepass`, `masterauth`, and those that are not known here.
fn is_password(setting: &[u8]) -> bool {
    let setting = setting.to_ascii_lowercase();
    setting.ends_with(b"pass") || setting.ends_with(b"auth")
}

/// Whether an argument of a command is a secret, or may be.
fn is_secret(command: &str, request: Request<'_>, position: usize) -> bool {
    match command {
        "acl|setuser" => position >= 2,
        // Names and values take turns.
        "config|set" => {
            position >= 3 && position % 2 == 1 && is_password(request.arg(position - 1))
        }
        _ => false,
    }
}

/// The arguments of a command as they are kept: not too many, none too long, and no secrets.
pub fn shortened(command: &str, request: Request<'_>) -> Vec<Vec<u8>> {
    let words = request.args().enumerate().map(|(position, arg)| {
        if is_secret(command, request, position) { &b"(redacted)"[..] } else { arg }
    });
    shortened_words(words)
}

/// Words without secrets as they are kept: not too many, and none too long.
pub fn shortened_words<'w>(words: impl Iterator<Item = &'w [u8]> + Clone) -> Vec<Vec<u8>> {
    let count = words.clone().count();
    let kept = if count > ARGS_MAX { ARGS_MAX - 1 } else { count };
    let mut short: Vec<Vec<u8>> = words
        .take(kept)
        .map(|arg| match arg.get(..ARG_BYTES_MAX) {
            Some(start) if arg.len() > ARG_BYTES_MAX => {
                let more = format!("... ({} more bytes)", arg.len() - ARG_BYTES_MAX);
                [start, more.as_bytes()].concat()
            }
            _ => arg.to_vec(),
        })
        .collect();
    if count > kept {
        short.push(format!("... ({} more arguments)", count - kept).into_bytes());
    }
    short
}
