package main

// The race: a process for each store, and turns for everyone.

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
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

// racer is a contestant as the race sees it.
type racer struct {
	name string
	home *home
	way  int
	// times are nanoseconds of a call, by figure and round.
	times [][]float64
}

// home is the process of one store.
type home struct {
	process *exec.Cmd
	orders  io.WriteCloser
	answers *bufio.Scanner
	// weight is what it said of collections and memory.
	weight []string
}

type race struct {
	entries, calls, turn int
	all                  []*racer
	homes                []*home
}

func newRace(entries, calls int) *race {
	r := &race{entries: entries, calls: calls}
	for _, store := range stores {
		h := settle(store.name, entries, calls)
		r.homes = append(r.homes, h)
		for way, name := range store.ways {
			r.all = append(r.all, &racer{name: name, home: h, way: way, times: make([][]float64, len(figures()))})
		}
	}
	return r
}

// settle starts the process of a store, and waits until it is filled.
func settle(store string, entries, calls int) *home {
	self, err := os.Executable()
	must(err)
	process := exec.Command(self, "-store", store, "-entries", strconv.Itoa(entries), "-calls", strconv.Itoa(calls))
	process.Stderr = os.Stderr
	orders, err := process.StdinPipe()
	must(err)
	answers, err := process.StdoutPipe()
	must(err)
	must(process.Start())
	h := &home{process: process, orders: orders, answers: bufio.NewScanner(answers)}
	h.weight = strings.Fields(h.answer())
	return h
}

func (h *home) answer() string {
	found(h.answers.Scan())
	return h.answers.Text()
}

// round gives everyone a turn at everything, each time from another key on.
func (r *race) round() {
	for f := range figures() {
		r.turn++
		for _, one := range r.all {
			_, err := fmt.Fprintln(one.home.orders, one.way, f, r.turn*r.calls)
			must(err)
			time, err := strconv.ParseFloat(one.home.answer(), 64)
			must(err)
			if time > 0 {
				one.times[f] = append(one.times[f], time)
			}
		}
	}
}

func (r *race) print() {
	fmt.Printf("## %d entries\n\n|  |", r.entries)
	for _, figure := range figures() {
		fmt.Printf(" %s |", figure.title)
	}
	fmt.Println(" collection | memory |")
	fmt.Println("| --- |" + strings.Repeat(" --: |", len(figures())+2))
	for _, one := range r.all {
		fmt.Printf("| %s |", one.name)
		for f, times := range one.times {
			if len(times) == 0 {
				fmt.Print("  |")
				continue
			}
			fmt.Printf(" %.0f (%.2f) |", median(times), median(ratios(times, r.all[0].times[f])))
		}
		if one.way == 0 {
			fmt.Printf(" %s | %s |\n", one.home.weight[0], one.home.weight[1])
		} else {
			fmt.Println("  |  |")
		}
	}
	fmt.Println()
}

func (r *race) close() {
	for _, h := range r.homes {
		must(h.orders.Close())
		must(h.process.Wait())
	}
}

func ratios(of, to []float64) []float64 {
	all := make([]float64, len(of))
	for i := range of {
		all[i] = of[i] / to[i]
	}
	return all
}
