//! `DEBUG`: what tests of servers and of clients ask for. It is an administrator's command.
//!
//! Only what harms nobody's data is here. What would crash, corrupt or reload is refused as unknown.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::call::{After, Call, Outcome};
use super::failure::Failure;
use super::help;
use super::object;
use super::spec::{Access, Command, Flags, Group, Keys, NO_KEYS};
use crate::glob;
use crate::number;
use crate::resp::Protocol;

const ADMIN: &[Flags] = &[Flags::ADMIN, Flags::NOSCRIPT, Flags::LOADING, Flags::STALE];
const KEY: Keys = Keys { first: 2, last: 2, step: 1, access: [Access::NONE; 2] };

/// The commands of this file.
pub const COMMANDS: &[Command] =
    &[Command::new("debug", -2, ADMIN, NO_KEYS, Group::Server, help::container)
        .about("1.0.0", "For tests.")
        .containing(SUBCOMMANDS)];

static SUBCOMMANDS: &[Command] = &[
    Command::new("debug|sleep", 3, ADMIN, NO_KEYS, Group::Server, sleep)
        .about("1.0.0", "Lets some seconds pass before it answers."),
    Command::new("debug|set-active-expire", 3, ADMIN, NO_KEYS, Group::Server, set_active_expire)
        .about("2.4.0", "Has expired keys freed by themselves, or only when they are named."),
    Command::new("debug|pause-cron", 3, ADMIN, NO_KEYS, Group::Server, pause_cron)
        .about("7.0.0", "Stops looking after silent clients, or goes on."),
    Command::new("debug|object", 3, ADMIN, KEY, Group::Server, describe)
        .about("1.0.0", "Answers how a value is kept."),
    Command::new("debug|protocol", 3, ADMIN, NO_KEYS, Group::Server, protocol)
        .about("6.0.0", "Answers a reply of some kind."),
    Command::new("debug|stringmatch-len", 4, ADMIN, NO_KEYS, Group::Server, stringmatch)
        .about("6.0.0", "Matches a pattern with a string of so many letters."),
    Command::new("debug|error", 3, ADMIN, NO_KEYS, Group::Server, error)
        .about("4.0.0", "Answers this error."),
    Command::new("debug|help", 2, ADMIN, NO_KEYS, Group::Server, usage)
        .about("1.0.0", "Says what there is."),
];

fn usage(call: &mut Call<'_, '_>) -> Outcome {
    help::write(
        call,
        &[
            "ERROR <string>",
            "    Return a protocol error with <string> as message.",
            "OBJECT <key>",
            "    Show low level info about <key> and associated value.",
            "PAUSE-CRON <0|1>",
            "    Stop periodic processing of clients.",
            "PROTOCOL <type>",
            "    Reply with a test value of the specified type. <type> can be: string,",
            "    integer, double, null, array, set, map, attrib, push, verbatim, true, false,",
            "    bignum.",
            "SET-ACTIVE-EXPIRE <0|1>",
            "    Setting it to 0 disables expiring keys in background.",
            "SLEEP <seconds>",
            "    Stop the client for <seconds>. Decimals allowed.",
            "STRINGMATCH-LEN <length> <pattern>",
            "    Match the pattern with a string of <length> letters.",
        ],
    )
}

/// Lets time pass. Other clients go on, unlike in Redis; the client sees no difference.
fn sleep(call: &mut Call<'_, '_>) -> Outcome {
    let seconds = number::float(call.arg(2)).ok_or(Failure::NOT_A_FLOAT)?;
    let time = Duration::try_from_secs_f64(seconds.max(0.0)).map_err(|_| Failure::NOT_A_FLOAT)?;
    call.session.slept = time;
    if !call.session.runs_group {
        call.session.after = Some(After::Sleep(time, |out| out.ok()));
        return Ok(());
    }
    // Nothing may come between the commands of a transaction, so all of it is answered later.
    let before = match call.session.after {
        Some(After::Delay(before)) => before,
        _ => Duration::ZERO,
    };
    call.session.after = Some(After::Delay(before.saturating_add(time)));
    call.out.ok();
    Ok(())
}

/// Whether the switch at the end of a call is on.
fn is_on(call: &Call<'_, '_>) -> Result<bool, Failure> {
    match call.arg(2) {
        b"0" => Ok(false),
        b"1" => Ok(true),
        _ => Err(Failure::SYNTAX),
    }
}

fn set_active_expire(call: &mut Call<'_, '_>) -> Outcome {
    let on = is_on(call)?;
    call.shared.expire_lazily(!on)?;
    call.out.ok();
    Ok(())
}

fn pause_cron(call: &mut Call<'_, '_>) -> Outcome {
    let pauses = is_on(call)?;
    call.shared.settings.pauses_checks.store(pauses, Ordering::Relaxed);
    call.out.ok();
    Ok(())
}

fn describe(call: &mut Call<'_, '_>) -> Outcome {
    let about = |value: &[u8]| (object::encoding_of(value), value.len());
    let (encoding, length) = call.keys.look(call.arg(2), about)?.ok_or(Failure::NO_SUCH_KEY)?;
    call.out.simple(&format!("Value refcount:1 encoding:{encoding} serializedlength:{length}"));
    Ok(())
}

/// Answers one reply of each kind that a client has to be able to read.
fn protocol(call: &mut Call<'_, '_>) -> Outcome {
    let out = &mut *call.out;
    match call.request.arg(2).to_ascii_lowercase().as_slice() {
        b"string" => out.bulk(b"Hello World"),
        b"integer" => out.integer(12345),
        // As Valkey has it; it is not meant to be pi.
        b"double" => out.double(3141.0 / 1000.0),
        b"null" => out.null(),
        b"array" => {
            out.array(3);
            (0..3).for_each(|number| out.integer(number));
        }
        b"set" => {
            out.set(3);
            (0..3).for_each(|number| out.integer(number));
        }
        b"map" => {
            out.map(3);
            for number in 0..3 {
                out.integer(number);
                out.boolean(number == 1);
            }
        }
        b"attrib" => {
            // Only the third version of the protocol has attributes.
            if out.protocol() == Protocol::Three {
                out.raw(b"|1\r\n");
                out.bulk(b"key-popularity");
                out.array(2);
                out.bulk(b"key:123");
                out.integer(90);
            }
            out.bulk(b"Some real reply following the attribute");
        }
        b"push" => {
            if out.protocol() == Protocol::Two {
                return Err(Failure::fixed("ERR RESP2 is not supported by this command"));
            }
            out.push(2);
            out.bulk(b"server-cpu-usage");
            out.integer(42);
        }
        b"true" => out.boolean(true),
        b"false" => out.boolean(false),
        b"verbatim" => out.verbatim(*b"txt", b"This is a verbatim\nstring"),
        b"bignum" => {
            const NUMBER: &[u8] = b"1234567999999999999999999999999999999";
            match out.protocol() {
                Protocol::Two => out.bulk(NUMBER),
                Protocol::Three => out.raw(&[b"(", NUMBER, b"\r\n"].concat()),
            }
        }
        _ => {
            return Err(Failure::fixed(
                "ERR Wrong protocol type name. Please use one of the following: string|integer|double|null|array|set|map|attrib|push|verbatim|true|false|bignum",
            ));
        }
    }
    Ok(())
}

/// The longest string that a pattern is matched with.
const LETTERS_MAX: i64 = 1 << 20;

fn stringmatch(call: &mut Call<'_, '_>) -> Outcome {
    let count = call.integer(2)?;
    let count = usize::try_from(count.min(LETTERS_MAX)).map_err(|_| Failure::NOT_AN_INTEGER)?;
    let matches = glob::matches(call.arg(3), &vec![b'a'; count]);
    call.out.integer(i64::from(matches));
    Ok(())
}

fn error(call: &mut Call<'_, '_>) -> Outcome {
    Err(Failure::new(call.text(2)))
}
