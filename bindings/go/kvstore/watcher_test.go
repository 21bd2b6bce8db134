package kvstore

import (
	"context"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// kinds takes what a watcher has, without waiting.
func kinds(t *testing.T, w *Watcher) string {
	t.Helper()
	var all []string
	for {
		event, there, err := w.TryNext()
		must(t, err)
		if !there {
			return strings.Join(all, " ")
		}
		all = append(all, event.Kind.String()+":"+event.Key)
	}
}

func TestAWatcherGivesWhatItWasAskedFor(t *testing.T) {
	store := newStore(t)
	watch := func(options WatchOptions) *Watcher {
		t.Helper()
		w, err := store.NewWatcher(t.Context(), options)
		must(t, err)
		t.Cleanup(w.Close)
		return w
	}
	all := watch(WatchOptions{})
	prefix := watch(WatchOptions{KeyOrPrefix: "a"})
	exact := watch(WatchOptions{KeyOrPrefix: "a", Exact: true})
	gone := watch(WatchOptions{Kinds: []EventKind{EventDeleted, EventCleared}})
	for _, key := range []string{"a", "ab", "b"} {
		must(t, store.SetString(key, "v"))
	}
	first, err := store.GetEntry("a")
	must(t, err)
	_, err = store.Delete("ab")
	must(t, err)
	must(t, store.Expire("a", time.Hour))
	must(t, store.Clear())
	for want, w := range map[string]*Watcher{
		"set:a set:ab set:b deleted:ab touched:a cleared:": all,
		"set:a set:ab deleted:ab touched:a cleared:":       prefix,
		"set:a touched:a cleared:":                         exact,
		"deleted:ab cleared:":                              gone,
	} {
		if got := kinds(t, w); got != want {
			t.Errorf("got %q, expected %q", got, want)
		}
	}
	again := watch(WatchOptions{FromRevision: first.Version + 1})
	if got := kinds(t, again); got != "set:ab set:b deleted:ab touched:a cleared:" {
		t.Errorf("from the second change on: %q", got)
	}
	if _, err := store.NewWatcher(t.Context(), WatchOptions{Kinds: []EventKind{128}}); err == nil {
		t.Error("a kind that is none was taken")
	}
	long := WatchOptions{KeyOrPrefix: strings.Repeat("k", 70_000), Exact: true}
	if _, err := store.NewWatcher(t.Context(), long); err == nil {
		t.Error("a key that is too long was taken")
	}
}

// The life before can be read again, where a log is kept.
func TestAWatcherReadsTheLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data")
	store := openAt(t, path, WithPersistence(PersistenceWAL, path))
	must(t, store.SetString("k", "then"))
	entry, err := store.GetEntry("k")
	must(t, err)
	must(t, store.Close())
	store = openAt(t, path, WithPersistence(PersistenceWAL, path))
	defer store.Close()
	must(t, store.SetString("k", "now"))
	w, err := store.NewWatcher(t.Context(), WatchOptions{FromRevision: entry.Version})
	must(t, err)
	defer w.Close()
	for _, want := range []string{"then", "now"} {
		event, err := w.Next()
		if must(t, err); event.Kind != EventSet || string(event.Value) != want {
			t.Fatalf("%+v, expected %q", event, want)
		}
	}
}

func TestTheEndOfAWatcher(t *testing.T) {
	store := newStore(t)
	ctx, cancel := context.WithCancel(context.Background())
	w, err := store.NewWatcher(ctx, WatchOptions{})
	must(t, err)
	ended := make(chan error)
	go func() {
		_, err := w.Next()
		ended <- err
	}()
	cancel()
	wants(t, <-ended, context.Canceled)
	_, _, err = w.TryNext()
	wants(t, err, context.Canceled)
	w.Close()
	w.Close()
	_, err = w.Next()
	wants(t, err, ErrDone)

	w, err = store.NewWatcher(context.Background(), WatchOptions{})
	must(t, err)
	defer w.Close()
	go func() {
		_, err := w.Next()
		ended <- err
	}()
	must(t, store.Close())
	wants(t, <-ended, ErrClosed)
	_, err = store.NewWatcher(context.Background(), WatchOptions{})
	wants(t, err, ErrClosed)
}

// A watcher that is dropped is freed by the garbage collector, also under a context that goes on.
func TestDroppedWatchersAreFreed(t *testing.T) {
	store := newStore(t)
	before := watchesOpen.Load()
	for range 20 {
		w, err := store.NewWatcher(context.Background(), WatchOptions{})
		must(t, err)
		_, _, err = w.TryNext()
		must(t, err)
	}
	for deadline := time.Now().Add(time.Minute); watchesOpen.Load() > before; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d dropped watchers were not freed in a minute", watchesOpen.Load()-before)
		}
		runtime.GC()
	}
}
