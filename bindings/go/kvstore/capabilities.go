package kvstore

// What a store can do, told before it is asked to.

// Capabilities is what a store can do beyond reading and writing keys. What it cannot fails with ErrUnsupported, before
// anything is sent. A store of this process has all of them but NearCache.
type Capabilities struct {
	// Versions says that values have versions, for SetIf, CompareAndDelete and IfVersion.
	Versions bool
	// CrossSlotBatches says that a batch may name any keys. Otherwise those of one slot of the cluster, else
	// ErrCrossSlot.
	CrossSlotBatches bool
	// OrderedScans says that iterators come in order, and take a range; ExactScans that they give each key once, and
	// not only at least once.
	OrderedScans, ExactScans bool
	// Watches says that changes can be watched. A server must have its notify-keyspace-events on as well.
	Watches bool
	// WatchHistory says that watches tell values and revisions, and can begin in the past.
	WatchHistory bool
	// Snapshots says that there are Sync, Snapshot, Restore and Recovery.
	Snapshots bool
	// Eviction says that there are limits and eviction of the store's own, and Configure.
	Eviction bool
	// Clear says that Clear may empty the store.
	Clear bool
	// NearCache says that a near cache is in front of the servers.
	NearCache bool
}

// Capabilities tells what the store can do. It answers after Close too.
func (s *Store) Capabilities() (Capabilities, error) {
	h, err := s.handle()
	if err != nil {
		return Capabilities{}, err
	}
	can, status := h.capabilities()
	return can, status.err()
}
