//! The longest common subsequence of two values (`LCS`).

use super::call::{Call, Outcome};
use super::failure::Failure;
use super::spec::{Access, Command, Flags, Group, Keys};

const KEYS: Keys = Keys { first: 1, last: 2, step: 1, access: [Access::READ; 2] };

/// The commands of this file.
pub const COMMANDS: &[Command] =
    &[Command::new("lcs", -3, &[Flags::READONLY], KEYS, Group::String, lcs)
        .about("7.0.0", "Answers the longest common subsequence of two values.")];

/// What is answered.
#[derive(Default)]
struct Asked {
    length: bool,
    matches: bool,
    match_lengths: bool,
    shortest: usize,
}

fn asked(call: &Call<'_, '_>) -> Result<Asked, Failure> {
    let mut asked = Asked::default();
    let mut at = 3;
    while at < call.len() {
        if call.is(at, "len") {
            asked.length = true;
        } else if call.is(at, "idx") {
            asked.matches = true;
        } else if call.is(at, "withmatchlen") {
            asked.match_lengths = true;
        } else if call.is(at, "minmatchlen") && at + 1 < call.len() {
            at += 1;
            asked.shortest = usize::try_from(call.integer(at)?).unwrap_or(0);
        } else {
            return Err(Failure::SYNTAX);
        }
        at += 1;
    }
    if asked.length && asked.matches {
        return Err(Failure::fixed(
            "ERR If you want both the length and indexes, please just use IDX.",
        ));
    }
    Ok(asked)
}

/// A run of bytes that both values have, by its first and last positions in each.
#[derive(Debug, PartialEq, Eq)]
struct Match {
    a: (usize, usize),
    b: (usize, usize),
}

/// What two values have in common.
struct Common {
    bytes: Vec<u8>,
    /// The last one comes first.
    matches: Vec<Match>,
}

/// The longest lengths of what the first `i` bytes of `a` and the first `j` of `b` have in common, row by row.
fn lengths(a: &[u8], b: &[u8]) -> Vec<u32> {
    let width = b.len() + 1;
    let mut lengths = vec![0; (a.len() + 1) * width];
    for (i, &x) in a.iter().enumerate() {
        for (j, &y) in b.iter().enumerate() {
            lengths[(i + 1) * width + j + 1] = if x == y {
                lengths[i * width + j] + 1
            } else {
                lengths[i * width + j + 1].max(lengths[(i + 1) * width + j])
            };
        }
    }
    lengths
}

/// Walks back from the ends of both values.
fn common(a: &[u8], b: &[u8]) -> Common {
    let (lengths, width) = (lengths(a, b), b.len() + 1);
    let (mut i, mut j) = (a.len(), b.len());
    let (mut bytes, mut matches) = (Vec::new(), Vec::<Match>::new());
    while i > 0 && j > 0 {
        if a[i - 1] == b[j - 1] {
            bytes.push(a[i - 1]);
            match matches.last_mut() {
                Some(Match { a: (from_a, _), b: (from_b, _) }) if (*from_a, *from_b) == (i, j) => {
                    (*from_a, *from_b) = (i - 1, j - 1);
                }
                _ => matches.push(Match { a: (i - 1, i - 1), b: (j - 1, j - 1) }),
            }
            (i, j) = (i - 1, j - 1);
        } else if lengths[(i - 1) * width + j] > lengths[i * width + j - 1] {
            i -= 1;
        } else {
            j -= 1;
        }
    }
    bytes.reverse();
    Common { bytes, matches }
}

fn lcs(call: &mut Call<'_, '_>) -> Outcome {
    let asked = asked(call)?;
    let value = |position| {
        let copied = call.keys.read(call.arg(position), <[u8]>::to_vec);
        copied.map(Option::unwrap_or_default)
    };
    let (a, b) = (value(1)?, value(2)?);
    let cells = (a.len() as u64 + 1).saturating_mul(b.len() as u64 + 1);
    let longest = super::ranges::longest(call);
    if cells.saturating_mul(size_of::<u32>() as u64) > longest {
        return Err(Failure::fixed(
            "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len",
        ));
    }
    let common = common(&a, &b);
    let integer = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
    if asked.length {
        call.out.integer(integer(common.bytes.len()));
        return Ok(());
    }
    if !asked.matches {
        call.out.bulk(&common.bytes);
        return Ok(());
    }
    let length = |found: &Match| found.a.1 - found.a.0 + 1;
    let matches: Vec<&Match> =
        common.matches.iter().filter(|found| length(found) >= asked.shortest).collect();
    call.out.map(2);
    call.out.bulk(b"matches");
    call.out.array(matches.len());
    for found in matches {
        call.out.array(2 + usize::from(asked.match_lengths));
        for (from, to) in [found.a, found.b] {
            call.out.array(2);
            call.out.integer(integer(from));
            call.out.integer(integer(to));
        }
        if asked.match_lengths {
            call.out.integer(integer(length(found)));
        }
    }
    call.out.bulk(b"len");
    call.out.integer(integer(common.bytes.len()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_values_have_in_common() {
        let found = common(b"ohmytext", b"mynewtext");
        assert_eq!(found.bytes, b"mytext");
        assert_eq!(found.matches, [Match { a: (4, 7), b: (5, 8) }, Match { a: (2, 3), b: (0, 1) }]);
        assert!(common(b"", b"abc").bytes.is_empty());
        assert!(common(b"abc", b"xyz").matches.is_empty());
    }
}
