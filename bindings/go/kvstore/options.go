package kvstore

// Options of New and Open. They are only noted down here, as name and text; what they mean, their bounds and their errors
// are the library's, so a new row in its table needs no line here.

import (
	"strconv"
	"time"
)

// Option changes how New and Open set a store up. The library checks the value when the store is opened; a value
// that does not fit makes New fail with an error that names the option and what it takes.
type Option func(*config)

// config is what the options of one New come to. A later setting of the same option wins.
type config struct {
	location *string // nil: in memory
	settings []setting
	onRemove []removalFunc
	// Called while the store is opened; nil if nobody wants to know.
	onProgress func(Progress)
}

type setting struct {
	name, value string
}

// WithOption sets any option of the library by its name, for example WithOption("max_memory", "25%"). The names
// and values are those of the options table, the same in every language. The other With… functions are this with
// a Go type.
func WithOption(name, value string) Option {
	return func(c *config) {
		c.settings = append(c.settings, setting{name, value})
	}
}

// WithMaxKeySize limits keys to so many bytes: 1 to 65535, which is the default.
func WithMaxKeySize(bytes int) Option {
	return WithOption("max_key_bytes", strconv.Itoa(bytes))
}

// WithMaxValueSize limits values to so many bytes, 4 GiB less one at most. The default is 512 MiB.
func WithMaxValueSize(bytes int) Option {
	return WithOption("max_value_bytes", strconv.Itoa(bytes))
}

// WithMaxEntries limits the number of entries. 0, the default, is no limit. What happens at the limit is the
// eviction policy's to say. Configure("max_entries", …) changes it while the store is open.
func WithMaxEntries(entries int) Option {
	return WithOption("max_entries", strconv.Itoa(entries))
}

// WithMaxMemory limits the memory of everything stored, in bytes, with all that the store needs for it: the limit
// on Stats.MemoryBytes. 0, the default, is no limit. A share of what the process may use is
// WithOption("max_memory", "25%").
func WithMaxMemory(bytes int64) Option {
	return WithOption("max_memory", strconv.FormatInt(bytes, 10))
}

// EvictionPolicy says which entries go when the store is at a limit.
type EvictionPolicy string

// The eviction policies.
const (
	// EvictionNone evicts nothing: a write to a full store fails with ErrFull. It is the default.
	EvictionNone EvictionPolicy = "none"
	// EvictionLRU evicts what was not used for the longest time.
	EvictionLRU EvictionPolicy = "lru"
	// EvictionLFU evicts what is used least often.
	EvictionLFU EvictionPolicy = "lfu"
	// EvictionRandom evicts any entry.
	EvictionRandom EvictionPolicy = "random"
	// EvictionTTL evicts what is closest to its deadline.
	EvictionTTL EvictionPolicy = "ttl"
	// EvictionS3FIFO is S3-FIFO (Yang et al., SOSP 2023).
	EvictionS3FIFO EvictionPolicy = "s3fifo"
	// EvictionTinyLFU is adaptive W-TinyLFU (Einziger et al., 2017).
	EvictionTinyLFU EvictionPolicy = "tinylfu"
)

// WithEvictionPolicy says what goes when the store is at a limit.
func WithEvictionPolicy(policy EvictionPolicy) Option {
	return WithOption("eviction", string(policy))
}

// PersistenceMode says what a store keeps on disk.
type PersistenceMode string

// The persistence modes.
const (
	// PersistenceNone keeps nothing on disk.
	PersistenceNone PersistenceMode = "none"
	// PersistenceWAL keeps a write-ahead log, and a snapshot where the log has become too long.
	PersistenceWAL PersistenceMode = "wal"
	// PersistenceSnapshot keeps periodic snapshots: what was written since the last one goes with the process, unless
	// Close or Sync took another.
	PersistenceSnapshot PersistenceMode = "snapshot"
	// PersistenceHybrid keeps both. It is what Open takes for a directory.
	PersistenceHybrid PersistenceMode = "hybrid"
)

// WithPersistence says what the store keeps on disk, and in which directory, which is made if it is missing. With
// PersistenceNone the directory means nothing.
func WithPersistence(mode PersistenceMode, dir string) Option {
	return func(c *config) {
		WithOption("persistence", string(mode))(c)
		if mode != PersistenceNone {
			c.location = &dir
		}
	}
}

// SyncMode says when the log is flushed to the disk, and so what the end of the machine can take with it. The end of
// the process alone takes nothing in any mode.
type SyncMode string

// The sync modes.
const (
	// SyncAlways flushes before a write returns: nothing that was written is lost.
	SyncAlways SyncMode = "always"
	// SyncInterval flushes every WithSyncInterval: what came in the last one may be lost. It is the default.
	SyncInterval SyncMode = "interval"
	// SyncNever leaves it to the system when to flush.
	SyncNever SyncMode = "never"
)

// WithSync says when the log is flushed to the disk. It matters only to a store on disk.
func WithSync(mode SyncMode) Option {
	return WithOption("sync", string(mode))
}

// WithSyncInterval bounds what a crash of the machine can lose with SyncInterval; the default is a second. It matters
// only to a store on disk.
func WithSyncInterval(interval time.Duration) Option {
	return WithOption("sync_interval", durationText(interval))
}

// WithSnapshotInterval sets the time between periodic snapshots; 0 turns them off, and the default is five minutes. It
// matters only to a store on disk.
func WithSnapshotInterval(interval time.Duration) Option {
	return WithOption("snapshot_interval", durationText(interval))
}

// WithCompression compresses snapshots with gzip. It matters only to a store on disk; other formats are
// WithOption("compression", …).
func WithCompression(on bool) Option {
	if on {
		return WithOption("compression", "gzip")
	}
	return WithOption("compression", "none")
}

// WithCreate says whether a missing directory is made. By default it is; with false opening one fails with
// ErrInvalid.
func WithCreate(create bool) Option {
	return WithOption("create", strconv.FormatBool(create))
}

// WithDefaultTTL gives entries that are set without a TTL this one. 0, the default, is none: they never expire.
// It is rounded up to a millisecond.
func WithDefaultTTL(ttl time.Duration) Option {
	if ttl == NoTTL {
		ttl = 0
	}
	return WithOption("default_ttl", durationText(ttl))
}

// WithCleanupInterval bounds how late an expired entry may still hold memory; the default is 100 ms. Whatever it
// is, an expired entry is never returned.
func WithCleanupInterval(interval time.Duration) Option {
	return WithOption("cleanup_interval", durationText(interval))
}

// WithShardCount sets the number of shards, a power of two. Without it the library chooses by the cores of the
// machine and the limits of the store.
func WithShardCount(shards int) Option {
	return WithOption("shards", strconv.Itoa(shards))
}

// WithMetrics says whether operations are counted, for Stats. They are by default.
func WithMetrics(on bool) Option {
	return WithOption("metrics", strconv.FormatBool(on))
}

// WithLatency says which gets and sets are timed, beside syncs, for Latency: "off", which is the default, "sampled" for
// about one in 64, or "full".
func WithLatency(mode string) Option {
	return WithOption("latency", mode)
}

// WithEntryStats says whether each entry keeps its creation time and its hits, for GetEntry. By default it does
// not, which saves memory.
func WithEntryStats(on bool) Option {
	return WithOption("entry_stats", strconv.FormatBool(on))
}

// WithOrderedIndex says whether the store keeps its keys sorted, so that iterators over a prefix, a range or in order go
// from one wanted key to the next. By default it does not, which saves memory and time in writes, and such iterators go
// through the whole store.
func WithOrderedIndex(on bool) Option {
	return WithOption("ordered_index", strconv.FormatBool(on))
}

// durationText writes a duration as the options take it, rounded up to a millisecond.
func durationText(d time.Duration) string {
	return strconv.FormatInt(roundUpMs(d), 10) + "ms"
}
