//! Users and what they may do (`ACL`). What the rules mean is in `acl/rules.rs`.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use super::call::{After, Call, Outcome};
use super::failure::Failure;
use super::spec::{CATEGORIES, Command, Flags, Group, NO_KEYS};
use super::{client, help, table};
use crate::acl::{self, DEFAULT_USER, Denied, Permissions};
use crate::log::say;
use crate::resp::Request;
use crate::shared::Shared;
use crate::shared::clients::{ClientHandle, End};
use crate::shared::pubsub::Kind;

const ADMIN: &[Flags] = &[Flags::ADMIN, Flags::NOSCRIPT, Flags::LOADING, Flags::STALE];
/// It waits for a disk, which a transaction must not.
const FILE: &[Flags] =
    &[Flags::ADMIN, Flags::NOSCRIPT, Flags::LOADING, Flags::STALE, Flags::NO_MULTI];
const SECRET: &[Flags] = &[
    Flags::ADMIN,
    Flags::NOSCRIPT,
    Flags::LOADING,
    Flags::STALE,
    Flags::SKIP_MONITOR,
    Flags::SKIP_SLOWLOG,
];
const PLAIN: &[Flags] = &[Flags::NOSCRIPT, Flags::LOADING, Flags::STALE];

/// The commands of this file.
pub const COMMANDS: &[Command] =
    &[Command::new("acl", -2, &[], NO_KEYS, Group::Server, help::container)
        .about("6.0.0", "Users and what they may do.")
        .containing(SUBCOMMANDS)];

static SUBCOMMANDS: &[Command] = &[
    Command::new("acl|setuser", -3, ADMIN, NO_KEYS, Group::Server, setuser)
        .about("6.0.0", "Makes or changes a user."),
    Command::new("acl|getuser", 3, SECRET, NO_KEYS, Group::Server, getuser)
        .about("6.0.0", "Answers what a user may do."),
    Command::new("acl|deluser", -3, SECRET, NO_KEYS, Group::Server, deluser)
        .about("6.0.0", "Removes users and disconnects them."),
    Command::new("acl|list", 2, SECRET, NO_KEYS, Group::Server, list)
        .about("6.0.0", "Answers all users as the rules that would make them."),
    Command::new("acl|users", 2, ADMIN, NO_KEYS, Group::Server, users)
        .about("6.0.0", "Answers the names of all users."),
    Command::new("acl|whoami", 2, PLAIN, NO_KEYS, Group::Server, whoami)
        .about("6.0.0", "Answers the name of this user."),
    Command::new("acl|cat", -2, PLAIN, NO_KEYS, Group::Server, cat)
        .about("6.0.0", "Answers categories, or the commands of one."),
    Command::new("acl|genpass", -2, PLAIN, NO_KEYS, Group::Server, genpass)
        .about("6.0.0", "Answers a random password."),
    Command::new("acl|log", -2, ADMIN, NO_KEYS, Group::Server, log)
        .about("6.0.0", "Answers what was refused."),
    Command::new("acl|dryrun", -4, ADMIN, NO_KEYS, Group::Server, dryrun)
        .about("7.0.0", "Answers whether a user may do something."),
    Command::new("acl|load", 2, FILE, NO_KEYS, Group::Server, load)
        .about("6.0.0", "Reads the users from their file."),
    Command::new("acl|save", 2, FILE, NO_KEYS, Group::Server, save)
        .about("6.0.0", "Writes the users to their file."),
    Command::new("acl|help", 2, &[Flags::LOADING, Flags::STALE], NO_KEYS, Group::Server, usage)
        .about("6.0.0", "Says what there is."),
];

fn usage(call: &mut Call<'_, '_>) -> Outcome {
    help::write(
        call,
        &[
            "CAT [<category>]",
            "    List all commands that belong to <category>, or all command categories",
            "    when no category is specified.",
            "DELUSER <username> [<username> ...]",
            "    Delete a list of users.",
            "DRYRUN <username> <command> [<arg> ...]",
            "    Returns whether the user can execute the given command without executing the command.",
            "GETUSER <username>",
            "    Get the user's details.",
            "GENPASS [<bits>]",
            "    Generate a secure 256-bit user password. The optional `bits` argument can",
            "    be used to specify a different size.",
            "LIST",
            "    Show users details in config file format.",
            "LOAD",
            "    Reload users from the ACL file.",
            "LOG [<count> | RESET]",
            "    Show the ACL log entries.",
            "SAVE",
            "    Save the current config to the ACL file.",
            "SETUSER <username> <attribute> [<attribute> ...]",
            "    Create or modify a user with the specified attributes.",
            "USERS",
            "    List all the registered usernames.",
            "WHOAMI",
            "    Return the current connection username.",
        ],
    )
}

/// The name of a user in a request.
fn user_name(call: &Call<'_, '_>, position: usize) -> Result<String, Failure> {
    let name = call.arg(position);
    match name.iter().any(|byte| byte.is_ascii_whitespace() || *byte == 0) {
        true => Err(Failure::fixed("ERR Usernames can't contain spaces or null characters")),
        false => Ok(String::from_utf8_lossy(name).into_owned()),
    }
}

fn setuser(call: &mut Call<'_, '_>) -> Outcome {
    let name = user_name(call, 2)?;
    let rules: Vec<&[u8]> = call.args_from(3).collect();
    let changed = call.shared.acl.changed(&name, &rules);
    let user = changed.map_err(|why| Failure::new(format!("ERR {why}")))?;
    call.shared.acl.put(user);
    end_subscribers(call, &name);
    call.out.ok();
    Ok(())
}

/// Disconnects clients whose user may not use a channel any more that they are subscribed to.
fn end_subscribers(call: &mut Call<'_, '_>, name: &str) {
    for client in not_to_stay(call.shared, |user| user == name) {
        if client.id == call.session.client.id {
            call.session.after = Some(After::Close);
        } else {
            client.end(End::Now);
        }
    }
}

/// The clients of some users that are subscribed to a channel that their user may not use any more.
fn not_to_stay(shared: &Shared, is_meant: impl Fn(&str) -> bool) -> Vec<Arc<ClientHandle>> {
    shared.pubsub.refused(|client, kind, channel| {
        let name = client.about().user;
        let user = if is_meant(&name) { shared.acl.user(&name) } else { None };
        user.is_none_or(|user| user.may_use_channel(channel, kind == Kind::Pattern))
    })
}

fn write_permissions(call: &mut Call<'_, '_>, permissions: &Permissions) {
    call.out.bulk(b"commands");
    call.out.bulk(permissions.describe_commands().as_bytes());
    call.out.bulk(b"keys");
    call.out.bulk(permissions.describe_keys().as_bytes());
    call.out.bulk(b"channels");
    call.out.bulk(permissions.describe_channels().as_bytes());
}

fn getuser(call: &mut Call<'_, '_>) -> Outcome {
    let Some(user) = call.shared.acl.user(&call.text(2)) else {
        call.out.null_array();
        return Ok(());
    };
    call.out.map(6);
    call.out.bulk(b"flags");
    let flags = user.flag_names();
    call.out.set(flags.len());
    flags.iter().for_each(|flag| call.out.bulk(flag.as_bytes()));
    call.out.bulk(b"passwords");
    let passwords = user.passwords();
    call.out.array(passwords.len());
    passwords.iter().for_each(|password| call.out.bulk(password.as_bytes()));
    let mut permissions = user.permissions();
    if let Some(root) = permissions.next() {
        write_permissions(call, root);
    }
    let selectors: Vec<&Permissions> = permissions.collect();
    call.out.bulk(b"selectors");
    call.out.array(selectors.len());
    for selector in selectors {
        call.out.map(3);
        write_permissions(call, selector);
    }
    Ok(())
}

fn deluser(call: &mut Call<'_, '_>) -> Outcome {
    let mut removed = 0;
    for position in 2..call.len() {
        let name = call.text(position);
        if name == DEFAULT_USER {
            return Err(Failure::fixed("ERR The 'default' user cannot be removed"));
        }
        if call.shared.acl.remove(&name) {
            removed += 1;
            if client::end_user(call.shared, &name, &call.session.client) {
                call.session.after = Some(After::Close);
            }
        }
    }
    call.out.integer(removed);
    Ok(())
}

fn list(call: &mut Call<'_, '_>) -> Outcome {
    let users = call.shared.acl.users();
    call.out.array(users.len());
    users.iter().for_each(|user| call.out.bulk(user.describe().as_bytes()));
    Ok(())
}

fn users(call: &mut Call<'_, '_>) -> Outcome {
    let users = call.shared.acl.users();
    call.out.array(users.len());
    users.iter().for_each(|user| call.out.bulk(user.name().as_bytes()));
    Ok(())
}

fn whoami(call: &mut Call<'_, '_>) -> Outcome {
    call.out.bulk(call.session.user.name().as_bytes());
    Ok(())
}

fn cat(call: &mut Call<'_, '_>) -> Outcome {
    match call.len() {
        2 => {
            call.out.array(CATEGORIES.len());
            CATEGORIES.iter().for_each(|category| call.out.bulk(category.as_bytes()));
        }
        3 => {
            let asked = call.text(2).to_ascii_lowercase();
            let bit = CATEGORIES
                .iter()
                .position(|category| *category == asked)
                .ok_or_else(|| Failure::new(format!("ERR Unknown category '{}'", call.text(2))))?;
            let named: Vec<&str> = table::all()
                .filter(|entry| entry.categories & 1 << bit != 0)
                .map(|entry| entry.command.name)
                .collect();
            call.out.array(named.len());
            named.iter().for_each(|name| call.out.bulk(name.as_bytes()));
        }
        _ => return Err(Failure::subcommand("acl", &call.text(1))),
    }
    Ok(())
}

fn genpass(call: &mut Call<'_, '_>) -> Outcome {
    const BITS_MAX: i64 = 4096;
    let bits = match call.len() {
        2 => 256,
        3 => call.integer(2)?,
        _ => return Err(Failure::subcommand("acl", &call.text(1))),
    };
    if !(1..=BITS_MAX).contains(&bits) {
        return Err(Failure::new(format!(
            "ERR ACL GENPASS argument must be the number of bits for the output password, a positive number up to {BITS_MAX}"
        )));
    }
    let digits = usize::try_from(bits).unwrap_or(0).div_ceil(4);
    let password = crate::random::secret_hex(digits)
        .map_err(|error| Failure::new(format!("ERR no random numbers: {error}")))?;
    call.out.bulk(password.as_bytes());
    Ok(())
}

fn log(call: &mut Call<'_, '_>) -> Outcome {
    let count = match call.len() {
        2 => 10,
        3 if call.is(2, "reset") => {
            call.shared.acl.log.clear();
            call.out.ok();
            return Ok(());
        }
        3 => usize::try_from(call.integer(2)?).unwrap_or(0),
        _ => return Err(Failure::subcommand("acl", &call.text(1))),
    };
    let now_ms = call.shared.store.now_ms();
    let entries = call.shared.acl.log.newest(count);
    call.out.array(entries.len());
    for entry in entries {
        call.out.map(10);
        call.out.bulk(b"count");
        call.out.integer(entry.count.cast_signed());
        call.out.bulk(b"reason");
        call.out.bulk(entry.reason.name().as_bytes());
        call.out.bulk(b"context");
        call.out.bulk(entry.context.name().as_bytes());
        call.out.bulk(b"object");
        call.out.bulk(&entry.object);
        call.out.bulk(b"username");
        call.out.bulk(entry.user.as_bytes());
        call.out.bulk(b"age-seconds");
        call.out.double((now_ms - entry.created_ms) as f64 / 1000.0);
        call.out.bulk(b"client-info");
        call.out.bulk(entry.client.as_bytes());
        call.out.bulk(b"entry-id");
        call.out.integer(entry.id.cast_signed());
        call.out.bulk(b"timestamp-created");
        call.out.integer(entry.created_ms);
        call.out.bulk(b"timestamp-last-updated");
        call.out.integer(entry.updated_ms);
    }
    Ok(())
}

fn dryrun(call: &mut Call<'_, '_>) -> Outcome {
    let name = call.text(2);
    let Some(user) = call.shared.acl.user(&name) else {
        return Err(Failure::new(format!("ERR User '{name}' not found")));
    };
    let mut bytes = Vec::new();
    let ranges: Vec<Range<usize>> = call
        .args_from(3)
        .map(|arg| {
            let start = bytes.len();
            bytes.extend_from_slice(arg);
            start..bytes.len()
        })
        .collect();
    let request = Request::new(&bytes, &ranges);
    let unknown = || Failure::new(format!("ERR Command '{}' not found", call.text(3)));
    let container = table::get(table::find(request.arg(0)).ok_or_else(unknown)?);
    let command = match (container.subcommands, request.len()) {
        ([], _) | (_, 1) => container,
        _ => {
            table::find_subcommand(container, request.arg(1)).map(table::get).ok_or_else(unknown)?
        }
    };
    if !command.takes(request.len()) {
        return Err(Failure::arity(command.name));
    }
    match user.check(command, request) {
        Ok(()) => call.out.ok(),
        Err(denied) => {
            let text = match denied {
                Denied::Command => {
                    format!("User {name} has no permissions to run the '{}' command", command.name)
                }
                Denied::Key(key) => format!(
                    "User {name} has no permissions to access the '{}' key",
                    String::from_utf8_lossy(&key)
                ),
                Denied::Channel(channel) => format!(
                    "User {name} has no permissions to access the '{}' channel",
                    String::from_utf8_lossy(&channel)
                ),
            };
            call.out.bulk(text.as_bytes());
        }
    }
    Ok(())
}

/// The file of the users.
fn users_file(call: &Call<'_, '_>) -> Result<PathBuf, Failure> {
    call.shared.options.users_file.clone().ok_or(Failure::fixed(
        "ERR This Redis instance is not configured to use an ACL file. You may want to specify users via the ACL SETUSER command and then issue a CONFIG REWRITE (assuming you have a Redis configuration file set) in order to store users in the Redis configuration.",
    ))
}

/// Reads the users anew. Clients of those that are gone are disconnected; for the others the new rules hold from
/// their next command on.
fn load(call: &mut Call<'_, '_>) -> Outcome {
    let path = users_file(call)?;
    let own = call.session.client.id;
    call.session.after = Some(After::Work(Box::new(move |shared| {
        let users = acl::read_file(&path).map_err(|why| Failure::new(format!("ERR {why}")))?;
        let gone = shared.acl.replace(users);
        let mut ended: Vec<_> = shared.clients.all();
        ended.retain(|client| gone.contains(&client.about().user));
        ended.extend(not_to_stay(shared, |_| true));
        for client in ended {
            // The one that asked still gets its reply.
            client.end(if client.id == own { End::AfterReplies } else { End::Now });
        }
        Ok(())
    })));
    Ok(())
}

fn save(call: &mut Call<'_, '_>) -> Outcome {
    let path = users_file(call)?;
    call.session.after = Some(After::Work(Box::new(move |shared| {
        acl::write_file(&path, &shared.acl.users()).map_err(|error| {
            say(&format!("ACL SAVE cannot write {}: {error}", path.display()));
            Failure::fixed("ERR There was an error trying to save the ACLs. Please check the server logs for more information")
        })
    })));
    Ok(())
}
