// Command promised measures the calls that a program in Go makes of libkv: set and get by one
// goroutine and by as many as there are processors, and batches of a hundred.
//
//	promised CALLS ROUNDS ENTRIES
//
// It prints a line for each round of each call: its name and the nanoseconds of one, between tabs.
package main

import (
	"fmt"
	"log"
	"math/rand"
	"os"
	"runtime"
	"strconv"
	"sync"
	"time"

	"github.com/libkv/libkv/bindings/go/kvstore"
)

const (
	shards     = 32
	valueBytes = 100
	batch      = 100
)

type bench struct {
	store *kvstore.Store
	keys  []string
	value []byte
	calls int
}

func main() {
	log.SetFlags(0)
	if len(os.Args) != 4 {
		log.Fatal("usage: promised CALLS ROUNDS ENTRIES")
	}
	calls, rounds, entries := number(os.Args[1]), number(os.Args[2]), number(os.Args[3])
	store, err := kvstore.New(kvstore.WithShardCount(shards))
	check(err)
	b := &bench{store: store, value: make([]byte, valueBytes), calls: calls}
	for i := range entries {
		b.keys = append(b.keys, fmt.Sprintf("key:%012d", i))
	}
	for _, key := range b.keys {
		check(store.Set(key, b.value))
	}
	rand.New(rand.NewSource(1)).Shuffle(len(b.keys), func(i, j int) {
		b.keys[i], b.keys[j] = b.keys[j], b.keys[i]
	})
	for range rounds {
		b.round()
	}
	check(store.Close())
}

func (b *bench) round() {
	report("set", 1, b.alone(b.set))
	report("get", 1, b.alone(b.get))
	report("concurrent set", 1, b.together(b.set))
	report("concurrent get", 1, b.together(b.get))
	report("batch of 100 sets", batch, b.alone(b.setMany))
	report("batch of 100 gets", batch, b.alone(b.getMany))
}

// report prints what one call took, of which each of the timed ones was a part.
func report(name string, parts int, ns float64) {
	fmt.Printf("%s\t%.3f\n", name, ns*float64(parts))
}

// alone gives the nanoseconds of one of the calls.
func (b *bench) alone(run func(from int)) float64 {
	start := time.Now()
	run(0)
	return float64(time.Since(start).Nanoseconds()) / float64(b.calls)
}

// together does the calls on every processor at once.
func (b *bench) together(run func(from int)) float64 {
	var done sync.WaitGroup
	threads := runtime.GOMAXPROCS(0)
	start := time.Now()
	for i := range threads {
		done.Add(1)
		go func() {
			defer done.Done()
			run(i * len(b.keys) / threads)
		}()
	}
	done.Wait()
	return float64(time.Since(start).Nanoseconds()) / float64(b.calls*threads)
}

func (b *bench) set(from int) {
	for i := range b.calls {
		check(b.store.Set(b.keys[(from+i)%len(b.keys)], b.value))
	}
}

func (b *bench) get(from int) {
	for i := range b.calls {
		_, err := b.store.Get(b.keys[(from+i)%len(b.keys)])
		check(err)
	}
}

func (b *bench) setMany(from int) {
	values := make([][]byte, batch)
	for i := range values {
		values[i] = b.value
	}
	for i := 0; i+batch <= b.calls; i += batch {
		start := (from + i) % (len(b.keys) - batch)
		check(b.store.SetMany(b.keys[start:start+batch], values))
	}
}

func (b *bench) getMany(from int) {
	for i := 0; i+batch <= b.calls; i += batch {
		start := (from + i) % (len(b.keys) - batch)
		_, err := b.store.GetMany(b.keys[start : start+batch])
		check(err)
	}
}

func number(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		log.Fatalf("%q is no number of things to do", text)
	}
	return n
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
