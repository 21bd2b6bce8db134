package kvstore

// What a store in a directory has beside its contents: Sync, snapshots, and what opening found.

import "time"

// SnapshotMeta tells about a snapshot.
type SnapshotMeta struct {
	// EntryCount is the number of entries in it.
	EntryCount int64
	// Size is the size of the file in bytes.
	Size int64
	// Revision is the number of the last change that it shows.
	Revision uint64
	// CreatedAt is the moment that it shows.
	CreatedAt time.Time
	// Took is how long it took.
	Took time.Duration
	// Path is the file.
	Path string
}

// Recovery tells what opening a store found in its directory. It is zero for a store in memory.
type Recovery struct {
	// SnapshotRevision is the last revision that had been given out when the snapshot was taken which was read, 0 if
	// there was none.
	SnapshotRevision uint64 `json:"snapshot_revision"`
	// LastRevision is the highest revision that was recovered, from the snapshot or from a record of the log behind
	// it. After a crash, changes of lower revisions may be among those that were lost: the log has an order of its own.
	LastRevision uint64 `json:"last_revision"`
	// Records is how many records of the log were replayed.
	Records uint64 `json:"records"`
	// DiscardedBytes is how much of an unfinished end of the log was left out.
	DiscardedBytes uint64 `json:"discarded_bytes"`
	// Reason says why it was, or why an older snapshot had to do. It is empty if all was in order.
	Reason string `json:"reason"`
	// FallbackUsed says that the newest snapshot was damaged and an older one was read.
	FallbackUsed bool `json:"fallback_used"`
	// ClockRegressionMs is how far the clock was behind the last time in the log.
	ClockRegressionMs uint64 `json:"clock_regression_ms"`
	// Seconds is how long it took.
	Seconds float64 `json:"seconds"`
}

// Sync waits until every write that returned before is on the disk, whatever WithSync says. With PersistenceSnapshot
// it takes a snapshot; a store in memory has nothing to wait for. After ErrIO the store takes no more writes: close it
// and open it again.
func (s *Store) Sync() error {
	h, err := s.handle()
	if err != nil {
		return err
	}
	return h.sync()
}

// Snapshot writes a snapshot, the exact state of one moment, into the store's own directory, while other goroutines
// go on reading and writing. A store in memory has no directory: ErrUnsupported; use SnapshotTo. If it fails, what was
// there before stays.
func (s *Store) Snapshot() (SnapshotMeta, error) {
	h, err := s.handle()
	if err != nil {
		return SnapshotMeta{}, err
	}
	return h.snapshot(nil)
}

// SnapshotTo is Snapshot to a file, which is replaced if it is there. A store in memory may do this too.
func (s *Store) SnapshotTo(path string) (SnapshotMeta, error) {
	h, err := s.handle()
	if err != nil {
		return SnapshotMeta{}, err
	}
	return h.snapshot(&path)
}

// Restore puts the contents of a snapshot file in the place of the store's contents, while other calls wait. The file
// is checked first: with ErrCorrupt, ErrUnsupported (another format) or ErrFull (over the store's limits) nothing has
// changed. Entries keep their deadlines and get new versions.
func (s *Store) Restore(path string) error {
	h, err := s.handle()
	if err != nil {
		return err
	}
	return h.restore(path)
}

// RestoreSnapshot is Restore by its longer name.
func (s *Store) RestoreSnapshot(path string) error {
	return s.Restore(path)
}

// Recovery tells what opening the store found. It answers after Close too.
func (s *Store) Recovery() (Recovery, error) {
	h, err := s.handle()
	if err != nil {
		return Recovery{}, err
	}
	return h.recovery()
}
