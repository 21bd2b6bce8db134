//! Entries out of a binary dump of Redis (RDB), which the crate `rdb` reads.
//!
//! Owns: what of a dump is taken: strings of database 0, with their deadlines. Values of other types are
//! left out and counted, since that is how a cache with a few of them is moved; another database is
//! refused, because its keys would mix with those of the first.

use std::cell::Cell;
use std::io::{BufRead, Read};
use std::rc::Rc;

use rdb::filter::Filter;
use rdb::{RdbDecoder, RdbValue};

use super::Fault;
use crate::cli::inserter::Inserter;
use crate::cli::item::Item;

/// The type of a string in a dump.
const STRING: u8 = 0;

/// Reads a dump to its end. How many entries were left out.
pub(super) fn read(
    from: &mut dyn BufRead,
    inserter: &mut Inserter<'_>,
    tell: &dyn Fn(u64),
) -> Result<u64, Fault> {
    let done = Cell::new(0);
    let left_out = Rc::new(Cell::new(0));
    let counted = Counted { from, done: &done };
    let bad = |error: rdb::RdbError| Fault::Unreadable(format!("byte {}: {error}", done.get()));
    let decoder = RdbDecoder::new(counted, Strings(Rc::clone(&left_out))).map_err(bad)?;
    for value in decoder {
        match value.map_err(bad)? {
            RdbValue::String { key, value, expiry } => {
                // A deadline beyond the largest number is never.
                let expire_at_ms = expiry.and_then(|at| i64::try_from(at).ok());
                inserter.push(Item { key, value, expire_at_ms })?;
            }
            RdbValue::SelectDb(number) if number != 0 => {
                let what = format!("byte {}: database {number}: there is only 0", done.get());
                return Err(Fault::Unreadable(what));
            }
            _ => {}
        }
        tell(done.get());
    }
    Ok(left_out.get())
}

/// Takes strings, and counts what else there is.
struct Strings(Rc<Cell<u64>>);

impl Filter for Strings {
    fn matches_type(&self, kind: u8) -> bool {
        if kind != STRING {
            self.0.set(self.0.get() + 1);
        }
        kind == STRING
    }
}

/// Counts the bytes that are read.
struct Counted<'a> {
    from: &'a mut dyn BufRead,
    done: &'a Cell<u64>,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.from.read(buffer)?;
        self.done.set(self.done.get() + count as u64);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use kvcore::{Options, Store};

    use super::*;
    use crate::cli::session::Session;

    /// A dump: two strings, one of them with a deadline, and a list, as Redis 5 writes them.
    fn dump(database: u8, end: &[u8]) -> Vec<u8> {
        let mut dump = b"REDIS0009\xfe".to_vec();
        dump.push(database);
        dump.extend_from_slice(b"\x00\x01a\x03one");
        dump.extend_from_slice(b"\xfc");
        dump.extend_from_slice(&9_000_000_000_000_u64.to_le_bytes());
        dump.extend_from_slice(b"\x00\x01b\x02\xff\x00");
        dump.extend_from_slice(b"\x01\x04list\x01\x01x");
        dump.extend_from_slice(end);
        dump
    }

    const END: &[u8] = b"\xff\0\0\0\0\0\0\0\0";

    fn imported(dump: &[u8]) -> (Store, Result<u64, String>) {
        let store = Store::memory(Options::new()).unwrap();
        let mut session = Session::Store(store.clone());
        let mut inserter = Inserter::new(&mut session);
        let read = read(&mut &dump[..], &mut inserter, &|_| {});
        let count = inserter.finish().unwrap();
        (store, read.map_err(|fault| fault.after(count).to_string()))
    }

    #[test]
    fn strings_are_taken_and_the_rest_is_counted() {
        let (store, left_out) = imported(&dump(0, END));
        assert_eq!(left_out, Ok(1));
        let value = |key: &str| store.get(key).unwrap().unwrap();
        assert_eq!((&value("a")[..], value("a").expire_at_ms()), (&b"one"[..], None));
        let deadline = Some(9_000_000_000_000);
        assert_eq!((&value("b")[..], value("b").expire_at_ms()), (&b"\xff\x00"[..], deadline));
        assert_eq!(store.len(), Ok(2));
    }

    #[test]
    fn what_is_no_dump_or_breaks_off_is_refused() {
        let (_, read) = imported(b"{\"key\":\"a\"}\n");
        assert!(read.unwrap_err().starts_with("byte "));
        let (_, read) = imported(&dump(3, END));
        assert!(read.unwrap_err().contains("database 3"));
        // Behind the mark of the end there is only a checksum, which is not compared.
        for len in 9..=dump(0, b"").len() {
            let (_, read) = imported(&dump(0, END)[..len]);
            assert!(read.is_err(), "{len} bytes");
        }
    }
}
