//! Random eviction: every entry is as likely to go as any other.
//!
//! Costs no memory and nothing on reads. Do not use it where some keys are much hotter than others:
//! it throws them out as readily as the rest.

use crate::random;
use crate::slab::{EntryId, Slab};

/// Places tried at random before the next one in use is taken.
const TRIES: usize = 16;

pub(super) fn victim(slab: &Slab, may_go: impl Fn(EntryId) -> bool) -> Option<EntryId> {
    let places = slab.places();
    if places == 0 {
        return None;
    }
    let fits = |number: usize| slab.id_at(number).filter(|id| may_go(*id));
    let tried = (0..TRIES).find_map(|_| fits(random::below(places)));
    tried.or_else(|| {
        let start = random::below(places);
        (start..places).chain(0..start).find_map(fits)
    })
}

#[cfg(all(test, not(kv_shuttle)))]
mod tests {
    use super::*;
    use crate::entry::{Content, Entry};

    #[test]
    fn every_entry_may_go_but_a_spared_one() {
        let mut slab = Slab::new(false);
        let content =
            Content { key: b"k", value: [b"", b""], version: 1, deadline: None, spare: 0 };
        assert_eq!(victim(&slab, |_| true), None);
        let ids: Vec<_> =
            (0..10).map(|_| slab.insert(Entry::new(&content).unwrap(), || 0)).collect();
        let mut seen = [false; 10];
        for _ in 0..10_000 {
            let id = victim(&slab, |id| id != ids[3]).unwrap();
            seen[id.number() as usize] = true;
        }
        assert_eq!(seen.iter().filter(|seen| **seen).count(), 9);
        assert!(!seen[3]);
        for id in &ids[4..] {
            slab.remove(*id);
        }
        for id in &ids[..3] {
            slab.remove(*id);
        }
        assert_eq!(victim(&slab, |id| id != ids[3]), None);
        assert_eq!(victim(&slab, |_| true), Some(ids[3]));
    }
}
