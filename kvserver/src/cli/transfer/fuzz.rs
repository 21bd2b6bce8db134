//! What `kv import` reads, given any bytes: see [`crate::fuzz`].

use kvcore::{Options, Store};

use super::{ExportArgs, Format, ImportArgs, Written};
use crate::cli::inserter::Inserter;
use crate::cli::item::Item;
use crate::cli::session::{Session, Wanted};

/// An entry whose deadline is earlier may go while it is looked at.
const FAR_MS: i64 = 4_000_000_000_000;

/// Any bytes as JSON Lines.
pub fn lines(bytes: &[u8]) -> bool {
    import(bytes, Format::Jsonl)
}

/// Any bytes as commands of the Redis protocol.
pub fn commands(bytes: &[u8]) -> bool {
    import(bytes, Format::Resp)
}

/// Any bytes as a binary dump of Redis.
pub fn dump(bytes: &[u8]) -> bool {
    import(bytes, Format::Rdb)
}

/// The entries that stay, and whether all there was could be read.
fn read(bytes: &[u8], format: Format) -> Option<(Vec<Item>, bool)> {
    let store = Store::memory(Options::new().with("shards", "1").ok()?).ok()?;
    let mut session = Session::Store(store.clone());
    let mut inserter = Inserter::new(&mut session);
    let args = ImportArgs { file: None, format };
    let read = args.read(&mut &bytes[..], &mut inserter, &|_| {}).is_ok();
    let put = inserter.finish().is_ok();
    let wanted = Wanted { sorted: true, values: true, ..Wanted::default() };
    let mut items = Vec::new();
    let scanned = session.scan(&wanted, &mut |item| {
        if item.expire_at_ms.is_none_or(|at| at > FAR_MS) {
            items.push(item);
        }
        Ok(true)
    });
    scanned.ok()?;
    Some((items, read && put))
}

/// Imports, and imports again what an export of that writes.
fn import(bytes: &[u8], format: Format) -> bool {
    let Some((items, is_whole)) = read(bytes, format) else { return false };
    for (written, format) in [(Written::Jsonl, Format::Jsonl), (Written::Resp, Format::Resp)] {
        let args = ExportArgs { file: None, format: written, prefix: std::ffi::OsString::new() };
        let mut exported = Vec::new();
        for item in &items {
            assert!(args.write(item, &mut exported).is_ok(), "memory was refused");
        }
        assert_eq!(read(&exported, format), Some((items.clone(), true)), "as {written:?}");
    }
    is_whole
}
