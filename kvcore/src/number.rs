//! Integers as decimal text, with Redis's rules: an optional minus sign and digits, no plus sign,
//! no leading zeros, no blanks, no «-0».

/// The longest decimal text of an `i64`.
const LONGEST: usize = 20;

/// Reads a number, or `None` if the text is not exactly what [`Text::of`] would write for it.
pub(crate) fn parse(text: &[u8]) -> Option<i64> {
    if text.is_empty() || text.len() > LONGEST {
        return None;
    }
    let number: i64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    (Text::of(number).as_bytes() == text).then_some(number)
}

/// The decimal text of a number, on the stack.
pub(crate) struct Text {
    bytes: [u8; LONGEST],
    start: usize,
}

impl Text {
    pub(crate) fn of(number: i64) -> Text {
        let mut bytes = [0; LONGEST];
        let mut start = LONGEST;
        let mut rest = number.unsigned_abs();
        loop {
            start -= 1;
            bytes[start] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        if number < 0 {
            start -= 1;
            bytes[start] = b'-';
        }
        Text { bytes, start }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[self.start..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips() {
        for number in [0, 1, -1, 9, 10, -10, 12_345, i64::MAX, i64::MIN, i64::MIN + 1] {
            let text = Text::of(number);
            assert_eq!(text.as_bytes(), number.to_string().as_bytes());
            assert_eq!(parse(text.as_bytes()), Some(number));
        }
    }

    #[test]
    fn only_the_one_form() {
        let bad: [&[u8]; 12] = [
            b"",
            b" 1",
            b"1 ",
            b"+1",
            b"01",
            b"-0",
            b"--1",
            b"1.0",
            b"0x1",
            b"\xff",
            b"9223372036854775808",
            b"-9223372036854775809",
        ];
        for text in bad {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
