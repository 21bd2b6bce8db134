package kvstore

// Many keys at once: GetMany, SetMany, DeleteMany, and the memory they share.

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestGetMany(t *testing.T) {
	store := newStore(t)
	for _, count := range []int{0, 1, 2, 63, 64, 65, 1000} {
		var keys []string
		for i := range count {
			key := fmt.Sprintf("key-%d-%d", count, i)
			keys = append(keys, key)
			if i%3 != 0 {
				must(t, store.Set(key, pattern(i)))
			}
		}
		values, err := store.GetMany(keys)
		must(t, err)
		if len(values) != count {
			t.Fatalf("%d values for %d keys", len(values), count)
		}
		for i, value := range values {
			switch {
			case i%3 == 0 && value != nil:
				t.Errorf("%s is not there, and has %d bytes", keys[i], len(value))
			case i%3 != 0 && (value == nil || !bytes.Equal(value, pattern(i))):
				t.Errorf("%s has %d bytes", keys[i], len(value))
			}
		}
	}
}

func TestGetManyOfMixedLengths(t *testing.T) {
	store := newStore(t)
	var keys []string
	for round := range 3 {
		for _, length := range lengths {
			key := fmt.Sprintf("%d-%d", round, length)
			keys = append(keys, key, "gone")
			must(t, store.Set(key, pattern(length)))
		}
	}
	values, err := store.GetMany(keys)
	must(t, err)
	for i, value := range values {
		if i%2 == 1 {
			if value != nil {
				t.Errorf("%d bytes of an absent key", len(value))
			}
			continue
		}
		expected := pattern(lengths[i/2%len(lengths)])
		if value == nil || !bytes.Equal(value, expected) {
			t.Errorf("%s has %d bytes", keys[i], len(value))
		}
		// Growing one value must leave its neighbours alone.
		_ = append(value, "overrun"...)
	}
	for i, value := range values {
		if i%2 == 0 && !bytes.Equal(value, pattern(lengths[i/2%len(lengths)])) {
			t.Errorf("%s was overwritten by its neighbour", keys[i])
		}
	}
}

func TestGetManyRefusesALongKey(t *testing.T) {
	store := newStore(t)
	must(t, store.SetString("k", "v"))
	keys := make([]string, 65)
	keys[64] = strings.Repeat("k", 65_536)
	values, err := store.GetMany(keys)
	wants(t, err, ErrTooLarge)
	if values != nil {
		t.Error("an error gives no values")
	}
}

// The first call has too little room, the second is given what it needs; what is large does not stay in the pool.
func TestGetManyOfLargeValues(t *testing.T) {
	store := newStore(t)
	keys := []string{"small", "gone", "large", "empty"}
	for _, length := range []int{roomAtFirst, roomKept - 100, roomKept, 3 * roomKept} {
		large := pattern(length)
		must(t, store.SetMany([]string{"small", "large", "empty"}, [][]byte{pattern(99), large, {}}))
		for range 3 {
			values, err := store.GetMany(keys)
			must(t, err)
			if !bytes.Equal(values[0], pattern(99)) || !bytes.Equal(values[2], large) {
				t.Errorf("%d: got %d and %d bytes", length, len(values[0]), len(values[2]))
			}
			if values[1] != nil || values[3] == nil || len(values[3]) != 0 {
				t.Errorf("%d: absent and empty are %v and %v", length, values[1], values[3])
			}
		}
		s := takeScratch()
		if cap(s.keys) > roomKept || cap(s.values) > roomKept || cap(s.valueLens)*8 > roomKept {
			t.Errorf("%d: the pool holds %d and %d bytes", length, cap(s.keys), cap(s.values))
		}
		s.giveBack()
	}
}

func TestGetManySharesOneAllocation(t *testing.T) {
	store := newStore(t)
	keys := make([]string, 32)
	for i := range keys {
		keys[i] = strconv.Itoa(i)
		must(t, store.Set(keys[i], pattern(100)))
	}
	allocations := testing.AllocsPerRun(100, func() {
		if _, err := store.GetMany(keys); err != nil {
			t.Error(err)
		}
	})
	// The values, the slice of them, and now and then a pool that was emptied.
	if !checkedBuild && allocations > 3 {
		t.Errorf("%v allocations a call", allocations)
	}
}

func TestAppendGetMany(t *testing.T) {
	store := newStore(t)
	must(t, store.SetMany([]string{"a", "empty", "large"}, [][]byte{[]byte("1"), {}, pattern(100_000)}))
	keys := []string{"a", "gone", "empty", "large"}
	given, start := [][]byte{[]byte("before")}, []byte("start")
	for range 2 {
		values, buffer, err := store.AppendGetMany(given, start, keys)
		must(t, err)
		if len(values) != 5 || string(values[0]) != "before" || string(buffer[:5]) != "start" {
			t.Fatalf("%d values, and a buffer of %d bytes", len(values), len(buffer))
		}
		if string(values[1]) != "1" || values[2] != nil || values[3] == nil || len(values[3]) != 0 ||
			!bytes.Equal(values[4], pattern(100_000)) {
			t.Errorf("got %d, %v and %v", len(values[1]), values[2], values[3])
		}
		if len(buffer) != len("start")+1+100_000 || cap(values[1]) != 1 {
			t.Errorf("a buffer of %d bytes, a value of capacity %d", len(buffer), cap(values[1]))
		}
		given, start = values[:1], buffer[:5]
	}
	none, buffer, err := store.AppendGetMany(nil, nil, []string{"empty", "gone"})
	must(t, err)
	if none[0] == nil || none[1] != nil || len(buffer) != 0 {
		t.Errorf("empty and absent are %v and %v", none[0], none[1])
	}
	keys[0] = strings.Repeat("k", 65_536)
	values, buffer, err := store.AppendGetMany(given, start, keys)
	wants(t, err, ErrTooLarge)
	if len(values) != 1 || string(buffer) != "start" {
		t.Error("an error gives what was there")
	}
}

func TestAppendGetManyAllocatesNothing(t *testing.T) {
	store := newStore(t)
	keys := make([]string, 32)
	for i := range keys {
		keys[i] = strconv.Itoa(i)
		must(t, store.Set(keys[i], pattern(100)))
	}
	var values [][]byte
	var buffer []byte
	allocations := testing.AllocsPerRun(100, func() {
		var err error
		if values, buffer, err = store.AppendGetMany(values[:0], buffer[:0], keys); err != nil {
			t.Error(err)
		}
	})
	// Now and then a pool that was emptied.
	if !checkedBuild && allocations > 1 {
		t.Errorf("%v allocations a call", allocations)
	}
}

func TestSetMany(t *testing.T) {
	store := newStore(t)
	must(t, store.SetMany(nil, nil))
	must(t, store.SetMany([]string{"a", "b", "a"}, [][]byte{[]byte("1"), nil, []byte("3")}))
	values, err := store.GetMany([]string{"a", "b", "c"})
	must(t, err)
	if string(values[0]) != "3" || values[1] == nil || len(values[1]) != 0 || values[2] != nil {
		t.Errorf("got %q", values)
	}
	must(t, store.SetManyWithTTL([]string{"a", "b"}, [][]byte{nil, nil}, time.Hour))
	for _, key := range []string{"a", "b"} {
		left, err := store.TTL(key)
		must(t, err)
		if left <= 0 || left > time.Hour {
			t.Errorf("%s has %v left", key, left)
		}
	}
	wants(t, store.SetManyWithTTL([]string{"d"}, [][]byte{nil}, -time.Second), ErrInvalid)
	err = store.SetMany([]string{"d", "e"}, [][]byte{nil})
	wants(t, err, ErrInvalid)
	if !strings.Contains(err.Error(), "2 keys and 1 values") {
		t.Error(err)
	}
	if store.Exists("d") {
		t.Error("a refused call stored something")
	}
}

func TestSetManyStoresAllOrNothing(t *testing.T) {
	store := newStore(t, WithMaxValueSize(10), WithMaxEntries(3))
	must(t, store.SetString("a", "before"))
	keys := []string{"a", "b", "c", "d"}
	wants(t, store.SetMany(keys[:2], [][]byte{nil, pattern(11)}), ErrTooLarge)
	wants(t, store.SetMany(keys, make([][]byte, 4)), ErrFull)
	value, err := store.GetString("a")
	must(t, err)
	if value != "before" || store.Len() != 1 {
		t.Errorf("%q of %d", value, store.Len())
	}
}

func TestDeleteMany(t *testing.T) {
	store := newStore(t)
	must(t, store.SetMany([]string{"a", "b", "c"}, make([][]byte, 3)))
	for _, c := range []struct {
		keys    []string
		deleted int
	}{{nil, 0}, {[]string{"gone"}, 0}, {[]string{"a", "gone", "c", "a"}, 2}, {[]string{"b"}, 1}} {
		deleted, err := store.DeleteMany(c.keys)
		must(t, err)
		if deleted != c.deleted {
			t.Errorf("%v: %d deleted", c.keys, deleted)
		}
	}
	must(t, store.SetString("k", "v"))
	deleted, err := store.DeleteMany([]string{"k", strings.Repeat("k", 65_536)})
	wants(t, err, ErrTooLarge)
	if deleted != 0 || !store.Exists("k") {
		t.Error("a refused call deleted something")
	}
}

// Goroutines that share the pool get their own values and nobody else's.
func TestManyKeysFromManyGoroutines(t *testing.T) {
	store := newStore(t)
	var all sync.WaitGroup
	for g := range 4 {
		all.Add(1)
		go func() {
			defer all.Done()
			for round := range 200 {
				keys, values := make([]string, 40), make([][]byte, 40)
				for i := range keys {
					keys[i] = fmt.Sprintf("%d-%d", g, i)
					values[i] = pattern((g*131 + round*17 + i) % 1500)
				}
				if err := store.SetMany(keys, values); err != nil {
					t.Error(err)
				}
				got, err := store.GetMany(keys)
				if err != nil || !slices.EqualFunc(got, values, bytes.Equal) {
					t.Errorf("goroutine %d, round %d: other values, %v", g, round, err)
					return
				}
				if deleted, err := store.DeleteMany(keys[:5]); deleted != 5 || err != nil {
					t.Errorf("%d deleted, %v", deleted, err)
				}
			}
		}()
	}
	all.Wait()
}
