//! The one table of options: every name, default, bound and meaning.
//!
//! Every surface takes its options from here, and the table in the README is generated from it.

/// One row of the table of options.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct OptionSpec {
    /// The name, the same on every surface.
    pub name: &'static str,
    /// The default, in the form a caller would write it.
    pub default: &'static str,
    /// Whether [`Store::configure`](crate::Store::configure) can change it while the store is open.
    pub online: bool,
    /// Which values it takes.
    pub kind: OptionKind,
    /// Which of those values this version offers.
    pub offers: Offers,
    /// What it does, in one line.
    pub meaning: &'static str,
}

/// Which values an option takes.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum OptionKind {
    /// One of these words.
    Choice(&'static [&'static str]),
    /// `true` or `false`.
    Bool,
    /// A number within these bounds.
    Count {
        /// The smallest.
        min: u64,
        /// The largest.
        max: u64,
    },
    /// A power of two up to `max`, or `auto`.
    PowerOfTwo {
        /// The largest.
        max: u64,
    },
    /// A number of bytes within these bounds: `64MiB`, `1GB` or plain bytes.
    Bytes {
        /// The smallest.
        min: u64,
        /// The largest.
        max: u64,
    },
    /// As `Bytes`, or a share of the memory this process may use: `25%`.
    Memory,
    /// A duration within these bounds: `250ms`, `1s`, `5m`, `6h`, `1d`.
    Duration {
        /// The shortest, in milliseconds.
        min_ms: u64,
        /// The longest, in milliseconds.
        max_ms: u64,
    },
    /// A share from `0%` to `100%`.
    Share,
    /// Any text of so many bytes at most.
    Text {
        /// The longest, in bytes.
        max: usize,
    },
}

/// What a store in a directory keeps there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Persistence {
    /// Nothing.
    None,
    /// The log.
    Wal,
    /// Snapshots.
    Snapshot,
    /// Both.
    Hybrid,
}

impl Persistence {
    pub(crate) fn has_log(self) -> bool {
        matches!(self, Persistence::Wal | Persistence::Hybrid)
    }

    /// Whether snapshots are taken periodically.
    pub(crate) fn has_snapshots(self) -> bool {
        matches!(self, Persistence::Snapshot | Persistence::Hybrid)
    }
}

/// Which values of an option this version offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Offers {
    /// All of them.
    All,
    /// Only the default.
    DefaultOnly,
    /// All of them, and they matter only to a store in a directory.
    OnDiskOnly,
    /// All of them, and they matter only to a store on a server or cluster; any other store refuses what is
    /// not the default.
    RemoteOnly,
}

const YEAR_MS: u64 = 366 * 24 * 3600 * 1000;
const DAY_MS: u64 = 24 * 3600 * 1000;

const fn row(
    name: &'static str,
    default: &'static str,
    online: bool,
    kind: OptionKind,
    offers: Offers,
    meaning: &'static str,
) -> OptionSpec {
    OptionSpec { name, default, online, kind, offers, meaning }
}

/// Every option, in the order in which the documentation lists them.
pub const OPTION_TABLE: &[OptionSpec] = &[
    row(
        "persistence",
        "auto",
        false,
        OptionKind::Choice(&["auto", "none", "wal", "snapshot", "hybrid"]),
        Offers::OnDiskOnly,
        "what is kept on disk; `auto` is `none` without a path, else `hybrid`",
    ),
    row(
        "sync",
        "interval",
        true,
        OptionKind::Choice(&["always", "interval", "never"]),
        Offers::OnDiskOnly,
        "when the log is flushed to the disk",
    ),
    row(
        "sync_interval",
        "1s",
        true,
        OptionKind::Duration { min_ms: 1, max_ms: DAY_MS },
        Offers::OnDiskOnly,
        "bound on what a crash of the machine can lose with `sync=interval`",
    ),
    row(
        "snapshot_interval",
        "5m",
        true,
        OptionKind::Duration { min_ms: 0, max_ms: YEAR_MS },
        Offers::OnDiskOnly,
        "time between periodic snapshots; `0` turns them off",
    ),
    row(
        "snapshot_keep",
        "2",
        false,
        OptionKind::Count { min: 1, max: 1000 },
        Offers::OnDiskOnly,
        "generations of snapshots that are kept",
    ),
    row(
        "wal_segment_bytes",
        "64MiB",
        false,
        OptionKind::Bytes { min: 1 << 16, max: 1 << 32 },
        Offers::OnDiskOnly,
        "size at which the log starts a new file",
    ),
    row(
        "compression",
        "none",
        false,
        OptionKind::Choice(&["none", "gzip", "lz4", "zstd"]),
        Offers::OnDiskOnly,
        "compression of snapshots",
    ),
    row(
        "create",
        "true",
        false,
        OptionKind::Bool,
        Offers::OnDiskOnly,
        "whether a missing directory is made",
    ),
    row(
        "eviction",
        "none",
        false,
        OptionKind::Choice(&["none", "lru", "lfu", "random", "ttl", "s3fifo", "tinylfu"]),
        Offers::All,
        "what goes when a limit is reached; `none` refuses writes instead",
    ),
    row(
        "max_entries",
        "0",
        true,
        OptionKind::Count { min: 0, max: u64::MAX },
        Offers::All,
        "limit on the number of entries; `0` is no limit",
    ),
    row(
        "max_memory",
        "0",
        true,
        OptionKind::Memory,
        Offers::All,
        "limit on `memory_bytes`; `0` is no limit; a share such as `25%` is of what the process may use",
    ),
    row("metrics", "true", true, OptionKind::Bool, Offers::All, "whether operations are counted"),
    row(
        "latency",
        "off",
        true,
        OptionKind::Choice(&["off", "sampled", "full"]),
        Offers::All,
        "which gets and sets are timed, beside syncs: none, about one in 64, or all",
    ),
    row(
        "max_key_bytes",
        "65535",
        false,
        OptionKind::Bytes { min: 1, max: 65_535 },
        Offers::All,
        "longest key",
    ),
    row(
        "max_value_bytes",
        "512MiB",
        false,
        OptionKind::Bytes { min: 1, max: u32::MAX as u64 },
        Offers::All,
        "longest value",
    ),
    row(
        "default_ttl",
        "0",
        true,
        OptionKind::Duration { min_ms: 0, max_ms: i64::MAX as u64 },
        Offers::All,
        "TTL of a write that names none; `0` is never",
    ),
    row(
        "ttl_jitter",
        "0",
        true,
        OptionKind::Share,
        Offers::All,
        "shortens each relative TTL by a random share up to this, such as `10%`",
    ),
    row(
        "cleanup_interval",
        "100ms",
        true,
        OptionKind::Duration { min_ms: 1, max_ms: DAY_MS },
        Offers::All,
        "how late an expired entry may still hold memory",
    ),
    row(
        "shards",
        "auto",
        false,
        OptionKind::PowerOfTwo { max: 4096 },
        Offers::All,
        "number of shards, a power of two; `auto` goes by cores and limits",
    ),
    row(
        "entry_stats",
        "false",
        false,
        OptionKind::Bool,
        Offers::All,
        "whether creation time and hits are kept for each entry",
    ),
    row(
        "ordered_index",
        "false",
        false,
        OptionKind::Bool,
        Offers::All,
        "whether keys are kept sorted, for prefix, range and sorted scans",
    ),
    row(
        "watch_buffer",
        "65536",
        false,
        OptionKind::Count { min: 1, max: 1 << 24 },
        Offers::All,
        "events kept for slow watches, while there is one",
    ),
    row(
        "watch_buffer_bytes",
        "64MiB",
        false,
        OptionKind::Bytes { min: 1 << 10, max: 1 << 40 },
        Offers::All,
        "bytes of these events, unless a single one is larger",
    ),
    row(
        "scan_buffer_bytes",
        "64MiB",
        true,
        OptionKind::Bytes { min: 1 << 10, max: 1 << 40 },
        Offers::All,
        "bytes of changed entries kept for one `point_in_time` scan",
    ),
    row(
        "callback_buffer",
        "65536",
        false,
        OptionKind::Count { min: 1, max: 1 << 24 },
        Offers::All,
        "removals kept for a slow callback, in at most 64 MiB; more are dropped and counted",
    ),
    row(
        "wal_bytes_max",
        "1GiB",
        false,
        OptionKind::Bytes { min: 1 << 20, max: 1 << 50 },
        Offers::OnDiskOnly,
        "a log longer than this is compacted",
    ),
    row(
        "prefix",
        "",
        false,
        OptionKind::Text { max: 1024 },
        Offers::RemoteOnly,
        "what the keys begin with on the server; callers neither give nor see it",
    ),
    row(
        "timeout",
        "5s",
        false,
        OptionKind::Duration { min_ms: 10, max_ms: 3_600_000 },
        Offers::RemoteOnly,
        "the longest that a call takes, all retries included; longer than a failover",
    ),
    row(
        "ack_replicas",
        "0",
        false,
        OptionKind::Count { min: 0, max: 64 },
        Offers::RemoteOnly,
        "replicas that must have a change before the call returns",
    ),
    row(
        "near",
        "0",
        false,
        OptionKind::Bytes { min: 0, max: 1 << 40 },
        Offers::RemoteOnly,
        "memory of the near cache; `0` is none",
    ),
    row(
        "near_max_ttl",
        "1m",
        false,
        OptionKind::Duration { min_ms: 1, max_ms: DAY_MS },
        Offers::RemoteOnly,
        "how long the near cache keeps an entry at most",
    ),
    row(
        "allow_flush",
        "false",
        false,
        OptionKind::Bool,
        Offers::RemoteOnly,
        "whether `clear` without a `prefix` may empty the servers",
    ),
    row(
        "tls",
        "false",
        false,
        OptionKind::Bool,
        Offers::RemoteOnly,
        "whether connections are encrypted and the servers' certificates checked",
    ),
    row(
        "tls_ca_file",
        "",
        false,
        OptionKind::Text { max: 4096 },
        Offers::RemoteOnly,
        "certificates in PEM that are trusted in place of the system's",
    ),
];
