//! Several requests in a row: `GET` and `SET` done as one, the keys of all others brought near.
//!
//! Owns: a short way for what pipelines mostly are, and [`prefetch`]. Reading many keys together lets their cache misses overlap,
//! and setting many takes each lock once. A run of `SET` is one change of the store, so whoever reads meanwhile
//! sees all of it or nothing, which a client that sent them at once cannot tell from having been quick.
//!
//! Only what is certain to be a plain `GET key` or `SET key value` is taken, and only from a client and in a
//! server where nothing makes it more than that; everything else, and whatever is not there whole, goes the usual
//! way. So does a run that the store refuses: one by one, each gets its own answer.
//!
//! The usual way is one request after the other, with everything that is asked of each. What it can have of a run
//! without any of it being different is the overlapping of misses, so its keys are looked up ahead.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use kvcore::Expiry;
use tokio::time::Instant;

use super::table;
use crate::net::{ReplyMode, Session};
use crate::resp::Replies;
use crate::shared::clients::flag;
use crate::shared::{Shared, observer};

/// Requests that are done together at most.
pub const RUN_MAX: usize = 64;

/// A run shorter than this is not worth it.
const RUN_MIN: usize = 2;

/// Requests whose keys are looked up ahead.
const AHEAD: usize = 16;

/// Bytes of replies behind which a run of `GET` ends.
const REPLY_BYTES_MAX: usize = 64 << 10;

/// What the two commands begin with as clients send them, up to their names.
const GET: &[u8] = b"*2\r\n$3\r\n";
const SET: &[u8] = b"*3\r\n$3\r\n";

/// Digits of the longest length that is read here; longer values go the usual way.
const DIGITS_MAX: usize = 5;

/// Serves the requests that `input` begins with, if they are several of `GET` or several of `SET`. Answers how many
/// bytes they were, or 0 if nothing was done.
pub fn serve(
    shared: &Arc<Shared>,
    session: &mut Session,
    input: &[u8],
    out: &mut Replies,
) -> usize {
    if input.starts_with(GET) {
        serve_gets(shared, session, input, out)
    } else if input.starts_with(SET) {
        serve_sets(shared, session, input, out)
    } else {
        0
    }
}

/// Brings the keys of the requests that `input` begins with near, if they are several, whole, and short as those on
/// one key are. Answers how many bytes they were. Which commands have a key there is not asked: for others it is a
/// hint that helps nobody.
pub fn prefetch(shared: &Shared, input: &[u8]) -> usize {
    let (mut keys, mut end, mut count) = ([&[][..]; AHEAD], 0, 0);
    while count < AHEAD
        && let Some((key, bytes)) = second_argument(&input[end..])
    {
        keys[count] = key;
        count += 1;
        end += bytes;
    }
    if count >= RUN_MIN {
        shared.store.prefetch(&keys[..count]);
    }
    end
}

/// The argument behind the name of a whole request at the beginning of `input`, which has one digit of arguments, and
/// the request's bytes.
fn second_argument(input: &[u8]) -> Option<(&[u8], usize)> {
    let [b'*', digit @ b'2'..=b'9', rest @ ..] = input else { return None };
    let (_, rest) = bulk(rest)?;
    let (key, mut rest) = bulk(rest)?;
    for _ in 2..digit - b'0' {
        (_, rest) = bulk(rest)?;
    }
    let rest = rest.strip_prefix(b"\r\n")?;
    Some((key, input.len() - rest.len()))
}

fn serve_gets(
    shared: &Arc<Shared>,
    session: &mut Session,
    input: &[u8],
    out: &mut Replies,
) -> usize {
    if !is_plain(shared, session, !observer::WATCH) || session.client.has(flag::NO_TOUCH) {
        return 0;
    }
    let (mut keys, mut ends, mut count) = ([&[][..]; RUN_MAX], [0; RUN_MAX], 0);
    let most = session.run_max.clamp(RUN_MIN, RUN_MAX);
    let mut end = 0;
    while count < most
        && let Some(([key], bytes)) = request(&input[end..], GET, b"get")
    {
        end += bytes;
        (keys[count], ends[count]) = (key, end);
        count += 1;
    }
    if count < RUN_MIN {
        return 0;
    }
    let (before, mut served) = (out.len(), 0);
    let begun = Instant::now();
    let read = shared.store.get_many_with(&keys[..count], |_, value| {
        // Nobody knows how long values are before they are read, so the rest is read again when it has its turn.
        if out.len() - before < REPLY_BYTES_MAX {
            out.bulk_or_null(value);
            served += 1;
        }
    });
    if read.is_err() {
        out.truncate(before);
        return 0;
    }
    session.run_max = if served < count { served } else { (most * 2).min(RUN_MAX) };
    count_calls(shared, session, b"get", served, begun);
    served.checked_sub(1).map_or(0, |last| ends[last])
}

fn serve_sets(
    shared: &Arc<Shared>,
    session: &mut Session,
    input: &[u8],
    out: &mut Replies,
) -> usize {
    if !is_plain(shared, session, u32::MAX)
        || shared.settings.is_over_memory_max.load(Ordering::Relaxed)
    {
        return 0;
    }
    let (mut pairs, mut taken, mut count) = ([(&[][..], &[][..]); RUN_MAX], 0, 0);
    while count < RUN_MAX
        && let Some(([key, value], bytes)) = request(&input[taken..], SET, b"set")
    {
        pairs[count] = (key, value);
        count += 1;
        taken += bytes;
    }
    if count < RUN_MIN {
        return 0;
    }
    let begun = Instant::now();
    if shared.store.set_many(&pairs[..count], Expiry::Default).is_err() {
        return 0;
    }
    (0..count).for_each(|_| out.ok());
    count_calls(shared, session, b"set", count, begun);
    taken
}

/// Whether nothing about this client, and none of these observers, makes a command anything but itself.
fn is_plain(shared: &Shared, session: &mut Session, observers: u32) -> bool {
    session.refresh_user(shared);
    session.is_authenticated
        && session.user.is_unlimited()
        && session.queue.is_none()
        && session.reply_mode == ReplyMode::On
        && !session.is_subscribed()
        && session.caching.is_none()
        && shared.observers() & observers == 0
}

/// Counts the commands of a run, which share the time that it took.
fn count_calls(shared: &Shared, session: &mut Session, name: &[u8], count: usize, begun: Instant) {
    let Some(id) = table::find(name) else { return };
    session.client.last_command.store(id, Ordering::Relaxed);
    let ended = Instant::now();
    session.clock = Some(ended);
    if let Some(counter) = shared.counters.command(session.thread, id) {
        counter.add(count as u64, u64::try_from((ended - begun).as_micros()).unwrap_or(u64::MAX));
    }
}

/// The arguments behind the name of a whole request at the beginning of `input`, and its bytes: if it begins as
/// `head` does and has this name.
fn request<'i, const ARGS: usize>(
    input: &'i [u8],
    head: &[u8],
    name: &[u8],
) -> Option<([&'i [u8]; ARGS], usize)> {
    let (given, mut rest) = input.strip_prefix(head)?.split_at_checked(name.len())?;
    if !given.eq_ignore_ascii_case(name) {
        return None;
    }
    let mut args = [&[][..]; ARGS];
    for arg in &mut args {
        (*arg, rest) = bulk(rest)?;
    }
    rest = rest.strip_prefix(b"\r\n")?;
    Some((args, input.len() - rest.len()))
}

/// The argument that follows the end of the one before, and what is behind it.
fn bulk(input: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = input.strip_prefix(b"\r\n$")?;
    let digits = rest.iter().take(DIGITS_MAX).take_while(|byte| byte.is_ascii_digit()).count();
    let length = rest[..digits].iter().fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0'));
    // Zeros in front are the usual way's to judge.
    if digits == 0 || (digits > 1 && rest[0] == b'0') {
        return None;
    }
    rest[digits..].strip_prefix(b"\r\n")?.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_gets_are_taken() {
        let whole = b"*2\r\n$3\r\nGeT\r\n$5\r\nab\r\nc\r\n";
        let get = |input| request::<1>(input, GET, b"get");
        assert_eq!(get(whole), Some(([&b"ab\r\nc"[..]], whole.len())));
        for end in 0..whole.len() {
            assert_eq!(get(&whole[..end]), None, "cut at {end}");
        }
        for other in [
            &b"*2\r\n$3\r\nDEL\r\n$1\r\na\r\n"[..],
            b"*2\r\n$3\r\nGET\r\n$-1\r\n\r\n",
            b"*2\r\n$3\r\nGET\r\n$1x\r\na\r\n",
            b"*2\r\n$3\r\nGET\r\n$01\r\na\r\n",
            b"*2\r\n$3\r\nGET\r\n$\r\na\r\n",
            b"*2\r\n$3\r\nGET\r\n$1\r\nab\r",
        ] {
            assert_eq!(get(other), None);
        }
    }

    #[test]
    fn the_key_of_a_request_is_found_whatever_follows_it() {
        let whole = b"*3\r\n$6\r\nINCRBY\r\n$2\r\nab\r\n$1\r\n7\r\n";
        let more = [&whole[..], b"*1\r\n"].concat();
        assert_eq!(second_argument(&more), Some((&b"ab"[..], whole.len())));
        for end in 0..whole.len() {
            assert_eq!(second_argument(&whole[..end]), None, "cut at {end}");
        }
        assert_eq!(second_argument(b"*1\r\n$4\r\nPING\r\n"), None);
        assert_eq!(second_argument(b"*12\r\n$4\r\nMGET\r\n$1\r\na\r\n"), None);
    }

    #[test]
    fn only_whole_sets_of_a_key_and_a_value_are_taken() {
        let whole = b"*3\r\n$3\r\nSET\r\n$0\r\n\r\n$3\r\n\r\n$\r\n";
        let set = |input| request::<2>(input, SET, b"set");
        assert_eq!(set(whole), Some(([&b""[..], b"\r\n$"], whole.len())));
        for end in 0..whole.len() {
            assert_eq!(set(&whole[..end]), None, "cut at {end}");
        }
        assert_eq!(set(b"*4\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\nb\r\n$2\r\nNX\r\n"), None);
        assert_eq!(set(b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$100000\r\n"), None);
    }
}
