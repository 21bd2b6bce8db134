package kvstore

// What the calls cost: `go test -run '^$' -bench . ./kvstore`. Those whose names end in BesideC compare them with the C
// function called from C and a call into C of nothing.

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/libkv/libkv/bindings/go/internal/baseline"
)

const (
	benchKeys   = 100_000
	benchKeyLen = 16
)

func benchNames(count int) []string {
	names := make([]string, count)
	for i := range names {
		names[i] = fmt.Sprintf("key:%0*d", benchKeyLen-len("key:"), i)
	}
	return names
}

// benchOrder visits the keys in an order that no cache can guess.
func benchOrder(count int) []int {
	return rand.New(rand.NewPCG(1, 2)).Perm(count)
}

// benchStore gives a filled store, its keys in the order in which they are to be visited, and their value. The bytes of
// the keys lie one after the other, so that no key costs a cache miss of its own.
func benchStore(b *testing.B, count int, options ...Option) (*Store, []string, []byte) {
	b.Helper()
	store := newStore(b, options...)
	names, value := benchNames(count), pattern(100)
	for _, name := range names {
		must(b, store.Set(name, value))
	}
	var ordered strings.Builder
	for _, index := range benchOrder(count) {
		ordered.WriteString(names[index])
	}
	for i := range names {
		names[i] = ordered.String()[i*benchKeyLen : (i+1)*benchKeyLen]
	}
	return store, names, value
}

// inC is the C store behind a store.
func inC(store *Store) unsafe.Pointer {
	return unsafe.Pointer(store.open.Load().store)
}

// BenchmarkGetBesideC takes turns between the C function called from C, a call into C of nothing, and the calls of this
// package, so that all meet the same caches and the same other load. It reports the median time of each, and what a Get
// and an AppendGet cost as multiples of the C function and one call into C together. In a loop in C the processor works
// on several calls at once, which no call through cgo lets it do; C-alone-ns is the C function without that.
func BenchmarkGetBesideC(b *testing.B) {
	for _, count := range besideKeys {
		b.Run(fmt.Sprint(count, " keys"), func(b *testing.B) { getBesideC(b, count) })
	}
}

func getBesideC(b *testing.B, count int) {
	store, names, _ := benchStore(b, count)
	var inCalls, alone, nothing, get, appendGet turns
	var buffer []byte
	b.ResetTimer()
	for turn := 0; b.Loop(); turn++ {
		keys := part(names, turn, 0)
		inCalls.take(func() {
			if found := baseline.Get(inC(store), joined(keys), benchKeyLen); found != turnCalls {
				b.Fatalf("%d keys were found", found)
			}
		})
		nothing.take(func() {
			for _, key := range keys {
				baseline.Nothing(key)
			}
		})
		keys = part(names, turn, 1.0/4)
		alone.take(func() {
			if found := baseline.GetAndWait(inC(store), joined(keys), benchKeyLen); found != turnCalls {
				b.Fatalf("%d keys were found", found)
			}
		})
		keys = part(names, turn, 2.0/4)
		get.take(func() {
			for _, key := range keys {
				if _, err := store.Get(key); err != nil {
					b.Fatal(err)
				}
			}
		})
		keys = part(names, turn, 3.0/4)
		appendGet.take(func() {
			for _, key := range keys {
				var err error
				if buffer, err = store.AppendGet(buffer[:0], key); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	floor, floorAlone := inCalls.median()+nothing.median(), alone.median()+nothing.median()
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(inCalls.median(), "C-ns")
	b.ReportMetric(alone.median(), "C-alone-ns")
	b.ReportMetric(nothing.median(), "cgo-ns")
	b.ReportMetric(get.median(), "Get-ns")
	b.ReportMetric(appendGet.median(), "AppendGet-ns")
	b.ReportMetric(get.median()/floor, "Get-ratio")
	b.ReportMetric(get.median()/floorAlone, "Get-alone-ratio")
	b.ReportMetric(appendGet.median()/floor, "AppendGet-ratio")
}

// BenchmarkSetBesideC is the same for a set.
func BenchmarkSetBesideC(b *testing.B) {
	for _, count := range besideKeys {
		b.Run(fmt.Sprint(count, " keys"), func(b *testing.B) { setBesideC(b, count) })
	}
}

func setBesideC(b *testing.B, count int) {
	store, names, value := benchStore(b, count)
	var inCalls, nothing, set turns
	b.ResetTimer()
	for turn := 0; b.Loop(); turn++ {
		keys := part(names, turn, 0)
		inCalls.take(func() {
			if stored := baseline.Set(inC(store), joined(keys), benchKeyLen, string(value)); stored != turnCalls {
				b.Fatalf("%d keys were stored", stored)
			}
		})
		nothing.take(func() {
			for _, key := range keys {
				baseline.Nothing(key)
			}
		})
		keys = part(names, turn, 1.0/2)
		set.take(func() {
			for _, key := range keys {
				if err := store.Set(key, value); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(inCalls.median(), "C-ns")
	b.ReportMetric(nothing.median(), "cgo-ns")
	b.ReportMetric(set.median(), "Set-ns")
	b.ReportMetric(set.median()/(inCalls.median()+nothing.median()), "Set-ratio")
}

// turnCalls is how many calls one turn makes; it divides the numbers of keys.
const turnCalls = 1000

// besideKeys are the numbers of keys to compare with: all in the caches, and not.
var besideKeys = []int{1_000, 100_000}

// part gives the keys of a turn, so far on in their order that no call finds what the one before left in the caches.
func part(names []string, turn int, ahead float64) []string {
	parts := len(names) / turnCalls
	from := (turn + int(ahead*float64(parts))) % parts * turnCalls
	return names[from : from+turnCalls]
}

// turns holds how long each turn took.
type turns []time.Duration

func (t *turns) take(turn func()) {
	start := time.Now()
	turn()
	*t = append(*t, time.Since(start))
}

// median is that of one call, in nanoseconds.
func (t *turns) median() float64 {
	slices.Sort(*t)
	return float64((*t)[len(*t)/2].Nanoseconds()) / turnCalls
}

// joined gives the bytes of some keys of benchStore, which lie one after the other, for the C calls.
func joined(names []string) string {
	return unsafe.String(unsafe.StringData(names[0]), len(names)*benchKeyLen)
}

// BenchmarkCGetInto is the C function under Get, called in a loop in C.
func BenchmarkCGetInto(b *testing.B) {
	store, names, _ := benchStore(b, benchKeys)
	b.ResetTimer()
	for left := b.N; left > 0; left -= benchKeys {
		calls := min(left, benchKeys)
		if found := baseline.Get(inC(store), joined(names[:calls]), benchKeyLen); found != calls {
			b.Fatalf("%d of %d keys were found", found, calls)
		}
	}
}

// BenchmarkCSet is the C function under Set, called in a loop in C.
func BenchmarkCSet(b *testing.B) {
	store, names, value := benchStore(b, benchKeys)
	b.ResetTimer()
	for left := b.N; left > 0; left -= benchKeys {
		calls := min(left, benchKeys)
		if stored := baseline.Set(inC(store), joined(names[:calls]), benchKeyLen, string(value)); stored != calls {
			b.Fatalf("%d of %d keys were stored", stored, calls)
		}
	}
}

func BenchmarkCgoCallOfNothing(b *testing.B) {
	for b.Loop() {
		baseline.Nothing("key:000000000000")
	}
}

func BenchmarkGet(b *testing.B) {
	store, names, _ := benchStore(b, benchKeys)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := store.Get(names[i%benchKeys]); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkGetString(b *testing.B) {
	store, names, _ := benchStore(b, benchKeys)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := store.GetString(names[i%benchKeys]); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendGet(b *testing.B) {
	store, names, _ := benchStore(b, benchKeys)
	var buffer []byte
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		var err error
		if buffer, err = store.AppendGet(buffer[:0], names[i%benchKeys]); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkGetMany reads 32 keys a call; its time is of one key.
func BenchmarkGetMany(b *testing.B) {
	const many = 32
	store, names, _ := benchStore(b, benchKeys)
	keys := make([]string, many)
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; i < b.N; i += many {
		for j := range keys {
			keys[j] = names[(i+j)%benchKeys]
		}
		if _, err := store.GetMany(keys); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkAppendGetMany is BenchmarkGetMany into memory that is used again.
func BenchmarkAppendGetMany(b *testing.B) {
	const many = 32
	store, names, _ := benchStore(b, benchKeys)
	var values [][]byte
	var buffer []byte
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; i < b.N; i += many {
		var err error
		if values, buffer, err = store.AppendGetMany(values[:0], buffer[:0], names[i%benchKeys:i%benchKeys+many]); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSetMany writes 100 keys a call; its time is of one key.
func BenchmarkSetMany(b *testing.B) {
	const many = 100
	store, names, value := benchStore(b, benchKeys)
	values := slices.Repeat([][]byte{value}, many)
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; i < b.N; i += many {
		must(b, store.SetMany(names[i%benchKeys:i%benchKeys+many], values))
	}
}

// BenchmarkApplyBatch fills and applies batches of 100 changes; its time is of one change.
func BenchmarkApplyBatch(b *testing.B) {
	const many = 100
	store, names, value := benchStore(b, benchKeys)
	var batch Batch
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; i < b.N; i += many {
		batch.Clear()
		for j := range many {
			batch.Put(names[(i+j)%benchKeys], value)
		}
		_, err := store.ApplyBatch(&batch)
		must(b, err)
	}
}

// BenchmarkScan goes through the store again and again; its time is of one entry.
func BenchmarkScan(b *testing.B) {
	for name, options := range map[string]IteratorOptions{
		"any order": {}, "sorted": {Sorted: true}, "keys only": {KeysOnly: true},
	} {
		b.Run(name, func(b *testing.B) {
			store, _, _ := benchStore(b, benchKeys)
			b.ReportAllocs()
			b.ResetTimer()
			for left := b.N; left > 0; left -= benchKeys {
				it := store.Iterator(&options)
				for left := left; left > 0 && it.Next(); left-- {
				}
				it.Close()
				must(b, it.Err())
			}
		})
	}
}

func BenchmarkGetMiss(b *testing.B) {
	store, _, _ := benchStore(b, benchKeys)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := store.Get("gone"); err != ErrNotFound {
			b.Fatal(err)
		}
	}
}

func BenchmarkGetOf16KiB(b *testing.B) {
	store := newStore(b)
	must(b, store.Set("k", pattern(16<<10)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := store.Get("k"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSet(b *testing.B) {
	store, names, value := benchStore(b, benchKeys)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if err := store.Set(names[i%benchKeys], value); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSetWithTTL(b *testing.B) {
	store, names, value := benchStore(b, benchKeys)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if err := store.SetWithTTL(names[i%benchKeys], value, longestTTL); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkIncr(b *testing.B) {
	store := newStore(b)
	for b.Loop() {
		if _, err := store.Incr("n", 1); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParallelGet32Shards(b *testing.B) {
	store, names, _ := benchStore(b, benchKeys, WithShardCount(32))
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(run *testing.PB) {
		for i := rand.IntN(benchKeys); run.Next(); i++ {
			if _, err := store.Get(names[i%benchKeys]); err != nil {
				b.Error(err)
			}
		}
	})
}

func BenchmarkParallelSet32Shards(b *testing.B) {
	store, names, value := benchStore(b, benchKeys, WithShardCount(32))
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(run *testing.PB) {
		for i := rand.IntN(benchKeys); run.Next(); i++ {
			if err := store.Set(names[i%benchKeys], value); err != nil {
				b.Error(err)
			}
		}
	})
}
