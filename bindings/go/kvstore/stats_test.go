package kvstore

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestStatsCount(t *testing.T) {
	store := newStore(t)
	if stats := store.Stats(); stats.HitRate != 0 || stats.EntryCount != 0 || stats.TotalSize != 0 {
		t.Errorf("an empty store has %+v", stats)
	}
	must(t, store.SetString("key", "value"))
	must(t, store.SetStringWithTTL("other", "v", time.Hour))
	for range 3 {
		_, err := store.Get("key")
		must(t, err)
	}
	_, err := store.Get("gone")
	wants(t, err, ErrNotFound)
	_, err = store.Delete("other")
	must(t, err)

	stats := store.Stats()
	if stats.EntryCount != 1 || stats.KeyBytes != 3 || stats.ValueBytes != 5 || stats.TotalSize != 8 {
		t.Errorf("sizes: %+v", stats)
	}
	if stats.Gets != 4 || stats.Hits != 3 || stats.Misses != 1 || stats.Sets != 2 || stats.Deletes != 1 {
		t.Errorf("counters: %+v", stats)
	}
	if stats.HitRate != 75 {
		t.Errorf("3 of 4 reads found their key, and the hit rate is %v", stats.HitRate)
	}
	if stats.MemoryBytes < stats.TotalSize || stats.Revision == 0 {
		t.Errorf("memory and revision: %+v", stats)
	}
	if store.Len() != 1 || store.Size() != 8 {
		t.Errorf("%d entries of %d bytes", store.Len(), store.Size())
	}
}

// A value that is too large for the first try is read twice, and that must not show.
func TestALargeValueIsOneGet(t *testing.T) {
	store := newStore(t)
	must(t, store.Set("k", make([]byte, 100_000)))
	_, err := store.Get("k")
	must(t, err)
	_, err = store.AppendGet(nil, "k")
	must(t, err)
	if stats := store.Stats(); stats.Gets != 2 || stats.Hits != 2 {
		t.Errorf("two reads are counted as %d, with %d hits", stats.Gets, stats.Hits)
	}
}

func TestStatsAsText(t *testing.T) {
	store := newStore(t)
	must(t, store.SetString("k", "v"))
	text, err := store.StatsText("json")
	must(t, err)
	var fields map[string]any
	must(t, json.Unmarshal([]byte(text), &fields))
	if fmt.Sprint(fields["entries"]) != "1" {
		t.Errorf("got %s", text)
	}
	text, err = store.StatsText("prometheus")
	must(t, err)
	if !strings.Contains(text, "# TYPE") {
		t.Errorf("got %s", text)
	}
	_, err = store.StatsText("xml")
	wants(t, err, ErrUnsupported)
	_, err = store.StatsText("js\x00on")
	wants(t, err, ErrInvalid)
}

func TestStatsOfShards(t *testing.T) {
	store := newStore(t, WithShardCount(4))
	for number := range 100 {
		must(t, store.SetString(fmt.Sprint(number), "v"))
	}
	shards := store.ShardStats()
	sets := int64(0)
	for _, shard := range shards {
		sets += shard.Sets
	}
	if len(shards) != 4 || sets != 100 {
		t.Errorf("%d shards with %d sets", len(shards), sets)
	}
	must(t, store.Close())
	if shards := store.ShardStats(); shards != nil {
		t.Errorf("a closed store has %d shards", len(shards))
	}
}

func TestLatency(t *testing.T) {
	store := newStore(t, WithLatency("full"))
	must(t, store.SetString("k", "v"))
	_, err := store.Get("k")
	must(t, err)
	for timed, count := range map[Timed]int64{TimedGet: 1, TimedSet: 1, TimedSync: 0} {
		latency, err := store.Latency(timed)
		must(t, err)
		if latency.Count != count || (count > 0) != (latency.Sum > 0) || latency.Max < latency.P50 {
			t.Errorf("kind %d: %+v", timed, latency)
		}
	}
	_, err = store.Latency(Timed(9))
	wants(t, err, ErrInvalid)
}
