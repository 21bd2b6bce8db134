//! `MONITOR`: every command, as it is run, to whoever wants to see them.

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
    let now_ms = shared.store.now_ms();
    let mut line =
        format!("{}.{:03}000 [0 {}]", now_ms / 1000, now_ms % 1000, session.client.address);
    for arg in request.args() {
        line.push(' ');
        quote(arg, &mut line);
    }
    for client in shared.clients.all() {
        if client.has(flag::MONITOR) && client.id != session.client.id {
            client.post(shared.settings.push_bytes_max.load(Ordering::Relaxed), |to| {
                to.simple(&line)
            });
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
