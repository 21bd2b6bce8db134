package kvstore_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
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

func ExampleStore_ApplyBatch() {
	var store kvstore.Store
	defer store.Close()
	store.SetString("stock", "1")

	batch, _ := kvstore.NewBatchBuilder().
		PutString("order:1", "one of them").
		Delete("stock").
		Build()
	result, err := store.ApplyBatch(batch)
	fmt.Println(result.Successful, result.Failed, err)

	// A condition that does not hold: nothing of the batch is done.
	last := kvstore.NewBatch()
	last.PutString("order:2", "one more")
	last.PutWith("stock", []byte("0"), kvstore.SetOptions{Condition: kvstore.IfPresent})
	result, err = store.ApplyBatch(last)
	fmt.Println(result.Successful, result.Failed, errors.Is(err, kvstore.ErrConflict), store.Exists("order:2"))
	// Output:
	// 2 0 <nil>
	// 0 2 true false
}

func ExampleStore_Scan() {
	store, _ := kvstore.New(kvstore.WithOrderedIndex(true))
	defer store.Close()
	for _, key := range []string{"user:2", "user:1", "page:1", "user:3"} {
		store.SetString(key, "of "+key)
	}
	for entry, err := range store.Scan(kvstore.IteratorOptions{Prefix: "user:", Reverse: true, Limit: 2}) {
		if err != nil {
			panic(err)
		}
		fmt.Printf("%s: %s\n", entry.Key, entry.Value)
	}
	// Output:
	// user:3: of user:3
	// user:2: of user:2
}

func ExampleIterator_All() {
	var store kvstore.Store
	defer store.Close()
	for n := range 10 {
		store.SetString(fmt.Sprint(n), strings.Repeat("x", n))
	}
	it := store.Iterator(&kvstore.IteratorOptions{
		Sorted: true,
		Filter: func(_ string, value []byte) bool { return len(value) > 6 },
	})
	for key, value := range it.All() {
		fmt.Println(key, len(value))
	}
	fmt.Println(it.Err())
	// Output:
	// 7 7
	// 8 8
	// 9 9
	// <nil>
}

func ExampleStore_WatchPrefix() {
	var store kvstore.Store
	defer store.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	events := store.WatchPrefix(ctx, "user:")
	store.SetString("user:1", "Ada")
	store.SetString("page:1", "home")
	store.Delete("user:1")
	for range 2 {
		event := <-events
		fmt.Printf("%v %s %q\n", event.Kind, event.Key, event.Value)
	}
	// Output:
	// set user:1 "Ada"
	// deleted user:1 ""
}

func ExampleStore_NewWatcher() {
	var store kvstore.Store
	defer store.Close()
	options := kvstore.WatchOptions{Kinds: []kvstore.EventKind{kvstore.EventSet}}
	watcher, err := store.NewWatcher(context.Background(), options)
	if err != nil {
		panic(err)
	}
	store.SetString("a", "1")
	store.Delete("a")
	event, _ := watcher.Next()
	fmt.Printf("%v %s %q\n", event.Kind, event.Key, event.Value)
	watcher.Close()

	// Another one goes on where that one ended.
	store.SetString("b", "2")
	options.FromRevision = event.Revision + 1
	watcher, err = store.NewWatcher(context.Background(), options)
	if err != nil {
		panic(err)
	}
	defer watcher.Close()
	for {
		event, there, err := watcher.TryNext() // Next would wait
		if !there || err != nil {
			break
		}
		fmt.Printf("%v %s %q\n", event.Kind, event.Key, event.Value)
	}
	// Output:
	// set a "1"
	// set b "2"
}
