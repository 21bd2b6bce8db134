//! How a store is opened: every sync mode with every kind of persistence, and small files, so that
//! rotation, snapshots and retirement are always under way when the end comes.

use anyhow::Result;
use kvcore::Options;

/// What is kept on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Persistence {
    /// The log.
    Wal,
    /// Snapshots alone.
    Snapshot,
    /// Both.
    Hybrid,
}

/// One way to open a store, made of a number.
#[derive(Debug, Clone, Copy)]
pub struct Setting(pub u64);

/// The bound on what a crash of the machine may take with `sync=interval`, in milliseconds.
pub const SYNC_INTERVAL_MS: u64 = 5;

impl Setting {
    /// When the log is flushed.
    pub fn sync(self) -> &'static str {
        ["always", "interval", "never"][(self.0 % 3) as usize]
    }

    /// What is kept.
    pub fn persistence(self) -> Persistence {
        // The log matters most; snapshots alone promise less.
        match self.0 / 3 % 5 {
            0 | 3 => Persistence::Wal,
            1 | 4 => Persistence::Hybrid,
            _ => Persistence::Snapshot,
        }
    }

    /// In words, for whoever reads the output.
    pub fn name(self) -> String {
        format!("sync={} persistence={}", self.sync(), self.persistence_name())
    }

    fn persistence_name(self) -> &'static str {
        match self.persistence() {
            Persistence::Wal => "wal",
            Persistence::Snapshot => "snapshot",
            Persistence::Hybrid => "hybrid",
        }
    }

    /// The options.
    ///
    /// # Errors
    /// None, unless an option has been renamed.
    pub fn options(self) -> Result<Options> {
        let more = self.0 / 15;
        let interval = format!("{SYNC_INTERVAL_MS}ms");
        let options = Options::new()
            .with("persistence", self.persistence_name())?
            .with("sync", self.sync())?
            .with("sync_interval", &interval)?
            .with("wal_segment_bytes", if more.is_multiple_of(4) { "1MiB" } else { "64KiB" })?
            .with("wal_bytes_max", "1MiB")?
            .with("snapshot_interval", ["15ms", "60ms", "0"][(more % 3) as usize])?
            .with("snapshot_keep", ["1", "2"][(more % 2) as usize])?
            .with("compression", ["none", "lz4", "zstd", "gzip"][(more / 2 % 4) as usize])?
            .with("cleanup_interval", "5ms")?
            .with("shards", ["8", "2"][(more / 3 % 2) as usize])?;
        Ok(options)
    }
}
