package kvstore_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/libkv/libkv/bindings/go/kvstore"
)

// The calls as a program writes them that was made for the kv-store module whose interface this package keeps: it must
// compile, and mean the same.
func TestCallsOfTheKvStoreModule(t *testing.T) {
	store, err := kvstore.New(
		// Storage limits
		kvstore.WithMaxKeySize(1024),        // Max key size in bytes
		kvstore.WithMaxValueSize(1024*1024), // Max value size (1MB)
		kvstore.WithMaxEntries(1000000),     // Max number of entries

		// Eviction policy
		kvstore.WithEvictionPolicy(kvstore.EvictionRandom),

		// Persistence
		kvstore.WithPersistence(kvstore.PersistenceHybrid, t.TempDir()),
		kvstore.WithSyncInterval(time.Second),
		kvstore.WithSnapshotInterval(5*time.Minute),

		// TTL and cleanup
		kvstore.WithDefaultTTL(0), // No default expiration
		kvstore.WithCleanupInterval(time.Minute),

		// Performance tuning
		kvstore.WithShardCount(32),    // Number of shards (power of 2)
		kvstore.WithCompression(true), // Enable compression
		kvstore.WithMetrics(true),     // Enable metrics
	)
	check(t, err == nil, err)
	defer store.Close()
	key, value, ttl := "key", []byte("value"), 5*time.Minute

	err = store.Set(key, value)
	check(t, err == nil, err)
	err = store.SetString("text", "string value")
	check(t, err == nil, err)
	err = store.SetWithTTL("timed", value, 5*time.Minute)
	check(t, err == nil, err)

	wasSet, err := store.SetNX(key, value)
	check(t, !wasSet && err == nil, err)
	wasSet, err = store.SetNXWithTTL("lock", value, ttl)
	check(t, wasSet && err == nil, err)

	value, err = store.Get(key)
	check(t, string(value) == "value" && err == nil, err)
	stringValue, err := store.GetString("text")
	check(t, stringValue == "string value" && err == nil, err)
	entry, err := store.GetEntry(key)
	check(t, entry.Key == key && string(entry.Value) == "value" && err == nil, err)

	deleted, err := store.Delete("text")
	check(t, deleted && err == nil, err)
	exists := store.Exists("text")
	check(t, !exists, exists)

	count := store.Len()
	size := store.Size()
	check(t, fmt.Sprintf("%d %d", count, size) == "3 27", fmt.Sprintf("%d entries of %d bytes", count, size))

	left, err := store.TTL("timed")
	check(t, left > 4*time.Minute && left <= ttl && err == nil, left)
	err = store.Expire(key, 5*time.Minute)
	check(t, err == nil, err)
	err = store.Persist(key)
	check(t, err == nil, err)

	stats := store.Stats()
	text := fmt.Sprintf("Entries: %d, Size: %d bytes, Hit Rate: %.2f%%, Gets: %d, Sets: %d, Deletes: %d",
		stats.EntryCount, stats.TotalSize, stats.HitRate, stats.Gets, stats.Sets, stats.Deletes)
	check(t, text == "Entries: 3, Size: 27 bytes, Hit Rate: 100.00%, Gets: 3, Sets: 4, Deletes: 1", text)

	meta, err := store.Snapshot()
	check(t, err == nil && meta.Path != "", err)
	text = fmt.Sprintf("Snapshot created: %d entries", meta.EntryCount)
	check(t, text == "Snapshot created: 3 entries" && meta.Size > 27, text)
	err = store.Clear()
	check(t, err == nil, err)
	err = store.RestoreSnapshot(meta.Path)
	check(t, err == nil && store.Len() == 3, err)

	err = store.Clear()
	check(t, err == nil, err)
	_, err = store.Get(key)
	check(t, errors.Is(err, kvstore.ErrNotFound), err)
}

func check(t *testing.T, holds bool, got any) {
	t.Helper()
	if !holds {
		t.Fatalf("got %v", got)
	}
}
