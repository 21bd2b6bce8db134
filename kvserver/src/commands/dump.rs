//! Values as Redis writes them to be moved elsewhere: `DUMP` and `RESTORE`.
//!
//! Owns: the serialized form of a string: a type, the string with its length before it, the version of the
//! format, and a CRC-64 of all that. What Redis wrote is read in every form that it has for strings: plain, as
//! an integer, compressed.

use std::sync::LazyLock;

use kvcore::Expiry;

use super::call::{Call, Outcome};
use super::failure::Failure;
use super::spec::{Access, Command, Flags, Group, one_key};
use crate::shared::events::Classes;

/// The commands of this file.
pub const COMMANDS: &[Command] = &[
    Command::new("dump", 2, &[Flags::READONLY], one_key(Access::READ), Group::Generic, dump)
        .about("2.6.0", "Answers a value as RESTORE takes it."),
    Command::new(
        "restore",
        -4,
        &[Flags::WRITE, Flags::DENYOOM],
        one_key(Access::WRITE),
        Group::Generic,
        restore,
    )
    .about("2.6.0", "Sets a value that DUMP answered."),
];

/// The newest version of the format that is written and read.
const VERSION: u16 = 11;
/// Version and checksum.
const FOOTER: usize = 2 + 8;
/// The type of a string.
const STRING: u8 = 0;

/// The CRC-64 of Jones, by bytes.
static CRC_TABLE: LazyLock<[u64; 256]> = LazyLock::new(|| {
    const POLYNOMIAL: u64 = 0x95ac_9329_ac4b_c9b5;
    let mut table = [0; 256];
    for (byte, entry) in (0u64..).zip(&mut table) {
        *entry =
            (0..8).fold(byte, |crc, _| if crc & 1 == 1 { crc >> 1 ^ POLYNOMIAL } else { crc >> 1 });
    }
    table
});

fn crc(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |crc, byte| CRC_TABLE[usize::from(crc as u8 ^ byte)] ^ crc >> 8)
}

/// A value as `DUMP` answers it.
fn serialized(value: &[u8]) -> Vec<u8> {
    let mut bytes = vec![STRING];
    match value.len() {
        // Lengths take 6, 14 or 32 bits, as the first two bits say.
        length @ ..64 => bytes.push(length as u8),
        length @ ..16384 => bytes.extend(((1 << 14) | length as u16).to_be_bytes()),
        length => {
            bytes.push(0x80);
            // Values are shorter than 4 GiB.
            bytes.extend(u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
        }
    }
    bytes.extend_from_slice(value);
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend(crc(&bytes).to_le_bytes());
    bytes
}

/// What the first bits of a string say.
enum Form {
    Plain(usize),
    Integer(usize),
    Compressed,
}

/// Reads the head of a string.
fn form(bytes: &mut &[u8]) -> Option<Form> {
    let first = take(bytes, 1)?[0];
    let low = usize::from(first & 0x3f);
    Some(match (first >> 6, first) {
        (0, _) => Form::Plain(low),
        (1, _) => Form::Plain(low << 8 | usize::from(take(bytes, 1)?[0])),
        (2, 0x80) => Form::Plain(u32::from_be_bytes(take(bytes, 4)?.try_into().ok()?) as usize),
        (2, 0x81) => {
            Form::Plain(usize::try_from(u64::from_be_bytes(take(bytes, 8)?.try_into().ok()?)).ok()?)
        }
        (3, _) if low < 3 => Form::Integer(1 << low),
        (3, _) if low == 3 => Form::Compressed,
        _ => return None,
    })
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(taken)
}

/// Reads a plain length.
fn length(bytes: &mut &[u8]) -> Option<usize> {
    match form(bytes)? {
        Form::Plain(length) => Some(length),
        _ => None,
    }
}

/// Reads a string that has to fill `bytes`.
fn string(mut bytes: &[u8], longest: u64) -> Option<Vec<u8>> {
    let value = match form(&mut bytes)? {
        Form::Plain(length) => take(&mut bytes, length)?.to_vec(),
        Form::Integer(width) => {
            let digits = take(&mut bytes, width)?;
            let number = match *digits {
                [a] => i32::from(a.cast_signed()),
                [a, b] => i32::from(i16::from_le_bytes([a, b])),
                [a, b, c, d] => i32::from_le_bytes([a, b, c, d]),
                _ => return None,
            };
            number.to_string().into_bytes()
        }
        Form::Compressed => {
            let (packed, plain) = (length(&mut bytes)?, length(&mut bytes)?);
            if plain as u64 > longest {
                return None;
            }
            unpack(take(&mut bytes, packed)?, plain)?
        }
    };
    bytes.is_empty().then_some(value)
}

/// Unpacks what LZF has packed. `None` unless it has this length.
fn unpack(mut packed: &[u8], length: usize) -> Option<Vec<u8>> {
    let mut plain = Vec::new();
    while let Some((&control, rest)) = packed.split_first() {
        packed = rest;
        if control < 32 {
            plain.extend_from_slice(take(&mut packed, usize::from(control) + 1)?);
        } else {
            let mut count = usize::from(control >> 5);
            if count == 7 {
                count += usize::from(take(&mut packed, 1)?[0]);
            }
            let back = usize::from(control & 31) << 8 | usize::from(take(&mut packed, 1)?[0]);
            let from = plain.len().checked_sub(back + 1)?;
            // It may reach into what it writes itself.
            for at in from..from + count + 2 {
                plain.push(plain[at]);
            }
        }
        if plain.len() > length {
            return None;
        }
    }
    (plain.len() == length).then_some(plain)
}

/// Reads what `DUMP` answered.
fn deserialized(bytes: &[u8], longest: u64) -> Result<Vec<u8>, Failure> {
    let damaged = Failure::fixed("ERR DUMP payload version or checksum are wrong");
    let at = bytes.len().checked_sub(FOOTER).ok_or(damaged.clone())?;
    let (content, footer) = bytes.split_at(at);
    let version = u16::from_le_bytes([footer[0], footer[1]]);
    let wanted = footer[2..].iter().rev().fold(0, |all, byte| all << 8 | u64::from(*byte));
    // A checksum of zero says that there is none.
    if version > VERSION || (wanted != 0 && crc(&bytes[..at + 2]) != wanted) {
        return Err(damaged);
    }
    match content {
        [STRING, rest @ ..] => string(rest, longest),
        _ => None,
    }
    .ok_or(Failure::fixed("ERR Bad data format"))
}

fn dump(call: &mut Call<'_, '_>) -> Outcome {
    let bytes = call.keys.read(call.arg(1), serialized)?;
    call.out.bulk_or_null(bytes.as_deref());
    Ok(())
}

fn restore(call: &mut Call<'_, '_>) -> Outcome {
    let (mut replaces, mut is_absolute) = (false, false);
    let mut at = 4;
    while at < call.len() {
        let has_more = at + 1 < call.len();
        if call.is(at, "replace") {
            replaces = true;
        } else if call.is(at, "absttl") {
            is_absolute = true;
        } else if call.is(at, "idletime") && has_more {
            at += 1;
            if call.integer(at)? < 0 {
                return Err(Failure::fixed("ERR Invalid IDLETIME value, must be >= 0"));
            }
        } else if call.is(at, "freq") && has_more {
            at += 1;
            if !(0..=255).contains(&call.integer(at)?) {
                return Err(Failure::fixed("ERR Invalid FREQ value, must be >= 0 and <= 255"));
            }
        } else {
            return Err(Failure::SYNTAX);
        }
        at += 1;
    }
    let key = call.arg(1);
    let busy = Failure::fixed("BUSYKEY Target key name already exists.");
    if !replaces && call.keys.exists(key)? {
        return Err(busy);
    }
    let ttl_ms = call.integer(2)?;
    let expiry = match ttl_ms {
        0 => Expiry::Never,
        ..0 => return Err(Failure::fixed("ERR Invalid TTL value, must be >= 0")),
        _ if is_absolute => Expiry::AtMs(ttl_ms.min(i64::MAX - 1)),
        _ => Expiry::AfterMs(ttl_ms.unsigned_abs()),
    };
    let value = deserialized(call.arg(3), super::ranges::longest(call))?;
    call.keys.edit(&[key], |keys| {
        if !replaces && keys.get(key)?.is_some() {
            return Err(busy.clone());
        }
        Ok(keys.set(key, &value, expiry)?)
    })?;
    call.changed_by(Classes::GENERIC, "restore", key);
    call.out.ok();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_redis() {
        assert_eq!(crc(b"123456789"), 0xe9c6_d914_c4b8_d9ca);
    }

    #[test]
    fn what_is_written_is_read_and_damage_is_told() {
        for length in [0, 1, 63, 64, 16383, 16384, 100_000] {
            let value: Vec<u8> = (0..length).map(|n: usize| (n % 251) as u8).collect();
            let bytes = serialized(&value);
            assert_eq!(deserialized(&bytes, 1 << 20).as_ref(), Ok(&value));
            for at in (0..bytes.len()).step_by(97) {
                let mut damaged = bytes.clone();
                damaged[at] ^= 1;
                assert!(deserialized(&damaged, 1 << 20).is_err());
            }
        }
        assert!(deserialized(b"", 100).is_err());
    }

    #[test]
    fn every_form_of_a_string_is_read() {
        let read = |content: &[u8]| {
            let mut bytes = [&[STRING], content].concat();
            bytes.extend(VERSION.to_le_bytes());
            bytes.extend(crc(&bytes).to_le_bytes());
            deserialized(&bytes, 1000).ok()
        };
        assert_eq!(read(b"\xc0\xff").as_deref(), Some(&b"-1"[..]));
        assert_eq!(read(b"\xc1\x00\x01").as_deref(), Some(&b"256"[..]));
        assert_eq!(read(b"\xc2\x00\x00\x01\x00").as_deref(), Some(&b"65536"[..]));
        // "a", and then 29 more of what came one byte before.
        assert_eq!(read(b"\xc3\x05\x1e\x00a\xe0\x14\x00").as_deref(), Some(&[b'a'; 30][..]));
        for bad in [
            &b"\xc3\x05\x1f\x00a\xe0\x14\x00"[..],
            b"\xc3\x02\x03\x20\x05",
            b"\xff",
            b"\x05ab",
            b"",
        ] {
            assert_eq!(read(bad), None);
        }
    }
}
