//! Scans, against a range of the model.

use kvcore::{Order, ScanOptions};

use crate::model::Entry;
use crate::ops::{Range, key};
use crate::pair::Pair;

/// What a scan shows of an entry.
type Shown = (Vec<u8>, Vec<u8>, u64, Option<i64>);

impl Pair {
    pub fn scan(&self, range: &Range) {
        let (number, len) = range.prefix;
        let prefix = key(number).into_iter().take(len).collect::<Vec<u8>>();
        let (start, end) = (range.start.map(key).unwrap_or_default(), range.end.map(key));
        let options = ScanOptions {
            prefix: prefix.clone(),
            start: start.clone(),
            end: end.clone(),
            limit: range.limit,
            order: range.order,
            keys_only: range.keys_only,
        };
        let shown = |key: &Vec<u8>, entry: &Entry| {
            let value = if range.keys_only { Vec::new() } else { entry.value.clone() };
            (key.clone(), value, entry.version, entry.deadline)
        };
        let mut want: Vec<Shown> = self
            .model
            .entries
            .iter()
            .filter(|(key, _)| key.starts_with(&prefix) && **key >= start)
            .filter(|(key, _)| end.as_ref().is_none_or(|end| *key < end))
            .map(|(key, entry)| shown(key, entry))
            .collect();
        let scan = self.store.scan(&options).unwrap().map(Result::unwrap);
        let mut got: Vec<Shown> = scan
            .map(|entry| {
                let (version, expire_at) = (entry.version(), entry.expire_at_ms());
                (entry.key().to_vec(), entry.value().to_vec(), version, expire_at)
            })
            .collect();
        let most = if range.limit == 0 { usize::MAX } else { range.limit as usize };
        match range.order {
            Order::None => {
                // Which ones come first is not said.
                assert_eq!(got.len(), want.len().min(most));
                got.sort();
                want.retain(|entry| got.binary_search(entry).is_ok());
            }
            Order::Asc => want.truncate(most),
            Order::Desc => {
                want.reverse();
                want.truncate(most);
            }
        }
        assert!(got == want, "{range:?}: {} entries, {} expected", got.len(), want.len());
    }
}
