//! Deadlines: setting, asking, taking away.

use kvcore::TTL_NONE;

use super::call::{Call, Outcome};
use super::expire_time::Unit;
use super::failure::Failure;
use super::spec::{Access, Command, Flags, Group, one_key};
use crate::shared::events::Classes;

const WRITE: &[Flags] = &[Flags::WRITE, Flags::FAST];
const READ: &[Flags] = &[Flags::READONLY, Flags::FAST];

/// The commands of this file.
pub const COMMANDS: &[Command] = &[
    Command::new("expire", -3, WRITE, one_key(Access::WRITE), Group::Generic, expire)
        .about("1.0.0", "Makes a key expire in so many seconds."),
    Command::new("pexpire", -3, WRITE, one_key(Access::WRITE), Group::Generic, pexpire)
        .about("2.6.0", "Makes a key expire in so many milliseconds."),
    Command::new("expireat", -3, WRITE, one_key(Access::WRITE), Group::Generic, expireat)
        .about("1.2.0", "Makes a key expire at a Unix time in seconds."),
    Command::new("pexpireat", -3, WRITE, one_key(Access::WRITE), Group::Generic, pexpireat)
        .about("2.6.0", "Makes a key expire at a Unix time in milliseconds."),
    Command::new("persist", 2, WRITE, one_key(Access::WRITE), Group::Generic, persist)
        .about("2.2.0", "Makes a key stay."),
    Command::new("ttl", 2, READ, one_key(Access::NONE), Group::Generic, ttl)
        .about("1.0.0", "Answers how many seconds a key has left."),
    Command::new("pttl", 2, READ, one_key(Access::NONE), Group::Generic, pttl)
        .about("2.6.0", "Answers how many milliseconds a key has left."),
    Command::new("expiretime", 2, READ, one_key(Access::NONE), Group::Generic, expiretime)
        .about("7.0.0", "Answers when a key expires, as a Unix time in seconds."),
    Command::new("pexpiretime", 2, READ, one_key(Access::NONE), Group::Generic, pexpiretime)
        .about("7.0.0", "Answers when a key expires, as a Unix time in milliseconds."),
];

fn expire(call: &mut Call<'_, '_>) -> Outcome {
    redate(call, Unit::Seconds)
}

fn pexpire(call: &mut Call<'_, '_>) -> Outcome {
    redate(call, Unit::Millis)
}

fn expireat(call: &mut Call<'_, '_>) -> Outcome {
    redate(call, Unit::AtSeconds)
}

fn pexpireat(call: &mut Call<'_, '_>) -> Outcome {
    redate(call, Unit::AtMillis)
}

/// When a new deadline is taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Conditions {
    /// If there is none.
    nx: bool,
    /// If there is one.
    xx: bool,
    /// If it is later.
    gt: bool,
    /// If it is earlier.
    lt: bool,
}

impl Conditions {
    fn read(call: &Call<'_, '_>) -> Result<Conditions, Failure> {
        let mut conditions = Conditions::default();
        for position in 3..call.len() {
            match call.arg(position).to_ascii_lowercase().as_slice() {
                b"nx" => conditions.nx = true,
                b"xx" => conditions.xx = true,
                b"gt" => conditions.gt = true,
                b"lt" => conditions.lt = true,
                _ => {
                    let option = call.text(position);
                    return Err(Failure::new(format!("ERR Unsupported option {option}")));
                }
            }
        }
        let Conditions { nx, xx, gt, lt } = conditions;
        if nx && (xx || gt || lt) {
            return Err(Failure::fixed(
                "ERR NX and XX, GT or LT options at the same time are not compatible",
            ));
        }
        if gt && lt {
            return Err(Failure::fixed(
                "ERR GT and LT options at the same time are not compatible",
            ));
        }
        Ok(conditions)
    }

    /// Whether a deadline may take the place of the one before. Having none counts as the latest.
    fn hold(self, before: Option<i64>, at_ms: i64) -> bool {
        let refused = self.nx && before.is_some()
            || self.xx && before.is_none()
            || self.gt && before.is_none_or(|before| at_ms <= before)
            || self.lt && before.is_some_and(|before| at_ms >= before);
        !refused
    }
}

/// The deadline that a call names, as a Unix time in milliseconds.
fn deadline(call: &Call<'_, '_>, unit: Unit) -> Result<i64, Failure> {
    let refused = || Failure::expire_time(call.command.name);
    let millis = unit.millis(call.integer(2)?).ok_or_else(refused)?;
    let base = if unit.is_relative() { call.shared.store.now_ms() } else { 0 };
    millis.checked_add(base).ok_or_else(refused)
}

fn redate(call: &mut Call<'_, '_>, unit: Unit) -> Outcome {
    let key = call.arg(1);
    // Valkey reads the number first, and looks at the options then.
    let at_ms = deadline(call, unit)?;
    let conditions = Conditions::read(call)?;
    let done = if conditions == Conditions::default() {
        let is_there = call.keys.expire_at(key, at_ms)?;
        is_there.then_some(at_ms <= call.shared.store.now_ms())
    } else {
        call.keys.edit(&[key], |keys| {
            let Some(held) = keys.held(key)? else { return Ok(None) };
            if !conditions.hold(held.expire_at_ms, at_ms) {
                return Ok(None);
            }
            keys.expire_at(key, at_ms.min(TTL_NONE - 1))?;
            Ok(Some(at_ms <= keys.now_ms()))
        })?
    };
    if let Some(was_removed) = done {
        call.changed_by(Classes::GENERIC, if was_removed { "del" } else { "expire" }, key);
    }
    call.out.integer(i64::from(done.is_some()));
    Ok(())
}

fn persist(call: &mut Call<'_, '_>) -> Outcome {
    let key = call.arg(1);
    let done = call.keys.edit(&[key], |keys| {
        let has_deadline = keys.held(key)?.is_some_and(|held| held.expire_at_ms.is_some());
        if has_deadline {
            keys.expire_at(key, TTL_NONE)?;
        }
        Ok(has_deadline)
    })?;
    if done {
        call.changed_by(Classes::GENERIC, "persist", key);
    }
    call.out.integer(i64::from(done));
    Ok(())
}

/// Answers a time in milliseconds, or as seconds, rounded; -1 if there is none and -2 without the key.
fn answer(call: &mut Call<'_, '_>, time_ms: Option<Option<i64>>, in_seconds: bool) -> Outcome {
    call.out.integer(match time_ms {
        None => -2,
        Some(None) => -1,
        Some(Some(ms)) if in_seconds => ms.saturating_add(500) / 1000,
        Some(Some(ms)) => ms,
    });
    Ok(())
}

fn ttl(call: &mut Call<'_, '_>) -> Outcome {
    let left = call.keys.ttl_ms(call.arg(1))?;
    answer(call, left, true)
}

fn pttl(call: &mut Call<'_, '_>) -> Outcome {
    let left = call.keys.ttl_ms(call.arg(1))?;
    answer(call, left, false)
}

fn expiretime(call: &mut Call<'_, '_>) -> Outcome {
    let at = call.keys.deadline_ms(call.arg(1))?;
    answer(call, at, true)
}

fn pexpiretime(call: &mut Call<'_, '_>) -> Outcome {
    let at = call.keys.deadline_ms(call.arg(1))?;
    answer(call, at, false)
}
