//! Entries as they were, for scans that show one moment.
//!
//! Owns: [`View`], what such a scan and the shards share. Whoever changes an entry that the scan has yet
//! to give, and that is as old as its moment, leaves the entry as it was here first (`shard/views.rs`).
//!
//! Invariants: a view holds at most the bytes that it was made for; no writer waits for a scan, so a view
//! that would need more is spoiled and keeps nothing from then on; a spoiled one stays so. Nothing is
//! dropped here by a writer, who holds the lock of a shard: the scan does that.
//!
//! Why not the images of snapshots (`images.rs`): a snapshot may make writers wait, because its thread
//! goes on by itself. A scan goes on when its caller likes, which may be never.

use crate::budget::allocation;
use crate::error::{Error, Result, Status};
use crate::scan::{Bounds, Entry, Order};
use crate::sync::Mutex;

/// The moment that a scan shows, and what it still needs of it.
pub(crate) struct View {
    /// The last revision that it shows.
    revision: u64,
    /// The keys that it wanted when it began.
    bounds: Bounds,
    order: Order,
    keys_only: bool,
    most_bytes: u64,
    kept: Mutex<Kept>,
}

struct Kept {
    waiting: Vec<Entry>,
    /// Bytes of all entries that wait, and of those that the scan took and has not given yet.
    bytes: u64,
    /// The keys that it still wants: in an order, those behind the last one that was given.
    wanted: Bounds,
    /// Why the moment can't be shown any more.
    spoiled: Option<&'static str>,
}

impl View {
    /// Of the keys within these bounds, as they are now that `revision` is the last one. `most_bytes` is
    /// what it may keep.
    pub(crate) fn new(
        revision: u64,
        bounds: Bounds,
        order: Order,
        keys_only: bool,
        most_bytes: u64,
    ) -> View {
        let wanted = bounds.clone();
        let kept = Kept { waiting: Vec::new(), bytes: 0, wanted, spoiled: None };
        View { revision, bounds, order, keys_only, most_bytes, kept: Mutex::new(kept) }
    }

    /// The last revision that it shows. What is younger is another entry than at the moment.
    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    /// The order in which the scan gives its keys.
    pub(crate) fn order(&self) -> Order {
        self.order
    }

    /// Whether a key was wanted when the scan began. One that was is still offered to [`keep`](View::keep).
    pub(crate) fn wanted(&self, key: &[u8]) -> bool {
        self.bounds.contains(key)
    }

    /// Keeps an entry as it was, if it is still wanted and there is room. `entry` makes it, without its
    /// value if it is told so.
    pub(crate) fn keep(&self, key: &[u8], value_len: usize, entry: impl FnOnce(bool) -> Entry) {
        let value_len = if self.keys_only { 0 } else { value_len };
        let bytes = cost(key.len(), value_len);
        let mut kept = self.kept.lock();
        if kept.spoiled.is_some() || !kept.wanted.contains(key) {
            return;
        }
        if kept.bytes.saturating_add(bytes) > self.most_bytes {
            kept.spoiled = Some(
                "more was changed since the scan began than it may keep: raise scan_buffer_bytes, \
                 take its entries sooner, or scan without point_in_time",
            );
            return;
        }
        kept.bytes += bytes;
        kept.waiting.push(entry(self.keys_only));
    }

    /// Everything is taken out at once: the moment can't be shown any more.
    pub(crate) fn cleared(&self) {
        let why = "the store was cleared since the scan began: begin a new scan";
        self.kept.lock().spoiled.get_or_insert(why);
    }

    /// Takes the entries that wait. They count until they were [`given`](View::given).
    ///
    /// # Errors
    /// `Conflict` if the moment can't be shown any more; then nothing is kept.
    pub(crate) fn take(&self) -> Result<Vec<Entry>> {
        let mut kept = self.kept.lock();
        let mut waiting = std::mem::take(&mut kept.waiting);
        // One that the scan gave while it was about to change has left itself all the same.
        waiting.retain(|entry| {
            let is_wanted = kept.wanted.contains(entry.key());
            if !is_wanted {
                kept.bytes -= cost(entry.key().len(), entry.value().len());
            }
            is_wanted
        });
        match kept.spoiled {
            None => Ok(waiting),
            Some(why) => {
                drop(kept);
                Err(Error::new(Status::Conflict, why))
            }
        }
    }

    /// The scan has given this key, in its order. `bytes` is what the entries count for that were taken
    /// and are done with.
    pub(crate) fn given(&self, key: &[u8], bytes: u64) {
        let mut kept = self.kept.lock();
        kept.bytes -= bytes;
        match self.order {
            Order::None => {}
            Order::Asc => {
                kept.wanted.start.clear();
                kept.wanted.start.extend_from_slice(key);
                kept.wanted.start.push(0);
            }
            Order::Desc => {
                let end = kept.wanted.end.get_or_insert_default();
                end.clear();
                end.extend_from_slice(key);
            }
        }
    }
}

/// What an entry counts for, by the lengths of its key and of its value.
pub(crate) fn cost(key: usize, value: usize) -> u64 {
    (size_of::<Entry>() + allocation(key) + allocation(value)) as u64
}

#[cfg(all(test, not(kv_shuttle)))]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::entry::{Head, Meta, NEVER};
    use crate::value::{PinMeter, Value, ValueInfo};

    fn view(order: Order, keys_only: bool, most_bytes: u64) -> View {
        View::new(7, Bounds::new(b"a", b"", None), order, keys_only, most_bytes)
    }

    /// Offers an entry with a value of so many bytes.
    fn keep(view: &View, key: &[u8], bytes: usize) {
        view.keep(key, bytes, |keys_only| {
            let meta = Meta { version: 1, deadline: NEVER, tag: None, access: None };
            let info = ValueInfo::of(&Head::new(&meta, key.len(), bytes));
            let value = (!keys_only).then(|| Value::copy(&vec![0; bytes], PinMeter::lease(), info));
            Entry::new(key, value, info)
        });
    }

    #[test]
    fn what_was_taken_counts_until_it_was_given() {
        let view = view(Order::None, false, cost(1, 100) * 2);
        keep(&view, b"a", 100);
        keep(&view, b"a", 100);
        assert_eq!(view.take().unwrap().len(), 2);
        view.given(b"a", cost(1, 100));
        keep(&view, b"a", 100);
        assert_eq!(view.take().unwrap().len(), 1);
        keep(&view, b"a", 0);
        let error = view.take().unwrap_err();
        assert_eq!(error.status(), Status::Conflict);
        assert!(error.message().contains("scan_buffer_bytes"));
    }

    #[test]
    fn values_that_are_not_wanted_take_no_room() {
        let view = view(Order::None, true, cost(1, 0));
        keep(&view, b"a", 100);
        assert_eq!(view.take().unwrap()[0].value(), b"");
    }

    #[test]
    fn in_an_order_what_was_given_is_wanted_no_more() {
        for (order, given, wanted) in
            [(Order::Asc, [&b"aa"[..], b"ab"], b"ab\0"), (Order::Desc, [b"ab", b"ac"], b"aaz")]
        {
            let view = view(order, false, cost(3, 0) * 2);
            // It changed when the scan had looked here and was about to give it.
            keep(&view, b"ab", 0);
            view.given(b"ab", 0);
            given.into_iter().for_each(|key| keep(&view, key, 0));
            keep(&view, wanted, 0);
            let taken = view.take().unwrap();
            assert_eq!((taken.len(), taken[0].key()), (1, &wanted[..]));
            keep(&view, wanted, 0);
            assert!(view.take().is_ok(), "what was given takes no room");
        }
    }

    #[test]
    fn a_spoiled_view_keeps_nothing_and_says_the_first_reason() {
        let view = view(Order::None, false, cost(1, 1));
        keep(&view, b"a", 1);
        view.cleared();
        keep(&view, b"a", 1);
        for _ in 0..2 {
            assert!(view.take().unwrap_err().message().contains("cleared"));
        }
    }
}
