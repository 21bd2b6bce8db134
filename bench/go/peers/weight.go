package main

// What a filled store weighs: memory of the process, and what the garbage collector has to do for it. Each is measured in
// a process of its own.

import (
	"fmt"
	"log"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"
)

func printWeights(entries int) {
	self, err := os.Executable()
	must(err)
	fmt.Printf("## What %d entries weigh\n\nA process for each store. An entry has 116 bytes; what the keys of the benchmark take is subtracted.\n\n"+
		"|  | a collection of garbage, ms | process grows by, bytes an entry |\n| --- | --: | --: |\n", entries)
	for _, store := range stores {
		child := exec.Command(self, "-weigh", store.name, "-entries", strconv.Itoa(entries))
		child.Stderr = os.Stderr
		text, err := child.Output()
		must(err)
		fmt.Print(string(text))
	}
}

// printWeight fills one store and prints its line.
func printWeight(name string, entries int) {
	keys, value := names(entries), make([]byte, valueBytes)
	runtime.GC()
	before := resident()
	for _, store := range stores {
		if store.name == name {
			one := store.make(entries)[0]
			for _, key := range keys {
				one.set(strings.Clone(key), value)
			}
			defer one.close()
		}
	}
	var collections []float64
	for range 9 {
		start := time.Now()
		runtime.GC()
		collections = append(collections, float64(time.Since(start).Microseconds())/1000)
	}
	fmt.Printf("| %s | %.1f | %.0f |\n", name, median(collections), float64(resident()-before)/float64(entries))
	runtime.KeepAlive(keys)
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
