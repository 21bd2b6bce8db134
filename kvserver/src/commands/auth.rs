//! The connection: who a client is, how it speaks, whether we are there.

use super::call::{After, Call, Outcome};
use super::failure::Failure;
use super::spec::{Command, Flags, Group, NO_KEYS};
use super::{client, table};
use crate::acl::{Context, DEFAULT_USER, Reason};
use crate::net::{self, Queued, ReplyMode};
use crate::resp::Protocol;
use crate::shared::Turn;
use crate::shared::clients::flag;

const FLAGS: &[Flags] = &[
    Flags::NOSCRIPT,
    Flags::LOADING,
    Flags::STALE,
    Flags::FAST,
    Flags::NO_AUTH,
    Flags::ALLOW_BUSY,
    Flags::NEVER_QUEUED,
    Flags::WHILE_SUBSCRIBED,
];
const SECRET: &[Flags] = &[
    Flags::NOSCRIPT,
    Flags::LOADING,
    Flags::STALE,
    Flags::FAST,
    Flags::NO_AUTH,
    Flags::SKIP_MONITOR,
    Flags::SKIP_SLOWLOG,
    Flags::ALLOW_BUSY,
];
const PING: &[Flags] = &[Flags::FAST, Flags::WHILE_SUBSCRIBED];
const PLAIN: &[Flags] = &[Flags::LOADING, Flags::STALE, Flags::FAST];

/// The version of Redis whose behaviour this is; clients choose what to do by it.
pub const REDIS_VERSION: &str = "7.2.4";

/// The commands of this file.
pub const COMMANDS: &[Command] = &[
    Command::new("ping", -1, PING, NO_KEYS, Group::Connection, ping)
        .about("1.0.0", "Answers, to show that we are there."),
    Command::new("echo", 2, PLAIN, NO_KEYS, Group::Connection, echo)
        .about("1.0.0", "Answers what it is given."),
    Command::new("select", 2, PLAIN, NO_KEYS, Group::Connection, select)
        .about("1.0.0", "Chooses a database, of which there is one."),
    Command::new("auth", -2, SECRET, NO_KEYS, Group::Connection, auth)
        .about("1.0.0", "Says who the client is."),
    Command::new("hello", -1, SECRET, NO_KEYS, Group::Connection, hello)
        .about("6.0.0", "Chooses the version of the protocol, and says who the client is."),
    Command::new("reset", 1, FLAGS, NO_KEYS, Group::Connection, reset)
        .about("6.2.0", "Makes the connection as it was at first."),
    Command::new("quit", -1, FLAGS, NO_KEYS, Group::Connection, quit)
        .about("1.0.0", "Closes the connection."),
    Command::new("exit", -1, FLAGS, NO_KEYS, Group::Connection, quit)
        .about("1.0.0", "Closes the connection, for people at a telnet."),
];

fn ping(call: &mut Call<'_, '_>) -> Outcome {
    if call.len() > 2 {
        return Err(Failure::arity("ping"));
    }
    if call.session.protocol == Protocol::Two && call.session.is_subscribed() {
        call.out.array(2);
        call.out.bulk(b"pong");
        call.out.bulk(call.arg(1));
    } else if call.len() == 1 {
        call.out.simple("PONG");
    } else {
        call.out.bulk(call.arg(1));
    }
    Ok(())
}

fn echo(call: &mut Call<'_, '_>) -> Outcome {
    call.out.bulk(call.arg(1));
    Ok(())
}

fn select(call: &mut Call<'_, '_>) -> Outcome {
    match crate::number::integer(call.arg(1)) {
        Some(0) => {
            call.out.ok();
            Ok(())
        }
        Some(_) => Err(Failure::fixed("ERR DB index is out of range")),
        None => Err(Failure::NOT_AN_INTEGER),
    }
}

/// Whether a password may be looked at now. If not, and this is no error, the command is run again when it may.
fn has_turn(call: &mut Call<'_, '_>) -> Result<bool, Failure> {
    if std::mem::take(&mut call.session.has_turn) {
        return Ok(true);
    }
    let from = call.session.client.address.ip();
    let retry_s = match call.shared.attempts.turn(from, call.shared.store.now_ms()) {
        Turn::Now => return Ok(true),
        // A transaction does not wait.
        Turn::In(time) if call.session.runs_group => time.as_secs() + 1,
        Turn::In(time) => {
            let again = Queued::new(table::id_of(call.command), call.request);
            call.session.after = Some(After::Again(time, again));
            return Ok(false);
        }
        Turn::Refused { retry_s } => retry_s,
    };
    Err(Failure::new(format!(
        "ERR too many wrong passwords came from your address, retry in {retry_s} seconds"
    )))
}

/// Lets a client in, or notes that it tried. `false` if it has to wait first.
fn authenticate(call: &mut Call<'_, '_>, name: &str, password: &[u8]) -> Result<bool, Failure> {
    if !has_turn(call)? {
        return Ok(false);
    }
    match call.shared.acl.authenticate(name, password) {
        Some(user) => {
            call.session.become_user(user, true);
            Ok(true)
        }
        None => {
            let from = call.session.client.address.ip();
            call.shared.attempts.wrong(from, call.shared.store.now_ms());
            let context =
                if call.session.queue.is_some() { Context::Multi } else { Context::Toplevel };
            let object = call.command.name.as_bytes().to_vec();
            net::log_denied(call.shared, call.session, Reason::Auth, context, object, name);
            Err(Failure::fixed("WRONGPASS invalid username-password pair or user is disabled."))
        }
    }
}

fn auth(call: &mut Call<'_, '_>) -> Outcome {
    let is_in = match call.len() {
        2 => {
            if call.shared.acl.default_user().needs_no_password() {
                return Err(Failure::fixed(
                    "ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?",
                ));
            }
            authenticate(call, DEFAULT_USER, call.arg(1))?
        }
        3 => {
            let name = call.text(1);
            authenticate(call, &name, call.arg(2))?
        }
        _ => return Err(Failure::SYNTAX),
    };
    if is_in {
        call.out.ok();
    }
    Ok(())
}

fn hello(call: &mut Call<'_, '_>) -> Outcome {
    let mut protocol = None;
    if call.len() > 1 {
        let invalid = Failure::fixed("ERR Protocol version is not an integer or out of range");
        protocol = Some(match crate::number::integer(call.arg(1)).ok_or(invalid)? {
            2 => Protocol::Two,
            3 => Protocol::Three,
            _ => return Err(Failure::fixed("NOPROTO unsupported protocol version")),
        });
    }
    let (mut at, mut credentials, mut name) = (2, None, None);
    while at < call.len() {
        let left = call.len() - at - 1;
        if call.is(at, "auth") && left >= 2 {
            credentials = Some((call.text(at + 1), call.arg(at + 2)));
            at += 2;
        } else if call.is(at, "setname") && left >= 1 {
            name = Some(client::checked_name(call.arg(at + 1))?);
            at += 1;
        } else {
            let option = call.text(at);
            return Err(Failure::new(format!("ERR Syntax error in HELLO option '{option}'")));
        }
        at += 1;
    }
    if let Some((user, password)) = credentials
        && !authenticate(call, &user, password)?
    {
        return Ok(());
    }
    if !call.session.is_authenticated {
        return Err(Failure::fixed(
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time",
        ));
    }
    if let Some(name) = name {
        call.session.client.describe(|about| about.name = name);
    }
    if let Some(protocol) = protocol {
        call.session.speak(protocol, call.out);
    }
    call.out.map(7);
    call.out.bulk(b"server");
    call.out.bulk(b"redis");
    call.out.bulk(b"version");
    call.out.bulk(REDIS_VERSION.as_bytes());
    call.out.bulk(b"proto");
    call.out.integer(if call.session.protocol == Protocol::Three { 3 } else { 2 });
    call.out.bulk(b"id");
    call.out.integer(call.session.client.id.cast_signed());
    call.out.bulk(b"mode");
    call.out.bulk(b"standalone");
    call.out.bulk(b"role");
    call.out.bulk(b"master");
    call.out.bulk(b"modules");
    call.out.array(0);
    Ok(())
}

fn reset(call: &mut Call<'_, '_>) -> Outcome {
    call.session.leave(call.shared);
    call.session.reply_mode = ReplyMode::On;
    call.session.client.mark(flag::NO_EVICT | flag::NO_TOUCH, false);
    call.session.client.describe(|about| about.name.clear());
    call.session.speak(Protocol::Two, call.out);
    call.session.begin_anew(call.shared);
    call.out.simple("RESET");
    Ok(())
}

fn quit(call: &mut Call<'_, '_>) -> Outcome {
    call.out.ok();
    call.session.after = Some(After::Close);
    Ok(())
}
