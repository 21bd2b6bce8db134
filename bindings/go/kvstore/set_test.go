package kvstore

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestSetNX(t *testing.T) {
	store := newStore(t)
	stored, err := store.SetNX("k", []byte("first"))
	must(t, err)
	again, err := store.SetNX("k", []byte("second"))
	must(t, err)
	if !stored || again {
		t.Errorf("got %v, then %v", stored, again)
	}
	if value, err := store.GetString("k"); err != nil || value != "first" {
		t.Errorf("got %q, %v", value, err)
	}
	stored, err = store.SetNXWithTTL("l", nil, time.Hour)
	must(t, err)
	if !stored {
		t.Error("the key was absent")
	}
	about(t, store, "l", time.Hour)
	_, err = store.SetNX(strings.Repeat("k", 65_536), nil)
	wants(t, err, ErrTooLarge)
}

func TestOneOfManySetNXWins(t *testing.T) {
	store := newStore(t)
	var won atomic.Int32
	var all sync.WaitGroup
	for i := range 8 {
		all.Add(1)
		go func() {
			defer all.Done()
			if stored, err := store.SetNX("lock", []byte(fmt.Sprint(i))); err != nil {
				t.Error(err)
			} else if stored {
				won.Add(1)
			}
		}()
	}
	all.Wait()
	if won.Load() != 1 {
		t.Errorf("%d goroutines have the lock", won.Load())
	}
}

func TestSetIfAndCompareAndDelete(t *testing.T) {
	store := newStore(t)
	version, err := store.SetWith("k", []byte("1"), SetOptions{})
	must(t, err)
	next, err := store.SetIf("k", []byte("2"), version)
	must(t, err)
	if next <= version {
		t.Errorf("version %d came after %d", next, version)
	}
	_, err = store.SetIf("k", []byte("3"), version)
	wants(t, err, ErrConflict)
	_, err = store.SetIf("gone", nil, version)
	wants(t, err, ErrNotFound)
	wants(t, store.CompareAndDelete("k", version), ErrConflict)
	must(t, store.CompareAndDelete("k", next))
	wants(t, store.CompareAndDelete("k", next), ErrNotFound)
}

// Counting by read, compute, SetIf loses no step, whoever is beside.
func TestSetIfLosesNothing(t *testing.T) {
	store := newStore(t)
	must(t, store.SetString("k", ""))
	var all sync.WaitGroup
	for range 4 {
		all.Add(1)
		go func() {
			defer all.Done()
			for stored := 0; stored < 100; {
				entry, err := store.GetEntry("k")
				if err != nil {
					t.Error(err)
					return
				}
				_, err = store.SetIf("k", append(entry.Value, '+'), entry.Version)
				if err == nil {
					stored++
				} else if !errors.Is(err, ErrConflict) {
					t.Error(err)
					return
				}
			}
		}()
	}
	all.Wait()
	if value, err := store.Get("k"); err != nil || len(value) != 400 {
		t.Errorf("400 steps came to %d: %v", len(value), err)
	}
}

func TestSetWithConditions(t *testing.T) {
	store := newStore(t)
	_, err := store.SetWith("k", nil, SetOptions{Condition: IfPresent})
	wants(t, err, ErrNotFound)
	_, err = store.SetWith("k", nil, SetOptions{Condition: IfAbsent, TTL: time.Hour})
	must(t, err)
	about(t, store, "k", time.Hour)
	_, err = store.SetWith("k", nil, SetOptions{Condition: IfAbsent})
	wants(t, err, ErrExists)
	_, err = store.SetWith("k", nil, SetOptions{Condition: IfPresent, TTL: KeepTTL})
	must(t, err)
	about(t, store, "k", time.Hour)
	_, err = store.SetWith("k", nil, SetOptions{Condition: 7})
	wants(t, err, ErrInvalid)
	_, err = store.SetWith("k", nil, SetOptions{TTL: -1})
	wants(t, err, ErrInvalid)
}

func TestSetWithADeadline(t *testing.T) {
	store := newStore(t)
	at := time.Now().Add(time.Hour).Truncate(time.Millisecond)
	_, err := store.SetWith("k", nil, SetOptions{ExpireAt: at, TTL: time.Minute})
	must(t, err)
	entry, err := store.GetEntry("k")
	must(t, err)
	if !entry.ExpiresAt.Equal(at) {
		t.Errorf("the deadline is %v, not %v", entry.ExpiresAt, at)
	}
	for _, past := range []time.Time{time.Unix(0, 0), time.UnixMilli(1), time.Now().Add(-time.Hour)} {
		must(t, store.SetString("k", "v"))
		_, err = store.SetWith("k", []byte("late"), SetOptions{ExpireAt: past})
		must(t, err)
		if store.Exists("k") {
			t.Errorf("a deadline at %v has passed", past)
		}
	}
	_, err = store.SetWith("k", nil, SetOptions{ExpireAt: time.UnixMilli(-1)})
	wants(t, err, ErrInvalid)
}

func TestIncr(t *testing.T) {
	store := newStore(t)
	for _, step := range []struct{ delta, sum int64 }{{5, 5}, {-7, -2}, {0, -2}, {1 << 62, 1<<62 - 2}} {
		if sum, err := store.Incr("n", step.delta); err != nil || sum != step.sum {
			t.Errorf("expected %d, got %d, %v", step.sum, sum, err)
		}
	}
	_, err := store.Incr("n", 1<<62+2)
	wants(t, err, ErrType)
	must(t, store.SetString("text", "x"))
	_, err = store.Incr("text", 1)
	wants(t, err, ErrType)
	_, err = store.IncrWithTTL("timed", 1, time.Hour)
	must(t, err)
	about(t, store, "timed", time.Hour)
	_, err = store.Incr("timed", 1)
	must(t, err)
	about(t, store, "timed", time.Hour)
	_, err = store.IncrWithTTL("timed", 1, -time.Second)
	wants(t, err, ErrInvalid)
}

func TestAppend(t *testing.T) {
	store := newStore(t, WithMaxValueSize(6))
	for _, step := range []struct {
		data   string
		length int
	}{{"ab", 2}, {"", 2}, {"cdef", 6}} {
		if length, err := store.Append("k", []byte(step.data)); err != nil || length != step.length {
			t.Errorf("expected %d, got %d, %v", step.length, length, err)
		}
	}
	_, err := store.Append("k", []byte("g"))
	wants(t, err, ErrTooLarge)
	if value, err := store.GetString("k"); err != nil || value != "abcdef" {
		t.Errorf("got %q, %v", value, err)
	}
}

func TestDeleteAndClear(t *testing.T) {
	store := newStore(t)
	deleted, err := store.Delete("k")
	must(t, err)
	if deleted {
		t.Error("there was nothing to delete")
	}
	_, err = store.Delete(strings.Repeat("k", 65_536))
	wants(t, err, ErrTooLarge)
	for i := range 100 {
		must(t, store.SetString(fmt.Sprint(i), "v"))
	}
	must(t, store.Clear())
	if store.Len() != 0 || store.Size() != 0 {
		t.Errorf("%d entries of %d bytes after Clear", store.Len(), store.Size())
	}
}

func TestPurgeExpired(t *testing.T) {
	store := newStore(t, WithCleanupInterval(time.Hour))
	for i := range 10 {
		must(t, store.SetStringWithTTL(fmt.Sprint(i), "v", time.Millisecond))
	}
	must(t, store.SetString("stays", "v"))
	time.Sleep(20 * time.Millisecond)
	if freed, err := store.PurgeExpired(); err != nil || freed != 10 {
		t.Errorf("freed %d, %v", freed, err)
	}
	if expired := store.Stats().Expired; expired != 10 || store.Len() != 1 {
		t.Errorf("%d expired, %d entries are left", expired, store.Len())
	}
}
