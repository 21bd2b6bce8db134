//! Splits a line that somebody typed into words.
//!
//! Owns: the quoting of inline requests and of configuration lines, as Redis has it: words are parted by
//! blanks; `"…"` takes `\n \r \t \b \a \xHH` and `\` before any other byte; `'…'` takes only `\'`; a closing
//! quote must be followed by a blank or the end.

use std::ops::Range;

/// A quote was not closed, or something stood right behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unbalanced;

/// Appends the words of `line` to `bytes`, and where each one lies there to `words`.
///
/// # Errors
/// [`Unbalanced`]; what was appended then has no meaning.
pub fn split(
    line: &[u8],
    bytes: &mut Vec<u8>,
    words: &mut Vec<Range<usize>>,
) -> Result<(), Unbalanced> {
    let mut rest = line;
    loop {
        rest = rest.trim_ascii_start();
        if rest.is_empty() {
            return Ok(());
        }
        let start = bytes.len();
        rest = word(rest, bytes)?;
        words.push(start..bytes.len());
    }
}

/// Appends the first word and returns what is behind it.
fn word<'a>(mut rest: &'a [u8], bytes: &mut Vec<u8>) -> Result<&'a [u8], Unbalanced> {
    while let Some((&byte, behind)) = rest.split_first() {
        match byte {
            b'"' => return end_of_quote(double_quoted(behind, bytes)?),
            b'\'' => return end_of_quote(single_quoted(behind, bytes)?),
            // Redis ends a word here as well.
            0 => return Ok(behind),
            _ if byte.is_ascii_whitespace() || byte == 0x0b => return Ok(behind),
            _ => bytes.push(byte),
        }
        rest = behind;
    }
    Ok(rest)
}

fn end_of_quote(rest: &[u8]) -> Result<&[u8], Unbalanced> {
    match rest.first() {
        None => Ok(rest),
        Some(byte) if byte.is_ascii_whitespace() => Ok(rest),
        Some(_) => Err(Unbalanced),
    }
}

fn double_quoted<'a>(mut rest: &'a [u8], bytes: &mut Vec<u8>) -> Result<&'a [u8], Unbalanced> {
    loop {
        match rest {
            [b'"', behind @ ..] => return Ok(behind),
            [b'\\', b'x', high, low, behind @ ..]
                if hex(*high).is_some() && hex(*low).is_some() =>
            {
                bytes.push(hex(*high).unwrap_or(0) << 4 | hex(*low).unwrap_or(0));
                rest = behind;
            }
            [b'\\', escaped, behind @ ..] => {
                bytes.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 0x08,
                    b'a' => 0x07,
                    other => *other,
                });
                rest = behind;
            }
            [byte, behind @ ..] => {
                bytes.push(*byte);
                rest = behind;
            }
            [] => return Err(Unbalanced),
        }
    }
}

fn single_quoted<'a>(mut rest: &'a [u8], bytes: &mut Vec<u8>) -> Result<&'a [u8], Unbalanced> {
    loop {
        match rest {
            [b'\'', behind @ ..] => return Ok(behind),
            [b'\\', b'\'', behind @ ..] => {
                bytes.push(b'\'');
                rest = behind;
            }
            [byte, behind @ ..] => {
                bytes.push(*byte);
                rest = behind;
            }
            [] => return Err(Unbalanced),
        }
    }
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words_of(line: &[u8]) -> Result<Vec<Vec<u8>>, Unbalanced> {
        let (mut bytes, mut words) = (Vec::new(), Vec::new());
        split(line, &mut bytes, &mut words)?;
        Ok(words.into_iter().map(|range| bytes[range].to_vec()).collect())
    }

    #[test]
    fn blanks_part_words() {
        assert_eq!(
            words_of(b"  a\tbc  d "),
            Ok(vec![b"a".to_vec(), b"bc".to_vec(), b"d".to_vec()])
        );
        assert_eq!(words_of(b"   "), Ok(vec![]));
        assert_eq!(words_of(b""), Ok(vec![]));
    }

    #[test]
    fn quotes_keep_blanks_and_take_escapes() {
        let line = br#"SET "a b" 'c \' d' "\x00\xfF\n\"\q" "" '\n'"#;
        let expected: [&[u8]; 6] = [b"SET", b"a b", b"c ' d", b"\x00\xff\n\"q", b"", br"\n"];
        assert_eq!(words_of(line).map(|words| words.len()), Ok(6));
        assert_eq!(words_of(line), Ok(expected.map(<[u8]>::to_vec).to_vec()));
    }

    #[test]
    fn quotes_that_do_not_close_are_refused() {
        for line in [&b"\"a"[..], b"'a", b"\"a\"b", b"'a'b", b"\"a\\\"", b"a \""] {
            assert_eq!(words_of(line), Err(Unbalanced), "{line:?}");
        }
    }
}
