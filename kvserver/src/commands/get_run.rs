//! Several `GET` in a row, read as one.
//!
//! Owns: a short way for what pipelines mostly are. Each value is a cache miss or two, and reading many keys
//! together lets the misses overlap. Only what is certain to be a plain `GET` is taken; everything else, and
//! whatever is not there whole, goes the usual way.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::time::Instant;

use super::table;
use crate::net::{ReplyMode, Session};
use crate::resp::Replies;
use crate::shared::{Shared, observer};

/// Keys that are read together at most.
const RUN_MAX: usize = 64;

/// A run shorter than this is not worth it.
const RUN_MIN: usize = 2;

/// What a `GET` as clients send it begins with.
const HEAD: &[u8] = b"*2\r\n$3\r\n";

/// Serves the requests that `input` begins with, if they are several of `GET`. Answers how many bytes they
/// were, or 0 if nothing was done.
pub fn serve(
    shared: &Arc<Shared>,
    session: &mut Session,
    input: &[u8],
    out: &mut Replies,
) -> usize {
    if !input.starts_with(HEAD) || !is_plain(shared, session) {
        return 0;
    }
    let (mut keys, mut taken) = ([&[][..]; RUN_MAX], 0);
    let mut count = 0;
    while count < RUN_MAX
        && let Some((key, bytes)) = get(&input[taken..])
    {
        keys[count] = key;
        count += 1;
        taken += bytes;
    }
    let keys = &keys[..count];
    if count < RUN_MIN {
        return 0;
    }
    let Some(id) = table::find(b"get") else { return 0 };
    let before = out.len();
    let begun = Instant::now();
    if shared.store.get_many_with(keys, |_, value| out.bulk_or_null(value)).is_err() {
        // One by one, each gets its own answer.
        out.truncate(before);
        return 0;
    }
    session.client.last_command.store(id, Ordering::Relaxed);
    if let Some(counter) = shared.counters.command(session.thread, id) {
        counter.add(count as u64, u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX));
    }
    taken
}

/// Whether nothing about this client makes a `GET` anything but reading a value.
fn is_plain(shared: &Shared, session: &mut Session) -> bool {
    session.refresh_user(shared);
    session.is_authenticated
        && session.user.is_unlimited()
        && session.queue.is_none()
        && session.reply_mode == ReplyMode::On
        && !session.is_subscribed()
        && session.caching.is_none()
        && shared.observers() & !observer::WATCH == 0
}

/// The key of a whole `GET` at the beginning of `input`, and its bytes.
fn get(input: &[u8]) -> Option<(&[u8], usize)> {
    let rest = input.strip_prefix(HEAD)?;
    let (name, rest) = rest.split_at_checked(3)?;
    if !name.eq_ignore_ascii_case(b"get") {
        return None;
    }
    let rest = rest.strip_prefix(b"\r\n$")?;
    // Keys are at most 65535 bytes long.
    let digits = rest.iter().take(5).take_while(|byte| byte.is_ascii_digit()).count();
    let length = usize::try_from(crate::number::integer(&rest[..digits])?).ok()?;
    let rest = rest[digits..].strip_prefix(b"\r\n")?;
    let key = rest.get(..length)?;
    rest.get(length..)?.strip_prefix(b"\r\n")?;
    let bytes = HEAD.len() + 3 + 3 + digits + 2 + length + 2;
    Some((key, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_gets_are_taken() {
        let whole = b"*2\r\n$3\r\nGeT\r\n$5\r\nab\r\nc\r\n";
        assert_eq!(get(whole), Some((&b"ab\r\nc"[..], whole.len())));
        for end in 0..whole.len() {
            assert_eq!(get(&whole[..end]), None, "cut at {end}");
        }
        for other in [
            &b"*2\r\n$3\r\nDEL\r\n$1\r\na\r\n"[..],
            b"*2\r\n$3\r\nGET\r\n$-1\r\n\r\n",
            b"*2\r\n$3\r\nGET\r\n$1x\r\na\r\n",
            b"*2\r\n$3\r\nGET\r\n$1\r\nab\r",
        ] {
            assert_eq!(get(other), None);
        }
    }
}
