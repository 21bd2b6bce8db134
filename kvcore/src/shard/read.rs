//! Reads of one shard. They change nothing but counters.

use super::Shard;
use crate::clock::Now;
use crate::context::Context;
use crate::entry::NEVER;
use crate::hash::Key;
use crate::set_options::Remaining;
use crate::slab::EntryId;
use crate::stats::Event;
use crate::value::{Value, ValueInfo, Within};

impl Shard {
    pub(crate) fn get(&self, key: Key<'_>, context: &Context) -> Option<Value> {
        let found = self.find_live(key, &Now::new(&context.clock));
        let event = if found.is_some() { Event::Hit } else { Event::Miss };
        context.count(&self.counters, event);
        found.map(|id| self.value(id, true))
    }

    /// Shows the bytes of a value to `read`, which must be quick and must not call the store.
    #[inline]
    pub(crate) fn get_within<R>(
        &self,
        key: Key<'_>,
        longest: usize,
        context: &Context,
        read: impl FnOnce(&[u8]) -> R,
    ) -> Option<Within<R>> {
        let Some(id) = self.find_live(key, &Now::new(&context.clock)) else {
            context.count(&self.counters, Event::Miss);
            return None;
        };
        let value = self.slab.get(id).value();
        if value.len() > longest {
            return Some(Within::Longer(value.len()));
        }
        context.count(&self.counters, Event::Hit);
        if self.keeps_access {
            self.slab.access(id, true);
        }
        Some(Within::Read(read(value)))
    }

    pub(crate) fn exists(&self, key: Key<'_>, context: &Context) -> bool {
        self.find_live(key, &Now::new(&context.clock)).is_some()
    }

    pub(crate) fn ttl(&self, key: Key<'_>, context: &Context) -> Option<Remaining> {
        let now = Now::new(&context.clock);
        let deadline = self.slab.get(self.find_live(key, &now)?).deadline();
        if deadline == NEVER {
            return Some(Remaining::Never);
        }
        Some(Remaining::Ms(deadline - now.ms()))
    }

    /// The live keys of the chunk at `chunk`; `None` behind the last chunk.
    pub(crate) fn keys(&self, chunk: usize, context: &Context) -> Option<Vec<Vec<u8>>> {
        if chunk >= self.slab.chunks() {
            return None;
        }
        let now = Now::new(&context.clock);
        let entries = self.slab.ids(chunk).map(|id| self.slab.get(id));
        Some(
            entries.filter(|entry| super::is_live(entry, &now)).map(|e| e.key().to_vec()).collect(),
        )
    }

    /// The value of an entry for a caller to keep. `hit` is whether this counts as a read of it.
    pub(super) fn value(&self, id: EntryId, hit: bool) -> Value {
        let entry = self.slab.get(id);
        let info = ValueInfo {
            version: entry.version(),
            deadline: entry.deadline(),
            access: self.slab.access(id, hit),
        };
        match entry.large_value() {
            Some(value) => Value::share(value, info),
            None => Value::copy(entry.value(), &self.pins, info),
        }
    }
}
