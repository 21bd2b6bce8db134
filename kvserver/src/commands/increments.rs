//! Numbers kept as text: `INCR` and its kin.

use kvcore::Expiry;

use super::call::{Call, Outcome};
use super::failure::Failure;
use super::spec::{Access, Command, Flags, Group, one_key};
use crate::number;
use crate::shared::events::Classes;

const FLAGS: &[Flags] = &[Flags::WRITE, Flags::DENYOOM, Flags::FAST];

/// The commands of this file.
pub const COMMANDS: &[Command] = &[
    Command::new("incr", 2, FLAGS, one_key(Access::BOTH), Group::String, incr)
        .about("1.0.0", "Adds one to an integer."),
    Command::new("decr", 2, FLAGS, one_key(Access::BOTH), Group::String, decr)
        .about("1.0.0", "Takes one from an integer."),
    Command::new("incrby", 3, FLAGS, one_key(Access::BOTH), Group::String, incrby)
        .about("1.0.0", "Adds to an integer."),
    Command::new("decrby", 3, FLAGS, one_key(Access::BOTH), Group::String, decrby)
        .about("1.0.0", "Takes from an integer."),
    Command::new("incrbyfloat", 3, FLAGS, one_key(Access::BOTH), Group::String, incrbyfloat)
        .about("2.6.0", "Adds to a floating-point number."),
];

fn incr(call: &mut Call<'_, '_>) -> Outcome {
    add(call, 1, "incrby")
}

fn decr(call: &mut Call<'_, '_>) -> Outcome {
    add(call, -1, "decrby")
}

fn incrby(call: &mut Call<'_, '_>) -> Outcome {
    let by = call.integer(2)?;
    add(call, by, "incrby")
}

fn decrby(call: &mut Call<'_, '_>) -> Outcome {
    let by = call.integer(2)?.checked_neg();
    add(call, by.ok_or(Failure::fixed("ERR decrement would overflow"))?, "decrby")
}

fn add(call: &mut Call<'_, '_>, by: i64, event: &'static str) -> Outcome {
    let key = call.arg(1);
    let sum = call.keys.edit(&[key], |keys| {
        let old = match keys.get(key)? {
            Some(text) => number::integer(text).ok_or(Failure::NOT_AN_INTEGER)?,
            None => 0,
        };
        let overflow = Failure::fixed("ERR increment or decrement would overflow");
        let sum = old.checked_add(by).ok_or(overflow)?;
        keys.set(key, itoa::Buffer::new().format(sum), Expiry::Keep)?;
        Ok(sum)
    })?;
    call.changed_by(Classes::STRING, event, key);
    call.out.integer(sum);
    Ok(())
}

fn incrbyfloat(call: &mut Call<'_, '_>) -> Outcome {
    let key = call.arg(1);
    let by = call.arg(2);
    let text = call.keys.edit(&[key], |keys| {
        let old = keys.get(key)?.unwrap_or(b"0");
        if number::float(old).is_none() || number::float(by).is_none() {
            return Err(Failure::NOT_A_FLOAT);
        }
        let infinite = Failure::fixed("ERR increment would produce NaN or Infinity");
        let sum = number::sum_of_floats(old, by).ok_or(infinite)?;
        keys.set(key, &sum, Expiry::Keep)?;
        Ok(sum)
    })?;
    call.changed_by(Classes::STRING, "incrbyfloat", key);
    call.out.bulk(text.as_bytes());
    Ok(())
}
