package kvstore

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// filled opens a store with the keys of a prefix and the numbers from 0 on, padded so that they sort; values are the
// numbers.
func filled(t testing.TB, prefix string, count int, options ...Option) *Store {
	t.Helper()
	store := newStore(t, options...)
	for i := range count {
		must(t, store.SetString(fmt.Sprintf("%s%06d", prefix, i), strconv.Itoa(i)))
	}
	return store
}

// Everything is changed while an iterator with PointInTime goes on: it gives what was there, and nothing else.
func TestAnIteratorShowsOneMoment(t *testing.T) {
	const count = 2_000
	for _, options := range [][]Option{nil, {WithOrderedIndex(true)}} {
		store := filled(t, "k", count, options...)
		for _, want := range []IteratorOptions{{}, {Sorted: true}, {Reverse: true}} {
			want.PointInTime = true
			it := store.Iterator(&want)
			met := map[string]bool{}
			for it.Next() {
				if value := strings.TrimLeft(it.Key()[1:], "0"); string(it.Value()) != value && it.Key() != "k000000" {
					t.Fatalf("%q was not %q", it.Key(), it.Value())
				}
				met[it.Key()] = true
				last := count - len(met)
				must(t, store.SetString(fmt.Sprintf("k%06d", last), "later"))
				must(t, store.SetString(fmt.Sprintf("m%06d", last), "new"))
			}
			must(t, it.Err())
			if len(met) != count {
				t.Fatalf("%d entries of %d", len(met), count)
			}
			must(t, store.Clear())
			for i := range count {
				must(t, store.SetString(fmt.Sprintf("k%06d", i), strconv.Itoa(i)))
			}
		}
		it := store.Iterator(&IteratorOptions{PointInTime: true})
		must(t, store.Clear())
		if it.Next() || !errors.Is(it.Err(), ErrConflict) {
			t.Fatalf("a cleared store: %v", it.Err())
		}
	}
}

// Many calls into C are needed for so many entries; each of them comes once, in either order, with and without an index.
func TestIteratorsOverManyEntries(t *testing.T) {
	const count = 10_000
	for _, options := range [][]Option{nil, {WithOrderedIndex(true)}} {
		store := filled(t, "k", count, options...)
		must(t, store.SetString("j", "before"))
		must(t, store.SetString("l", "behind"))
		for _, reverse := range []bool{false, true} {
			it := store.Iterator(&IteratorOptions{Prefix: "k", Sorted: true, Reverse: reverse})
			next := 0
			for key, value := range it.All() {
				n := next
				if reverse {
					n = count - 1 - next
				}
				if key != fmt.Sprintf("k%06d", n) || string(value) != strconv.Itoa(n) {
					t.Fatalf("entry %d is %q, %q", next, key, value)
				}
				next++
			}
			must(t, it.Err())
			if next != count {
				t.Fatalf("%d entries", next)
			}
		}
		keys := store.Keys()
		slices.Sort(keys)
		if len(slices.Compact(keys)) != count+2 {
			t.Fatalf("%d keys", len(keys))
		}
	}
}

func TestValuesLargerThanTheBufferOfAScan(t *testing.T) {
	store := newStore(t)
	sizes := []int{0, 1, scanBytesFirst - 1, scanBytesFirst, scanBytesMost - 1, scanBytesMost, 3 * scanBytesMost, 1 << 20, 5}
	for i, size := range sizes {
		must(t, store.Set(fmt.Sprint(i), bytes.Repeat([]byte{byte(i)}, size)))
	}
	values := CollectValues(store.RangeIterator("", ""))
	for i, size := range sizes {
		if !bytes.Equal(values[i], bytes.Repeat([]byte{byte(i)}, size)) || values[i] == nil {
			t.Errorf("a value of %d bytes came as one of %d", size, len(values[i]))
		}
	}
	must(t, store.Clear())
	must(t, store.Set("", nil))
	if entries := CollectEntries(store.Iterator(nil)); len(entries) != 1 || entries[0].Key != "" || entries[0].Value == nil {
		t.Errorf("the empty entry came as %+v", entries)
	}
}

// What an iterator gives out is the caller's: it stays what it was.
func TestEntriesOfAnIteratorAreCopies(t *testing.T) {
	store := filled(t, "k", 100)
	var values [][]byte
	for entry, err := range store.Scan(IteratorOptions{Sorted: true}) {
		must(t, err)
		values = append(values, append(entry.Value, "!"...))
		clear(entry.Value)
	}
	for i, value := range values {
		if string(value[len(value)-1:]) != "!" {
			t.Fatalf("value %d became %q", i, value)
		}
	}
	if value, err := store.GetString("k000042"); err != nil || value != "42" {
		t.Fatalf("the store has %q, %v", value, err)
	}
}

func TestFilterLimitAndKeysOnly(t *testing.T) {
	store := filled(t, "k", 1000)
	seen := 0
	odd := func(key string, value []byte) bool {
		seen++
		return (key[len(key)-1]-'0')%2 == 1
	}
	it := store.Iterator(&IteratorOptions{Sorted: true, Limit: 3, Filter: odd})
	if keys := CollectKeys(it); !slices.Equal(keys, []string{"k000001", "k000003", "k000005"}) || seen != 6 {
		t.Errorf("%q after %d", keys, seen)
	}
	noValue := func(_ string, value []byte) bool { return value == nil }
	it = store.Iterator(&IteratorOptions{KeysOnly: true, Limit: -1, Filter: noValue})
	count := 0
	for it.Next() {
		if count++; it.Value() != nil || it.Entry().Version == 0 {
			t.Fatalf("%+v", it.Entry())
		}
	}
	if count != 1000 {
		t.Errorf("%d keys", count)
	}
	calls := 0
	for range store.Scan(IteratorOptions{Filter: func(key string, value []byte) bool {
		calls++
		must(t, store.Set(key, value)) // a filter may use the store
		return false
	}}) {
		t.Error("an entry came through")
	}
	if calls < 1000 {
		t.Errorf("%d entries were asked for", calls)
	}
}

// An entry that was read ahead does not come once its deadline has.
func TestNoIteratorGivesWhatHasExpired(t *testing.T) {
	store := filled(t, "k", 5)
	must(t, store.SetWithTTL("k000003", []byte("short"), 20*time.Millisecond))
	must(t, store.SetWithTTL("k000004", []byte("long"), time.Hour))
	it := store.Iterator(&IteratorOptions{Sorted: true})
	if !it.Next() || it.Key() != "k000000" {
		t.Fatal(it.Key())
	}
	time.Sleep(60 * time.Millisecond)
	rest := CollectEntries(it)
	if len(rest) != 3 || rest[2].Key != "k000004" || rest[2].ExpiresAt.Before(time.Now()) || !rest[1].ExpiresAt.IsZero() {
		t.Errorf("%+v", rest)
	}
}

func TestTheEndOfAnIterator(t *testing.T) {
	store := filled(t, "k", 100)
	it := store.PrefixIterator("k")
	if it.Key() != "" || it.Value() != nil {
		t.Error("there is an entry before the first Next")
	}
	for range 3 {
		it.Next()
	}
	it.Close()
	it.Close()
	if it.Next() || it.Key() != "" || it.Value() != nil || it.Err() != nil {
		t.Errorf("%q, %v after Close", it.Key(), it.Err())
	}
	it = store.RangeIterator("k000098", "")
	for it.Next() {
	}
	if it.Next() || it.Key() != "" || it.Err() != nil {
		t.Errorf("%q, %v after the end", it.Key(), it.Err())
	}
	for range store.PrefixIterator("k").All() {
		break
	}
	for range store.Scan(IteratorOptions{}) {
		break
	}
}

func TestWhatEndsAnIteratorEarly(t *testing.T) {
	store := filled(t, "k", 2000)
	path := filepath.Join(t.TempDir(), "snapshot")
	_, err := store.SnapshotTo(path)
	must(t, err)
	it := store.Iterator(nil)
	if !it.Next() {
		t.Fatal(it.Err())
	}
	must(t, store.Restore(path))
	for it.Next() {
	}
	wants(t, it.Err(), ErrConflict)

	it = store.Iterator(nil)
	must(t, store.Close())
	for it.Next() {
	}
	wants(t, it.Err(), ErrClosed)
	it = store.Iterator(nil)
	if it.Next() || !errors.Is(it.Err(), ErrClosed) {
		t.Errorf("%v", it.Err())
	}
	steps := 0
	for entry, err := range store.Scan(IteratorOptions{}) {
		if steps++; !errors.Is(err, ErrClosed) || entry.Key != "" {
			t.Errorf("%+v, %v", entry, err)
		}
	}
	if keys := store.Keys(); steps != 1 || len(keys) != 0 {
		t.Errorf("%d steps, %d keys", steps, len(keys))
	}
}

// Entries that stay come once each, while others come and go beside the iterators.
func TestIteratorsBesideWriters(t *testing.T) {
	const stay = 2000
	store := filled(t, "stays:", stay)
	done := make(chan struct{})
	var writers sync.WaitGroup
	for writer := range 2 {
		writers.Add(1)
		go func() {
			defer writers.Done()
			for i := 0; ; i++ {
				select {
				case <-done:
					return
				default:
				}
				key := fmt.Sprintf("goes:%d:%d", writer, i%500)
				if err := store.SetString(key, key); err != nil {
					t.Error(err)
				}
				if _, err := store.Delete(key); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	for _, options := range []IteratorOptions{{}, {Sorted: true}, {Reverse: true}} {
		seen, stayed := map[string]bool{}, 0
		for entry, err := range store.Scan(options) {
			must(t, err)
			if seen[entry.Key] {
				t.Fatalf("%s came twice", entry.Key)
			}
			seen[entry.Key] = true
			if strings.HasPrefix(entry.Key, "stays:") {
				stayed++
			} else if string(entry.Value) != entry.Key {
				t.Fatalf("%q holds %q", entry.Key, entry.Value)
			}
		}
		if stayed != stay {
			t.Errorf("%d of %d came", stayed, stay)
		}
	}
	close(done)
	writers.Wait()
}

// A store is not collected under an iterator, and an iterator that was dropped is.
func TestIteratorsAndTheGarbageCollector(t *testing.T) {
	before := handlesAfterCollection(func(int64) bool { return true })
	func() {
		it := func() *Iterator {
			var store Store
			for i := range 5000 {
				must(t, store.SetString(strconv.Itoa(i), "v"))
			}
			return store.Iterator(nil)
		}()
		count := 0
		for it.Next() {
			if count++; count%1000 == 1 {
				runtime.GC()
			}
		}
		if must(t, it.Err()); count != 5000 {
			t.Errorf("%d entries", count)
		}
	}()
	func() {
		var store Store
		must(t, store.SetString("k", "v"))
		must(t, store.SetString("l", "v"))
		if it := store.Iterator(nil); !it.Next() {
			t.Error(it.Err())
		}
	}()
	if open := handlesAfterCollection(func(open int64) bool { return open <= before }); open > before {
		t.Fatalf("%d stores were not freed in a minute", open-before)
	}
}
