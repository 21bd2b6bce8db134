package kvstore

// What the calls cost: `go test -run '^$' -bench . ./kvstore`. The benchmarks whose names begin with C are what the
// others are compared with: the C function called from C, and a call into C that does nothing.

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/libkv/libkv/bindings/go/internal/baseline"
)

const (
	benchKeys   = 100_000
	benchKeyLen = 16
)

func benchNames() []string {
	names := make([]string, benchKeys)
	for i := range names {
		names[i] = fmt.Sprintf("key:%0*d", benchKeyLen-len("key:"), i)
	}
	return names
}

// benchOrder visits the keys in an order that no cache can guess.
func benchOrder() []int {
	return rand.New(rand.NewPCG(1, 2)).Perm(benchKeys)
}

// benchStore gives a filled store, its keys in the order in which they are to be visited, and their value. The bytes of
// the keys lie one after the other, as they do for the C calls.
func benchStore(b *testing.B, options ...Option) (*Store, []string, []byte) {
	b.Helper()
	store := newStore(b, options...)
	names, value := benchNames(), pattern(100)
	for _, name := range names {
		must(b, store.Set(name, value))
	}
	var ordered strings.Builder
	for _, index := range benchOrder() {
		ordered.WriteString(names[index])
	}
	for i := range names {
		names[i] = ordered.String()[i*benchKeyLen : (i+1)*benchKeyLen]
	}
	return store, names, value
}

func benchBaseline(b *testing.B) *baseline.Store {
	b.Helper()
	store, err := baseline.New(benchNames(), pattern(100), benchOrder())
	must(b, err)
	b.Cleanup(store.Close)
	return store
}

func BenchmarkCGetInto(b *testing.B) {
	store := benchBaseline(b)
	b.ResetTimer()
	if found := store.Get(b.N); found != b.N {
		b.Errorf("%d of %d were found", found, b.N)
	}
}

func BenchmarkCSet(b *testing.B) {
	store := benchBaseline(b)
	value := pattern(100)
	b.ResetTimer()
	if stored := store.Set(value, b.N); stored != b.N {
		b.Errorf("%d of %d were stored", stored, b.N)
	}
}

func BenchmarkCgoCallOfNothing(b *testing.B) {
	for b.Loop() {
		baseline.Nothing("key:000000000000")
	}
}

func BenchmarkGet(b *testing.B) {
	store, names, _ := benchStore(b)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := store.Get(names[i%benchKeys]); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkGetString(b *testing.B) {
	store, names, _ := benchStore(b)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := store.GetString(names[i%benchKeys]); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendGet(b *testing.B) {
	store, names, _ := benchStore(b)
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
	store, names, _ := benchStore(b)
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

func BenchmarkGetMiss(b *testing.B) {
	store, _, _ := benchStore(b)
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
	store, names, value := benchStore(b)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if err := store.Set(names[i%benchKeys], value); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSetWithTTL(b *testing.B) {
	store, names, value := benchStore(b)
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
	store, names, _ := benchStore(b, WithShardCount(32))
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
	store, names, value := benchStore(b, WithShardCount(32))
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
