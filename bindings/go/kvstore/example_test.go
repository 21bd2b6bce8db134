package kvstore_test

import (
	"errors"
	"fmt"
	"time"

	"github.com/libkv/libkv/bindings/go/kvstore"
)

func Example() {
	// Create a new store with default options
	store, err := kvstore.New()
	if err != nil {
		panic(err)
	}
	defer store.Close()

	// Basic operations
	store.Set("key", []byte("value"))

	value, err := store.Get("key")
	if err != nil {
		panic(err)
	}
	fmt.Printf("Value: %s\n", value)

	// With TTL
	store.SetWithTTL("session", []byte("data"), 5*time.Minute)

	// Delete
	deleted, _ := store.Delete("key")
	fmt.Println(deleted, store.Exists("key"), store.Len())
	// Output:
	// Value: value
	// true false 1
}

func ExampleNew() {
	store, err := kvstore.New(
		kvstore.WithMaxKeySize(1024),
		kvstore.WithMaxValueSize(1024*1024),
		kvstore.WithMaxEntries(2),
		kvstore.WithEvictionPolicy(kvstore.EvictionNone),
		kvstore.WithDefaultTTL(0),
		kvstore.WithCleanupInterval(time.Minute),
		kvstore.WithShardCount(32),
		kvstore.WithMetrics(true),
	)
	if err != nil {
		panic(err)
	}
	defer store.Close()
	for _, key := range []string{"a", "b", "c"} {
		if err := store.SetString(key, "value"); errors.Is(err, kvstore.ErrFull) {
			fmt.Println("no room for", key)
		}
	}
	// Output: no room for c
}

func ExampleNew_wrongOption() {
	_, err := kvstore.New(kvstore.WithOption("max_entris", "5"))
	var known *kvstore.Error
	if errors.As(err, &known) {
		fmt.Println(known.Status)
	}
	// Output: KV_ERR_UNSUPPORTED
}

func ExampleStore_Get() {
	var store kvstore.Store
	defer store.Close()
	_, err := store.Get("key")
	if errors.Is(err, kvstore.ErrNotFound) {
		fmt.Println("not there")
	}
	// Output: not there
}

func ExampleStore_AppendGet() {
	var store kvstore.Store
	defer store.Close()
	store.SetString("a", "one")
	store.SetString("b", "two")
	buffer := make([]byte, 0, 1024)
	for _, key := range []string{"a", "b"} {
		value, err := store.AppendGet(buffer[:0], key)
		if err != nil {
			panic(err)
		}
		fmt.Printf("%s\n", value)
	}
	// Output:
	// one
	// two
}

func ExampleStore_GetMany() {
	var store kvstore.Store
	defer store.Close()
	err := store.SetMany([]string{"a", "c"}, [][]byte{[]byte("one"), {}})
	if err != nil {
		panic(err)
	}
	values, err := store.GetMany([]string{"a", "b", "c"})
	if err != nil {
		panic(err)
	}
	for _, value := range values {
		fmt.Printf("%q %v\n", value, value == nil)
	}
	// Output:
	// "one" false
	// "" true
	// "" false
}

func ExampleStore_DeleteMany() {
	var store kvstore.Store
	defer store.Close()
	store.SetString("a", "one")
	deleted, err := store.DeleteMany([]string{"a", "b"})
	fmt.Println(deleted, err)
	// Output: 1 <nil>
}

func ExampleStore_SetIf() {
	var store kvstore.Store
	defer store.Close()
	store.SetString("page", "draft")
	entry, _ := store.GetEntry("page")
	store.SetString("page", "somebody else's")

	_, err := store.SetIf("page", []byte("mine"), entry.Version)
	fmt.Println(errors.Is(err, kvstore.ErrConflict))
	// Output: true
}

func ExampleStore_SetNX() {
	var store kvstore.Store
	defer store.Close()
	first, _ := store.SetNXWithTTL("lock", []byte("worker 1"), time.Minute)
	second, _ := store.SetNXWithTTL("lock", []byte("worker 2"), time.Minute)
	fmt.Println(first, second)
	// Output: true false
}

func ExampleStore_TTL() {
	var store kvstore.Store
	defer store.Close()
	store.SetWithTTL("session", []byte("data"), time.Hour)
	ttl, _ := store.TTL("session")
	fmt.Println(ttl > 59*time.Minute && ttl <= time.Hour)

	store.Persist("session")
	ttl, _ = store.TTL("session")
	fmt.Println(ttl == kvstore.NoTTL)
	// Output:
	// true
	// true
}

func ExampleStore_Incr() {
	var store kvstore.Store
	defer store.Close()
	store.Incr("visits", 1)
	visits, _ := store.Incr("visits", 41)
	fmt.Println(visits)
	// Output: 42
}

func ExampleStore_Stats() {
	var store kvstore.Store
	defer store.Close()
	store.SetString("key", "value")
	store.Get("key")
	store.Get("gone")
	stats := store.Stats()
	fmt.Printf("Entries: %d\n", stats.EntryCount)
	fmt.Printf("Size: %d bytes\n", stats.TotalSize)
	fmt.Printf("Hit Rate: %.2f%%\n", stats.HitRate)
	fmt.Printf("Gets: %d, Sets: %d, Deletes: %d\n", stats.Gets, stats.Sets, stats.Deletes)
	// Output:
	// Entries: 1
	// Size: 8 bytes
	// Hit Rate: 50.00%
	// Gets: 2, Sets: 1, Deletes: 0
}
