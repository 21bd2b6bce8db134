package kvstore

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestABatchIsAppliedAsOne(t *testing.T) {
	store := newStore(t)
	must(t, store.SetString("old-key", "x"))
	at := time.Now().Add(time.Hour).Truncate(time.Millisecond)
	var batch Batch
	batch.Put("a", []byte("1"))
	batch.PutString("b", "2")
	batch.PutWithTTL("c", []byte("3"), time.Hour)
	batch.PutWith("d", []byte("4"), SetOptions{ExpireAt: at, Condition: IfAbsent})
	batch.PutWith("", nil, SetOptions{Condition: IfAny, TTL: NoTTL})
	batch.Delete("old-key")
	batch.Delete("never-there")
	batch.Expire("b", 2*time.Hour)
	result, err := store.ApplyBatch(&batch)
	must(t, err)
	if want := (BatchResult{Successful: 8, Missing: 1}); result != want || batch.Len() != 8 {
		t.Fatalf("%+v of %d", result, batch.Len())
	}
	values, err := store.GetMany([]string{"a", "b", "c", "d", "", "old-key"})
	must(t, err)
	for i, want := range []string{"1", "2", "3", "4", ""} {
		if values[i] == nil || string(values[i]) != want {
			t.Errorf("value %d is %q", i, values[i])
		}
	}
	if values[5] != nil {
		t.Error("what was deleted is there")
	}
	if entry, err := store.GetEntry("d"); err != nil || !entry.ExpiresAt.Equal(at) {
		t.Errorf("%+v, %v", entry, err)
	}
	if ttl, err := store.TTL("b"); err != nil || ttl <= time.Hour {
		t.Errorf("%v, %v", ttl, err)
	}
}

func TestAFailedBatchChangesNothing(t *testing.T) {
	store := newStore(t, WithMaxKeySize(10), WithMaxEntries(3))
	must(t, store.SetString("there", "1"))
	absent, another := SetOptions{Condition: IfAbsent}, SetOptions{Condition: IfVersion, Version: 99}
	for name, one := range map[string]struct {
		add     func(*Batch)
		wants   error
		message string
	}{
		"condition":    {func(b *Batch) { b.PutWith("there", nil, absent) }, ErrConflict, "change 1"},
		"version":      {func(b *Batch) { b.PutWith("there", nil, another) }, ErrConflict, "change 1"},
		"long key":     {func(b *Batch) { b.Delete("longer than ten") }, ErrTooLarge, "1"},
		"negative TTL": {func(b *Batch) { b.PutWithTTL("k", nil, -time.Second) }, ErrInvalid, "change 1"},
		"no condition": {func(b *Batch) { b.PutWith("k", nil, SetOptions{Condition: 9}) }, ErrInvalid, "change 1"},
		"no room": {func(b *Batch) {
			for i := range 3 {
				b.PutString(fmt.Sprint(i), "v")
			}
		}, ErrFull, ""},
	} {
		batch := NewBatch()
		batch.PutString("new", "2")
		one.add(batch)
		result, err := store.ApplyBatch(batch)
		if !errors.Is(err, one.wants) || !strings.Contains(err.Error(), one.message) {
			t.Errorf("%s: %v", name, err)
		}
		if result.Successful != 0 || result.Failed != batch.Len() || errors.Is(err, ErrConflict) && result.FailedIndex != 1 {
			t.Errorf("%s: %+v", name, result)
		}
		if store.Len() != 1 || store.Exists("new") {
			t.Errorf("%s: something was applied", name)
		}
	}
}

func TestABatchIsUsedAgain(t *testing.T) {
	store := newStore(t)
	batch := NewBatch()
	value := []byte("one")
	batch.Put("k", value)
	copy(value, "two") // the batch has a copy
	for range 2 {
		result, err := store.ApplyBatch(batch)
		if must(t, err); result.Successful != 1 {
			t.Fatalf("%+v", result)
		}
	}
	if text, err := store.GetString("k"); err != nil || text != "one" {
		t.Fatalf("%q, %v", text, err)
	}
	batch.Clear()
	if batch.Len() != 0 {
		t.Fatalf("%d changes after Clear", batch.Len())
	}
	batch.Delete("k")
	_, err := store.ApplyBatch(batch)
	if must(t, err); store.Len() != 0 {
		t.Fatal("the second use did nothing")
	}
	for _, nothing := range []*Batch{nil, {}, NewBatch()} {
		result, err := store.ApplyBatch(nothing)
		if must(t, err); result != (BatchResult{}) {
			t.Fatalf("%+v", result)
		}
	}
	must(t, store.Close())
	result, err := store.ApplyBatch(batch)
	if wants(t, err, ErrClosed); result.Failed != 1 {
		t.Fatalf("%+v", result)
	}
}

func TestABuilderNamesWhatNoStoreTakes(t *testing.T) {
	builder := NewBatchBuilder()
	batch, err := builder.Put("a", nil).PutWithTTL("b", nil, KeepTTL).PutWithTTL("c", nil, -1).Expire("d", -1).Build()
	if batch != nil || !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), "change 2") {
		t.Fatalf("%v, %v", batch, err)
	}
	if _, err = builder.PutWith("a", nil, SetOptions{TTL: -time.Hour}).Build(); !errors.Is(err, ErrInvalid) {
		t.Fatal(err)
	}
	batch, err = builder.PutWith("a", nil, SetOptions{TTL: -1, ExpireAt: time.Now().Add(time.Hour)}).Delete("b").Build()
	if must(t, err); batch.Len() != 2 {
		t.Fatalf("%d changes", batch.Len())
	}
	next, err := builder.PutString("c", "").Build()
	if must(t, err); next.Len() != 1 || batch.Len() != 2 {
		t.Fatalf("%d and %d changes: a builder shares its batches", next.Len(), batch.Len())
	}
}
