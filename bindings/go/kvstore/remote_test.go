package kvstore

// Stores on servers, which `cargo xtask test remote` starts: what Go has beyond the conformance cases.

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"
)

// onServers opens a store of which KV_SERVERS says where it is, emptied.
func onServers(t *testing.T, name, query string) *Store {
	t.Helper()
	if os.Getenv("KV_SERVERS") == "" {
		t.Skip("needs the servers that `cargo xtask test remote` starts")
	}
	scheme := "valkey"
	if name == "cluster" {
		scheme = "valkey-cluster"
	}
	store, err := openCleared(scheme + "://" + fillServers("{"+name+"}") + "/?" + query)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		store.Clear()
		store.Close()
	})
	return store
}

func TestRemoteCapabilities(t *testing.T) {
	for name, anyKeys := range map[string]bool{"one": true, "cluster": false} {
		store := onServers(t, name, "prefix=go-can:&near=1MiB")
		can, err := store.Capabilities()
		want := Capabilities{CrossSlotBatches: anyKeys, Watches: true, Clear: true, NearCache: true}
		if err != nil || can != want {
			t.Errorf("%s: got %+v, %v", name, can, err)
		}
	}
}

func TestRemoteIterators(t *testing.T) {
	store := onServers(t, "cluster", "prefix=go-iterate:")
	want := map[string]string{}
	for _, key := range []string{"a", "b", "c", "d"} {
		want[key] = key + key
		if err := store.Set(key, []byte(key+key)); err != nil {
			t.Fatal(err)
		}
	}
	got := map[string]string{}
	for entry, err := range store.Scan(IteratorOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		got[entry.Key] = string(entry.Value)
	}
	if len(got) != len(want) || got["c"] != "cc" {
		t.Errorf("got %v", got)
	}
	for _, err := range store.Scan(IteratorOptions{Sorted: true}) {
		if !errors.Is(err, ErrUnsupported) {
			t.Errorf("a sorted scan is %v", err)
		}
	}
}

func TestRemoteWatchGivesValues(t *testing.T) {
	store := onServers(t, "one", "prefix=go-watch:")
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	values := store.Watch(ctx, "k")
	if err := store.Set("k", []byte("v")); err != nil {
		t.Fatal(err)
	}
	if value := <-values; string(value) != "v" {
		t.Fatalf("got %q", value)
	}
	store.Delete("k")
	if value, open := <-values; value != nil || !open {
		t.Fatalf("got %q", value)
	}
	cancel()
	for range values {
	}
}

func TestRemoteNearCacheIsInTheStatistics(t *testing.T) {
	store := onServers(t, "cluster", "prefix=go-near:&near=1MiB")
	if err := store.Set("k", []byte("v")); err != nil {
		t.Fatal(err)
	}
	for range 6000 {
		if value, err := store.Get("k"); err != nil || string(value) != "v" {
			t.Fatalf("got %q, %v", value, err)
		}
		if stats := store.Stats(); stats.NearHits > 0 && stats.NearFills > 0 {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatal("no read was answered near")
}

func TestRemotePasswordsAreNotShown(t *testing.T) {
	onServers(t, "one", "prefix=go-password:")
	_, err := Open("valkey://me:hush@" + fillServers("{silent}"))
	if !errors.Is(err, ErrInvalid) || strings.Contains(err.Error(), "hush") {
		t.Errorf("got %v", err)
	}
}
