package kvstore

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
}

// Stats looks at the store's counters. A closed store gives zeros.
func (s *Store) Stats() Stats {
	h, err := s.handle()
	if err != nil {
		return Stats{}
	}
	stats, status := h.stats()
	if status == StatusOK && stats.Gets > 0 {
		stats.HitRate = 100 * float64(stats.Hits) / float64(stats.Gets)
	}
	return stats
}

// StatsText gives the counters as text for other programs: format is "json" or "prometheus".
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
