//! Entries as commands of the Redis protocol: what `redis-cli --pipe` reads, and what an append-only file
//! without a binary preamble holds.
//!
//! Owns: which commands an import understands: those that set, delete and give deadlines to strings.
//! Deadlines are absolute in what is written. In what is read a relative one counts from the import.

use std::io::BufRead;
use std::time::{SystemTime, UNIX_EPOCH};

use kvcore::Expiry;

use super::Fault;
use crate::cli::inserter::Inserter;
use crate::cli::item::Item;
use crate::cli::output::shown;
use crate::number;
use crate::resp::{Limits, Protocol, Read, Reader, Replies, Request};

/// What a file may hold: values of the engine's largest size.
const LIMITS: Limits = Limits { bulk_bytes_max: u32::MAX as u64, authenticated: true };

/// The command that sets an entry.
pub(super) fn set(item: &Item) -> Vec<u8> {
    let mut command = Replies::new(Protocol::Two);
    command.array(if item.expire_at_ms.is_some() { 5 } else { 3 });
    command.bulk(b"SET");
    command.bulk(&item.key);
    command.bulk(&item.value);
    if let Some(at) = item.expire_at_ms {
        command.bulk(b"PXAT");
        command.bulk(at.max(1).to_string().as_bytes());
    }
    command.as_bytes().to_vec()
}

/// Reads commands to the end.
pub(super) fn read(
    from: &mut dyn BufRead,
    inserter: &mut Inserter<'_>,
    tell: &dyn Fn(u64),
) -> Result<(), Fault> {
    let (mut reader, mut buffer) = (Reader::new(), Vec::new());
    let (mut number, mut done, now_ms) = (1_u64, 0_u64, now_ms());
    loop {
        let bad = |what: &str| Fault::Unreadable(format!("command {number}: {what}"));
        let chunk = from.fill_buf().map_err(|error| bad(&error.to_string()))?;
        let read = chunk.len();
        if read == 0 {
            let whole = buffer.is_empty();
            return if whole { Ok(()) } else { Err(bad("the file ends within it")) };
        }
        buffer.extend_from_slice(chunk);
        from.consume(read);
        done += read as u64;
        let mut taken = 0;
        loop {
            let bad = |what: &str| Fault::Unreadable(format!("command {number}: {what}"));
            match reader.read(&buffer[taken..], LIMITS) {
                Ok(Read::Request(request, bytes)) => {
                    apply(&request, inserter, now_ms, &bad)?;
                    taken += bytes;
                    number += 1;
                }
                Ok(Read::Nothing(bytes)) => taken += bytes,
                Ok(Read::More(_)) => break,
                Err(error) => return Err(bad(&error.to_string())),
            }
        }
        buffer.drain(..taken);
        tell(done);
    }
}

/// The time from which relative deadlines count, in Unix milliseconds.
fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Does what a command says.
fn apply(
    request: &Request<'_>,
    inserter: &mut Inserter<'_>,
    now_ms: i64,
    bad: &dyn Fn(&str) -> Fault,
) -> Result<(), Fault> {
    let name = request.arg(0).to_ascii_uppercase();
    let args: Vec<&[u8]> = request.args().skip(1).collect();
    let relative = |ms: i64| now_ms.saturating_add(ms);
    let time = |text: &[u8], unit_ms: i64| {
        let time = number::integer(text).and_then(|time| time.checked_mul(unit_ms));
        time.ok_or_else(|| bad("a time is not a whole number, or too large"))
    };
    let mut put = |key: &[u8], value: &[u8], expire_at_ms: Option<i64>| {
        inserter.push(Item { key: key.to_vec(), value: value.to_vec(), expire_at_ms })
    };
    match (name.as_slice(), args.as_slice()) {
        (b"SET", [key, value, rest @ ..]) => {
            let at = match rest {
                [] => None,
                [word, text] => Some(match word.to_ascii_uppercase().as_slice() {
                    b"PXAT" => time(text, 1)?,
                    b"EXAT" => time(text, 1_000)?,
                    b"PX" => relative(time(text, 1)?),
                    b"EX" => relative(time(text, 1_000)?),
                    _ => return Err(bad("SET has an option that is not understood")),
                }),
                _ => return Err(bad("SET has an option that is not understood")),
            };
            put(key, value, at)?;
        }
        (b"SETEX", [key, seconds, value]) => {
            put(key, value, Some(relative(time(seconds, 1_000)?)))?;
        }
        (b"PSETEX", [key, ms, value]) => put(key, value, Some(relative(time(ms, 1)?)))?,
        (b"MSET", pairs) if !pairs.is_empty() && pairs.len() % 2 == 0 => {
            for pair in pairs.chunks_exact(2) {
                put(pair[0], pair[1], None)?;
            }
        }
        (b"DEL" | b"UNLINK", keys @ [_, ..]) => {
            inserter.settled()?.del(keys)?;
        }
        (b"PEXPIREAT", [key, at]) => {
            let at = time(at, 1)?;
            inserter.settled()?.expire(key, Expiry::AtMs(at))?;
        }
        (b"EXPIREAT", [key, at]) => {
            let at = time(at, 1_000)?;
            inserter.settled()?.expire(key, Expiry::AtMs(at))?;
        }
        (b"PERSIST", [key]) => {
            inserter.settled()?.expire(key, Expiry::Never)?;
        }
        // The one database there is, and what frames a transaction whose commands are all here.
        (b"SELECT", [b"0"]) | (b"MULTI" | b"EXEC", []) => {}
        _ => {
            let name = shown(&name[..name.len().min(64)]);
            return Err(bad(&format!("{name} is not understood: an import takes strings")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use kvcore::{Options, Store};

    use super::*;
    use crate::cli::session::Session;

    fn imported(text: &[u8]) -> (Store, Result<(), String>) {
        let store = Store::memory(Options::new()).unwrap();
        let mut session = Session::Store(store.clone());
        let mut inserter = Inserter::new(&mut session);
        let read = read(&mut &text[..], &mut inserter, &|_| {});
        let count = inserter.finish().unwrap();
        (store, read.map_err(|fault| fault.after(count).to_string()))
    }

    #[test]
    fn what_is_written_is_read() {
        let item = Item {
            key: b"a\r\n\xff".to_vec(),
            value: b"$5\r\n".to_vec(),
            expire_at_ms: Some(i64::MAX - 1),
        };
        let (store, read) = imported(&set(&item));
        read.unwrap();
        let value = store.get(&item.key).unwrap().unwrap();
        assert_eq!((&value[..], value.expire_at_ms()), (&item.value[..], item.expire_at_ms));
    }

    #[test]
    fn commands_of_an_append_only_file_have_their_effect() {
        let text = b"SELECT 0\r\nSET a 1\r\nMULTI\r\nSET b 2 PXAT 9000000000000\r\nEXEC\r\n\
            MSET c 3 d 4\r\nDEL c\r\nPEXPIREAT d 9000000000001\r\nSETEX e 100 5\r\nSET f 6 EXAT 1\r\n\
            PERSIST b\r\n";
        let (store, read) = imported(text);
        read.unwrap();
        let deadline = |key: &str| store.get(key).unwrap().map(|value| value.expire_at_ms());
        assert_eq!(deadline("a"), Some(None));
        assert_eq!(deadline("b"), Some(None));
        assert_eq!(deadline("c"), None);
        assert_eq!(deadline("d"), Some(Some(9_000_000_000_001)));
        assert!(matches!(deadline("e"), Some(Some(_))));
        assert_eq!(deadline("f"), None);
    }

    #[test]
    fn a_fault_names_the_command_and_keeps_what_came_before() {
        for (bad, fault) in [
            (&b"LPUSH l 1\r\n"[..], "command 2: LPUSH is not understood"),
            (b"SET b 1 NX\r\n", "command 2: SET has an option"),
            (b"SET b 1 PXAT x\r\n", "command 2: a time is"),
            (b"*1\r\n$x\r\n", "command 2: Protocol error"),
            (b"*2\r\n$3\r\nGET\r\n", "command 2: the file ends within it"),
        ] {
            let (store, read) = imported(&[b"SET a 1\r\n", bad].concat());
            let fault_read = read.unwrap_err();
            assert!(fault_read.contains(fault), "{fault_read}");
            assert!(fault_read.ends_with("; 1 entries are in"), "{fault_read}");
            assert_eq!(store.len().unwrap(), 1);
        }
    }
}
