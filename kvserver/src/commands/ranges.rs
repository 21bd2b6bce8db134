//! Parts of values: `APPEND`, `GETRANGE`, `SETRANGE`.

use kvcore::Expiry;

use super::call::{Call, Outcome};
use super::failure::Failure;
use super::keyspace::Keyspace;
use super::spec::{Access, Command, Flags, Group, one_key};
use crate::shared::events::Classes;

/// The commands of this file.
pub const COMMANDS: &[Command] = &[
    Command::new(
        "append",
        3,
        &[Flags::WRITE, Flags::DENYOOM, Flags::FAST],
        one_key(Access::WRITE),
        Group::String,
        append,
    )
    .about("2.0.0", "Appends to a value."),
    Command::new("getrange", 4, &[Flags::READONLY], one_key(Access::READ), Group::String, getrange)
        .about("2.4.0", "Answers a part of a value."),
    Command::new("substr", 4, &[Flags::READONLY], one_key(Access::READ), Group::String, getrange)
        .about("1.0.0", "Answers a part of a value, as GETRANGE does."),
    Command::new(
        "setrange",
        4,
        &[Flags::WRITE, Flags::DENYOOM],
        one_key(Access::WRITE),
        Group::String,
        setrange,
    )
    .about("2.2.0", "Writes over a part of a value."),
];

/// The longest value that may come into being, in bytes.
pub fn longest(call: &Call<'_, '_>) -> u64 {
    call.shared.settings.bulk_bytes_max.load(std::sync::atomic::Ordering::Relaxed)
}

fn append(call: &mut Call<'_, '_>) -> Outcome {
    let (key, data, longest) = (call.arg(1), call.arg(2), longest(call));
    if let Keyspace::Store(store) | Keyspace::Untouched(store) = &call.keys {
        // The store appends in place where it can, so that many small pieces do not cost their product.
        let length = store.append(key, data)?;
        call.changed_by(Classes::STRING, "append", key);
        call.out.integer(i64::try_from(length).unwrap_or(i64::MAX));
        return Ok(());
    }
    let length = call.keys.edit(&[key], |keys| {
        let mut value = keys.get(key)?.unwrap_or_default().to_vec();
        if (value.len() + data.len()) as u64 > longest {
            return Err(Failure::TOO_LONG);
        }
        value.extend_from_slice(data);
        keys.set(key, &value, Expiry::Keep)?;
        Ok(value.len())
    })?;
    call.changed_by(Classes::STRING, "append", key);
    call.out.integer(i64::try_from(length).unwrap_or(i64::MAX));
    Ok(())
}

/// The part of `length` bytes between two positions, which count from the end if they are negative.
pub fn range(start: i64, end: i64, length: usize) -> std::ops::Range<usize> {
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    if length == 0 || (start < 0 && end < 0 && start > end) {
        return 0..0;
    }
    let from_end = |position: i64| if position < 0 { (length + position).max(0) } else { position };
    let (start, end) = (from_end(start.max(-length)), from_end(end.max(-length)).min(length - 1));
    if start > end {
        return 0..0;
    }
    // Both are between 0 and the length by now.
    let index = |position: i64| usize::try_from(position).unwrap_or(0);
    index(start)..index(end) + 1
}

fn getrange(call: &mut Call<'_, '_>) -> Outcome {
    let (start, end) = (call.integer(2)?, call.integer(3)?);
    let (key, out) = (call.arg(1), &mut *call.out);
    let found = call.keys.read(key, |value| out.bulk(&value[range(start, end, value.len())]))?;
    if found.is_none() {
        call.out.bulk(b"");
    }
    Ok(())
}

fn setrange(call: &mut Call<'_, '_>) -> Outcome {
    let (key, offset, data) = (call.arg(1), call.integer(2)?, call.arg(3));
    let longest = longest(call);
    let offset = u64::try_from(offset).map_err(|_| Failure::fixed("ERR offset is out of range"))?;
    let end = offset.saturating_add(data.len() as u64);
    let length = call.keys.edit(&[key], |keys| {
        let old = keys.get(key)?;
        let length = old.map_or(0, <[u8]>::len);
        if data.is_empty() {
            return Ok((length, false));
        }
        if end > longest {
            return Err(Failure::TOO_LONG);
        }
        // Both are below the longest value by now.
        let (from, to) = (offset as usize, end as usize);
        let mut value = Vec::with_capacity(length.max(to));
        value.extend_from_slice(old.unwrap_or_default());
        value.resize(length.max(to), 0);
        value[from..to].copy_from_slice(data);
        keys.set(key, &value, Expiry::Keep)?;
        Ok((value.len(), true))
    })?;
    if length.1 {
        call.changed_by(Classes::STRING, "setrange", key);
    }
    call.out.integer(i64::try_from(length.0).unwrap_or(i64::MAX));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_from_either_end() {
        for (start, end, expected) in [
            (0, 3, 0..4),
            (0, -1, 0..11),
            (-4, -1, 7..11),
            (5, 3, 0..0),
            (5, 5000, 5..11),
            (-5000, 10000, 0..11),
            (0, -100, 0..1),
            (11, 20, 0..0),
            (-1, -5, 0..0),
            (i64::MIN, i64::MAX, 0..11),
        ] {
            assert_eq!(range(start, end, 11), expected, "{start} {end}");
        }
        assert_eq!(range(0, -1, 0), 0..0);
    }
}
