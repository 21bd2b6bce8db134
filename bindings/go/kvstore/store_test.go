package kvstore

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// newStore opens a store that ends with the test.
func newStore(t testing.TB, options ...Option) *Store {
	t.Helper()
	store, err := New(options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
	return store
}

// must fails the test if a call that has to work did not.
func must(t testing.TB, err error) {
	if err != nil {
		t.Helper()
		t.Fatal(err)
	}
}

// wants fails the test unless the error is the one expected.
func wants(t testing.TB, err, expected error) {
	t.Helper()
	if !errors.Is(err, expected) {
		t.Fatalf("expected %v, got %v", expected, err)
	}
}

func TestAProgramOfTheQuickStart(t *testing.T) {
	store := newStore(t)
	must(t, store.Set("key", []byte("value")))
	value, err := store.Get("key")
	must(t, err)
	if text := fmt.Sprintf("%s", value); text != "value" {
		t.Fatalf("got %q", text)
	}
	must(t, store.SetWithTTL("session", []byte("data"), 5*time.Minute))
	deleted, err := store.Delete("key")
	must(t, err)
	if !deleted || store.Exists("key") || !store.Exists("session") {
		t.Fatal("Delete should remove the key, and only that")
	}
}

func TestOpenTakesALocation(t *testing.T) {
	store, err := Open("kv::memory:?max_entries=1", WithMaxEntries(5))
	must(t, err)
	defer store.Close()
	must(t, store.SetString("a", "1"))
	wants(t, store.SetString("b", "2"), ErrFull)

	plain, err := Open(":memory:")
	must(t, err)
	must(t, plain.Close())

	for location, expected := range map[string]error{
		"":                                  ErrInvalid,
		"a\x00b":                            ErrInvalid,
		"kv:no-such-directory?create=false": ErrInvalid,
		"kv::memory:?max_entries=-1":        ErrInvalid,
	} {
		if _, err := Open(location); !errors.Is(err, expected) {
			t.Errorf("Open(%q): expected %v, got %v", location, expected, err)
		}
	}
}

func TestTheZeroStoreIsAnEmptyStore(t *testing.T) {
	var store Store
	defer store.Close()
	if store.Len() != 0 || store.Exists("k") {
		t.Fatal("a zero Store is empty")
	}
	must(t, store.SetString("k", "v"))
	value, err := store.GetString("k")
	must(t, err)
	if value != "v" {
		t.Fatalf("got %q", value)
	}
}

func TestTheZeroStoreIsOpenedOnce(t *testing.T) {
	var store Store
	defer store.Close()
	var all sync.WaitGroup
	for i := range 16 {
		all.Add(1)
		go func() {
			defer all.Done()
			if err := store.SetString(fmt.Sprint(i), "v"); err != nil {
				t.Error(err)
			}
		}()
	}
	all.Wait()
	if count := store.Len(); count != 16 {
		t.Fatalf("16 goroutines stored one entry each, %d are there", count)
	}
}

func TestAZeroStoreThatIsClosedStaysClosed(t *testing.T) {
	var store Store
	must(t, store.Fault())
	must(t, store.Close())
	must(t, store.Close())
	isClosed(t, &store)
	must(t, store.Fault())
}

func TestEveryCallAfterCloseSaysSo(t *testing.T) {
	store, err := New()
	must(t, err)
	must(t, store.SetString("k", "v"))
	must(t, store.Close())
	must(t, store.Close())
	isClosed(t, store)
	must(t, store.Fault())
}

func isClosed(t *testing.T, store *Store) {
	t.Helper()
	for name, call := range callsOf(store) {
		if err := call(); !errors.Is(err, ErrClosed) {
			t.Errorf("%s: expected %v, got %v", name, ErrClosed, err)
		}
	}
	if store.Exists("k") || store.Len() != 0 || store.Size() != 0 || store.Stats() != (Stats{}) {
		t.Error("a closed store has nothing")
	}
}

// callsOf is every call that can fail.
func callsOf(store *Store) map[string]func() error {
	value := []byte("v")
	return map[string]func() error{
		"Set":              func() error { return store.Set("k", value) },
		"SetString":        func() error { return store.SetString("k", "v") },
		"SetWithTTL":       func() error { return store.SetWithTTL("k", value, time.Hour) },
		"SetStringWithTTL": func() error { return store.SetStringWithTTL("k", "v", time.Hour) },
		"SetNX":            func() error { _, err := store.SetNX("k", value); return err },
		"SetNXWithTTL":     func() error { _, err := store.SetNXWithTTL("k", value, time.Hour); return err },
		"SetIf":            func() error { _, err := store.SetIf("k", value, 1); return err },
		"SetWith":          func() error { _, err := store.SetWith("k", value, SetOptions{}); return err },
		"Get":              func() error { _, err := store.Get("k"); return err },
		"GetString":        func() error { _, err := store.GetString("k"); return err },
		"AppendGet":        func() error { _, err := store.AppendGet(nil, "k"); return err },
		"GetEntry":         func() error { _, err := store.GetEntry("k"); return err },
		"GetMany":          func() error { _, err := store.GetMany([]string{"k"}); return err },
		"SetMany":          func() error { return store.SetMany([]string{"k"}, [][]byte{value}) },
		"SetManyWithTTL":   func() error { return store.SetManyWithTTL([]string{"k"}, [][]byte{value}, time.Hour) },
		"DeleteMany":       func() error { _, err := store.DeleteMany([]string{"k"}); return err },
		"Take":             func() error { _, err := store.Take("k"); return err },
		"Delete":           func() error { _, err := store.Delete("k"); return err },
		"CompareAndDelete": func() error { return store.CompareAndDelete("k", 1) },
		"Incr":             func() error { _, err := store.Incr("k", 1); return err },
		"IncrWithTTL":      func() error { _, err := store.IncrWithTTL("k", 1, time.Hour); return err },
		"Append":           func() error { _, err := store.Append("k", value); return err },
		"TTL":              func() error { _, err := store.TTL("k"); return err },
		"Expire":           func() error { return store.Expire("k", time.Hour) },
		"ExpireAt":         func() error { return store.ExpireAt("k", time.Now().Add(time.Hour)) },
		"Persist":          func() error { return store.Persist("k") },
		"Clear":            func() error { return store.Clear() },
		"PurgeExpired":     func() error { _, err := store.PurgeExpired(); return err },
		"Configure":        func() error { return store.Configure("metrics", "true") },
		"StatsText":        func() error { _, err := store.StatsText("json"); return err },
	}
}

// Closing while every call runs must neither crash nor give anything but the outcomes a call may have.
func TestCloseBesideRunningCalls(t *testing.T) {
	for range 5 {
		store, err := New()
		must(t, err)
		calls := callsOf(store)
		var running, all sync.WaitGroup
		for name, call := range calls {
			running.Add(1)
			all.Add(1)
			go func() {
				defer all.Done()
				err := call()
				for running.Done(); err == nil || isOutcome(err); {
					err = call()
				}
				if !errors.Is(err, ErrClosed) {
					t.Errorf("%s: %v", name, err)
				}
			}()
		}
		running.Wait()
		for range 2 {
			all.Add(1)
			go func() {
				defer all.Done()
				if err := store.Close(); err != nil {
					t.Error(err)
				}
			}()
		}
		all.Wait()
		wants(t, store.Set("k", nil), ErrClosed)
	}
}

// Close frees what the store holds; a call beside it must not take that for an absent key.
func TestCloseShowsNoAbsentKey(t *testing.T) {
	for range 50 {
		store, err := New()
		must(t, err)
		must(t, store.SetString("there", "v"))
		var running, all sync.WaitGroup
		for range 4 {
			running.Add(1)
			all.Add(1)
			go func() {
				defer all.Done()
				_, err := store.Get("there")
				for running.Done(); err == nil; {
					var stored bool
					if _, err = store.Get("there"); err == nil {
						stored, err = store.SetNX("there", nil)
					}
					if stored {
						t.Error("the key was there")
					}
				}
				if !errors.Is(err, ErrClosed) {
					t.Error(err)
				}
			}()
		}
		running.Wait()
		must(t, store.Close())
		all.Wait()
	}
}

func isOutcome(err error) bool {
	for _, outcome := range []error{ErrNotFound, ErrExists, ErrConflict, ErrType} {
		if errors.Is(err, outcome) {
			return true
		}
	}
	return false
}

// A store that is dropped is freed by the garbage collector, closed or not, and its threads end.
func TestDroppedStoresAreFreed(t *testing.T) {
	const count = 20
	before := handlesAfterCollection(func(int64) bool { return true })
	stores := make([]*Store, count)
	for i := range stores {
		var err error
		stores[i], err = New()
		must(t, err)
		must(t, stores[i].SetString("k", strings.Repeat("v", 1000)))
		if i%2 == 0 {
			must(t, stores[i].Close())
		}
	}
	if open := handlesAfterCollection(func(int64) bool { return true }); open < count {
		t.Fatalf("%d stores are in use, and %d are not freed", count, open)
	}
	runtime.KeepAlive(stores)
	stores = nil
	if open := handlesAfterCollection(func(open int64) bool { return open <= before }); open > before {
		t.Fatalf("%d dropped stores were not freed in a minute", open-before)
	}
}

// handlesAfterCollection collects garbage until the number of stores that are not freed is as wished, for a minute at
// most, and gives that number.
func handlesAfterCollection(enough func(open int64) bool) int64 {
	for deadline := time.Now().Add(time.Minute); ; {
		runtime.GC()
		time.Sleep(5 * time.Millisecond)
		if open := handlesOpen.Load(); enough(open) || time.Now().After(deadline) {
			return open
		}
	}
}

// The garbage collector must not free a store in the middle of its last call.
func TestGarbageCollectionDuringCalls(t *testing.T) {
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				runtime.GC()
			}
		}
	}()
	for range 200 {
		store, err := New(WithShardCount(1))
		must(t, err)
		must(t, store.Set("k", make([]byte, 10_000)))
		if value, err := store.Get("k"); err != nil || len(value) != 10_000 {
			t.Fatalf("got %d bytes, %v", len(value), err)
		}
	}
	close(stop)
	<-done
}

func TestConfigureChangesAnOpenStore(t *testing.T) {
	store := newStore(t)
	must(t, store.Configure("max_entries", "1"))
	must(t, store.SetString("a", "1"))
	wants(t, store.SetString("b", "2"), ErrFull)
	for _, option := range [][2]string{{"max_entries", "x"}, {"max\x00entries", "1"}, {"max_entries", "1\x00"}} {
		wants(t, store.Configure(option[0], option[1]), ErrInvalid)
	}
	wants(t, store.Configure("max_entris", "1"), ErrUnsupported)
	wants(t, store.Configure("shards", "2"), ErrUnsupported)
}

func TestVersionIsThatOfTheLibrary(t *testing.T) {
	if parts := strings.Split(Version(), "."); len(parts) != 3 {
		t.Fatalf("%q is no version", Version())
	}
}

// Goroutines that read, write and count the same keys never see a value that nobody stored.
func TestManyGoroutines(t *testing.T) {
	store := newStore(t)
	const workers, rounds = 8, 2000
	var all sync.WaitGroup
	for worker := range workers {
		all.Add(1)
		go func() {
			defer all.Done()
			for round := range rounds {
				key := fmt.Sprintf("key-%d", round%17)
				if err := store.SetString(key, key+strings.Repeat("!", worker*300)); err != nil {
					t.Error(err)
				}
				value, err := store.GetString(key)
				if err != nil || strings.TrimRight(value, "!") != key {
					t.Errorf("%s holds %.20q: %v", key, value, err)
				}
				if _, err := store.Incr("count", 1); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	all.Wait()
	count, err := store.GetString("count")
	must(t, err)
	if count != fmt.Sprint(workers*rounds) {
		t.Fatalf("counted %s", count)
	}
}
