//! The few words of the protocol that a direct line needs. Pure.
//!
//! Owns: packing commands, and [`parse`] for replies without a structure: all that reads of single keys have. Anything
//! else is [`Strange`], and its request goes by way of the client crate, which knows all of the protocol. Why not that
//! crate's parser: it makes a vector and some boxes of each reply, which for a thousand keys takes longer than the
//! servers do.

use std::ops::Range;

/// The longest line that is read: a length, a number, or what an error says.
const LINE_MAX: usize = 16 << 10;

/// The longest value, which is what servers allow by default.
const VALUE_MAX: usize = 512 << 20;

/// A reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply<'a> {
    Nil,
    Bytes(&'a [u8]),
    Number(i64),
    /// What the server says, with its code in front.
    Error(&'a [u8]),
}

/// A reply, and where its bytes are among those that were parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Found {
    Nil,
    Bytes(Range<usize>),
    Number(i64),
    Error(Range<usize>),
}

impl Found {
    /// The reply in the bytes that were parsed; `None` for others.
    #[inline]
    pub(crate) fn reply(self, bytes: &[u8]) -> Option<Reply<'_>> {
        Some(match self {
            Found::Nil => Reply::Nil,
            Found::Bytes(at) => Reply::Bytes(bytes.get(at)?),
            Found::Number(number) => Reply::Number(number),
            Found::Error(at) => Reply::Error(bytes.get(at)?),
        })
    }
}

/// A reply that a direct line cannot read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Strange;

/// Appends a command of these words.
pub(crate) fn pack(packed: &mut Vec<u8>, words: &[&[u8]]) {
    /// What the lines of lengths take at most.
    const HEAD_MAX: usize = 24;
    packed.reserve(words.iter().map(|word| word.len() + HEAD_MAX + 2).sum::<usize>() + HEAD_MAX);
    head(packed, b'*', words.len());
    for word in words {
        head(packed, b'$', word.len());
        packed.extend_from_slice(word);
        packed.extend_from_slice(b"\r\n");
    }
}

/// Appends the line that says how much follows.
pub(super) fn head(packed: &mut Vec<u8>, sign: u8, mut count: usize) {
    if count < 10 {
        return packed.extend_from_slice(&[sign, b'0' + count as u8, b'\r', b'\n']);
    }
    let mut digits = [0; 20];
    let mut first = digits.len();
    while count > 0 {
        first -= 1;
        digits[first] = b'0' + (count % 10) as u8;
        count /= 10;
    }
    packed.push(sign);
    packed.extend_from_slice(&digits[first..]);
    packed.extend_from_slice(b"\r\n");
}

/// The first reply among some bytes, and how many of them it takes. `None` if it is not whole yet.
///
/// # Errors
/// [`Strange`].
#[inline]
pub(crate) fn parse(bytes: &[u8]) -> Result<Option<(Found, usize)>, Strange> {
    let Some(end) = bytes.iter().take(LINE_MAX).position(|&byte| byte == b'\r') else {
        return if bytes.len() < LINE_MAX { Ok(None) } else { Err(Strange) };
    };
    let next = end + 2;
    // A line that begins with its own end has no sign.
    let (sign, line) = bytes[..end].split_first().ok_or(Strange)?;
    match bytes.get(end + 1) {
        None => return Ok(None),
        Some(b'\n') => {}
        Some(_) => return Err(Strange),
    }
    let found = match sign {
        b'$' if line == b"-1" => Found::Nil,
        b'$' => {
            let len = usize::try_from(number(line)?).ok().filter(|len| *len <= VALUE_MAX);
            let after = next + len.ok_or(Strange)?;
            return match bytes.get(after..).and_then(|rest| rest.get(..2)) {
                Some(b"\r\n") => Ok(Some((Found::Bytes(next..after), after + 2))),
                Some(_) => Err(Strange),
                None => Ok(None),
            };
        }
        b'_' => Found::Nil,
        b'+' => Found::Bytes(1..end),
        b':' => Found::Number(number(line)?),
        b'-' => Found::Error(1..end),
        _ => return Err(Strange),
    };
    Ok(Some((found, next)))
}

/// A number in decimal digits.
fn number(digits: &[u8]) -> Result<i64, Strange> {
    // Almost all are lengths of a few digits, of which many are read.
    if digits.len() < 10 && digits.iter().all(u8::is_ascii_digit) && !digits.is_empty() {
        let add = |sum, digit: &u8| 10 * sum + i64::from(digit - b'0');
        return Ok(digits.iter().fold(0, add));
    }
    std::str::from_utf8(digits).ok().and_then(|text| text.parse().ok()).ok_or(Strange)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands() {
        let mut packed = Vec::new();
        pack(&mut packed, &[b"GET", b"a key of 14 b."]);
        pack(&mut packed, &[b"PTTL", b""]);
        let expected = "*2\r\n$3\r\nGET\r\n$14\r\na key of 14 b.\r\n*2\r\n$4\r\nPTTL\r\n$0\r\n\r\n";
        assert_eq!(String::from_utf8(packed).unwrap(), expected);
    }

    #[test]
    fn replies_in_any_pieces() {
        let all: &[(&[u8], Reply<'_>)] = &[
            (b"$-1\r\n", Reply::Nil),
            (b"_\r\n", Reply::Nil),
            (b"$0\r\n\r\n", Reply::Bytes(b"")),
            (b"$5\r\na\r\nb\n\r\n", Reply::Bytes(b"a\r\nb\n")),
            (b"+OK\r\n", Reply::Bytes(b"OK")),
            (b":-2\r\n", Reply::Number(-2)),
            (b":12345678901234\r\n", Reply::Number(12_345_678_901_234)),
            (b"-MOVED 5 h:1\r\n", Reply::Error(b"MOVED 5 h:1")),
        ];
        for (bytes, reply) in all {
            for len in 0..bytes.len() {
                assert_eq!(parse(&bytes[..len]), Ok(None), "{len} bytes of {reply:?}");
            }
            let more = [bytes, &b"$3\r\nabc\r\n"[..]].concat();
            for bytes in [bytes, &more[..]] {
                let (found, len) = parse(bytes).unwrap().unwrap();
                assert_eq!(found.reply(bytes), Some(reply.clone()));
                assert_eq!(len, more.len() - 9);
            }
        }
    }

    #[test]
    fn what_is_strange() {
        let long = [&b"+"[..], &[b'x'; LINE_MAX]].concat();
        let all: &[&[u8]] = &[
            b"*1\r\n",
            b"%1\r\n",
            b">2\r\n",
            b"\r\n",
            b"$x\r\n",
            b"$\r\n",
            b"$-2\r\n",
            b"+a\rb",
            b"$1\r\nabc",
            &long,
        ];
        for bytes in all {
            assert_eq!(parse(bytes), Err(Strange), "{}", bytes.escape_ascii());
        }
        for len in [VALUE_MAX as u64 + 1, i64::MAX as u64, u64::MAX] {
            assert_eq!(parse(format!("${len}\r\n").as_bytes()), Err(Strange));
        }
        assert_eq!(parse(format!("${VALUE_MAX}\r\n").as_bytes()), Ok(None));
    }
}
