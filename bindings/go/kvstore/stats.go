package kvstore

import "time"

// What a store counts. These calls have no error to return, so a closed store answers zeros.

// Stats is a moment's look at a store. Counters count from the opening, and stand still with WithMetrics(false).
type Stats struct {
	// EntryCount is the number of entries. Those that have expired and wait to be freed may be among them.
	EntryCount int64
	// ExpiringEntries is how many of them have a deadline.
	ExpiringEntries int64
	// ExpiredPending is how many have passed it and wait to be freed, as far as is known.
	ExpiredPending int64

	// TotalSize is the bytes of all keys and values, KeyBytes and ValueBytes together.
	TotalSize, KeyBytes, ValueBytes int64
	// MemoryBytes is what the entries are charged, with all that the store needs for them: what WithMaxMemory
	// limits.
	MemoryBytes int64
	// ResidentBytes is what the store holds from the system.
	ResidentBytes int64
	// PinnedBytes is what values that are being read hold beside it.
	PinnedBytes int64

	// HitRate is the share of reads that found their key, from 0 to 100; 0 before the first read.
	HitRate float64
	// Gets counts reads of a key: Hits those that found it, Misses the others.
	Gets, Hits, Misses int64
	// Sets counts writes, Deletes removals that were asked for.
	Sets, Deletes int64
	// Expired counts entries that were removed after their deadline, Evicted those that made room for others.
	Expired, Evicted int64

	// CallbacksDropped counts removals that a slow callback did not get to see.
	CallbacksDropped int64
	// WALBytes, WALSyncs and Snapshots are of a store on disk.
	WALBytes, WALSyncs, Snapshots int64
	// Revision is the number of the store's last change.
	Revision uint64

	// IndexBytes to OrderBytes are what MemoryBytes is for: the hash index, the places of entries with their keys and
	// values, keys and values too large for a place, the timing wheel, what the eviction policy keeps, and the sorted
	// index of the option ordered_index.
	IndexBytes, EntryBytes, LargeBytes, ExpiryBytes, PolicyBytes, OrderBytes int64
	// CallbackBytes and WatchBytes are parts of PinnedBytes: removals that wait for the callback, and events kept for
	// watches. WALBufferBytes are buffers of the log, beside all others.
	CallbackBytes, WatchBytes, WALBufferBytes int64
	// ExpiringIn1s to ExpiringIn10m are about how many entries expire within so long, each with those before it. Exact
	// while these are few.
	ExpiringIn1s, ExpiringIn10s, ExpiringIn1m, ExpiringIn10m int64

	// NearHits to NearDrops are of the near cache of a store on servers: reads that it answered, values that it took in,
	// keys or whole parts of it that a server told to be changed, and values that it did not take in because they may
	// have changed since they were asked for.
	NearHits, NearFills, NearInvalidations, NearDrops int64
}

// Timed is a kind of call that WithLatency has timed.
type Timed int32

// The kinds of calls that are timed.
const (
	// TimedGet are reads of one key's value.
	TimedGet Timed = 1
	// TimedSet are writes of one key's value by Set and its kin, with making room and the wait for the log.
	TimedSet Timed = 2
	// TimedSync are flushes of the log to the disk.
	TimedSync Timed = 3
)

// Latency is how long calls took. The sum is exact; the other times are an eighth too long at most.
type Latency struct {
	// Count is how many calls were timed.
	Count int64
	// Sum is how long they took together.
	Sum time.Duration
	// P50 is what half of them took at most; P90, P99, P999 and Max are what 90 %, 99 %, 99.9 % and all of them did.
	P50, P90, P99, P999, Max time.Duration
}

// Stats looks at the store's counters. A closed store gives zeros.
func (s *Store) Stats() Stats {
	h, err := s.handle()
	if err != nil {
		return Stats{}
	}
	stats, _ := h.stats()
	return stats
}

// ShardStats looks at the counters of each shard. What belongs to the store as a whole is zero in them. A closed store
// gives none.
func (s *Store) ShardStats() []Stats {
	h, err := s.handle()
	if err != nil {
		return nil
	}
	var shards []Stats
	for {
		stats, status := h.shardStats(len(shards))
		if status != StatusOK {
			return shards
		}
		shards = append(shards, stats)
	}
}

// Latency tells how long calls of a kind took since the store was opened, as far as WithLatency has them timed.
func (s *Store) Latency(timed Timed) (Latency, error) {
	h, err := s.handle()
	if err != nil {
		return Latency{}, err
	}
	latency, status := h.latency(timed)
	return latency, status.err()
}

// StatsText gives the counters of the store and of each shard, and what was timed, as text for other programs: format
// is "json" or "prometheus".
func (s *Store) StatsText(format string) (string, error) {
	h, err := s.handle()
	if err != nil {
		return "", err
	}
	return h.statsText(format)
}

// Len is the number of entries. Those that have expired and wait to be freed may be among them. A closed store has
// none.
func (s *Store) Len() int {
	h, err := s.handle()
	if err != nil {
		return 0
	}
	count, _ := h.length()
	return count
}

// Size is the bytes of all keys and values. A closed store has none.
func (s *Store) Size() int64 {
	return s.Stats().TotalSize
}
