// Command peers measures libkv from Go beside what a program in Go would use otherwise: a map behind a lock, sync.Map,
// and the caches freecache, bigcache, ristretto and otter. It prints a page in Markdown.
//
//	peers [-calls N] [-rounds N] [-entries N,N...]
//
// It is a module of its own, so that nothing of libkv depends on the others.
package main

import (
	"flag"
	"fmt"
	"log"
	"math/rand"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

func main() {
	log.SetFlags(0)
	calls := flag.Int("calls", 50_000, "calls in one turn")
	rounds := flag.Int("rounds", 7, "turns of each contestant")
	entries := flag.String("entries", "10000,1000000", "numbers of entries")
	store := flag.String("store", "", "for the program itself: hold this store, and take turns as told")
	flag.Parse()
	counts := numbers(*entries)
	if *store != "" {
		serve(*store, counts[0], *calls)
		return
	}
	fmt.Printf("# libkv beside other stores in Go\n\nMade by `go run . -calls %d -rounds %d -entries %s` in `bench/go/peers`, "+
		"on %s, with %s and %d processors (%s); load before the run: %s.\n\n%s\n", *calls, *rounds, *entries,
		time.Now().Format("2 January 2006"), runtime.Version(), runtime.GOMAXPROCS(0), processor(), load(), method)
	for _, count := range counts {
		race := newRace(count, *calls)
		for range *rounds {
			race.round()
		}
		race.print()
		race.close()
	}
}

const method = `Keys have 16 bytes, values 100, and all keys are visited in random order. Each store is alone in a process, so that its
garbage is its own. In a round everyone makes the same calls, one after the other; a figure is the median over the rounds,
in nanoseconds of one key, and behind it stands the median of the ratios to "libkv AppendGet" (or its Set) of the same
round: above 1.00 is slower than libkv. What one goroutine does is timed by the processor time of the process, so that other
work on the machine is not counted and the garbage collector is; what several do by the clock. Sets store over what is
there. "Copied out" gets copy the value into a buffer that is used again, as AppendGet does; "libkv Get" and bigcache make
a new slice for each. libkv alone has to pass cgo. Nobody has to evict, but a set of ristretto may be dropped, and its get
then finds nothing.

"Collection" is what a collection of garbage takes, in milliseconds, and "memory" what the process grows by, in bytes of an
entry; key and value have 116. The list of the keys is collected too, in every process.
`

func numbers(text string) []int {
	var all []int
	for _, part := range strings.Split(text, ",") {
		number, err := strconv.Atoi(part)
		if err != nil || number < 1 {
			log.Fatalf("%q is no number of entries", part)
		}
		all = append(all, number)
	}
	return all
}

// names makes the keys, in an order that nobody can guess. Their bytes lie one after the other in that order, so that no
// key costs a cache miss of its own.
func names(count int) []string {
	var run strings.Builder
	for _, number := range rand.New(rand.NewSource(1)).Perm(count) {
		fmt.Fprintf(&run, "key:%012d", number)
	}
	keys := make([]string, count)
	for i := range keys {
		keys[i] = run.String()[16*i : 16*i+16]
	}
	return keys
}

// load is the system's load average over a minute: with more than the processors, other work is in the times.
func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	load, _, _ := strings.Cut(string(text), " ")
	return load
}

// processor is the name of the machine's, as far as the system tells.
func processor() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown"
	}
	for _, line := range strings.Split(string(text), "\n") {
		if name, value, there := strings.Cut(line, ":"); there && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}
