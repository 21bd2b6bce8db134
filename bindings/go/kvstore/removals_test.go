package kvstore

import (
	"bytes"
	"errors"
	"fmt"
	"log"
	"os"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// removals collects what callbacks are told, and can make them wait.
type removals struct {
	mu    sync.Mutex
	moved *sync.Cond
	told  []string
	shut  bool
}

func newRemovals() *removals {
	r := &removals{}
	r.moved = sync.NewCond(&r.mu)
	return r
}

func (r *removals) add(cause Cause, key string, value []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.told = append(r.told, fmt.Sprintf("%v %s=%s", cause, key, value))
	r.moved.Broadcast()
	for r.shut {
		r.moved.Wait()
	}
}

func (r *removals) setShut(shut bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.shut = shut
	r.moved.Broadcast()
}

func (r *removals) waitFor(count int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.told) < count {
		r.moved.Wait()
	}
}

func (r *removals) want(t *testing.T, want ...string) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if !reflect.DeepEqual(r.told, want) {
		t.Errorf("told %q, want %q", r.told, want)
	}
}

func remove(t *testing.T, store *Store, key, value string) {
	t.Helper()
	must(t, store.SetString(key, value))
	deleted, err := store.Delete(key)
	must(t, err)
	if !deleted {
		t.Fatalf("%q was not there", key)
	}
}

func TestEveryCauseIsTold(t *testing.T) {
	told := newRemovals()
	store := newStore(t, WithOnRemove(told.add), WithEvictionPolicy(EvictionRandom))
	must(t, store.SetString("a", "1"))
	remove(t, store, "a", "2")
	must(t, store.SetWithTTL("b", []byte("3"), time.Millisecond))
	told.waitFor(3)
	must(t, store.SetString("c", "4"))
	must(t, store.Configure("max_entries", "1"))
	must(t, store.SetString("d", ""))
	must(t, store.Clear())
	must(t, store.SetString("closing", "tells nothing"))
	must(t, store.Close())
	told.want(t, "replaced a=1", "deleted a=2", "expired b=3", "evicted c=4", "cleared d=")
}

func TestOnlyTheCausesAskedForAreTold(t *testing.T) {
	some, evicted, expired := newRemovals(), newRemovals(), newRemovals()
	store := newStore(t,
		WithOnRemove(some.add, CauseEvicted, CauseCleared),
		WithOnEvict(func(key string, value []byte) { evicted.add(CauseEvicted, key, value) }),
		WithOnExpire(func(key string, value []byte) { expired.add(CauseExpired, key, value) }),
		WithOnRemove(nil), WithOnEvict(nil), WithOnExpire(nil),
		WithEvictionPolicy(EvictionRandom), WithMaxEntries(1))
	remove(t, store, "a", "1")
	must(t, store.SetString("b", "2"))
	must(t, store.SetString("c", "3"))
	must(t, store.SetString("c", "4"))
	must(t, store.Expire("c", time.Millisecond))
	expired.waitFor(1)
	must(t, store.SetString("d", "5"))
	must(t, store.Clear())
	must(t, store.Close())
	some.want(t, "evicted b=2", "cleared d=5")
	evicted.want(t, "evicted b=2")
	expired.want(t, "expired c=4")
}

func TestFunctionsGetValuesOfTheirOwn(t *testing.T) {
	told := newRemovals()
	scribble := func(_ string, value []byte) { clear(value) }
	store := newStore(t, WithMaxEntries(1), WithEvictionPolicy(EvictionRandom),
		WithOnEvict(scribble), WithOnRemove(told.add, CauseEvicted), WithOnEvict(scribble))
	must(t, store.SetString("a", "1"))
	must(t, store.SetString("b", "2"))
	must(t, store.Close())
	told.want(t, "evicted a=1")
}

func TestACauseThatIsNone(t *testing.T) {
	_, err := New(WithOnRemove(func(Cause, string, []byte) {}, Cause(1)))
	wants(t, err, ErrInvalid)
	if text := Cause(64).String(); text != "Cause(64)" {
		t.Error(text)
	}
}

func TestASlowCallbackDelaysNoWrite(t *testing.T) {
	told := newRemovals()
	store := newStore(t, WithOnRemove(told.add), WithOption("callback_buffer", "2"))
	told.setShut(true)
	remove(t, store, "first", "")
	told.waitFor(1)
	for i := range 10 {
		remove(t, store, fmt.Sprint(i), "")
	}
	if stats := store.Stats(); stats.CallbacksDropped != 8 || stats.PinnedBytes == 0 {
		t.Errorf("%d were dropped, %d bytes are pinned", stats.CallbacksDropped, stats.PinnedBytes)
	}
	told.setShut(false)
	must(t, store.Close())
	told.want(t, "deleted first=", "deleted 0=", "deleted 1=")
}

func TestACallbackMayCallItsStoreButNotCloseIt(t *testing.T) {
	told := newRemovals()
	var store *Store
	var failed []error
	store = newStore(t, WithOnRemove(func(cause Cause, key string, value []byte) {
		if key == "k" {
			failed = append(failed, store.Set("copy", value), store.Close())
			_, err := store.Delete("copy")
			failed = append(failed, err)
		}
		told.add(cause, key, value)
	}))
	remove(t, store, "k", "v")
	told.waitFor(2)
	must(t, store.Close())
	told.want(t, "deleted k=v", "deleted copy=v")
	if failed[0] != nil || !errors.Is(failed[1], ErrInvalid) || failed[2] != nil {
		t.Errorf("got %v", failed)
	}
}

func TestClosingBesideACallbackThatCloses(t *testing.T) {
	var store *Store
	inside := make(chan struct{})
	leave := make(chan struct{})
	refused := make(chan error, 1)
	store = newStore(t, WithOnRemove(func(Cause, string, []byte) {
		close(inside)
		<-leave
		refused <- store.Close()
	}))
	remove(t, store, "k", "v")
	<-inside
	closed := make(chan error)
	go func() { closed <- store.Close() }()
	close(leave)
	must(t, <-closed)
	wants(t, <-refused, ErrInvalid)
}

func TestAPanicEndsOneCallOnly(t *testing.T) {
	var logged bytes.Buffer
	log.SetOutput(&logged)
	defer log.SetOutput(os.Stderr)
	told := newRemovals()
	store := newStore(t, WithOnRemove(func(_ Cause, key string, _ []byte) {
		if key == "bad" {
			panic("planted")
		}
	}), WithOnRemove(told.add))
	remove(t, store, "bad", "1")
	remove(t, store, "good", "2")
	must(t, store.Close())
	told.want(t, "deleted bad=1", "deleted good=2")
	if !strings.Contains(logged.String(), "planted") {
		t.Errorf("logged %q", logged.String())
	}
}

func TestAClosedStoreIsCollectedThoughItsCallbackRefersToIt(t *testing.T) {
	collected := make(chan struct{})
	func() {
		var store *Store
		store, err := New(WithOnRemove(func(Cause, string, []byte) { store.Len() }))
		must(t, err)
		runtime.AddCleanup(store, func(done chan struct{}) { close(done) }, collected)
		remove(t, store, "k", "v")
		must(t, store.Close())
	}()
	for range 1000 {
		runtime.GC()
		select {
		case <-collected:
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
	t.Error("it is still there")
}
