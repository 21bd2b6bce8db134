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
    fn bytes(&self) -> usize {
        size_of::<Image>() + self.key.len() + self.value.len()
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

impl Images {
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

    /// Whether there is room for an image. One that is larger than all the room fits if it is alone.
    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        let waiting = self.waiting.lock();
        waiting.images.is_empty() || waiting.bytes + bytes <= MOST_BYTES
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

    /// Waits until the snapshot has taken some images, or is over. With no lock held.
    pub(crate) fn wait_for_room(&self) {
        let mut waiting = self.waiting.lock();
        while waiting.wanted && !waiting.spoiled && waiting.bytes >= MOST_BYTES / 2 {
            self.taken.wait(&mut waiting);
        }
    }
}
