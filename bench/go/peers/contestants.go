package main

// The contestants, each behind the same few calls.

import (
	"context"
	"errors"
	"log"
	"sync"
	"time"
	"unsafe"

	"github.com/allegro/bigcache/v3"
	"github.com/coocood/freecache"
	"github.com/dgraph-io/ristretto/v2"
	"github.com/libkv/libkv/bindings/go/kvstore"
	"github.com/maypok86/otter/v2"
)

// contestant is one store under one way of calling it. A call panics if it does not do what it should.
type contestant struct {
	// set stores a copy of a value; nil if another contestant of the same store does.
	set func(key string, value []byte)
	// get reads a key, with a buffer that is used again and again; it gives the bytes and the buffer.
	get func(key string, buffer []byte) []byte
	// getMany reads several keys in one call; nil if there is no such call.
	getMany func(keys []string, room *room)
	close   func()
}

// room is what one goroutine reads several keys into, again and again.
type room struct {
	values [][]byte
	buffer []byte
}

// errMissing says that a key that was set is not there.
var errMissing = errors.New("a key is missing")

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func found(there bool) {
	if !there {
		log.Fatal(errMissing)
	}
}

func nothing() {}

// bytesOf gives the bytes of a key to those whose keys are bytes, without the copy that a program with such keys need not
// make either.
func bytesOf(key string) []byte {
	return unsafe.Slice(unsafe.StringData(key), len(key))
}

// stores are those that take part: the names of the contestants that share one, and what makes them, with room for so many
// entries, so that nobody has to evict.
var stores = []struct {
	name string
	ways []string
	make func(entries int) []*contestant
}{
	{"libkv", []string{"libkv AppendGet", "libkv Get", "libkv GetMany of 32", "libkv AppendGetMany of 32"}, fromLibkv},
	{"map", []string{"map and RWMutex, copied out"}, fromMap},
	{"sync.Map", []string{"sync.Map, copied out"}, fromSyncMap},
	{"freecache", []string{"freecache GetFn, copied out"}, fromFreecache},
	{"bigcache", []string{"bigcache"}, fromBigcache},
	{"ristretto", []string{"ristretto, copied out"}, fromRistretto},
	{"otter", []string{"otter, copied out"}, fromOtter},
}

func fromLibkv(int) []*contestant {
	store, err := kvstore.New()
	must(err)
	set := func(key string, value []byte) { must(store.Set(key, value)) }
	into := func(key string, buffer []byte) []byte {
		buffer, err := store.AppendGet(buffer[:0], key)
		must(err)
		return buffer
	}
	copied := func(key string, buffer []byte) []byte {
		_, err := store.Get(key)
		must(err)
		return buffer
	}
	many := func(keys []string, _ *room) {
		_, err := store.GetMany(keys)
		must(err)
	}
	manyInto := func(keys []string, room *room) {
		var err error
		room.values, room.buffer, err = store.AppendGetMany(room.values[:0], room.buffer[:0], keys)
		must(err)
	}
	return []*contestant{
		{set: set, get: into, close: func() { must(store.Close()) }},
		{get: copied, close: nothing},
		{getMany: many, close: nothing},
		{getMany: manyInto, close: nothing},
	}
}

func fromMap(int) []*contestant {
	var lock sync.RWMutex
	plain := map[string][]byte{}
	return []*contestant{
		{
			close: func() { plain = nil },
			set: func(key string, value []byte) {
				own := append([]byte(nil), value...)
				lock.Lock()
				plain[key] = own
				lock.Unlock()
			},
			get: func(key string, buffer []byte) []byte {
				lock.RLock()
				value, there := plain[key]
				lock.RUnlock()
				found(there)
				return append(buffer[:0], value...)
			},
		},
	}
}

func fromSyncMap(int) []*contestant {
	var synced sync.Map
	return []*contestant{
		{
			close: func() { synced.Clear() },
			set:   func(key string, value []byte) { synced.Store(key, append([]byte(nil), value...)) },
			get: func(key string, buffer []byte) []byte {
				value, there := synced.Load(key)
				found(there)
				return append(buffer[:0], value.([]byte)...)
			},
		},
	}
}

// freecache and bigcache keep bytes in memory of their own making, as libkv does.
func fromFreecache(entries int) []*contestant {
	free := freecache.NewCache(entries * 512)
	return []*contestant{
		{
			close: func() { free.Clear() },
			set:   func(key string, value []byte) { must(free.Set(bytesOf(key), value, 0)) },
			get: func(key string, buffer []byte) []byte {
				must(free.GetFn(bytesOf(key), func(value []byte) error {
					buffer = append(buffer[:0], value...)
					return nil
				}))
				return buffer
			},
		},
	}
}

func fromBigcache(entries int) []*contestant {
	big, err := bigcache.New(context.Background(), bigcache.Config{
		Shards: 256, LifeWindow: 24 * time.Hour, MaxEntriesInWindow: entries, MaxEntrySize: 256,
	})
	must(err)
	return []*contestant{
		{
			close: func() { must(big.Close()) },
			set:   func(key string, value []byte) { must(big.Set(key, value)) },
			get: func(key string, buffer []byte) []byte {
				_, err := big.Get(key)
				must(err)
				return buffer
			},
		},
	}
}

// ristretto and otter keep what they are given, and give it out again: the copies are the benchmark's.
func fromRistretto(entries int) []*contestant {
	rist, err := ristretto.NewCache(&ristretto.Config[string, []byte]{
		NumCounters: int64(entries) * 10, MaxCost: int64(entries) * 4, BufferItems: 64, IgnoreInternalCost: true,
	})
	must(err)
	return []*contestant{
		{
			close: rist.Close,
			// A set of ristretto is a wish; it waits in a buffer and may be dropped there.
			set: func(key string, value []byte) {
				for !rist.Set(key, append([]byte(nil), value...), 1) {
					rist.Wait()
				}
			},
			get: func(key string, buffer []byte) []byte {
				value, there := rist.Get(key)
				if !there {
					return buffer
				}
				return append(buffer[:0], value...)
			},
		},
	}
}

func fromOtter(entries int) []*contestant {
	ott := otter.Must(&otter.Options[string, []byte]{MaximumSize: entries * 2})
	return []*contestant{
		{
			close: func() { ott.StopAllGoroutines() },
			set:   func(key string, value []byte) { ott.Set(key, append([]byte(nil), value...)) },
			get: func(key string, buffer []byte) []byte {
				value, there := ott.GetIfPresent(key)
				found(there)
				return append(buffer[:0], value...)
			},
		},
	}
}
