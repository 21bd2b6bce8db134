//! Patterns of keys and channels.
//!
//! Owns: the glob of Redis: `*`, `?`, `[abc]`, `[^a]`, `[a-z]`, and `\\` before a byte that stands for itself.
//! Invariant: the time is bounded by the product of the lengths, whatever the pattern: only the last `*`
//! is ever gone back to, which is enough, since an earlier one can take no more than the last could.

/// Stars, each of which takes something of its own, that a pattern may need. With more it describes nothing,
/// as in Valkey.
const STARS_MAX: usize = 1000;

/// Whether `text` is what `pattern` describes.
pub fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t, mut stars) = (0, 0, 0);
    // Where to go on if what follows the last star does not fit: the star, and what it has taken.
    let mut star: Option<(usize, usize)> = None;
    loop {
        if let Some(b'*') = pattern.get(p) {
            // Several in a row are one.
            stars += usize::from(!matches!(star, Some((behind, _)) if behind == p));
            if stars > STARS_MAX {
                return false;
            }
            p += 1;
            star = Some((p, t));
            continue;
        }
        if t == text.len() {
            if p == pattern.len() {
                return true;
            }
        } else if let Some(next) = one(&pattern[p..], text[t]) {
            p += next;
            t += 1;
            continue;
        }
        match &mut star {
            Some((behind, taken)) if *taken < text.len() => {
                *taken += 1;
                (p, t) = (*behind, *taken);
            }
            _ => return false,
        }
    }
}

/// What every text begins with that a pattern describes: the pattern up to its first special character.
pub fn literal_prefix(pattern: &[u8]) -> Vec<u8> {
    let (mut prefix, mut rest) = (Vec::new(), pattern);
    loop {
        rest = match rest {
            [] | [b'*' | b'?' | b'[', ..] => return prefix,
            [b'\\', escaped, rest @ ..] => {
                prefix.push(*escaped);
                rest
            }
            [literal, rest @ ..] => {
                prefix.push(*literal);
                rest
            }
        };
    }
}

/// Whether the first element of a pattern describes a byte. Returns the length of the element.
fn one(pattern: &[u8], byte: u8) -> Option<usize> {
    match pattern {
        [] => None,
        [b'?', ..] => Some(1),
        [b'[', rest @ ..] => {
            let (fits, length) = class(rest, byte);
            fits.then_some(1 + length)
        }
        [b'\\', escaped, ..] => (*escaped == byte).then_some(2),
        [literal, ..] => (*literal == byte).then_some(1),
    }
}

/// Whether a class, behind its `[`, has a byte, and its length with the `]`. Without a `]` it goes to the end.
fn class(pattern: &[u8], byte: u8) -> (bool, usize) {
    let (negated, mut at) = match pattern.first() {
        Some(b'^') => (true, 1),
        _ => (false, 0),
    };
    let mut found = false;
    loop {
        match &pattern[at..] {
            [b'\\', escaped, _, ..] => {
                found |= *escaped == byte;
                at += 2;
            }
            [b']', ..] => return (found != negated, at + 1),
            [] => return (found != negated, at),
            [from, b'-', to, ..] => {
                found |= (*from.min(to)..=*from.max(to)).contains(&byte);
                at += 3;
            }
            [literal, ..] => {
                found |= *literal == byte;
                at += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fits(pattern: &str, text: &str) -> bool {
        matches(pattern.as_bytes(), text.as_bytes())
    }

    #[test]
    fn patterns_of_redis() {
        assert!(fits(&"*?".repeat(STARS_MAX), &"a".repeat(STARS_MAX)));
        assert!(!fits(&"*?".repeat(STARS_MAX + 1), &"a".repeat(STARS_MAX + 1)));
        assert!(fits(&"*".repeat(2 * STARS_MAX), "a"));
        for (pattern, text) in [
            ("", ""),
            ("*", ""),
            ("*", "abc"),
            ("a*c", "abbc"),
            ("a*c", "ac"),
            ("h?llo", "hello"),
            ("h[ae]llo", "hallo"),
            ("h[^e]llo", "hallo"),
            ("h[a-b]llo", "hbllo"),
            ("[z-a]", "m"),
            ("\\*", "*"),
            ("a\\[b", "a[b"),
            ("[\\]]", "]"),
            ("**a**", "xax"),
            ("*foo*bar*", "afoobbarc"),
            ("[abc", "a"),
            ("*[ab]", "xb"),
            ("a?*", "ab"),
        ] {
            assert!(fits(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("", "a"),
            ("?", ""),
            ("a", ""),
            ("a", "ab"),
            ("h[^e]llo", "hello"),
            ("[a-b]", "c"),
            ("\\*", "a"),
            ("*a", "b"),
            ("a*c", "acb"),
            ("[^a-c]", "b"),
        ] {
            assert!(!fits(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn many_stars_do_not_take_for_ever() {
        let pattern = "a*".repeat(200) + "b";
        assert!(!fits(&pattern, &"a".repeat(20_000)));
    }

    /// The definition, in exponential time.
    fn slow(pattern: &[u8], text: &[u8]) -> bool {
        match pattern {
            [] => text.is_empty(),
            [b'*', rest @ ..] => (0..=text.len()).any(|taken| slow(rest, &text[taken..])),
            _ => text.split_first().is_some_and(|(byte, behind)| {
                one(pattern, *byte).is_some_and(|n| slow(&pattern[n..], behind))
            }),
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(pattern in "[ab*?\\[\\]^-]{0,8}", text in "[ab]{0,8}") {
            prop_assert_eq!(fits(&pattern, &text), slow(pattern.as_bytes(), text.as_bytes()));
        }
    }

    #[test]
    fn the_prefix_is_what_no_special_character_stands_for() {
        for (pattern, prefix) in [
            (&b""[..], &b""[..]),
            (b"app:*", b"app:"),
            (b"*:app", b""),
            (b"a?b", b"a"),
            (b"a[b]", b"a"),
            (b"a\\*b*", b"a*b"),
            (b"a\\", b"a\\"),
            (b"exact", b"exact"),
        ] {
            assert_eq!(literal_prefix(pattern), prefix);
            assert!(!matches(pattern, b"exact") || b"exact".starts_with(prefix));
        }
    }
}
