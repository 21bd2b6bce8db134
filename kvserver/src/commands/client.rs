//! Clients, as they are seen and managed by each other (`CLIENT`). Tracking is in `tracking.rs`.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::call::{After, Call, Outcome};
use super::failure::Failure;
use super::spec::{Command, Flags, Group, NO_KEYS};
use super::{help, table, tracking};
use crate::net::ReplyMode;
use crate::shared::Shared;
use crate::shared::clients::{ClientHandle, End, flag};
use crate::shared::pause::Paused;

const FLAGS: &[Flags] = &[Flags::NOSCRIPT, Flags::LOADING, Flags::STALE];
const ADMIN: &[Flags] = &[Flags::ADMIN, Flags::NOSCRIPT, Flags::LOADING, Flags::STALE];

/// The commands of this file.
pub const COMMANDS: &[Command] =
    &[Command::new("client", -2, &[], NO_KEYS, Group::Connection, help::container)
        .about("2.4.0", "Clients, and how this one is served.")
        .containing(SUBCOMMANDS)];

static SUBCOMMANDS: &[Command] = &[
    Command::new("client|id", 2, FLAGS, NO_KEYS, Group::Connection, id)
        .about("5.0.0", "Answers the number of this client."),
    Command::new("client|info", 2, FLAGS, NO_KEYS, Group::Connection, info)
        .about("6.2.0", "Describes this client."),
    Command::new("client|list", -2, ADMIN, NO_KEYS, Group::Connection, list)
        .about("2.4.0", "Describes clients."),
    Command::new("client|kill", -3, ADMIN, NO_KEYS, Group::Connection, kill)
        .about("2.4.0", "Disconnects clients."),
    Command::new("client|setname", 3, FLAGS, NO_KEYS, Group::Connection, setname)
        .about("2.6.9", "Names this client."),
    Command::new("client|getname", 2, FLAGS, NO_KEYS, Group::Connection, getname)
        .about("2.6.9", "Answers the name of this client."),
    Command::new("client|setinfo", 4, FLAGS, NO_KEYS, Group::Connection, setinfo)
        .about("7.2.0", "Says which library this client uses."),
    Command::new("client|reply", 3, FLAGS, NO_KEYS, Group::Connection, reply)
        .about("3.2.0", "Turns replies off and on."),
    Command::new("client|no-evict", 3, ADMIN, NO_KEYS, Group::Connection, no_evict)
        .about("7.0.0", "Keeps this client though buffers take too much memory."),
    Command::new("client|no-touch", 3, FLAGS, NO_KEYS, Group::Connection, no_touch).about(
        "7.2.0",
        "Makes the reads of this client no use of keys that evicting would look at.",
    ),
    Command::new("client|pause", -3, ADMIN, NO_KEYS, Group::Connection, pause)
        .about("3.0.0", "Makes clients wait for some milliseconds."),
    Command::new("client|unpause", 2, ADMIN, NO_KEYS, Group::Connection, unpause)
        .about("6.2.0", "Ends that."),
    Command::new("client|unblock", -3, ADMIN, NO_KEYS, Group::Connection, unblock)
        .about("5.0.0", "Ends the waiting of a client, of which none waits."),
    Command::new("client|tracking", -3, FLAGS, NO_KEYS, Group::Connection, tracking::tracking)
        .about("6.0.0", "Tells this client of keys that change."),
    Command::new("client|caching", 3, FLAGS, NO_KEYS, Group::Connection, tracking::caching)
        .about("6.0.0", "Says whether the keys of the next command are cached."),
    Command::new("client|getredir", 2, FLAGS, NO_KEYS, Group::Connection, tracking::getredir)
        .about("6.0.0", "Answers which client is told in the place of this one."),
    Command::new("client|trackinginfo", 2, FLAGS, NO_KEYS, Group::Connection, tracking::info)
        .about("6.2.0", "Answers how this client is told of keys."),
    Command::new(
        "client|help",
        2,
        &[Flags::LOADING, Flags::STALE],
        NO_KEYS,
        Group::Connection,
        usage,
    )
    .about("5.0.0", "Says what there is."),
];

fn usage(call: &mut Call<'_, '_>) -> Outcome {
    help::write(
        call,
        &[
            "CACHING (YES|NO)",
            "    Enable/disable tracking of the keys for next command in OPTIN/OPTOUT modes.",
            "GETREDIR",
            "    Return the client ID we are redirecting to when tracking is enabled.",
            "GETNAME",
            "    Return the name of the current connection.",
            "ID",
            "    Return the ID of the current connection.",
            "INFO",
            "    Return information about the current client connection.",
            "KILL <ip:port>",
            "    Kill connection made from <ip:port>.",
            "KILL <option> <value> [<option> <value> [...]]",
            "    Kill connections by ID, TYPE, USER, ADDR, LADDR or SKIPME.",
            "LIST [options ...]",
            "    Return information about client connections.",
            "NO-EVICT (ON|OFF)",
            "    Protect current client connection from eviction.",
            "NO-TOUCH (ON|OFF)",
            "    Will not touch LRU/LFU stats when this mode is on.",
            "PAUSE <timeout> [WRITE|ALL]",
            "    Suspend all, or just write, clients for <timeout> milliseconds.",
            "REPLY (ON|OFF|SKIP)",
            "    Control the replies sent to the current connection.",
            "SETNAME <name>",
            "    Assign the name <name> to the current connection.",
            "SETINFO <option> <value>",
            "    Set client meta attr.",
            "TRACKING (ON|OFF) [REDIRECT <id>] [BCAST] [PREFIX <prefix> [...]]",
            "         [OPTIN] [OPTOUT] [NOLOOP]",
            "    Control server assisted client side caching.",
            "TRACKINGINFO",
            "    Report tracking status for the current connection.",
            "UNBLOCK <clientid> [TIMEOUT|ERROR]",
            "    Unblock the specified blocked client.",
            "UNPAUSE",
            "    Stop the current client pause, resuming traffic.",
        ],
    )
}

/// A client as one line of `CLIENT LIST`, without the end of the line.
pub fn describe(shared: &Shared, client: &ClientHandle) -> String {
    let now_ms = shared.store.now_ms();
    let about = client.about();
    let count = |at: usize| client.subscriptions[at].load(Ordering::Relaxed);
    let letters = [
        (flag::MONITOR, 'O'),
        (flag::PUBSUB, 'P'),
        (flag::MULTI, 'x'),
        (flag::TRACKING, 't'),
        (flag::BROKEN_REDIRECT, 'R'),
        (flag::BROADCAST, 'B'),
        (flag::NO_EVICT, 'e'),
        (flag::NO_TOUCH, 'T'),
    ];
    let mut flags: String =
        letters.iter().filter(|(bit, _)| client.has(*bit)).map(|(_, letter)| *letter).collect();
    if flags.is_empty() {
        flags.push('N');
    }
    let last = client.last_command.load(Ordering::Relaxed);
    let command = if last < table::count() { table::get(last).name } else { "NULL" };
    let query = client.query_bytes.load(Ordering::Relaxed);
    let replies = client.reply_bytes.load(Ordering::Relaxed);
    let tracking = client.tracking();
    let redirect = if !tracking.is_on { -1 } else { tracking.redirect.cast_signed() };
    format!(
        "id={} addr={} laddr={} fd={} name={} age={} idle={} flags={flags} db=0 sub={} psub={} \
         ssub={} multi={} qbuf={query} qbuf-free=0 argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=0 oll={} \
         omem={replies} tot-mem={} events={} cmd={command} user={} redir={redirect} resp={} \
         lib-name={} lib-ver={}",
        client.id,
        client.address,
        client.local,
        client.fd,
        about.name,
        (now_ms - client.created_ms) / 1000,
        (now_ms - client.active_ms.load(Ordering::Relaxed)) / 1000,
        count(0),
        count(1),
        count(2),
        client.queued.load(Ordering::Relaxed),
        usize::from(replies > 0),
        client.memory_bytes(),
        if replies > 0 { "rw" } else { "r" },
        about.user,
        client.protocol.load(Ordering::Relaxed),
        about.library,
        about.library_version,
    )
}

fn id(call: &mut Call<'_, '_>) -> Outcome {
    call.out.integer(call.session.client.id.cast_signed());
    Ok(())
}

fn info(call: &mut Call<'_, '_>) -> Outcome {
    let text = describe(call.shared, &call.session.client) + "\n";
    call.out.verbatim(*b"txt", text.as_bytes());
    Ok(())
}

/// Whether a client is of a kind that `TYPE` names.
fn is_of_kind(client: &ClientHandle, kind: &[u8]) -> Result<bool, Failure> {
    match kind.to_ascii_lowercase().as_slice() {
        b"normal" => Ok(!client.has(flag::PUBSUB)),
        b"pubsub" => Ok(client.has(flag::PUBSUB)),
        b"master" | b"replica" | b"slave" => Ok(false),
        _ => {
            let kind = String::from_utf8_lossy(kind);
            Err(Failure::new(format!("ERR Unknown client type '{kind}'")))
        }
    }
}

fn client_id(text: &[u8]) -> Result<u64, Failure> {
    let id = crate::number::integer(text).and_then(|id| u64::try_from(id).ok());
    id.filter(|id| *id > 0).ok_or(Failure::fixed("ERR client-id should be greater than 0"))
}

fn list(call: &mut Call<'_, '_>) -> Outcome {
    let mut clients = call.shared.clients.all();
    if call.len() > 3 && call.is(2, "id") {
        let invalid = Failure::fixed("ERR Invalid client ID");
        let mut wanted = Vec::new();
        for text in call.args_from(3) {
            wanted.push(client_id(text).map_err(|_| invalid.clone())?);
        }
        clients.retain(|client| wanted.contains(&client.id));
    } else if call.len() == 4 && call.is(2, "type") {
        let kind = call.arg(3);
        clients.iter().try_for_each(|client| is_of_kind(client, kind).map(drop))?;
        clients.retain(|client| is_of_kind(client, kind) == Ok(true));
    } else if call.len() != 2 {
        return Err(Failure::SYNTAX);
    }
    let mut text = String::new();
    for client in clients {
        text.push_str(&describe(call.shared, &client));
        text.push('\n');
    }
    call.out.verbatim(*b"txt", text.as_bytes());
    Ok(())
}

/// Which clients are to go.
#[derive(Default)]
struct Killed<'c> {
    id: Option<u64>,
    user: Option<String>,
    address: Option<String>,
    local: Option<String>,
    kind: Option<&'c [u8]>,
    max_age_s: Option<i64>,
    skips_me: bool,
}

impl<'c> Killed<'c> {
    fn read(call: &Call<'c, '_>) -> Result<Killed<'c>, Failure> {
        let mut killed = Killed { skips_me: true, ..Killed::default() };
        for at in (2..call.len()).step_by(2) {
            if at + 1 >= call.len() {
                return Err(Failure::SYNTAX);
            }
            let value = call.arg(at + 1);
            match call.arg(at).to_ascii_lowercase().as_slice() {
                b"id" => killed.id = Some(client_id(value)?),
                b"type" => killed.kind = Some(value),
                b"addr" => killed.address = Some(call.text(at + 1)),
                b"laddr" => killed.local = Some(call.text(at + 1)),
                b"user" => {
                    let user = call.text(at + 1);
                    if call.shared.acl.user(&user).is_none() {
                        return Err(Failure::new(format!("ERR No such user '{user}'")));
                    }
                    killed.user = Some(user);
                }
                b"maxage" => {
                    let age = crate::number::integer(value).filter(|age| *age > 0);
                    let refused = Failure::fixed("ERR maxage is not an integer or out of range");
                    killed.max_age_s = Some(age.ok_or(refused)?);
                }
                b"skipme" => {
                    killed.skips_me = match value.to_ascii_lowercase().as_slice() {
                        b"yes" => true,
                        b"no" => false,
                        _ => return Err(Failure::SYNTAX),
                    };
                }
                _ => return Err(Failure::SYNTAX),
            }
        }
        Ok(killed)
    }

    fn has(&self, shared: &Shared, client: &ClientHandle) -> Result<bool, Failure> {
        let kind = self.kind.map_or(Ok(true), |kind| is_of_kind(client, kind))?;
        let age_s = (shared.store.now_ms() - client.created_ms) / 1000;
        Ok(kind
            && self.id.is_none_or(|id| id == client.id)
            && self.user.as_ref().is_none_or(|user| *user == client.about().user)
            && self.address.as_ref().is_none_or(|address| *address == client.address.to_string())
            && self.local.as_ref().is_none_or(|local| *local == client.local.to_string())
            && self.max_age_s.is_none_or(|most| age_s >= most))
    }
}

fn kill(call: &mut Call<'_, '_>) -> Outcome {
    let by_address = call.len() == 3;
    let killed = if by_address {
        Killed { address: Some(call.text(2)), ..Killed::default() }
    } else {
        Killed::read(call)?
    };
    let own = call.session.client.id;
    let mut count = 0;
    for client in call.shared.clients.all() {
        if !killed.has(call.shared, &client)? || (killed.skips_me && client.id == own) {
            continue;
        }
        count += 1;
        if client.id == own {
            call.session.after = Some(After::Close);
        } else {
            client.end(End::Now);
        }
    }
    match (by_address, count) {
        (true, 0) => return Err(Failure::fixed("ERR No such client")),
        (true, _) => call.out.ok(),
        (false, count) => call.out.integer(count),
    }
    Ok(())
}

/// A name that a client may have: no blanks, no line ends, nothing that could not be shown.
pub fn checked_name(name: &[u8]) -> Result<String, Failure> {
    match name.iter().all(u8::is_ascii_graphic) {
        true => Ok(String::from_utf8_lossy(name).into_owned()),
        false => Err(Failure::fixed(
            "ERR Client names cannot contain spaces, newlines or special characters.",
        )),
    }
}

fn setname(call: &mut Call<'_, '_>) -> Outcome {
    let name = checked_name(call.arg(2))?;
    call.session.client.describe(|about| about.name = name);
    call.out.ok();
    Ok(())
}

fn getname(call: &mut Call<'_, '_>) -> Outcome {
    let name = call.session.client.about().name;
    call.out.bulk_or_null((!name.is_empty()).then_some(name.as_bytes()));
    Ok(())
}

fn setinfo(call: &mut Call<'_, '_>) -> Outcome {
    let value = call.text(3);
    let option = call.text(2);
    let is_name = option.eq_ignore_ascii_case("lib-name");
    if !is_name && !option.eq_ignore_ascii_case("lib-ver") {
        return Err(Failure::new(format!("ERR Unrecognized option '{option}'")));
    }
    if !call.arg(3).iter().all(u8::is_ascii_graphic) {
        let option = option.to_ascii_lowercase();
        return Err(Failure::new(format!(
            "ERR {option} cannot contain spaces, newlines or special characters."
        )));
    }
    call.session.client.describe(|about| match is_name {
        true => about.library = value,
        false => about.library_version = value,
    });
    call.out.ok();
    Ok(())
}

fn reply(call: &mut Call<'_, '_>) -> Outcome {
    match call.arg(2).to_ascii_lowercase().as_slice() {
        b"on" => {
            call.session.reply_mode = ReplyMode::On;
            call.out.ok();
        }
        b"off" => call.session.reply_mode = ReplyMode::Off,
        b"skip" => {
            if call.session.reply_mode != ReplyMode::Off {
                call.session.reply_mode = ReplyMode::SkipNext;
            }
        }
        _ => return Err(Failure::SYNTAX),
    }
    Ok(())
}

/// Keeps this client, or not, though buffers take too much memory.
fn no_evict(call: &mut Call<'_, '_>) -> Outcome {
    mark(call, flag::NO_EVICT)
}

fn no_touch(call: &mut Call<'_, '_>) -> Outcome {
    mark(call, flag::NO_TOUCH)
}

/// Sets or clears a bit of the client, as the argument says.
fn mark(call: &mut Call<'_, '_>, bit: u32) -> Outcome {
    let on = match call.arg(2).to_ascii_lowercase().as_slice() {
        b"on" => true,
        b"off" => false,
        _ => return Err(Failure::SYNTAX),
    };
    call.session.client.mark(bit, on);
    call.out.ok();
    Ok(())
}

fn pause(call: &mut Call<'_, '_>) -> Outcome {
    let kind = match call.len() {
        3 => Paused::All,
        4 if call.is(3, "write") => Paused::Writes,
        4 if call.is(3, "all") => Paused::All,
        4 => return Err(Failure::fixed("ERR CLIENT PAUSE mode must be WRITE or ALL")),
        _ => return Err(Failure::arity("client|pause")),
    };
    let time_ms = crate::number::integer(call.arg(2))
        .ok_or(Failure::fixed("ERR timeout is not an integer or out of range"))?;
    if time_ms < 0 {
        return Err(Failure::fixed("ERR timeout is negative"));
    }
    let until_ms = call.shared.store.now_ms().checked_add(time_ms);
    let until_ms = until_ms.ok_or(Failure::fixed("ERR timeout is out of range"))?;
    call.shared.pause_clients(kind, until_ms)?;
    call.out.ok();
    Ok(())
}

/// Lets clients go on. What has expired meanwhile is freed before the answer.
fn unpause(call: &mut Call<'_, '_>) -> Outcome {
    call.shared.resume_clients()?;
    if call.session.runs_group {
        call.out.ok();
    } else {
        call.session.after = Some(After::Work(Box::new(|shared| {
            shared.store.purge_expired()?;
            Ok(())
        })));
    }
    Ok(())
}

fn unblock(call: &mut Call<'_, '_>) -> Outcome {
    if call.len() > 4 || (call.len() == 4 && !call.is(3, "timeout") && !call.is(3, "error")) {
        return Err(Failure::fixed("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR"));
    }
    call.integer(2)?;
    call.out.integer(0);
    Ok(())
}

/// Disconnects all clients that are a user.
pub fn end_user(shared: &Shared, user: &str, own: &Arc<ClientHandle>) -> bool {
    let mut has_own = false;
    for client in shared.clients.all() {
        if client.about().user == user {
            if client.id == own.id {
                has_own = true;
            } else {
                client.end(End::Now);
            }
        }
    }
    has_own
}
