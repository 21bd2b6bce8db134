package kvstore

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"
)

func opened(t *testing.T, options ...Option) *Store {
	t.Helper()
	store, err := New(options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return store
}

func TestWatchGivesValuesAndNilForARemoval(t *testing.T) {
	store := opened(t)
	ctx, cancel := context.WithCancel(context.Background())
	values := store.Watch(ctx, "my-key")
	store.Set("other", []byte("x"))
	store.Set("my-key", []byte("one"))
	store.Expire("my-key", time.Hour)
	store.Set("my-key", []byte{})
	store.Delete("my-key")
	store.Set("my-key", []byte("two"))
	store.Clear()
	for n, want := range []string{"one", "", "nil", "two", "nil"} {
		got := <-values
		if text := string(got); (got == nil) != (want == "nil") || got != nil && text != want {
			t.Fatalf("value %d is %q, expected %s", n, got, want)
		}
	}
	cancel()
	if value, more := <-values; more {
		t.Fatalf("%q after the end", value)
	}
}

func TestWatchPrefixTellsEverything(t *testing.T) {
	store := opened(t)
	events := store.WatchPrefix(t.Context(), "user:")
	store.SetWithTTL("user:1", []byte("Ada"), time.Hour)
	store.Set("other", nil)
	store.Persist("user:1")
	store.Delete("user:1")
	first := <-events
	if first.Kind != EventSet || first.Key != "user:1" || string(first.Value) != "Ada" || first.ExpireAt.IsZero() {
		t.Fatalf("%+v", first)
	}
	last := first.Revision
	for _, want := range []EventKind{EventTouched, EventDeleted} {
		event := <-events
		if event.Kind != want || event.Key != "user:1" || event.Value != nil || event.Revision <= last {
			t.Fatalf("%+v, expected %v", event, want)
		}
		last = event.Revision
	}
	store.Close()
	if event, more := <-events; more {
		t.Fatalf("%+v after the end", event)
	}
}

func TestASlowWatchLearnsThatItMissedSomething(t *testing.T) {
	store := opened(t, WithOption("watch_buffer", "4"))
	events := store.WatchPrefix(t.Context(), "")
	values := store.Watch(t.Context(), "k")
	for n := range 1000 {
		store.SetString("k", fmt.Sprint(n))
	}
	var missed, seen uint64
	for event := range events {
		if event.Kind == EventLagged {
			missed += event.Missed
			continue
		}
		if seen++; event.Revision == 1000 {
			break
		}
	}
	if missed+seen != 1000 || missed == 0 {
		t.Fatalf("%d missed, %d seen", missed, seen)
	}
	for value := range values {
		if string(value) == "999" {
			return
		}
	}
	t.Fatal("the last value never came")
}

func TestManyWatchesWaitWithoutThreads(t *testing.T) {
	const many = 200
	store := opened(t)
	ctx, cancel := context.WithCancel(context.Background())
	before := runtime.NumGoroutine()
	var channels []<-chan []byte
	for n := range many {
		channels = append(channels, store.Watch(ctx, fmt.Sprint(n)))
	}
	for n, values := range channels {
		store.SetString(fmt.Sprint(n), "x")
		if string(<-values) != "x" {
			t.Fatal(n)
		}
	}
	cancel()
	for _, values := range channels {
		if _, more := <-values; more {
			t.Fatal("a value after the end")
		}
	}
	for range 60_000 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
}

func TestWatchingAClosedStoreEndsAtOnce(t *testing.T) {
	store := opened(t)
	store.Close()
	if _, more := <-store.Watch(t.Context(), "k"); more {
		t.Fatal("a value")
	}
	if _, more := <-store.WatchPrefix(t.Context(), "k"); more {
		t.Fatal("an event")
	}
}
