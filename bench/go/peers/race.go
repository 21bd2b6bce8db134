package main

// The race: everyone makes the same calls in turns.

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"
)

// figure is one column: what is timed, and how many goroutines do it.
type figure struct {
	title      string
	set        bool
	goroutines int
}

func figures() []figure {
	all := runtime.GOMAXPROCS(0)
	return []figure{
		{"get", false, 1}, {fmt.Sprintf("get, %d goroutines", all), false, all},
		{"set", true, 1}, {fmt.Sprintf("set, %d goroutines", all), true, all},
	}
}

type race struct {
	keys   []string
	value  []byte
	calls  int
	turn   int
	all    []*contestant
	fields []figure
	// times are nanoseconds of a call by contestant, figure and round.
	times [][][]float64
}

func newRace(entries, calls int) *race {
	r := &race{keys: names(entries), value: make([]byte, valueBytes), calls: calls, fields: figures()}
	for _, store := range stores {
		ways := store.make(entries)
		for _, key := range r.keys {
			ways[0].set(key, r.value)
		}
		r.all = append(r.all, ways...)
	}
	r.times = make([][][]float64, len(r.all))
	for c := range r.times {
		r.times[c] = make([][]float64, len(r.fields))
	}
	return r
}

// round gives everyone a turn at everything, each time from another key on.
func (r *race) round() {
	for f, field := range r.fields {
		r.turn++
		from := r.turn * r.calls
		for c, one := range r.all {
			if field.set && one.set == nil {
				continue
			}
			runtime.GC() // nobody pays for what the one before left
			r.times[c][f] = append(r.times[c][f], r.time(one, field, from))
		}
	}
}

// time gives the nanoseconds that one call takes: with several goroutines, the share of each of them.
func (r *race) time(one *contestant, field figure, from int) float64 {
	var done sync.WaitGroup
	start := time.Now()
	for g := range field.goroutines {
		done.Add(1)
		go func() {
			defer done.Done()
			r.run(one, field.set, from+g*len(r.keys)/field.goroutines)
		}()
	}
	done.Wait()
	return float64(time.Since(start).Nanoseconds()) / float64(r.calls*field.goroutines)
}

func (r *race) run(one *contestant, set bool, from int) {
	switch {
	case set:
		for i := range r.calls {
			one.set(r.keys[(from+i)%len(r.keys)], r.value)
		}
	case one.getMany != nil:
		keys := make([]string, manyKeys)
		for i := 0; i < r.calls; i += manyKeys {
			for j := range keys {
				keys[j] = r.keys[(from+i+j)%len(r.keys)]
			}
			one.getMany(keys)
		}
	default:
		buffer := make([]byte, 0, 2*valueBytes)
		for i := range r.calls {
			buffer = one.get(r.keys[(from+i)%len(r.keys)], buffer)
		}
	}
}

func (r *race) print() {
	fmt.Printf("## %d entries\n\n|  |", len(r.keys))
	for _, field := range r.fields {
		fmt.Printf(" %s |", field.title)
	}
	fmt.Print("\n| --- |")
	for range r.fields {
		fmt.Print(" --: |")
	}
	fmt.Println()
	for c, one := range r.all {
		fmt.Printf("| %s |", one.name)
		for f := range r.fields {
			if len(r.times[c][f]) == 0 {
				fmt.Print("  |")
				continue
			}
			fmt.Printf(" %.0f (%.2f) |", median(r.times[c][f]), median(ratios(r.times[c][f], r.times[0][f])))
		}
		fmt.Println()
	}
	fmt.Println()
}

func (r *race) close() {
	for _, one := range r.all {
		one.close()
	}
}

func ratios(of, to []float64) []float64 {
	all := make([]float64, len(of))
	for i := range of {
		all[i] = of[i] / to[i]
	}
	return all
}

func median(numbers []float64) float64 {
	sorted := slices.Sorted(slices.Values(numbers))
	return sorted[len(sorted)/2]
}
