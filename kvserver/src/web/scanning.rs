//! A scan as a task reads it: some entries at a time, on a thread that may take its time.
//!
//! Owns: [`Scanning`]. Without `ordered_index` a scan in order goes through the whole store, which would keep
//! every other client of an event loop waiting.
//!
//! Invariant: an entry that the caller may not see comes out of no scan, nor does it count against a limit. Who
//! may read some prefixes only has these scanned one after the other, so that what others keep in the store
//! costs it no time, unless its patterns begin with a star.

use std::collections::VecDeque;
use std::sync::Arc;

use kvcore::{Entry, Error, Order, Result, ScanOptions, Status};
use libkv::Scan;

use super::fault::Done;
use super::work::elsewhere;
use super::{Caller, Front};

/// A scan under way.
#[derive(Debug)]
pub struct Scanning {
    front: Arc<Front>,
    /// Who sees the entries; `None` is who sees all.
    caller: Option<Caller>,
    /// Away only while another thread reads it.
    scan: Option<Scan>,
    /// What is scanned behind it.
    later: VecDeque<ScanOptions>,
    /// How many more entries are wanted.
    left: u64,
}

impl Front {
    /// Begins a scan of what a caller may see.
    ///
    /// # Errors
    /// Those of [`Store::scan`](libkv::Store::scan); `Busy` and `Refused` of a gateway.
    pub async fn scan(self: &Arc<Self>, caller: &Caller, options: ScanOptions) -> Done<Scanning> {
        if caller.user.is_unlimited() {
            return self.scan_all(options).await;
        }
        let left = if options.limit == 0 { u64::MAX } else { options.limit };
        let mut later = parts(&options, caller.user.readable_prefixes());
        // Who may see nothing has nothing scanned.
        let scan = self.begin(later.pop_front()).await?;
        let caller = Some(caller.clone());
        Ok(Scanning { front: Arc::clone(self), caller, scan, later, left })
    }

    /// Begins a scan of all entries, for figures that tell of no single one.
    ///
    /// # Errors
    /// As [`scan`](Front::scan).
    pub async fn scan_all(self: &Arc<Self>, options: ScanOptions) -> Done<Scanning> {
        let scan = self.begin(Some(options)).await?;
        let later = VecDeque::new();
        Ok(Scanning { front: Arc::clone(self), caller: None, scan, later, left: u64::MAX })
    }

    /// Begins a part, if there is one.
    async fn begin(&self, part: Option<ScanOptions>) -> Done<Option<Scan>> {
        let Some(part) = part else { return Ok(None) };
        self.read(move |store| store.scan(&part)).await.map(Some)
    }
}

/// The parts of a scan that lie within some prefixes, in its order, without its limit.
fn parts(options: &ScanOptions, prefixes: Vec<Vec<u8>>) -> VecDeque<ScanOptions> {
    let within = prefixes.into_iter().filter_map(|prefix| {
        let narrower =
            match (prefix.starts_with(&options.prefix), options.prefix.starts_with(&prefix)) {
                (true, _) => prefix,
                (false, true) => options.prefix.clone(),
                (false, false) => return None,
            };
        Some(ScanOptions { prefix: narrower, limit: 0, ..options.clone() })
    });
    let mut parts: VecDeque<ScanOptions> = within.collect();
    if options.order == Order::Desc {
        parts.make_contiguous().reverse();
    }
    parts
}

impl Scanning {
    /// The next entries: `count`, or fewer at the end, and none after it. It waits until few enough other
    /// scans are being read.
    ///
    /// # Errors
    /// Those of [`Scan::try_next`], and of its beginning; a scan that has failed once is over.
    pub async fn next(&mut self, count: usize) -> Done<Vec<Entry>> {
        let count = count.min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let mut found = Vec::new();
        while found.len() < count && self.scan.is_some() {
            let mut entries = self.read(count - found.len()).await?;
            if entries.is_empty() {
                self.scan = self.front.begin(self.later.pop_front()).await?;
                continue;
            }
            if let Some(caller) = &self.caller {
                entries.retain(|entry| self.front.may_see(caller, entry.key()));
            }
            found.append(&mut entries);
        }
        self.left -= found.len() as u64;
        Ok(found)
    }

    /// The next entries of the part that is being scanned.
    async fn read(&mut self, count: usize) -> Result<Vec<Entry>> {
        let place = Arc::clone(&self.front.scans).acquire_owned().await;
        let place = place.map_err(|_| Error::from(Status::Closed))?;
        let Some(mut scan) = self.scan.take() else { return Ok(Vec::new()) };
        let read = move || {
            let entries: Result<Vec<Entry>> = scan.by_ref().take(count).collect();
            drop(place);
            (scan, entries)
        };
        let (scan, entries) = elsewhere(read).await?;
        let entries = entries?;
        self.scan = Some(scan);
        Ok(entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefixes(options: &ScanOptions, readable: &[&str]) -> Vec<String> {
        let readable = readable.iter().map(|prefix| prefix.as_bytes().to_vec()).collect();
        let parts = parts(options, readable);
        parts.into_iter().map(|part| String::from_utf8(part.prefix).unwrap()).collect()
    }

    #[test]
    fn a_scan_is_narrowed_to_what_may_be_read() {
        let of = |prefix: &str, order| ScanOptions::new().prefix(prefix).order(order).limit(5);
        let asc = |prefix| of(prefix, Order::Asc);
        assert_eq!(prefixes(&asc(""), &["a:", "b:"]), ["a:", "b:"]);
        assert_eq!(prefixes(&of("", Order::Desc), &["a:", "b:"]), ["b:", "a:"]);
        assert_eq!(prefixes(&asc("a:1"), &["a:", "b:"]), ["a:1"]);
        assert_eq!(prefixes(&asc("c"), &["a:", "b:"]), [""; 0]);
        assert_eq!(prefixes(&asc("x"), &[""]), ["x"]);
        assert_eq!(parts(&asc(""), vec![b"a".to_vec()])[0].limit, 0);
    }
}
