//! Reads the text of option values: sizes, durations, shares.
//!
//! Pure functions from text to numbers; `None` is «does not fit», and the caller words the error.

/// Milliseconds of `250ms`, `1s`, `5m`, `6h`, `1d`, or `0`; `None` for what is no duration. A bare
/// number other than zero is none, because its unit would be a guess.
pub fn duration_ms(text: &str) -> Option<u64> {
    let (number, unit) = split_unit(text)?;
    let factor = match unit {
        "" if number == "0" => 1,
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

/// Bytes of `64MiB`, `1GB`, `512B` or a bare number; `None` for what is no size. Units are read without
/// regard to case; `KiB` is 1024 and `KB` is 1000.
pub fn bytes(text: &str) -> Option<u64> {
    let (number, unit) = split_unit(text)?;
    let factor: u64 = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        "tib" => 1 << 40,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

/// Parts per million of `10%`, `2.5%` or `0`, up to `100%`.
pub(crate) fn share_ppm(text: &str) -> Option<u32> {
    if text == "0" {
        return Some(0);
    }
    let number = text.strip_suffix('%')?;
    if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return None;
    }
    let percent: f64 = number.parse().ok()?;
    (0.0..=100.0).contains(&percent).then(|| (percent * 10_000.0).round() as u32)
}

/// The truth that `true`, `on`, `yes`, `1` and their opposites say; `None` for any other text.
pub fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "on" | "yes" | "1" => Some(true),
        "false" | "off" | "no" | "0" => Some(false),
        _ => None,
    }
}

/// A decimal number without sign or unit.
pub(crate) fn count(text: &str) -> Option<u64> {
    let (number, unit) = split_unit(text)?;
    if unit.is_empty() { number.parse().ok() } else { None }
}

/// Splits digits from the unit behind them; there must be digits.
fn split_unit(text: &str) -> Option<(&str, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    (digits > 0).then(|| text.split_at(digits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let good = [("0", 0), ("250ms", 250), ("1s", 1000), ("5m", 300_000), ("6h", 21_600_000)];
        for (text, ms) in good {
            assert_eq!(duration_ms(text), Some(ms), "{text}");
        }
        for text in ["", "5", "s", "-1s", "1 s", "1.5s", "99999999999999999999s", "1w"] {
            assert_eq!(duration_ms(text), None, "{text}");
        }
    }

    #[test]
    fn sizes() {
        let good =
            [("0", 0), ("64MiB", 64 << 20), ("1GB", 1_000_000_000), ("7", 7), ("2kib", 2048)];
        for (text, size) in good {
            assert_eq!(bytes(text), Some(size), "{text}");
        }
        for text in ["", "MiB", "1XB", "-1", "18446744073709551615GiB", "25%"] {
            assert_eq!(bytes(text), None, "{text}");
        }
    }

    #[test]
    fn shares() {
        assert_eq!(share_ppm("0"), Some(0));
        assert_eq!(share_ppm("10%"), Some(100_000));
        assert_eq!(share_ppm("2.5%"), Some(25_000));
        assert_eq!(share_ppm("100%"), Some(1_000_000));
        for text in ["", "%", "10", "101%", "-1%", "NaN%", "inf%", "1e1%"] {
            assert_eq!(share_ppm(text), None, "{text}");
        }
    }
}
