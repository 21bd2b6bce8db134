package main

// The process of one store: it fills the store, says what that weighs, and takes turns as it is told, a line for each.

import (
	"bufio"
	"fmt"
	"log"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	valueBytes = 100
	manyKeys   = 32
)

// server is a store with its contestants.
type server struct {
	keys  []string
	value []byte
	calls int
	ways  []*contestant
}

// serve answers `WAY FIGURE FROM` with the nanoseconds of a call, or with nothing where there is no such call.
func serve(name string, entries, calls int) {
	s := &server{keys: names(entries), value: make([]byte, valueBytes), calls: calls}
	debug.FreeOSMemory()
	before := resident()
	for _, store := range stores {
		if store.name == name {
			s.ways = store.make(entries)
		}
	}
	for _, key := range s.keys {
		s.ways[0].set(strings.Clone(key), s.value)
	}
	debug.FreeOSMemory()
	fmt.Printf("%.1f %.0f\n", collection(), float64(resident()-before)/float64(entries))
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var way, figure, from int
		_, err := fmt.Sscan(lines.Text(), &way, &figure, &from)
		must(err)
		runtime.GC() // no turn pays for what the one before left
		fmt.Println(s.turn(s.ways[way], figures()[figure], from))
	}
	for _, way := range s.ways {
		way.close()
	}
}

// collection is how long a collection of garbage takes, in milliseconds of the process.
func collection() float64 {
	var all []float64
	for range 5 {
		start := processorTime()
		runtime.GC()
		all = append(all, float64(processorTime()-start)/1e6)
	}
	return median(all)
}

// turn gives the nanoseconds that one call takes, or 0 if the contestant has none. One goroutine alone is timed by the
// processor time of the process, with what its garbage collector and its other goroutines do for it; several by the clock,
// each call as the share of all.
func (s *server) turn(way *contestant, figure figure, from int) float64 {
	if figure.set && way.set == nil {
		return 0
	}
	now := func() int64 { return time.Now().UnixNano() }
	if figure.goroutines == 1 {
		now = processorTime
	}
	var done sync.WaitGroup
	start := now()
	for g := range figure.goroutines {
		done.Add(1)
		go func() {
			defer done.Done()
			s.run(way, figure.set, from+g*len(s.keys)/figure.goroutines)
		}()
	}
	done.Wait()
	return float64(now()-start) / float64(s.calls*figure.goroutines)
}

func (s *server) run(way *contestant, set bool, from int) {
	switch {
	case set:
		for i := range s.calls {
			way.set(s.keys[(from+i)%len(s.keys)], s.value)
		}
	case way.getMany != nil:
		keys, room := make([]string, manyKeys), new(room)
		for i := 0; i < s.calls; i += manyKeys {
			for j := range keys {
				keys[j] = s.keys[(from+i+j)%len(s.keys)]
			}
			way.getMany(keys, room)
		}
	default:
		buffer := make([]byte, 0, 2*valueBytes)
		for i := range s.calls {
			buffer = way.get(s.keys[(from+i)%len(s.keys)], buffer)
		}
	}
}

// processorTime is what the process has used, in nanoseconds.
func processorTime() int64 {
	var usage syscall.Rusage
	must(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return usage.Utime.Nano() + usage.Stime.Nano()
}

// resident is what the process holds of memory, in bytes.
func resident() int {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		log.Fatal(err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(text))[1])
	must(err)
	return pages * os.Getpagesize()
}

func median(numbers []float64) float64 {
	sorted := slices.Sorted(slices.Values(numbers))
	return sorted[len(sorted)/2]
}
