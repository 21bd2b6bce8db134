//! What a store was opened with, and what of it changes while it is open.
//!
//! Owns: filling a new store from its directory, and the options that can be changed online.
//! Invariant: an option has its new value only once everything it asks for was done.

use std::path::Path;
use std::sync::Arc;

use super::Core;
use crate::context::limit;
use crate::durable::Durable;
use crate::error::Result;
use crate::io::Disk;
use crate::options::Options;
use crate::poison::State;
use crate::recovery::Progress;
use crate::snapshot::Compression;
use crate::stats::LatencyMode;

impl Core {
    /// Opens the directory of a store that nobody else uses yet, and fills it from there.
    ///
    /// # Errors
    /// As [`Durable::open`]; `Full` if the store would hold more than it may.
    pub(crate) fn open_directory(
        &self,
        disk: Arc<dyn Disk>,
        path: &Path,
        progress: &dyn Fn(Progress),
    ) -> Result<()> {
        let options = self.options.lock().clone();
        let durable = Durable::open(self, &options, disk, path, progress)?;
        let (max_entries, max_bytes) = (limit(options.max_entries()), limit(options.max_memory()));
        while let Err(excess) = self.set_limits(max_entries, max_bytes) {
            self.shed(excess, max_entries, max_bytes)?;
        }
        let second = self.durable.set(durable).is_err();
        debug_assert!(!second, "a store has one directory");
        Ok(())
    }

    /// The eviction policy.
    pub(crate) fn eviction(&self) -> &'static str {
        self.plan.policy
    }

    /// The limit on memory in bytes; 0 is none.
    pub(crate) fn max_memory(&self) -> u64 {
        self.options.lock().max_memory()
    }

    /// How snapshots are compressed.
    pub(crate) fn compression(&self) -> Compression {
        self.options.lock().compression()
    }

    /// Bytes of changed entries that are kept for a scan of one moment that begins now.
    pub(crate) fn scan_buffer_bytes(&self) -> u64 {
        self.options.lock().scan_buffer_bytes()
    }

    /// Changes one option of the open store.
    ///
    /// # Errors
    /// As [`Options::set`]; `Full` if the store holds more than a new limit and may not evict.
    pub(crate) fn configure(&self, name: &str, value: &str) -> Result<()> {
        let mut current = self.options.lock();
        let mut options = current.clone();
        options.set_online(name, value)?;
        let (max_entries, max_bytes) = (limit(options.max_entries()), limit(options.max_memory()));
        while let Err(excess) = self.set_limits(max_entries, max_bytes) {
            self.shed(excess, max_entries, max_bytes)?;
        }
        self.context.apply(&options);
        measure(&self.state, &options);
        self.context.alarm.ring();
        if let Some(durable) = self.durable() {
            durable.options_changed();
        }
        *current = options;
        Ok(())
    }
}

/// Has calls counted and timed as the options say.
pub(super) fn measure(state: &State, options: &Options) {
    state.measure(options.metrics(), options.latency() != LatencyMode::Off);
}
