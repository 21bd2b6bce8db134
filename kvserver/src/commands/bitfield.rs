//! Integers of any width inside values: `BITFIELD` and `BITFIELD_RO`.
//!
//! Owns: how a list of operations is read and done, and what happens to a number that does not fit.
//! Numbers are computed in 128 bits, so neither a sum nor a bound can overflow while it is compared.

use kvcore::Expiry;

use super::call::{Call, Outcome};
use super::failure::Failure;
use super::ranges;
use super::spec::{Access, Command, Flags, Group, one_key};
use crate::number;
use crate::shared::events::Classes;

/// The commands of this file.
pub const COMMANDS: &[Command] = &[
    Command::new(
        "bitfield",
        -2,
        &[Flags::WRITE, Flags::DENYOOM],
        one_key(Access::BOTH),
        Group::Bitmap,
        bitfield,
    )
    .about("3.2.0", "Reads and changes integers inside a value."),
    Command::new(
        "bitfield_ro",
        -2,
        &[Flags::READONLY, Flags::FAST],
        one_key(Access::READ),
        Group::Bitmap,
        bitfield_ro,
    )
    .about("6.0.0", "Reads integers inside a value."),
];

/// What becomes of a number that does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Overflow {
    /// Its low bits are kept.
    Wrap,
    /// The nearest number that fits is taken.
    Saturate,
    /// Nothing is done.
    Fail,
}

/// How an integer is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Kind {
    is_signed: bool,
    bits: u32,
}

impl Kind {
    /// Reads `i1` to `i64` and `u1` to `u63`.
    fn read(text: &[u8]) -> Option<Kind> {
        let (is_signed, most) = match text.first()? {
            b'i' => (true, 64),
            b'u' => (false, 63),
            _ => return None,
        };
        let bits = u32::try_from(number::integer(&text[1..])?).ok()?;
        (1..=most).contains(&bits).then_some(Kind { is_signed, bits })
    }

    fn least(self) -> i128 {
        if self.is_signed { -(1 << (self.bits - 1)) } else { 0 }
    }

    fn most(self) -> i128 {
        if self.is_signed { (1 << (self.bits - 1)) - 1 } else { (1 << self.bits) - 1 }
    }

    /// The number whose low bits these are.
    fn number_of(self, bits: u64) -> i128 {
        let value = i128::from(bits);
        if value > self.most() { value - (1 << self.bits) } else { value }
    }

    /// The low bits of a number.
    fn bits_of(self, value: i128) -> u64 {
        // What is cut off is what does not fit.
        (value & ((1 << self.bits) - 1)) as u64
    }

    /// A number as it is kept, or nothing if it does not fit and may not be changed.
    fn fit(self, value: i128, overflow: Overflow) -> Option<i128> {
        if (self.least()..=self.most()).contains(&value) {
            return Some(value);
        }
        match overflow {
            Overflow::Wrap => Some(self.number_of(self.bits_of(value))),
            Overflow::Saturate => Some(value.clamp(self.least(), self.most())),
            Overflow::Fail => None,
        }
    }
}

/// What is done with an integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Get,
    Set(i64),
    Add(i64),
}

/// One operation.
#[derive(Debug, Clone, Copy)]
struct Op {
    act: Act,
    kind: Kind,
    /// The position of its first bit.
    at: u64,
    overflow: Overflow,
}

impl Op {
    /// Behind the last byte that it touches.
    fn end(&self) -> usize {
        // Below the longest value, as `offset` has checked.
        (self.at + u64::from(self.kind.bits)).div_ceil(8) as usize
    }
}

/// The position of a bit: a number, or behind `#` a count of integers of this kind.
fn offset(call: &Call<'_, '_>, position: usize, kind: Kind) -> Result<u64, Failure> {
    let refused = Failure::fixed("ERR bit offset is not an integer or out of range");
    let text = call.arg(position);
    let (digits, scale) = match text.strip_prefix(b"#") {
        Some(digits) => (digits, u64::from(kind.bits)),
        None => (text, 1),
    };
    let offset = number::integer(digits).and_then(|offset| u64::try_from(offset).ok());
    offset
        .and_then(|offset| offset.checked_mul(scale))
        .filter(|offset| {
            let end = offset.checked_add(u64::from(kind.bits));
            end.is_some_and(|end| end.div_ceil(8) <= ranges::longest(call))
        })
        .ok_or(refused)
}

/// Reads the operations behind the key.
fn operations(call: &Call<'_, '_>) -> Result<Vec<Op>, Failure> {
    let (mut ops, mut overflow, mut at) = (Vec::new(), Overflow::Wrap, 2);
    while at < call.len() {
        let left = call.len() - at - 1;
        if call.is(at, "overflow") && left >= 1 {
            overflow = match call.arg(at + 1).to_ascii_lowercase().as_slice() {
                b"wrap" => Overflow::Wrap,
                b"sat" => Overflow::Saturate,
                b"fail" => Overflow::Fail,
                _ => return Err(Failure::fixed("ERR Invalid OVERFLOW type specified")),
            };
            at += 2;
            continue;
        }
        let words = match () {
            () if call.is(at, "get") => 2,
            () if call.is(at, "set") || call.is(at, "incrby") => 3,
            () => return Err(Failure::SYNTAX),
        };
        if left < words {
            return Err(Failure::SYNTAX);
        }
        let kind = Kind::read(call.arg(at + 1)).ok_or(Failure::fixed(
            "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.",
        ))?;
        let first = offset(call, at + 2, kind)?;
        let act = match words {
            2 => Act::Get,
            _ if call.is(at, "set") => Act::Set(call.integer(at + 3)?),
            _ => Act::Add(call.integer(at + 3)?),
        };
        ops.push(Op { act, kind, at: first, overflow });
        at += 1 + words;
    }
    Ok(ops)
}

/// The bits from a position on, the first one highest. Behind the value everything is zero.
fn bits(value: &[u8], at: u64, count: u32) -> u64 {
    (at..at + u64::from(count)).fold(0, |bits, at| {
        let byte = value.get((at / 8) as usize).copied().unwrap_or(0);
        bits << 1 | u64::from(byte >> (7 - at % 8) & 1)
    })
}

/// Writes bits into a value that is long enough.
fn put_bits(value: &mut [u8], at: u64, count: u32, bits: u64) {
    for (step, at) in (at..at + u64::from(count)).enumerate() {
        let mask = 0x80u8 >> (at % 8);
        let is_set = bits >> (count as usize - 1 - step) & 1 == 1;
        if let Some(byte) = value.get_mut((at / 8) as usize) {
            *byte = if is_set { *byte | mask } else { *byte & !mask };
        }
    }
}

/// Does one operation on a value that is long enough for it. Answers what its reply is: nothing if the
/// number did not fit.
fn apply(op: &Op, value: &mut [u8]) -> Option<i128> {
    let before = op.kind.number_of(bits(value, op.at, op.kind.bits));
    let wanted = match op.act {
        Act::Get => return Some(before),
        // An unsigned number is given by its bits, so -1 is the largest one.
        Act::Set(new) if !op.kind.is_signed => i128::from(new.cast_unsigned()),
        Act::Set(new) => i128::from(new),
        Act::Add(more) => before + i128::from(more),
    };
    let made = op.kind.fit(wanted, op.overflow)?;
    put_bits(value, op.at, op.kind.bits, op.kind.bits_of(made));
    Some(if matches!(op.act, Act::Set(_)) { before } else { made })
}

fn answer(call: &mut Call<'_, '_>, replies: &[Option<i128>]) {
    call.out.array(replies.len());
    for reply in replies {
        match reply {
            // No kind has numbers beyond 64 bits.
            Some(value) => call.out.integer(i64::try_from(*value).unwrap_or(i64::MAX)),
            None => call.out.null(),
        }
    }
}

fn read_only(call: &mut Call<'_, '_>, ops: &[Op]) -> Outcome {
    let read = |value: &[u8]| -> Vec<Option<i128>> {
        let get = |op: &Op| Some(op.kind.number_of(bits(value, op.at, op.kind.bits)));
        ops.iter().map(get).collect()
    };
    let replies = call.keys.read(call.arg(1), read)?.unwrap_or_else(|| read(&[]));
    answer(call, &replies);
    Ok(())
}

fn bitfield_ro(call: &mut Call<'_, '_>) -> Outcome {
    let ops = operations(call)?;
    if ops.iter().any(|op| op.act != Act::Get) {
        return Err(Failure::fixed("ERR BITFIELD_RO only supports the GET subcommand"));
    }
    read_only(call, &ops)
}

fn bitfield(call: &mut Call<'_, '_>) -> Outcome {
    let ops = operations(call)?;
    // Everything that may be written has its place before the first operation, as in Redis.
    let writes = ops.iter().filter(|op| op.act != Act::Get);
    let Some(length) = writes.map(Op::end).max() else { return read_only(call, &ops) };
    let key = call.arg(1);
    let (replies, is_changed) = call.keys.edit(&[key], |keys| {
        let old = keys.get(key)?.unwrap_or_default();
        let mut value = old.to_vec();
        value.resize(old.len().max(length), 0);
        let replies: Vec<Option<i128>> = ops.iter().map(|op| apply(op, &mut value)).collect();
        let is_changed = value != old;
        if is_changed {
            keys.set(key, &value, Expiry::Keep)?;
        }
        Ok((replies, is_changed))
    })?;
    if is_changed {
        call.changed_by(Classes::STRING, "setbit", key);
    }
    answer(call, &replies);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(text: &str) -> Kind {
        Kind::read(text.as_bytes()).unwrap()
    }

    #[test]
    fn kinds_are_one_to_sixty_four_bits_wide() {
        assert_eq!(kind("i64").least(), i128::from(i64::MIN));
        assert_eq!(kind("i64").most(), i128::from(i64::MAX));
        assert_eq!(kind("u63").most(), i128::from(i64::MAX));
        assert_eq!(kind("i1").least(), -1);
        for wrong in ["", "i", "i0", "i65", "u64", "x8", "i-1", "i8 "] {
            assert_eq!(Kind::read(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn a_number_that_does_not_fit_is_bent_or_refused() {
        for (name, value, wrapped, nearest) in [
            ("i8", 128, -128, 127),
            ("i8", -129, 127, -128),
            ("u8", 256, 0, 255),
            ("u8", -1, 255, 0),
            ("i64", i128::from(i64::MAX) + 1, i128::from(i64::MIN), i128::from(i64::MAX)),
        ] {
            let kind = kind(name);
            assert_eq!(kind.fit(value, Overflow::Wrap), Some(wrapped), "{name} {value}");
            assert_eq!(kind.fit(value, Overflow::Saturate), Some(nearest), "{name} {value}");
            assert_eq!(kind.fit(value, Overflow::Fail), None, "{name} {value}");
        }
    }

    #[test]
    fn bits_keep_their_neighbours() {
        let mut value = [0xff; 3];
        put_bits(&mut value, 5, 9, 0);
        assert_eq!(value, [0xf8, 0x03, 0xff]);
        assert_eq!(bits(&value, 3, 4), 0b1100);
        put_bits(&mut value, 5, 9, 0x155);
        assert_eq!(bits(&value, 5, 9), 0x155);
        assert_eq!(bits(&value, 20, 8), 0xf0);
    }
}
