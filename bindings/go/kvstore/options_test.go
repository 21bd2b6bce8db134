package kvstore

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"
)

func TestEveryOptionHasItsEffect(t *testing.T) {
	store := newStore(t,
		WithMaxKeySize(8),
		WithMaxValueSize(1024),
		WithMaxEntries(3),
		WithEvictionPolicy(EvictionNone),
		WithPersistence(PersistenceNone, "./data"),
		WithSyncInterval(time.Second),
		WithSnapshotInterval(5*time.Minute),
		WithDefaultTTL(time.Hour),
		WithCleanupInterval(time.Minute),
		WithShardCount(32),
		WithCompression(true),
		WithMetrics(true),
		WithEntryStats(true),
	)
	wants(t, store.SetString("123456789", "v"), ErrTooLarge)
	wants(t, store.Set("k", make([]byte, 1025)), ErrTooLarge)
	before := time.Now()
	for _, key := range []string{"a", "b", "c"} {
		must(t, store.Set(key, make([]byte, 1024)))
	}
	wants(t, store.SetString("d", "v"), ErrFull)

	entry, err := store.GetEntry("a")
	must(t, err)
	if entry.CreatedAt.Before(before.Add(-time.Second)) || entry.CreatedAt.After(time.Now().Add(time.Second)) {
		t.Errorf("created at %v", entry.CreatedAt)
	}
	if left := entry.ExpiresAt.Sub(before); left < time.Hour-time.Second || left > time.Hour+time.Minute {
		t.Errorf("a default TTL of an hour came to %v", left)
	}
}

func TestRandomEvictionMakesRoom(t *testing.T) {
	store := newStore(t, WithMaxEntries(10), WithEvictionPolicy(EvictionRandom))
	for i := range 100 {
		must(t, store.SetString(strings.Repeat("k", i), "v"))
	}
	if count := store.Len(); count > 10 {
		t.Errorf("%d entries where 10 are allowed", count)
	}
	if stats := store.Stats(); stats.Evicted != 90 {
		t.Errorf("%d were evicted", stats.Evicted)
	}
}

func TestMaxMemoryRefuses(t *testing.T) {
	store := newStore(t, WithMaxMemory(1<<20))
	wants(t, store.Set("k", make([]byte, 2<<20)), ErrTooLarge)
	value := make([]byte, 10_000)
	var err error
	for i := 0; err == nil && i < 1000; i++ {
		err = store.Set(strings.Repeat("k", i), value)
	}
	wants(t, err, ErrFull)
	if stats := store.Stats(); stats.MemoryBytes > 1<<20 || stats.MemoryBytes < 1<<19 {
		t.Errorf("%d bytes are charged", stats.MemoryBytes)
	}
}

func TestMetricsOff(t *testing.T) {
	store := newStore(t, WithMetrics(false))
	must(t, store.SetString("k", "v"))
	_, err := store.Get("k")
	must(t, err)
	if stats := store.Stats(); stats.Sets != 0 || stats.Gets != 0 || stats.HitRate != 0 || stats.EntryCount != 1 {
		t.Errorf("got %+v", stats)
	}
}

func TestALaterOptionWins(t *testing.T) {
	store := newStore(t, WithMaxEntries(1), WithMaxEntries(2))
	must(t, store.SetString("a", "1"))
	must(t, store.SetString("b", "2"))
	wants(t, store.SetString("c", "3"), ErrFull)
}

func TestWhatCannotBeHadIsRefusedByName(t *testing.T) {
	refusals := []struct {
		option   Option
		expected error
		says     string
	}{
		{WithMaxKeySize(-1), ErrInvalid, "max_key_bytes"},
		{WithMaxKeySize(70_000), ErrInvalid, "max_key_bytes"},
		{WithMaxValueSize(-1), ErrInvalid, "max_value_bytes"},
		{WithMaxEntries(-1), ErrInvalid, "max_entries"},
		{WithMaxMemory(-1), ErrInvalid, "max_memory"},
		{WithShardCount(3), ErrInvalid, "shards"},
		{WithDefaultTTL(-time.Second), ErrInvalid, "default_ttl"},
		{WithCleanupInterval(-time.Second), ErrInvalid, "cleanup_interval"},
		{WithSyncInterval(-time.Second), ErrInvalid, "sync_interval"},
		{WithSnapshotInterval(-time.Second), ErrInvalid, "snapshot_interval"},
		{WithEvictionPolicy("fifo"), ErrInvalid, "eviction"},
		{WithOption("persistence", "wal"), ErrInvalid, "persistence"},
		{WithSync("sometimes"), ErrInvalid, "sync"},
		{WithPersistence(PersistenceHybrid, ""), ErrInvalid, "path"},
		{WithPersistence("tape", "./data"), ErrInvalid, "persistence"},
		{WithOption("nonsense", "1"), ErrUnsupported, "nonsense"},
		{WithOption("max_entries", "1\x002"), ErrInvalid, "max_entries"},
		{WithOption("max_\x00entries", "1"), ErrInvalid, "zero byte"},
	}
	for _, refusal := range refusals {
		store, err := New(refusal.option)
		if store != nil || !errors.Is(err, refusal.expected) || !strings.Contains(err.Error(), refusal.says) {
			t.Errorf("expected %v that says %q, got %v", refusal.expected, refusal.says, err)
		}
	}
}

func TestEveryEvictionPolicyHoldsALimit(t *testing.T) {
	policies := []EvictionPolicy{
		EvictionLRU, EvictionLFU, EvictionRandom, EvictionTTL, EvictionS3FIFO, EvictionTinyLFU,
	}
	for _, policy := range policies {
		store, err := New(WithMaxEntries(2), WithEvictionPolicy(policy))
		must(t, err)
		for _, key := range []string{"a", "b", "c"} {
			must(t, store.SetString(key, "1"))
			if !store.Exists(key) {
				t.Errorf("%s evicted what was just set", policy)
			}
		}
		if n := store.Len(); n != 2 {
			t.Errorf("%s: expected 2 entries, got %d", policy, n)
		}
		must(t, store.Close())
	}
}

func TestDurationsAreRoundedUp(t *testing.T) {
	for d, text := range map[time.Duration]string{
		0: "0ms", 1: "1ms", time.Millisecond: "1ms", time.Millisecond + 1: "2ms", time.Hour: "3600000ms",
		-1: "-1ms", math.MaxInt64: "9223372036855ms",
	} {
		if got := durationText(d); got != text {
			t.Errorf("%d ns became %s, not %s", d, got, text)
		}
	}
}

func TestADefaultTTLOfNoneIsNone(t *testing.T) {
	store := newStore(t, WithDefaultTTL(NoTTL))
	must(t, store.SetString("k", "v"))
	if ttl, err := store.TTL("k"); err != nil || ttl != NoTTL {
		t.Errorf("got %v, %v", ttl, err)
	}
}
