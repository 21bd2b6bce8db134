package kvstore

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// openAt opens a store in a directory; the test closes it.
func openAt(t testing.TB, path string, options ...Option) *Store {
	t.Helper()
	store, err := Open(path, options...)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func holds(t testing.TB, store *Store, key, expected string) {
	t.Helper()
	if value, err := store.GetString(key); err != nil || value != expected {
		t.Fatalf("%s is %q, %v; expected %q", key, value, err, expected)
	}
}

func TestWhatWasWrittenIsThereAgain(t *testing.T) {
	for _, mode := range []SyncMode{SyncAlways, SyncInterval, SyncNever} {
		data := filepath.Join(t.TempDir(), "data")
		store := openAt(t, data, WithSync(mode), WithSyncInterval(10*time.Millisecond))
		must(t, store.SetString("a", "1"))
		must(t, store.SetString("b", "2"))
		must(t, store.SetStringWithTTL("timed", "v", 10*time.Minute))
		_, err := store.Delete("b")
		must(t, err)
		must(t, store.Close())

		store = openAt(t, data)
		holds(t, store, "a", "1")
		if ttl, err := store.TTL("timed"); err != nil || ttl <= 0 || ttl > 10*time.Minute {
			t.Errorf("the deadline became %v, %v", ttl, err)
		}
		if store.Len() != 2 {
			t.Errorf("%s: %d entries", mode, store.Len())
		}
		report, err := store.Recovery()
		must(t, err)
		if report.Records < 4 || report.LastRevision < 4 || report.DiscardedBytes != 0 || report.Reason != "" {
			t.Errorf("%s: %+v", mode, report)
		}
		must(t, store.Close())
		if again, err := store.Recovery(); err != nil || again != report {
			t.Errorf("after Close: %+v, %v", again, err)
		}
	}
}

func TestPersistenceModesKeepWhatTheySay(t *testing.T) {
	for _, mode := range []PersistenceMode{PersistenceWAL, PersistenceSnapshot, PersistenceHybrid} {
		data := t.TempDir()
		store, err := New(WithPersistence(mode, data))
		must(t, err)
		must(t, store.SetString("k", string(mode)))
		must(t, store.Sync())
		must(t, store.Close())
		store, err = New(WithPersistence(mode, data))
		must(t, err)
		holds(t, store, "k", string(mode))
		must(t, store.Close())
	}
}

func TestADirectoryHasOneOpener(t *testing.T) {
	data := t.TempDir()
	store := openAt(t, data)
	_, err := Open(data)
	wants(t, err, ErrLocked)
	if !strings.Contains(err.Error(), data) {
		t.Errorf("%v does not name the directory", err)
	}
	must(t, store.Close())
	must(t, openAt(t, data).Close())
}

func TestAMissingDirectoryMayBeAnError(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	_, err := Open(data, WithCreate(false))
	wants(t, err, ErrInvalid)
	if _, err := os.Stat(data); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory was made: %v", err)
	}
}

func TestSnapshots(t *testing.T) {
	folder := t.TempDir()
	data, file := filepath.Join(folder, "data"), filepath.Join(folder, "copy.kvs")
	store := openAt(t, data)
	must(t, store.SetString("a", "1"))
	must(t, store.SetString("b", "2"))
	own, err := store.Snapshot()
	must(t, err)
	about, err := os.Stat(own.Path)
	must(t, err)
	if own.EntryCount != 2 || own.Size != about.Size() || own.Revision < 2 || own.Took < 0 {
		t.Errorf("%+v", own)
	}
	if age := time.Since(own.CreatedAt); age < -time.Minute || age > time.Minute {
		t.Errorf("made %v ago", age)
	}
	must(t, store.SetString("a", "changed"))
	must(t, store.SetString("c", "3"))
	copied, err := store.SnapshotTo(file)
	must(t, err)
	if copied.Path != file || copied.EntryCount != 3 {
		t.Errorf("%+v", copied)
	}
	must(t, store.RestoreSnapshot(own.Path))
	holds(t, store, "a", "1")
	if store.Exists("c") {
		t.Error("c should be gone")
	}
	if stats := store.Stats(); stats.Snapshots < 1 || stats.WALBytes == 0 || stats.WALSyncs == 0 {
		t.Errorf("%+v", stats)
	}
	must(t, store.Close())

	memory := newStore(t)
	must(t, memory.Restore(file))
	holds(t, memory, "a", "changed")
	must(t, memory.Sync())
	_, err = memory.Snapshot()
	wants(t, err, ErrUnsupported)
	if report, err := memory.Recovery(); err != nil || report != (Recovery{}) {
		t.Errorf("%+v, %v", report, err)
	}
	_, err = memory.SnapshotTo("a\x00b")
	wants(t, err, ErrInvalid)
	wants(t, memory.Restore("a\x00b"), ErrInvalid)
	wants(t, memory.Restore(filepath.Join(folder, "none")), os.ErrNotExist)
}

// flip flips a bit in the middle of what is not zero.
func flip(t *testing.T, file string) {
	content, err := os.ReadFile(file)
	must(t, err)
	content[len(bytes.TrimRight(content, "\x00"))/2] ^= 4
	must(t, os.WriteFile(file, content, 0o600))
}

func TestADamagedFileIsNamed(t *testing.T) {
	folder := t.TempDir()
	data, file := filepath.Join(folder, "data"), filepath.Join(folder, "copy.kvs")
	store := openAt(t, data, WithSync(SyncAlways))
	for i := range 100 {
		must(t, store.SetString(strconv.Itoa(i), "a value that takes some room"))
	}
	_, err := store.SnapshotTo(file)
	must(t, err)
	flip(t, file)
	err = store.Restore(file)
	wants(t, err, ErrCorrupt)
	if !strings.Contains(err.Error(), "copy.kvs") || store.Len() != 100 {
		t.Errorf("%v, %d entries", err, store.Len())
	}
	must(t, store.Close())

	logs, err := filepath.Glob(filepath.Join(data, "wal-*.log"))
	must(t, err)
	flip(t, logs[len(logs)-1])
	_, err = Open(data)
	wants(t, err, ErrCorrupt)
	if !strings.Contains(err.Error(), filepath.Base(logs[len(logs)-1])) {
		t.Errorf("%v names no file", err)
	}
}

func TestAClosedStoreHasNoFiles(t *testing.T) {
	store, err := New()
	must(t, err)
	must(t, store.Close())
	wants(t, store.Sync(), ErrClosed)
	_, err = store.Snapshot()
	wants(t, err, ErrClosed)
	wants(t, store.Restore("file"), ErrClosed)
}

const writerVariable = "KVSTORE_TEST_WRITES_TO"

// TestWriterThatIsKilled is no test of its own: another test runs it as a process, and kills it.
func TestWriterThatIsKilled(t *testing.T) {
	data := os.Getenv(writerVariable)
	if data == "" {
		return
	}
	store := openAt(t, data, WithSync(SyncAlways))
	for i := 0; ; i++ {
		must(t, store.SetString(strconv.Itoa(i), strconv.Itoa(i)))
		// Only after the write was acknowledged.
		fmt.Println("wrote", i)
	}
}

func TestAKilledProcessLosesNothing(t *testing.T) {
	data := t.TempDir()
	for range 3 {
		writer := exec.Command(os.Args[0], "-test.run", "^TestWriterThatIsKilled$")
		writer.Env = append(os.Environ(), writerVariable+"="+data)
		output, err := writer.StdoutPipe()
		must(t, err)
		must(t, writer.Start())
		count := 0
		for lines := bufio.NewScanner(output); lines.Scan(); {
			if lines.Text() != fmt.Sprint("wrote ", count) {
				break // the last line, cut
			}
			if count++; count == 50 {
				must(t, writer.Process.Kill())
			}
		}
		_ = writer.Process.Kill() // it is there still only if it said something else
		if err := writer.Wait(); err == nil || count < 50 {
			t.Fatalf("the writer ended by itself after %d writes: %v", count, err)
		}

		store := openAt(t, data)
		for i := range count {
			holds(t, store, strconv.Itoa(i), strconv.Itoa(i))
		}
		if left := store.Len() - count; left < 0 || left > 1 {
			t.Errorf("%d entries for %d acknowledged writes", store.Len(), count)
		}
		must(t, store.Clear())
		must(t, store.Close())
	}
}
