//! Tells what goes by itself: keys whose deadline came, and keys that made room for others.
//!
//! Owns: a thread that watches the store while somebody wants to know. Commands tell what they do
//! themselves; nobody but the store knows of these.

use std::sync::Arc;

use kvcore::{EventKind, WatchCancel, WatchOptions, Watched};
use parking_lot::Mutex;

use super::Shared;
use super::events::{self, Classes};

/// The thread, if there is one.
#[derive(Debug, Default)]
pub(super) struct Follower {
    cancel: Mutex<Option<WatchCancel>>,
}

impl Follower {
    /// Begins or ends watching, as `is_wanted` says. That is asked under a lock, so of two threads the last
    /// one asks last.
    pub(super) fn adjust(&self, shared: &Arc<Shared>, is_wanted: impl FnOnce() -> bool) {
        let mut cancel = self.cancel.lock();
        if !is_wanted() {
            if let Some(cancel) = cancel.take() {
                cancel.cancel();
            }
            return;
        }
        if cancel.is_some() {
            return;
        }
        let options = WatchOptions::all().kinds(EventKind::Expired | EventKind::Evicted);
        // Without a watch these events are missed, as they are when a subscriber is not there.
        let Ok(mut watch) = shared.store.watch(&options) else { return };
        let canceller = watch.canceller();
        let weak = Arc::downgrade(shared);
        let follow = move || {
            loop {
                match watch.next(None) {
                    Ok(Watched::Event(event)) => {
                        let Some(shared) = weak.upgrade() else { return };
                        shared.keys_changed(&[event.key()], 0, &[]);
                        let (class, name) = match event.kind() {
                            EventKind::Expired => (Classes::EXPIRED, "expired"),
                            _ => (Classes::EVICTED, "evicted"),
                        };
                        events::publish(&shared, class, name, event.key());
                    }
                    Ok(Watched::Lagged { .. }) => {
                        // Some were missed, so no cache can be relied on.
                        let Some(shared) = weak.upgrade() else { return };
                        shared.tracking.invalidate_all(&shared);
                    }
                    _ => return,
                }
            }
        };
        if kvcore::spawn_thread("kv-follow", follow).is_ok() {
            *cancel = Some(canceller);
        }
    }

    /// Ends watching, for good.
    pub(super) fn end(&self) {
        if let Some(cancel) = self.cancel.lock().take() {
            cancel.cancel();
        }
    }
}
