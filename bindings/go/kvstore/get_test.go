package kvstore

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
)

// lengths are those at which reading a value takes another way.
var lengths = []int{
	0, 1, 7, stackBuffer - 1, stackBuffer, stackBuffer + 1, 1023, 1024, 1025,
	pooledBuffer - 1, pooledBuffer, pooledBuffer + 1, 3 << 20,
}

func pattern(length int) []byte {
	value := make([]byte, length)
	for i := range value {
		value[i] = byte(i*7 + length)
	}
	return value
}

func TestValuesOfEveryLength(t *testing.T) {
	store := newStore(t)
	for _, length := range lengths {
		key := fmt.Sprint(length)
		expected := pattern(length)
		must(t, store.Set(key, expected))

		value, err := store.Get(key)
		must(t, err)
		if value == nil || !bytes.Equal(value, expected) {
			t.Errorf("Get of %d bytes gave %d", length, len(value))
		}
		text, err := store.GetString(key)
		must(t, err)
		if text != string(expected) {
			t.Errorf("GetString of %d bytes gave %d", length, len(text))
		}
		entry, err := store.GetEntry(key)
		must(t, err)
		if entry.Key != key || !bytes.Equal(entry.Value, expected) {
			t.Errorf("GetEntry of %d bytes gave %d", length, len(entry.Value))
		}
		appended, err := store.AppendGet([]byte("before"), key)
		must(t, err)
		if string(appended) != "before"+text {
			t.Errorf("AppendGet of %d bytes gave %d", length, len(appended))
		}
		taken, err := store.Take(key)
		must(t, err)
		if taken == nil || !bytes.Equal(taken, expected) || store.Exists(key) {
			t.Errorf("Take of %d bytes gave %d", length, len(taken))
		}
	}
}

func TestKeysAreAnyBytes(t *testing.T) {
	store := newStore(t)
	keys := []string{"", "\x00", "a\x00b", "\xff\xfe", "käse", strings.Repeat("k", 65_535)}
	for i, key := range keys {
		must(t, store.SetString(key, fmt.Sprint(i)))
	}
	for i, key := range keys {
		if value, err := store.GetString(key); err != nil || value != fmt.Sprint(i) {
			t.Errorf("%.10q holds %q, %v", key, value, err)
		}
	}
	long := strings.Repeat("k", 65_536)
	wants(t, store.SetString(long, "v"), ErrTooLarge)
	_, err := store.Get(long)
	wants(t, err, ErrTooLarge)
	if store.Exists(long) {
		t.Error("a key that cannot be stored is not there")
	}
}

func TestReadsOfAnAbsentKey(t *testing.T) {
	store := newStore(t)
	value, err := store.Get("gone")
	wants(t, err, ErrNotFound)
	if value != nil || err != ErrNotFound {
		t.Errorf("got %v, %v", value, err)
	}
	text, err := store.GetString("gone")
	wants(t, err, ErrNotFound)
	entry, errEntry := store.GetEntry("gone")
	wants(t, errEntry, ErrNotFound)
	taken, errTake := store.Take("gone")
	wants(t, errTake, ErrNotFound)
	if text != "" || entry != nil || taken != nil {
		t.Error("nothing is what an absent key holds")
	}
	dst := []byte("before")
	appended, err := store.AppendGet(dst, "gone")
	wants(t, err, ErrNotFound)
	if string(appended) != "before" {
		t.Errorf("got %q", appended)
	}
}

func TestValuesAreCopies(t *testing.T) {
	store := newStore(t)
	stored := []byte("value")
	must(t, store.Set("k", stored))
	stored[0] = 'X'
	read, err := store.Get("k")
	must(t, err)
	read[1] = 'Y'
	if value, err := store.GetString("k"); err != nil || value != "value" {
		t.Errorf("got %q, %v", value, err)
	}
}

func TestAppendGetUsesTheRoomThereIs(t *testing.T) {
	store := newStore(t)
	must(t, store.SetString("k", "value"))
	buffer := make([]byte, 0, 5)
	value, err := store.AppendGet(buffer, "k")
	must(t, err)
	if &value[0] != &buffer[:1][0] {
		t.Error("there was room for the value")
	}
	allocations := testing.AllocsPerRun(100, func() {
		buffer, _ = store.AppendGet(buffer[:0], "k")
	})
	if allocations > 0 {
		t.Errorf("AppendGet made %v allocations", allocations)
	}
}

func TestGetMakesOneAllocation(t *testing.T) {
	store := newStore(t)
	must(t, store.SetString("k", "value"))
	if count := testing.AllocsPerRun(100, func() { _, _ = store.Get("k") }); count > 1 && !checkedBuild {
		t.Errorf("Get made %v allocations", count)
	}
	value := []byte("value")
	if count := testing.AllocsPerRun(100, func() { _ = store.Set("k", value) }); count > 0 {
		t.Errorf("Set made %v allocations", count)
	}
}

func TestGetEntryTellsVersions(t *testing.T) {
	store := newStore(t)
	must(t, store.SetString("k", "1"))
	first, err := store.GetEntry("k")
	must(t, err)
	if !first.CreatedAt.IsZero() || !first.ExpiresAt.IsZero() || first.Hits != 0 {
		t.Errorf("without WithEntryStats there is nothing to tell: %+v", first)
	}
	must(t, store.SetStringWithTTL("k", "2", time.Hour))
	second, err := store.GetEntry("k")
	must(t, err)
	if second.Version <= first.Version || second.ExpiresAt.IsZero() {
		t.Errorf("got %+v after %+v", second, first)
	}
}
