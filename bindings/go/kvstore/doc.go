// Package kvstore is a key-value store inside the program: in memory, sharded, with exact TTLs, and durable if asked.
//
//	store, err := kvstore.New(kvstore.WithMaxEntries(1_000_000))
//	if err != nil {
//		return err
//	}
//	defer store.Close()
//	store.SetWithTTL("session", []byte("data"), 5*time.Minute)
//	value, err := store.Get("session")
//
// It is libkv, a library in C's reach, behind the calls a Go program expects.
//
// # Building
//
// The package is built with cgo and finds libkv through pkg-config. Where libkv was installed under a prefix that
// pkg-config and the dynamic linker do not search by themselves, say where it is:
//
//	export PKG_CONFIG_PATH=$PREFIX/lib/pkgconfig
//	export LD_LIBRARY_PATH=$PREFIX/lib
//	go build ./...
//
// To keep the place in the program instead of LD_LIBRARY_PATH, build with CGO_LDFLAGS="-Wl,-rpath,$PREFIX/lib". To
// have libkv inside the program, so that it needs no library where it runs, build with -tags libkv_static.
//
// Go's build cache does not see that another version of libkv was installed, or elsewhere: build with -a then, once.
//
// # Keys, values, times
//
// Keys are strings of any bytes, at most 65,535 of them; values are any bytes, at most 512 MiB unless
// WithMaxValueSize says otherwise. Both may be empty. The store copies what it is given and gives out copies:
// nothing is shared with the caller.
//
// An entry with a deadline is gone at the deadline, to the millisecond: from then on no call sees it. Its memory is
// freed within the cleanup interval. A TTL is a time.Duration, rounded up to a millisecond; see DefaultTTL, NoTTL
// and KeepTTL for those that are not a time. Sizes are in bytes.
//
// # Durability
//
// In a directory the store is there again when it is opened the next time:
//
//	store, err := kvstore.Open("./data", kvstore.WithSync(kvstore.SyncAlways))
//
// With SyncAlways a write is on the disk before it returns. With SyncInterval, the default, and SyncNever the end of
// the process loses nothing, and the end of the machine at most what the last WithSyncInterval brought, or what the
// system had not flushed; what is left is always what the store was at one moment. Sync makes everything safe at once,
// Snapshot keeps a moment in a file for Restore, and Recovery tells what opening found. When the disk is full, writes
// fail with ErrNoSpace, unapplied, and resume by themselves; after any other failure of the disk the store takes no
// more writes (ErrPoisoned) until it is opened again.
//
// # Beyond one machine
//
// A program that outgrows its machine opens another location, and the same calls run on a Valkey or Redis server or
// cluster:
//
//	store, err := kvstore.Open("valkey-cluster://h1:7000,h2:7001/?prefix=app:&near=64MiB")
//
// Any call may then also fail with ErrUnavailable, and a change with ErrIO, if its reply was lost: whether it was made is
// unknown. Capabilities tells what servers cannot do, which fails with ErrUnsupported.
//
// # Errors
//
// Every error is an *Error, which carries a Status and a message that says what to do. Compare with errors.Is:
//
//	value, err := store.Get(key)
//	if errors.Is(err, kvstore.ErrNotFound) {
//		value, err = load(key)
//	}
//
// Where a call can only say that a key is absent, a boolean says so instead: Delete, SetNX and Exists.
//
// # Goroutines and closing
//
// Any number of goroutines may use a Store, also while one of them closes it: a call then finishes or fails with
// ErrClosed. Close stops the store and its threads and frees what it holds; the little that is left goes with the
// garbage collector, once the last call has returned and nothing refers to the Store. A Store that is dropped without
// Close is closed by the garbage collector.
//
// # Batches, iterators, watches
//
// A Batch, or a BatchBuilder, collects changes that ApplyBatch makes all at one moment or not at all. An Iterator gives the
// entries of the store, of a prefix or of a range beside other calls, and Scan does so for range:
//
//	for entry, err := range store.Scan(kvstore.IteratorOptions{Prefix: "user:", Sorted: true}) {
//		if err != nil {
//			return err
//		}
//		fmt.Println(entry.Key, entry.Value)
//	}
//
// Watch gives the values of a key on a channel as they change, WatchPrefix every change of many keys, and NewWatcher
// those that are asked for, also from an earlier revision on. None of them holds up a write, and none misses anything
// without saying so.
//
// # Being told what goes
//
// WithOnEvict, WithOnExpire and WithOnRemove take functions that are called for entries that went, on a thread of the
// store. They may use the store but not close it, and a slow one delays no write; see WithOnRemove.
//
// # Cost
//
// A single-key call is one call into C, which costs some 30 ns; GetMany, SetMany, DeleteMany and ApplyBatch make one for
// all of their keys, an iterator one for many entries, and AppendGet and AppendGetMany allocate nothing. Nothing that is
// stored lies in Go's memory, so the garbage collector has nothing to look at, however many entries there are.
package kvstore
