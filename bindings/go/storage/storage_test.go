package storage

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/libkv/libkv/bindings/go/kvstore"
)

func must(t testing.TB, err error) {
	if err != nil {
		t.Helper()
		t.Fatal(err)
	}
}

func TestSetGetDelete(t *testing.T) {
	s := New()
	defer s.Close()
	must(t, s.Set("key", "value", 20*time.Minute))
	value, err := s.Get("key")
	must(t, err)
	if value != "value" || s.Len() != 1 {
		t.Errorf("got %q of %d", value, s.Len())
	}
	must(t, s.Set("key", "", 0))
	if value, err = s.Get("key"); err != nil || value != "" {
		t.Errorf("got %q, %v", value, err)
	}
	must(t, s.Delete("key"))
	must(t, s.Delete("key"))
	if _, err = s.Get("key"); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v", err)
	}
}

func TestTimeToLive(t *testing.T) {
	s := New()
	defer s.Close()
	must(t, s.Set("short", "v", 5*time.Millisecond))
	must(t, s.Set("for ever", "v", 0))
	must(t, s.Set("also", "v", math.MaxInt64))
	must(t, s.Set("long", "v", time.Hour))
	time.Sleep(20 * time.Millisecond)
	if _, err := s.Get("short"); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v", err)
	}
	for _, key := range []string{"for ever", "also", "long"} {
		if _, err := s.Get(key); err != nil {
			t.Errorf("%s: %v", key, err)
		}
	}
	for _, ttl := range []time.Duration{-1, -time.Hour, math.MinInt64} {
		if err := s.Set("k", "v", ttl); !errors.Is(err, kvstore.ErrInvalid) {
			t.Errorf("a TTL of %d: %v", ttl, err)
		}
	}
}

// What has expired is freed without anybody asking for it.
func TestAutomaticCleanup(t *testing.T) {
	s := New()
	defer s.Close()
	for i := range 1000 {
		must(t, s.Set(fmt.Sprint(i), "v", time.Millisecond))
	}
	for deadline := time.Now().Add(time.Minute); s.Len() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d keys are left after a minute", s.Len())
		}
	}
}

func TestClosed(t *testing.T) {
	s := New()
	must(t, s.Set("k", "v", 0))
	must(t, s.Close())
	if _, err := s.Get("k"); !errors.Is(err, kvstore.ErrClosed) {
		t.Errorf("got %v", err)
	}
}

func TestConcurrentUse(t *testing.T) {
	var s Storage
	defer s.Close()
	var all sync.WaitGroup
	for worker := range 8 {
		all.Add(1)
		go func() {
			defer all.Done()
			for i := range 500 {
				key := fmt.Sprintf("%d-%d", worker, i)
				if err := s.Set(key, key, time.Hour); err != nil {
					t.Error(err)
				}
				if value, err := s.Get(key); err != nil || value != key {
					t.Errorf("%s holds %q, %v", key, value, err)
				}
				if err := s.Delete(key); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	all.Wait()
	if s.Len() != 0 {
		t.Errorf("%d keys are left", s.Len())
	}
}

// A workload to profile, mostly reads, with keys that come and go:
//
//	go test -run TestKeyValueStore_Performance -cpuprofile=cpu_profile.prof
//	go tool pprof cpu_profile.prof
func TestKeyValueStore_Performance(t *testing.T) {
	s := New()
	defer s.Close()
	const keys, rounds = 100_000, 5
	names := make([]string, keys)
	for i := range names {
		names[i] = fmt.Sprintf("key-%08d", i)
	}
	value := strings.Repeat("v", 100)
	ttls := []time.Duration{0, time.Hour, time.Millisecond}

	start := time.Now()
	for i, name := range names {
		must(t, s.Set(name, value, ttls[i%len(ttls)]))
	}
	sets := time.Since(start)

	start = time.Now()
	found := 0
	for round := range rounds {
		for i := range names {
			_, err := s.Get(names[(i*7919+round)%keys])
			switch {
			case err == nil:
				found++
			case !errors.Is(err, ErrNotFound):
				t.Fatal(err)
			}
		}
	}
	gets := time.Since(start)

	start = time.Now()
	for _, name := range names {
		must(t, s.Delete(name))
	}
	deletes := time.Since(start)

	// Two keys in three outlive every read; the third may have gone before its first one.
	if least := rounds * (keys - keys/len(ttls) - 1); found < least {
		t.Errorf("%d reads found their key, at least %d should", found, least)
	}
	if s.Len() != 0 {
		t.Errorf("%d keys are left", s.Len())
	}
	t.Logf("set %v, get %v, delete %v a call", sets/keys, gets/(keys*rounds), deletes/keys)
}
