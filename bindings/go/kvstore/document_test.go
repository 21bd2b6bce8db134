package kvstore_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/libkv/libkv/bindings/go/kvstore"
)

// The options, and the calls of the basic, TTL, snapshot and statistics sections, as a program writes them that was made
// for the kv-store module whose interface this package keeps: it must compile, and mean the same.
func TestCallsOfTheKvStoreModule(t *testing.T) {
	store, err := kvstore.New(
		// Storage limits
		kvstore.WithMaxKeySize(1024),        // Max key size in bytes
		kvstore.WithMaxValueSize(1024*1024), // Max value size (1MB)
		kvstore.WithMaxEntries(1000000),     // Max number of entries

		// Eviction policy
		kvstore.WithEvictionPolicy(kvstore.EvictionLRU),

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

		// Callbacks
		kvstore.WithOnEvict(func(key string, value []byte) {
			fmt.Printf("Evicted: %s\n", key)
		}),
		kvstore.WithOnExpire(func(key string, value []byte) {
			fmt.Printf("Expired: %s\n", key)
		}),
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

	keys := store.Keys()
	slices.Sort(keys)
	check(t, slices.Equal(keys, []string{"key", "lock", "timed"}), keys)

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

// Batch Operations, as the document has them.
func Example_batchesOfTheKvStoreModule() {
	store, _ := kvstore.New()
	defer store.Close()
	store.SetString("old-key", "old")

	// Create a batch
	batch := kvstore.NewBatch()
	batch.Put("key1", []byte("value1"))
	batch.Put("key2", []byte("value2"))
	batch.PutWithTTL("key3", []byte("value3"), time.Hour)
	batch.Delete("old-key")

	// Apply batch atomically
	result, err := store.ApplyBatch(batch)
	fmt.Printf("Success: %d, Failed: %d\n", result.Successful, result.Failed)
	fmt.Println(err, store.Exists("old-key"))

	// Using BatchBuilder (fluent API)
	batch, err = kvstore.NewBatchBuilder().
		PutString("key1", "value1").
		PutString("key2", "value2").
		Delete("old-key").
		Build()
	fmt.Println(batch.Len(), err)
	// Output:
	// Success: 4, Failed: 0
	// <nil> false
	// 3 <nil>
}

// Iterators, as the document has them.
func Example_iteratorsOfTheKvStoreModule() {
	store, _ := kvstore.New()
	defer store.Close()
	for _, key := range []string{"user:2", "key:200", "user:1", "key:100", "key:150"} {
		store.SetString(key, "of "+key)
	}

	// Iterate all entries
	it := store.Iterator(&kvstore.IteratorOptions{
		Sorted:  true,
		Reverse: false,
		Limit:   100,
	})
	for it.Next() {
		fmt.Printf("%s = %s\n", it.Key(), it.Value())
	}
	it.Close()

	// Prefix iterator
	it = store.PrefixIterator("user:")
	defer it.Close()
	for it.Next() {
		// Process entries with keys starting with "user:"
		fmt.Println(it.Key())
	}

	// Range iterator
	it = store.RangeIterator("key:100", "key:200")
	defer it.Close()
	for it.Next() {
		// Process entries in range [key:100, key:200)
		fmt.Println(it.Key())
	}

	// Helper functions
	keys := kvstore.CollectKeys(store.PrefixIterator("user:"))
	entries := kvstore.CollectEntries(store.PrefixIterator("user:"))
	values := kvstore.CollectValues(store.PrefixIterator("user:"))
	fmt.Println(keys, entries[1].Key, string(values[1]))
	// Output:
	// key:100 = of key:100
	// key:150 = of key:150
	// key:200 = of key:200
	// user:1 = of user:1
	// user:2 = of user:2
	// user:1
	// user:2
	// key:100
	// key:150
	// [user:1 user:2] user:2 of user:2
}

// Watch for Changes, as the document has it; somebody has to change the key.
func Example_watchOfTheKvStoreModule() {
	store, _ := kvstore.New()
	defer store.Close()

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	ch := store.Watch(ctx, "my-key")
	store.SetString("my-key", "new value")
	store.Delete("my-key")
	for value := range ch {
		fmt.Printf("Key changed: %s\n", value)
		if value == nil {
			cancel()
		}
	}
	// Output:
	// Key changed: new value
	// Key changed:
}

// Snapshots, as the document has them.
func Example_snapshotsOfTheKvStoreModule() {
	dir, _ := os.MkdirTemp("", "kvstore-")
	defer os.RemoveAll(dir)
	store, _ := kvstore.New(kvstore.WithPersistence(kvstore.PersistenceHybrid, dir))
	defer store.Close()
	store.SetString("key", "value")

	// Create a snapshot
	meta, err := store.Snapshot()
	fmt.Printf("Snapshot created: %d entries, more than %d bytes\n", meta.EntryCount, min(meta.Size, 20))
	fmt.Println(err)
	store.Clear()

	// Restore from snapshot
	err = store.RestoreSnapshot(meta.Path)
	fmt.Println(err, store.Len())
	// Output:
	// Snapshot created: 1 entries, more than 20 bytes
	// <nil>
	// <nil> 1
}

func check(t *testing.T, holds bool, got any) {
	t.Helper()
	if !holds {
		t.Fatalf("got %v", got)
	}
}
