//! Numbers as the Redis protocol writes them.
//!
//! Owns: what is an integer and what is a floating-point number in a request, and how one is written in a
//! value. Redis takes only the one way in which it would itself write an integer: no plus sign, no
//! leading zeros, no blanks, no minus zero. Clients rely on the refusals.

/// Reads an integer. `None` if the text is not exactly how that integer is written.
pub fn integer(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    match digits {
        [b'0'] if !negative => return Some(0),
        [b'1'..=b'9', ..] if digits.len() <= 19 => {}
        _ => return None,
    }
    let mut value: u64 = 0;
    for &digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
    }
    if negative { 0i64.checked_sub_unsigned(value) } else { i64::try_from(value).ok() }
}

/// Reads a floating-point number. `None` for blanks around it, and for what is not a number (`nan`).
pub fn float(text: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(text).ok()?;
    let value: f64 = text.parse().ok()?;
    (!value.is_nan()).then_some(value)
}

/// Writes a floating-point number as `INCRBYFLOAT` keeps it: 17 digits behind the point, without trailing
/// zeros and never with an exponent.
pub fn float_text(value: f64) -> String {
    let mut text = format!("{value:.17}");
    if text.contains('.') {
        text.truncate(text.trim_end_matches('0').trim_end_matches('.').len());
    }
    if text == "-0" { "0".to_owned() } else { text }
}

/// Digits behind the point that sums are kept with.
const DIGITS: u32 = 17;
const SCALE: i128 = 10i128.pow(DIGITS);

/// Adds two floating-point numbers and writes the sum as `INCRBYFLOAT` keeps it. `None` if it is infinite, or
/// one of the texts is no number.
///
/// Redis adds in 80 bits, so that 0.1 and 0.2 are 0.3. Here decimals are added as decimals, which is exact;
/// numbers too large or too fine for that are added in 64 bits.
pub fn sum_of_floats(a: &[u8], b: &[u8]) -> Option<String> {
    if let (Some(a), Some(b)) = (decimal(a), decimal(b))
        && let Some(sum) = a.checked_add(b)
    {
        let (whole, rest) = ((sum / SCALE).unsigned_abs(), (sum % SCALE).unsigned_abs());
        let sign = if sum < 0 { "-" } else { "" };
        let text = format!("{sign}{whole}.{rest:017}");
        return Some(text.trim_end_matches('0').trim_end_matches('.').to_owned());
    }
    let sum = float(a)? + float(b)?;
    sum.is_finite().then(|| float_text(sum))
}

/// A decimal number in units of the last digit that is kept. `None` if it has an exponent, or more digits.
fn decimal(text: &[u8]) -> Option<i128> {
    let (negative, text) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] | rest => (false, rest),
    };
    let point = text.iter().position(|byte| *byte == b'.').unwrap_or(text.len());
    let behind = text.get(point + 1..).unwrap_or_default();
    if text.len() > 40 || behind.len() > DIGITS as usize {
        return None;
    }
    let mut value: i128 = 0;
    for &digit in text[..point].iter().chain(behind) {
        if !digit.is_ascii_digit() {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(i128::from(digit - b'0'))?;
    }
    let missing = DIGITS - u32::try_from(behind.len()).ok()?;
    let value = value.checked_mul(10i128.pow(missing))?;
    Some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_read_in_the_one_way_they_are_written() {
        for value in [0, 1, -1, 42, i64::MAX, i64::MIN] {
            assert_eq!(integer(value.to_string().as_bytes()), Some(value));
        }
        let refused = [
            "",
            "-",
            "+1",
            "01",
            "-0",
            "-01",
            " 1",
            "1 ",
            "1a",
            "9223372036854775808",
            "1e3",
            "0x1",
        ];
        for text in refused {
            assert_eq!(integer(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(integer(b"-9223372036854775809"), None);
        assert_eq!(integer(b"99999999999999999999999"), None);
    }

    #[test]
    fn floats_are_written_without_an_exponent() {
        assert_eq!(float_text(3.0), "3");
        assert_eq!(float_text(10.5), "10.5");
        assert_eq!(float_text(-0.0), "0");
        assert_eq!(float_text(1e15), "1000000000000000");
        assert_eq!(float_text(0.25), "0.25");
    }

    #[test]
    fn floats_are_read() {
        assert_eq!(float(b"1.5"), Some(1.5));
        assert_eq!(float(b"-5e3"), Some(-5000.0));
        assert_eq!(float(b"inf"), Some(f64::INFINITY));
        for text in ["", " 1", "1 ", "nan", "x"] {
            assert_eq!(float(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn sums_of_decimals_are_exact() {
        for (a, b, sum) in [
            ("0.1", "0.2", "0.3"),
            ("1", "-1.1", "-0.1"),
            ("1.5", "1.5", "3"),
            ("17179869184", "1.5", "17179869185.5"),
            ("3.0e3", "200", "3200"),
            ("-0.5", "0.5", "0"),
            ("1.23", "-1.23", "0"),
            ("5.0", "5.0e1", "55"),
        ] {
            assert_eq!(sum_of_floats(a.as_bytes(), b.as_bytes()).as_deref(), Some(sum), "{a} {b}");
        }
        assert_eq!(sum_of_floats(b"1e308", b"1e308"), None);
        assert_eq!(sum_of_floats(b"1", b"inf"), None);
        assert_eq!(sum_of_floats(b"1", b"x"), None);
    }
}
