"""What some calls return: plain named tuples."""

from typing import Any, Literal, NamedTuple, TypeAlias

EventKind: TypeAlias = (
    Literal["set"]
    | Literal["deleted"]
    | Literal["expired"]
    | Literal["evicted"]
    | Literal["cleared"]
    | Literal["touched"]
)


class Entry(NamedTuple):
    """A value with what the store knows about it. Times are Unix timestamps in seconds."""

    value: bytes
    """The value."""
    version: int
    """The version that its last change gave the key."""
    created_at: float | None
    """When the key was first stored, or None unless the store keeps entry_stats."""
    expire_at: float | None
    """When the entry expires, or None if it never does."""
    hits: int
    """About how often it was read; 0 unless the store keeps entry_stats."""


class ViewEntry(NamedTuple):
    """An Entry as a view shows it: the value is what the codec makes of the bytes."""

    value: Any
    """The decoded value."""
    version: int
    """The version that its last change gave the key."""
    created_at: float | None
    """When the key was first stored, or None unless the store keeps entry_stats."""
    expire_at: float | None
    """When the entry expires, or None if it never does."""
    hits: int
    """About how often it was read; 0 unless the store keeps entry_stats."""


class BatchResult(NamedTuple):
    """What writing a batch did."""

    applied: int
    """Changes that were made."""
    missing: int
    """Deletions and new deadlines of keys that were absent or expired."""


class Event(NamedTuple):
    """A change that a watch saw."""

    kind: EventKind
    """What happened: touched is another deadline, cleared concerns the whole store."""
    key: bytes
    """The key; empty if the store was cleared."""
    value: bytes | None
    """The value that was set; None for every other kind, and of a store on servers, which do not tell it."""
    revision: int
    """The revision of the change. Those of a watch rise. Servers have none: it is 0 then."""
    expire_at: float | None
    """The deadline that was set, a Unix timestamp in seconds, or None."""


class Stats(NamedTuple):
    """Counts, sizes in bytes, and counters of operations since the store was opened."""

    entries: int
    """Entries, including those that expired and wait to be freed."""
    expiring_entries: int
    """Entries that have a deadline."""
    expired_pending: int
    """Entries that expired and wait to be freed."""
    key_bytes: int
    """Bytes of all keys."""
    value_bytes: int
    """Bytes of all values."""
    memory_bytes: int
    """What the live data is charged, and what max_memory limits."""
    resident_bytes: int
    """What the store holds from the system."""
    pinned_bytes: int
    """What values in callers' hands, callbacks and watches hold beside it."""
    gets: int
    """Reads."""
    hits: int
    """Reads that found their key."""
    misses: int
    """Reads that did not."""
    sets: int
    """Writes."""
    deletes: int
    """Deletions."""
    expired: int
    """Entries that expired and were freed."""
    evicted: int
    """Entries that were evicted."""
    callbacks_dropped: int
    """Removals that a slow callback missed."""
    wal_bytes: int
    """Bytes of the log."""
    wal_syncs: int
    """Flushes of the log."""
    snapshots: int
    """Snapshots taken."""
    revision: int
    """The version of the latest change."""
    index_bytes: int
    """Of memory_bytes: the hash index."""
    entry_bytes: int
    """Of memory_bytes: the places of entries, with their keys and values."""
    large_bytes: int
    """Of memory_bytes: keys and values too large for a place."""
    expiry_bytes: int
    """Of memory_bytes: the timing wheel."""
    policy_bytes: int
    """Of memory_bytes: what the eviction policy keeps of entries."""
    order_bytes: int
    """Of memory_bytes: the sorted index of ordered_index."""
    callback_bytes: int
    """Of pinned_bytes: removals that wait for the callback."""
    watch_bytes: int
    """Of pinned_bytes: events kept for watches."""
    wal_buffer_bytes: int
    """Buffers of the log, beside all others."""
    expiring_in_1s: int
    """About how many entries expire within a second; exact while these are few."""
    expiring_in_10s: int
    """The same within ten seconds, with those above."""
    expiring_in_1m: int
    """The same within a minute."""
    expiring_in_10m: int
    """The same within ten minutes."""
    near_hits: int
    """Reads that the near cache of a store on servers answered."""
    near_fills: int
    """Values that it took in."""
    near_invalidations: int
    """Keys, or whole parts of it, that a server told to be changed."""
    near_drops: int
    """Values that it did not take in, because they may have changed since they were asked for."""

    @property
    def hit_ratio(self) -> float:
        """Hits as a share of gets, from 0 to 1; 0 before the first read."""
        return self.hits / self.gets if self.gets else 0.0


class Capabilities(NamedTuple):
    """What a store can do beyond reading and writing keys. What it cannot raises UnsupportedError."""

    versions: bool
    """Values have versions, for if_version."""
    cross_slot_batches: bool
    """A batch may name any keys. Otherwise those of one slot of the cluster, else CrossSlotError."""
    ordered_scans: bool
    """Scans come in order, and take a range."""
    exact_scans: bool
    """A scan gives each key once. Otherwise at least once."""
    watches: bool
    """Changes can be watched. A server must have its notify-keyspace-events on as well."""
    watch_history: bool
    """Watches tell values and revisions, and can begin in the past."""
    snapshots: bool
    """There are sync, snapshot, restore and recovery."""
    eviction: bool
    """There are limits and eviction of the store's own, on_remove, configure and purge_expired."""
    clear: bool
    """clear may empty the store."""
    near_cache: bool
    """A near cache is in front of the servers."""


class Latency(NamedTuple):
    """How long calls took, in seconds. The sum is exact; the other times are an eighth too long at most."""

    calls: int
    """Calls that were timed."""
    sum: float
    """How long they took together."""
    p50: float
    """What half of them took at most."""
    p90: float
    """What 90 % of them took at most."""
    p99: float
    """What 99 % of them took at most."""
    p999: float
    """What 99.9 % of them took at most."""
    max: float
    """What the slowest took."""


class Snapshot(NamedTuple):
    """What a snapshot came to."""

    entries: int
    """Entries in it."""
    bytes: int
    """Bytes of the file."""
    revision: int
    """The last version that it shows."""
    created_at: float
    """The moment that it shows, as a Unix timestamp in seconds."""
    seconds: float
    """How long it took."""
    path: str
    """The file."""


class Recovery(NamedTuple):
    """What opening a store found in its directory. All zero for a store in memory."""

    snapshot_revision: int
    """The last version that had been given out when the snapshot was taken which was read, 0 if there was none."""
    last_revision: int
    """The highest version that was recovered, from the snapshot or from a record of the log behind it. After a crash,
    changes of lower versions may be among those that were lost: the log has an order of its own."""
    records: int
    """Records of the log that were replayed."""
    discarded_bytes: int
    """Bytes of the unfinished end of a log that were left out."""
    reason: str
    """Why they were, or why an older snapshot had to do; empty if all was in order."""
    fallback_used: bool
    """Whether the newest snapshot was damaged and an older one was read."""
    clock_regression_ms: int
    """How far the clock was behind the last time in the log."""
    seconds: float
    """How long it took."""


class Finding(NamedTuple):
    """Something that is wrong with a file of a store."""

    file: str
    """The file."""
    offset: int
    """Where in it, in bytes from its start, as far as that can be told."""
    problem: str
    """What is wrong."""
    lost: str
    """What cannot be read because of it."""
    harmless: bool
    """Whether a crash leaves it in the ordinary course of things, and opening mends it."""


class VerifyReport(NamedTuple):
    """What verify found."""

    sound: bool
    """Whether nothing was found, or only what is harmless."""
    files: int
    """Files that were read."""
    bytes: int
    """Their length in bytes, together."""
    findings: tuple[Finding, ...]
    """What is wrong with them."""


class SalvageReport(NamedTuple):
    """What salvage saved, and what it could not."""

    entries: int
    """Entries in the new directory."""
    records: int
    """Records of the log that could be read and were applied."""
    findings: tuple[Finding, ...]
    """What could not be read."""
    may_be_back: bool
    """Whether records may be missing before others that were applied, so that entries may be back
    which had been deleted or changed."""
