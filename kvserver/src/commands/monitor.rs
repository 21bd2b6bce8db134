//! `MONITOR`: every command, as it is run, to whoever wants to see them.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;

use super::call::{Call, Outcome};
use super::failure::Failure;
use super::spec::{Command, Flags, Group, NO_KEYS};
use crate::net::Session;
use crate::resp::Request;
use crate::shared::Shared;
use crate::shared::clients::flag;

/// The commands of this file.
pub const COMMANDS: &[Command] = &[Command::new(
    "monitor",
    1,
    &[Flags::ADMIN, Flags::NOSCRIPT, Flags::LOADING, Flags::STALE],
    NO_KEYS,
    Group::Server,
    monitor,
)
.about("1.0.0", "Shows every command to this client.")];

fn monitor(call: &mut Call<'_, '_>) -> Outcome {
    if call.session.runs_group {
        return Err(Failure::fixed("ERR MONITOR isn't allowed for DENY BLOCKING client"));
    }
    if !call.session.client.has(flag::MONITOR) {
        call.session.client.mark(flag::MONITOR, true);
        call.shared.monitors.fetch_add(1, Ordering::SeqCst);
        call.shared.find_observers();
    }
    call.out.ok();
    Ok(())
}

/// Shows a command to those who want to see them. Secrets are not shown.
pub fn show(shared: &Shared, session: &Session, command: &Command, request: Request<'_>) {
    if command.flags.has(Flags::SKIP_MONITOR) || command.flags.has(Flags::ADMIN) {
        return;
    }
    write(shared, session, request);
}

/// Shows a request to those who want to see them, whatever its command is.
pub fn write(shared: &Shared, session: &Session, request: Request<'_>) {
    tell(shared, session.client.address, Some(session.client.id), request.args());
}

/// Shows words that came from an address to those who want to see them, but not to the client with this number.
pub fn tell<'w>(
    shared: &Shared,
    address: SocketAddr,
    by: Option<u64>,
    words: impl Iterator<Item = &'w [u8]>,
) {
    let now_ms = shared.store.now_ms();
    let mut line = format!("{}.{:03}000 [0 {address}]", now_ms / 1000, now_ms % 1000);
    for word in words {
        line.push(' ');
        quote(word, &mut line);
    }
    for client in shared.clients.all() {
        if client.has(flag::MONITOR) && Some(client.id) != by {
            shared.post(&client, |to| to.simple(&line));
        }
    }
}

/// Writes bytes in quotes, with what could not be read escaped.
pub fn quote(bytes: &[u8], to: &mut String) {
    to.push('"');
    for &byte in bytes {
        match byte {
            b'"' | b'\\' => to.extend(['\\', char::from(byte)]),
            b'\n' => to.push_str("\\n"),
            b'\r' => to.push_str("\\r"),
            b'\t' => to.push_str("\\t"),
            0x07 => to.push_str("\\a"),
            0x08 => to.push_str("\\b"),
            b' '..=b'~' => to.push(char::from(byte)),
            _ => to.push_str(&format!("\\x{byte:02x}")),
        }
    }
    to.push('"');
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_cannot_be_read_is_escaped() {
        let mut text = String::new();
        super::quote(b"a \"b\"\\\r\n\x00\xff", &mut text);
        assert_eq!(text, r#""a \"b\"\\\r\n\x00\xff""#);
    }
}
