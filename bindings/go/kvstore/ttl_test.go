package kvstore

import (
	"math"
	"testing"
	"time"
)

// about fails the test unless the TTL is at most expected, and not much less.
func about(t *testing.T, store *Store, key string, expected time.Duration) {
	t.Helper()
	ttl, err := store.TTL(key)
	must(t, err)
	if ttl > expected || ttl < expected-time.Minute {
		t.Errorf("%s has %v left, expected about %v", key, ttl, expected)
	}
}

func TestTTLsOfASet(t *testing.T) {
	store := newStore(t, WithDefaultTTL(2*time.Hour))
	must(t, store.SetString("k", "v"))
	about(t, store, "k", 2*time.Hour)
	must(t, store.SetStringWithTTL("k", "v", 3*time.Hour))
	about(t, store, "k", 3*time.Hour)
	must(t, store.SetWithTTL("k", nil, KeepTTL))
	about(t, store, "k", 3*time.Hour)
	must(t, store.SetWithTTL("k", nil, DefaultTTL))
	about(t, store, "k", 2*time.Hour)
	must(t, store.SetWithTTL("k", nil, NoTTL))
	if ttl, err := store.TTL("k"); err != nil || ttl != NoTTL {
		t.Errorf("got %v, %v", ttl, err)
	}
	wants(t, store.SetWithTTL("k", nil, -1), ErrInvalid)
	wants(t, store.SetWithTTL("k", nil, -time.Hour), ErrInvalid)
	wants(t, store.SetWithTTL("k", nil, math.MinInt64+1), ErrInvalid)
	if !store.Exists("k") {
		t.Error("a TTL that is refused changes nothing")
	}
}

func TestAnEntryIsGoneAtItsDeadline(t *testing.T) {
	store := newStore(t)
	before := time.Now()
	must(t, store.SetStringWithTTL("k", "v", 50*time.Millisecond))
	after := time.Now()
	for {
		asked := time.Now()
		_, err := store.Get("k")
		answered := time.Now()
		if err == nil && asked.Sub(after) > 52*time.Millisecond {
			t.Fatalf("still there %v after it was set for 50 ms", asked.Sub(after))
		}
		if err != nil {
			wants(t, err, ErrNotFound)
			if answered.Sub(before) < 49*time.Millisecond {
				t.Fatalf("gone %v after it was set for 50 ms", answered.Sub(before))
			}
			return
		}
	}
}

func TestASubMillisecondTTLIsNotForEver(t *testing.T) {
	store := newStore(t)
	must(t, store.SetStringWithTTL("k", "v", time.Nanosecond))
	time.Sleep(3 * time.Millisecond)
	if _, err := store.Get("k"); err == nil {
		t.Error("a TTL of a nanosecond is rounded up to a millisecond, not down to none")
	}
}

func TestExpireAndPersist(t *testing.T) {
	store := newStore(t)
	must(t, store.SetString("k", "v"))
	must(t, store.Expire("k", time.Hour))
	about(t, store, "k", time.Hour)
	must(t, store.Expire("k", NoTTL))
	must(t, store.Persist("k"))
	if ttl, err := store.TTL("k"); err != nil || ttl != NoTTL {
		t.Errorf("got %v, %v", ttl, err)
	}
	at := time.Now().Add(time.Hour).Truncate(time.Millisecond)
	must(t, store.ExpireAt("k", at.Add(time.Microsecond)))
	entry, err := store.GetEntry("k")
	must(t, err)
	if !entry.ExpiresAt.Equal(at) {
		t.Errorf("the deadline is %v, asked for a microsecond after %v", entry.ExpiresAt, at)
	}
	must(t, store.Persist("k"))
	entry, err = store.GetEntry("k")
	must(t, err)
	if !entry.ExpiresAt.IsZero() {
		t.Errorf("an entry that lasts has no deadline: %v", entry.ExpiresAt)
	}
}

func TestExpireOfThePastRemoves(t *testing.T) {
	store := newStore(t)
	for name, remove := range map[string]func() error{
		"zero":      func() error { return store.Expire("k", 0) },
		"negative":  func() error { return store.Expire("k", -1) },
		"ancient":   func() error { return store.Expire("k", KeepTTL) },
		"yesterday": func() error { return store.ExpireAt("k", time.Now().Add(-24*time.Hour)) },
		"year 1":    func() error { return store.ExpireAt("k", time.Time{}) },
	} {
		must(t, store.SetString("k", "v"))
		must(t, remove())
		if store.Exists("k") {
			t.Errorf("%s: still there", name)
		}
	}
}

func TestAbsentKeysHaveNoTTL(t *testing.T) {
	store := newStore(t)
	_, err := store.TTL("gone")
	wants(t, err, ErrNotFound)
	wants(t, store.Expire("gone", time.Hour), ErrNotFound)
	wants(t, store.ExpireAt("gone", time.Now().Add(time.Hour)), ErrNotFound)
	wants(t, store.Persist("gone"), ErrNotFound)
}

func TestDeadlinesBeyondADuration(t *testing.T) {
	store := newStore(t)
	must(t, store.SetString("k", "v"))
	must(t, store.ExpireAt("k", time.UnixMilli(math.MaxInt64-1)))
	if ttl, err := store.TTL("k"); err != nil || ttl != longestTTL {
		t.Errorf("got %v, %v", ttl, err)
	}
	must(t, store.SetWithTTL("k", nil, longestTTL))
	if ttl, err := store.TTL("k"); err != nil || ttl > longestTTL || ttl < longestTTL-time.Minute {
		t.Errorf("got %v, %v", ttl, err)
	}
}

func TestMillisecondsRoundAwayFromZero(t *testing.T) {
	for d, ms := range map[time.Duration]int64{
		0: ttlDefaultMs, NoTTL: ttlNoneMs, KeepTTL: ttlKeepMs, 1: 1, -1: -1, time.Millisecond: 1, -time.Millisecond: -1,
		1500 * time.Microsecond: 2, -1500 * time.Microsecond: -2, NoTTL - 1: 9223372036855, KeepTTL + 1: -9223372036855,
	} {
		if got := ttlMs(d); got != ms {
			t.Errorf("%d ns became %d ms, not %d", d, got, ms)
		}
	}
}
