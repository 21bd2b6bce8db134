// Command page_cache replays a trace of page requests against libkv as a cache, and prints what happened.
//
//	page_cache TRACE        one decimal page number a line
//
// Each page is looked up; on a miss it is stored with a TTL. Every third page shows a price and may be served only
// until prices change; the others live for an hour. Prices change after every 12,000 requests, an era: price pages
// get a short TTL, and at the end of the era the program waits until the last one has run out.
//
// Every count that is printed depends on the trace alone, never on the speed of the machine:
//
//   - No page may expire in the middle of its era. All price pages have the same TTL, so the one stored first
//     expires first. If it was stored once and is still there after the era's last request, no lookup missed a page
//     that had expired. Otherwise the machine was too slow for this TTL: the run does not count, and the program
//     starts over with twice the TTL.
//   - No price page may live into the next era. The one stored last expires last, so the next era starts when that
//     one is gone.
//
// The store alone says what has expired. The program's own clock only measures the time of a call.
package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/libkv/libkv/bindings/go/kvstore"
)

const (
	eraRequests = 12_000
	priceEvery  = 3
	firstTTL    = 250 * time.Millisecond
	lastTTL     = time.Minute
)

// errTooSlow says that a price page expired in the middle of its era.
var errTooSlow = errors.New("an era took longer than the TTL")

type page struct {
	key  string
	body []byte
}

type counts struct {
	hits, misses, servedBytes int64
	inCalls                   time.Duration
}

// replayer is one pass over the trace with one store.
type replayer struct {
	store    *kvstore.Store
	pages    []page
	priceTTL time.Duration
	counts   counts
	buffer   []byte
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "page_cache:", err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) != 2 {
		return errors.New("usage: page_cache TRACE")
	}
	trace, err := readTrace(os.Args[1])
	if err != nil {
		return err
	}
	pages := renderPages(trace)
	for ttl := firstTTL; ttl <= lastTTL; ttl *= 2 {
		err = replay(trace, pages, ttl)
		if !errors.Is(err, errTooSlow) {
			return err
		}
		fmt.Fprintf(os.Stderr, "page_cache: an era took longer than %v; starting over\n", ttl)
	}
	return errors.New("this machine is too slow for any TTL tried")
}

func readTrace(path string) ([]int, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var trace []int
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		number, err := strconv.ParseUint(lines.Text(), 10, 31)
		if err != nil {
			return nil, fmt.Errorf("%s has a line that is no page number: %w", path, err)
		}
		trace = append(trace, int(number))
	}
	if len(trace) == 0 {
		return nil, fmt.Errorf("%s is empty", path)
	}
	return trace, lines.Err()
}

// renderPages stands for a web server's templates: each page has its own length and letters.
func renderPages(trace []int) []page {
	count := 0
	for _, number := range trace {
		count = max(count, number+1)
	}
	pages := make([]page, count)
	for i := range pages {
		letter := []byte{'a' + byte(i%26)}
		pages[i] = page{key: "page:" + strconv.Itoa(i), body: bytes.Repeat(letter, 200+i*7919%1800)}
	}
	return pages
}

// replay runs the whole trace and prints the counts, or fails with errTooSlow.
func replay(trace []int, pages []page, priceTTL time.Duration) error {
	store, err := kvstore.New()
	if err != nil {
		return err
	}
	defer store.Close()
	r := replayer{store: store, pages: pages, priceTTL: priceTTL}
	for start := 0; start < len(trace); start += eraRequests {
		if err := r.era(trace[start:min(start+eraRequests, len(trace))]); err != nil {
			return err
		}
	}
	r.print(len(trace))
	return nil
}

// era answers the requests of one era, then waits until its price pages have run out.
func (r *replayer) era(requests []int) error {
	first, last := -1, -1
	started := time.Now()
	for _, number := range requests {
		stored, err := r.request(number)
		if err != nil {
			return err
		}
		if !stored || number%priceEvery != 0 {
			continue
		}
		if number == first { // stored twice in one era: it expired in between
			return errTooSlow
		}
		if first < 0 {
			first = number
		}
		last = number
	}
	r.counts.inCalls += time.Since(started)
	if first < 0 {
		return nil
	}
	if !r.store.Exists(r.pages[first].key) {
		return errTooSlow
	}
	return r.waitUntilGone(r.pages[last].key)
}

// request answers one request, and says whether the page had to be stored.
func (r *replayer) request(number int) (bool, error) {
	page := &r.pages[number]
	cached, err := r.store.AppendGet(r.buffer[:0], page.key)
	if errors.Is(err, kvstore.ErrNotFound) {
		ttl := time.Hour
		if number%priceEvery == 0 {
			ttl = r.priceTTL
		}
		r.counts.misses++
		return true, r.store.SetWithTTL(page.key, page.body, ttl)
	}
	if err != nil {
		return false, err
	}
	if !bytes.Equal(cached, page.body) {
		return false, fmt.Errorf("%s holds another page's body", page.key)
	}
	r.counts.hits++
	r.counts.servedBytes += int64(len(cached))
	r.buffer = cached
	return false, nil
}

// waitUntilGone waits until a price page has run out, and frees what expired with it.
func (r *replayer) waitUntilGone(key string) error {
	giveUp := time.Now().Add(2 * lastTTL)
	for r.store.Exists(key) {
		if time.Now().After(giveUp) {
			return errors.New("a price page outlived its TTL")
		}
		time.Sleep(2 * time.Millisecond)
	}
	_, err := r.store.PurgeExpired()
	return err
}

func (r *replayer) print(requests int) {
	stats := r.store.Stats()
	fmt.Println("requests", requests)
	fmt.Println("hits", r.counts.hits)
	fmt.Println("misses", r.counts.misses)
	fmt.Println("served_bytes", r.counts.servedBytes)
	fmt.Println("expired", stats.Expired)
	fmt.Println("live", stats.EntryCount)
	fmt.Println("payload_bytes", stats.TotalSize)
	fmt.Println("memory_bytes", stats.MemoryBytes)
	fmt.Println("ns_per_call", r.counts.inCalls.Nanoseconds()/(int64(requests)+r.counts.misses))
}
