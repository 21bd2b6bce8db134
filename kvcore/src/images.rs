//! Entries as they were, for a snapshot under way.
//!
//! A snapshot is the state at one moment, written while the store goes on changing. Whoever changes
//! an entry that it has not come to yet first leaves an image of it here. Owns: those images, until the
//! snapshot takes them. Invariants: they are bounded, and a writer that finds no room waits without a
//! lock until the snapshot has taken some; none is kept while no snapshot is under way.

use crate::entry::Head;
use crate::sync::{Condvar, Mutex};
use crate::value::Value;

/// Bytes of images that may wait for the snapshot.
const MOST_BYTES: usize = 4 << 20;

/// An entry as it was.
pub(crate) struct Image {
    pub(crate) key: Box<[u8]>,
    pub(crate) value: Value,
    pub(crate) head: Head,
    pub(crate) access: u8,
}

impl Image {
    /// What an image of a key and a value of so many bytes takes.
    pub(crate) fn cost(key_and_value: usize) -> usize {
        size_of::<Image>() + key_and_value
    }

    fn bytes(&self) -> usize {
        Image::cost(self.key.len() + self.value.len())
    }
}

/// The images that wait for the snapshot under way.
pub(crate) struct Images {
    waiting: Mutex<Waiting>,
    taken: Condvar,
}

#[derive(Default)]
struct Waiting {
    images: Vec<Image>,
    bytes: usize,
    /// Whether a snapshot is under way.
    wanted: bool,
    /// Whether the state it shows was cleared away.
    spoiled: bool,
}

impl Waiting {
    /// Whether an image of so many bytes may be added. One that is larger than all the room fits if it is
    /// alone, and none is kept that nobody wants.
    fn has_room(&self, bytes: usize) -> bool {
        !self.wanted
            || self.spoiled
            || self.images.is_empty()
            || self.bytes.saturating_add(bytes) <= MOST_BYTES
    }
}

impl Images {
    /// No snapshot is under way.
    pub(crate) fn new() -> Images {
        Images { waiting: Mutex::new(Waiting::default()), taken: Condvar::new() }
    }

    /// A snapshot begins. Under the locks of all shards.
    pub(crate) fn begin(&self) {
        *self.waiting.lock() = Waiting { wanted: true, ..Waiting::default() };
    }

    /// The snapshot is over. Nobody waits for it any more.
    pub(crate) fn end(&self) {
        let left = std::mem::take(&mut *self.waiting.lock());
        self.taken.notify_all();
        drop(left);
    }

    /// Whether there is room for an image of so many bytes.
    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        self.waiting.lock().has_room(bytes)
    }

    /// Keeps an image, if a snapshot still wants it.
    pub(crate) fn keep(&self, image: Image) {
        let mut waiting = self.waiting.lock();
        if waiting.wanted && !waiting.spoiled {
            waiting.bytes += image.bytes();
            waiting.images.push(image);
        }
    }

    /// Everything was taken out of the store at once: the snapshot has to begin anew.
    pub(crate) fn spoil(&self) {
        let mut waiting = self.waiting.lock();
        waiting.spoiled = true;
        let left = std::mem::take(&mut waiting.images);
        waiting.bytes = 0;
        drop(waiting);
        self.taken.notify_all();
        drop(left);
    }

    /// Takes the images that wait. `None` if the snapshot has to begin anew.
    pub(crate) fn take(&self) -> Option<Vec<Image>> {
        let mut waiting = self.waiting.lock();
        if waiting.spoiled {
            return None;
        }
        waiting.bytes = 0;
        let images = std::mem::take(&mut waiting.images);
        drop(waiting);
        self.taken.notify_all();
        Some(images)
    }

    /// Waits until there is room for an image of so many bytes, because the snapshot has taken some or is
    /// over. With no lock held.
    pub(crate) fn wait_for_room(&self, bytes: usize) {
        let mut waiting = self.waiting.lock();
        while !waiting.has_room(bytes) {
            self.taken.wait(&mut waiting);
        }
    }
}

#[cfg(all(test, not(kv_shuttle)))]
mod tests {
    #![allow(clippy::unwrap_used, clippy::disallowed_methods)]

    use super::*;
    use crate::entry::{Meta, NEVER};
    use crate::sync::atomic::{AtomicU32, Ordering};
    use crate::value::{PinMeter, ValueInfo};

    fn image(bytes: usize) -> Image {
        let meta = Meta { version: 1, deadline: NEVER, tag: None, access: None };
        let head = Head::new(&meta, 0, bytes);
        let value = Value::copy(&vec![0; bytes], PinMeter::lease(), ValueInfo::of(&head));
        Image { key: Box::default(), value, head, access: 0 }
    }

    #[test]
    fn who_waits_for_room_finds_room_afterwards() {
        // With 1.5 MiB taken there is no room for 3 MiB more, though less than half is taken.
        let (taken, more) = (3 << 19, 3 << 20);
        for release in [|images: &Images| drop(images.take()), Images::end, Images::spoil] {
            let images = Images::new();
            images.begin();
            images.keep(image(taken));
            assert!(!images.has_room(more));
            let rounds = AtomicU32::new(0);
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    while !images.has_room(more) {
                        rounds.fetch_add(1, Ordering::Relaxed);
                        images.wait_for_room(more);
                    }
                });
                // It waits, or is about to, and whoever does not wait comes round again meanwhile.
                while rounds.load(Ordering::Relaxed) == 0 {
                    std::thread::yield_now();
                }
                (0..100).for_each(|_| std::thread::yield_now());
                release(&images);
            });
            assert_eq!(rounds.into_inner(), 1, "one release is one wait");
        }
    }

    #[test]
    fn an_image_larger_than_all_room_fits_alone() {
        let images = Images::new();
        images.begin();
        assert!(images.has_room(MOST_BYTES * 2));
        images.keep(image(100));
        assert!(!images.has_room(MOST_BYTES));
        assert!(images.has_room(MOST_BYTES - Image::cost(100)));
        assert_eq!(images.take().unwrap().len(), 1);
        assert!(images.has_room(MOST_BYTES * 2));
    }
}
