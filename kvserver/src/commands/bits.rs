//! Values as rows of bits. The first bit is the highest one of the first byte.

use kvcore::Expiry;

use super::call::{Call, Outcome};
use super::failure::Failure;
use super::ranges;
use super::spec::{Access, Command, Flags, Group, Keys, one_key};
use crate::shared::events::Classes;

/// The keys of `BITOP`: where the result goes, and what it is made of.
const BITOP: Keys = Keys { first: 2, last: -1, step: 1, access: [Access::WRITE, Access::READ] };

/// The commands of this file.
pub const COMMANDS: &[Command] = &[
    Command::new(
        "setbit",
        4,
        &[Flags::WRITE, Flags::DENYOOM],
        one_key(Access::BOTH),
        Group::Bitmap,
        setbit,
    )
    .about("2.2.0", "Sets a bit and answers what it was."),
    Command::new(
        "getbit",
        3,
        &[Flags::READONLY, Flags::FAST],
        one_key(Access::READ),
        Group::Bitmap,
        getbit,
    )
    .about("2.2.0", "Answers a bit."),
    Command::new(
        "bitcount",
        -2,
        &[Flags::READONLY],
        one_key(Access::READ),
        Group::Bitmap,
        bitcount,
    )
    .about("2.6.0", "Counts the bits that are set."),
    Command::new("bitpos", -3, &[Flags::READONLY], one_key(Access::READ), Group::Bitmap, bitpos)
        .about("2.8.7", "Answers where the first bit of a kind is."),
    Command::new("bitop", -4, &[Flags::WRITE, Flags::DENYOOM], BITOP, Group::Bitmap, bitop)
        .about("2.6.0", "Combines values bit by bit."),
];

/// The position of a bit, whose byte has to fit a value.
pub fn offset(call: &Call<'_, '_>, position: usize) -> Result<u64, Failure> {
    let refused = Failure::fixed("ERR bit offset is not an integer or out of range");
    let offset = call.integer(position).ok().and_then(|offset| u64::try_from(offset).ok());
    offset.filter(|offset| offset / 8 < ranges::longest(call)).ok_or(refused)
}

fn setbit(call: &mut Call<'_, '_>) -> Outcome {
    let (key, offset) = (call.arg(1), offset(call, 2)?);
    let refused = Failure::fixed("ERR bit is not an integer or out of range");
    let bit = call.integer(3).ok().filter(|bit| matches!(bit, 0 | 1)).ok_or(refused)? == 1;
    // Below the longest value, as `offset` has checked.
    let (at, mask) = ((offset / 8) as usize, 0x80u8 >> (offset % 8));
    let (before, is_changed) = call.keys.edit(&[key], |keys| {
        let old = keys.get(key)?.unwrap_or_default();
        let before = old.get(at).is_some_and(|byte| byte & mask != 0);
        if old.len() > at && before == bit {
            return Ok((before, false));
        }
        let mut value = old.to_vec();
        value.resize(old.len().max(at + 1), 0);
        if bit {
            value[at] |= mask;
        } else {
            value[at] &= !mask;
        }
        keys.set(key, &value, Expiry::Keep)?;
        Ok((before, true))
    })?;
    if is_changed {
        call.changed_by(Classes::STRING, "setbit", key);
    }
    call.out.integer(i64::from(before));
    Ok(())
}

fn getbit(call: &mut Call<'_, '_>) -> Outcome {
    let offset = offset(call, 2)?;
    let (at, mask) = ((offset / 8) as usize, 0x80u8 >> (offset % 8));
    let bit =
        call.keys.read(call.arg(1), |value| value.get(at).is_some_and(|byte| byte & mask != 0))?;
    call.out.integer(i64::from(bit.unwrap_or(false)));
    Ok(())
}

/// A part of a value in bits: from the first to behind the last.
fn bit_range(start: i64, end: i64, length: usize, in_bits: bool) -> std::ops::Range<usize> {
    let scale = if in_bits { 1 } else { 8 };
    let part = ranges::range(start, end, length * 8 / scale);
    part.start * scale..part.end * scale
}

/// Whether the unit at a position is bits.
fn in_bits(call: &Call<'_, '_>, position: usize) -> Result<bool, Failure> {
    match () {
        () if call.len() <= position || call.is(position, "byte") => Ok(false),
        () if call.is(position, "bit") => Ok(true),
        () => Err(Failure::SYNTAX),
    }
}

/// How many bits of a part are set.
fn count(value: &[u8], part: std::ops::Range<usize>) -> u64 {
    if part.is_empty() {
        return 0;
    }
    let (first, last) = (part.start / 8, (part.end - 1) / 8);
    let head = 0xffu8 >> (part.start % 8);
    let tail = 0xffu8 << (7 - (part.end - 1) % 8);
    if first == last {
        return u64::from((value[first] & head & tail).count_ones());
    }
    let whole: u64 = value[first + 1..last].iter().map(|byte| u64::from(byte.count_ones())).sum();
    whole
        + u64::from((value[first] & head).count_ones())
        + u64::from((value[last] & tail).count_ones())
}

fn bitcount(call: &mut Call<'_, '_>) -> Outcome {
    let (start, end, in_bits) = match call.len() {
        2 => (0, -1, false),
        4 | 5 => (call.integer(2)?, call.integer(3)?, in_bits(call, 4)?),
        _ => return Err(Failure::SYNTAX),
    };
    let counted = call
        .keys
        .read(call.arg(1), |value| count(value, bit_range(start, end, value.len(), in_bits)))?;
    call.out.integer(counted.unwrap_or(0).cast_signed());
    Ok(())
}

/// The first bit of a kind in a part.
fn position(value: &[u8], bit: bool, part: std::ops::Range<usize>) -> Option<usize> {
    let mut at = part.start;
    // Bytes that have no such bit.
    let skipped = if bit { 0x00 } else { 0xff };
    while at < part.end {
        let byte = value[at / 8];
        if at.is_multiple_of(8) && byte == skipped {
            at += 8;
            continue;
        }
        if (byte & 0x80 >> (at % 8) != 0) == bit {
            return Some(at);
        }
        at += 1;
    }
    None
}

fn bitpos(call: &mut Call<'_, '_>) -> Outcome {
    let refused = Failure::fixed("ERR The bit argument must be 1 or 0.");
    let bit = match call.integer(2)? {
        0 => false,
        1 => true,
        _ => return Err(refused),
    };
    if call.len() > 6 {
        return Err(Failure::SYNTAX);
    }
    let start = if call.len() > 3 { call.integer(3)? } else { 0 };
    let has_end = call.len() > 4;
    let end = if has_end { call.integer(4)? } else { -1 };
    let in_bits = in_bits(call, 5)?;
    let found = call.keys.read(call.arg(1), |value| {
        let part = bit_range(start, end, value.len(), in_bits);
        let is_empty = part.is_empty();
        match position(value, bit, part) {
            Some(at) => i64::try_from(at).unwrap_or(i64::MAX),
            // Behind the value everything is zero, unless an end was named.
            None if !bit && !has_end && !is_empty => {
                i64::try_from(value.len() * 8).unwrap_or(i64::MAX)
            }
            None => -1,
        }
    })?;
    // An absent key is all zeros.
    call.out.integer(found.unwrap_or(if bit { -1 } else { 0 }));
    Ok(())
}

fn bitop(call: &mut Call<'_, '_>) -> Outcome {
    let combine: fn(u8, u8) -> u8 = match call.arg(1).to_ascii_lowercase().as_slice() {
        b"and" => |a, b| a & b,
        b"or" => |a, b| a | b,
        b"xor" => |a, b| a ^ b,
        b"not" if call.len() == 4 => |a, _| !a,
        b"not" => {
            return Err(Failure::fixed("ERR BITOP NOT must be called with a single source key."));
        }
        _ => return Err(Failure::SYNTAX),
    };
    let is_not = call.is(1, "not");
    let to = call.arg(2);
    let keys: Vec<&[u8]> = call.args_from(2).collect();
    let (length, was_there) = call.keys.edit(&keys, |held| {
        let values: Vec<Vec<u8>> = keys[1..]
            .iter()
            .map(|key| held.get(key).map(|value| value.unwrap_or_default().to_vec()))
            .collect::<Result<_, _>>()?;
        let length = values.iter().map(Vec::len).max().unwrap_or(0);
        let mut result = values.first().cloned().unwrap_or_default();
        result.resize(length, 0);
        if is_not {
            result.iter_mut().for_each(|byte| *byte = combine(*byte, 0));
        }
        for value in &values[1..] {
            for (at, byte) in result.iter_mut().enumerate() {
                *byte = combine(*byte, value.get(at).copied().unwrap_or(0));
            }
        }
        let was_there = held.get(to)?.is_some();
        if length > 0 {
            held.set(to, &result, Expiry::Never)?;
        } else if was_there {
            held.del(to)?;
        }
        Ok((length, was_there))
    })?;
    if length > 0 {
        call.changed_by(Classes::STRING, "set", to);
    } else if was_there {
        call.changed_by(Classes::GENERIC, "del", to);
    }
    call.out.integer(i64::try_from(length).unwrap_or(i64::MAX));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_counted_from_either_end() {
        let value = b"foobar";
        assert_eq!(count(value, bit_range(0, -1, 6, false)), 26);
        assert_eq!(count(value, bit_range(0, 0, 6, false)), 4);
        assert_eq!(count(value, bit_range(1, 1, 6, false)), 6);
        assert_eq!(count(value, bit_range(5, 30, 6, true)), 17);
        assert_eq!(count(value, bit_range(2, 1, 6, false)), 0);
        assert_eq!(count(b"", bit_range(0, -1, 0, false)), 0);
    }

    #[test]
    fn the_first_bit_of_a_kind() {
        assert_eq!(position(&[0xff, 0xf0, 0], false, 0..24), Some(12));
        assert_eq!(position(&[0, 0xff, 0xf0], true, 0..24), Some(8));
        assert_eq!(position(&[0, 0, 0], true, 0..24), None);
        assert_eq!(position(&[0xff, 0xff], false, 3..16), None);
    }
}
