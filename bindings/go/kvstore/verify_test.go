package kvstore

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"testing"
)

// damaged makes a directory of 100 keys, half in a snapshot and all in the log, and the path of its last segment.
func damaged(t *testing.T) (data, segment string) {
	t.Helper()
	data = filepath.Join(t.TempDir(), "data")
	store := openAt(t, data)
	for n := range 100 {
		must(t, store.Set(fmt.Sprintf("key %d", n), bytes.Repeat([]byte("value"), 100)))
		if n == 49 {
			_, err := store.Snapshot()
			must(t, err)
		}
	}
	must(t, store.Close())
	segments, err := filepath.Glob(filepath.Join(data, "*.log"))
	must(t, err)
	sort.Strings(segments)
	return data, segments[len(segments)-1]
}

func TestVerifyAndSalvage(t *testing.T) {
	data, segment := damaged(t)
	if report, err := Verify(data); err != nil || !report.Sound || report.Files < 4 || len(report.Findings) != 0 {
		t.Fatalf("a sound directory: %+v, %v", report, err)
	}
	content, err := os.ReadFile(segment)
	must(t, err)
	content[len(content)/2] ^= 1
	must(t, os.WriteFile(segment, content, 0o600))
	if _, err := Open(data); !errors.Is(err, ErrCorrupt) {
		t.Fatalf("opening: %v", err)
	}
	report, err := Verify(data)
	if err != nil || report.Sound || len(report.Findings) != 1 {
		t.Fatalf("a damaged directory: %+v, %v", report, err)
	}
	found := report.Findings[0]
	if found.File != segment || found.Offset == 0 || found.Harmless || found.Problem == "" || found.Lost == "" {
		t.Errorf("%+v", found)
	}

	rescue := filepath.Join(t.TempDir(), "new")
	saved, err := Salvage(data, rescue)
	if err != nil || !saved.MayBeBack || saved.Records == 0 || len(saved.Findings) != 1 {
		t.Fatalf("salvage: %+v, %v", saved, err)
	}
	store := openAt(t, rescue)
	defer store.Close()
	if n := store.Len(); n < 90 || n >= 100 || uint64(n) != saved.Entries {
		t.Errorf("%d entries, and the report says %d", n, saved.Entries)
	}
	if _, err := store.Get("key 99"); err != nil {
		t.Errorf("what is behind the damage: %v", err)
	}
	if _, err := Verify(rescue); !errors.Is(err, ErrLocked) {
		t.Errorf("an open store: %v", err)
	}
	if _, err := Salvage(data, rescue); err == nil {
		t.Error("salvaged into a directory that is not empty")
	}
}

func TestVerifyWhereNoStoreIs(t *testing.T) {
	for _, path := range []string{t.TempDir(), filepath.Join(t.TempDir(), "nothing"), "a\x00b"} {
		if _, err := Verify(path); !errors.Is(err, ErrInvalid) {
			t.Errorf("%q: %v", path, err)
		}
	}
	if _, err := Salvage("a", "b\x00"); !errors.Is(err, ErrInvalid) {
		t.Error(err)
	}
	if _, err := Salvage(t.TempDir(), filepath.Join(t.TempDir(), "new")); !errors.Is(err, ErrCorrupt) {
		t.Error(err)
	}
}

func TestABackupOfAnOpenStoreComesBackAnywhere(t *testing.T) {
	data, _ := damaged(t)
	backup := filepath.Join(t.TempDir(), "backup.kvs")
	store := openAt(t, data)
	defer store.Close()
	if taken, err := store.SnapshotTo(backup); err != nil || taken.EntryCount != 100 || taken.Path != backup {
		t.Fatalf("%+v, %v", taken, err)
	}
	must(t, store.Clear())
	must(t, store.SetString("later", "x"))
	must(t, store.Restore(backup))
	other := openAt(t, filepath.Join(t.TempDir(), "other"))
	defer other.Close()
	must(t, other.Restore(backup))
	if store.Len() != 100 || other.Len() != 100 {
		t.Errorf("%d and %d entries", store.Len(), other.Len())
	}
	if report, err := Verify(backup); err != nil || !report.Sound || report.Files != 1 {
		t.Errorf("the backup: %+v, %v", report, err)
	}
}

func TestProgressOfOpening(t *testing.T) {
	data, _ := damaged(t)
	var told []Progress
	store := openAt(t, data, WithProgress(func(progress Progress) { told = append(told, progress) }))
	must(t, store.Close())
	if len(told) < 4 || told[0].Phase != PhaseSnapshot || told[0].DoneBytes != 0 {
		t.Fatalf("%v", told)
	}
	last := told[len(told)-1]
	if last.Phase != PhaseLog || last.DoneBytes != last.TotalBytes || last.TotalBytes == 0 {
		t.Errorf("%v", last)
	}
	for n := 1; n < len(told); n++ {
		if told[n].DoneBytes < told[n-1].DoneBytes || told[n].TotalBytes != last.TotalBytes {
			t.Errorf("%v after %v", told[n], told[n-1])
		}
	}
	if PhaseSnapshot.String() != "snapshot" || PhaseLog.String() != "log" || Phase(9).String() != "Phase(9)" {
		t.Error("the names of the phases")
	}
	// One that panics is logged, and the store opens all the same.
	store = openAt(t, data, WithProgress(func(Progress) { panic("planted") }))
	defer store.Close()
	if store.Len() != 100 {
		t.Errorf("%d entries", store.Len())
	}
}
