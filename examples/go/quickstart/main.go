// Command quickstart shows the calls that most programs need.
//
//	export PKG_CONFIG_PATH=$PREFIX/lib/pkgconfig LD_LIBRARY_PATH=$PREFIX/lib
//	go run ./quickstart
package main

import (
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/libkv/libkv/bindings/go/kvstore"
)

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	store, err := kvstore.New(kvstore.WithMaxEntries(100_000))
	if err != nil {
		return err
	}
	defer store.Close()

	// A value that stays, and one that goes.
	if err := store.SetString("user:1", "Ada"); err != nil {
		return err
	}
	if err := store.SetWithTTL("session", []byte("data"), 50*time.Millisecond); err != nil {
		return err
	}
	name, err := store.GetString("user:1")
	if err != nil {
		return err
	}
	fmt.Println("user:1 is", name)

	time.Sleep(60 * time.Millisecond)
	if _, err := store.Get("session"); errors.Is(err, kvstore.ErrNotFound) {
		fmt.Println("session has expired")
	}

	if err := count(store); err != nil {
		return err
	}
	if err := rename(store, "user:1", "Ada Lovelace"); err != nil {
		return err
	}

	// What has expired is freed in the background; freed now, it is surely not counted.
	if _, err := store.PurgeExpired(); err != nil {
		return err
	}
	stats := store.Stats()
	fmt.Printf("%d entries, %d bytes\n", stats.EntryCount, stats.TotalSize)
	return nil
}

// count counts from several goroutines: a Store is for all of them.
func count(store *kvstore.Store) error {
	failed := make(chan error)
	for range 10 {
		go func() {
			_, err := store.Incr("visits", 10)
			failed <- err
		}()
	}
	for range 10 {
		if err := <-failed; err != nil {
			return err
		}
	}
	visits, err := store.Incr("visits", 0)
	fmt.Println("visits:", visits)
	return err
}

// rename changes a value only if nobody else did meanwhile; else it tries again.
func rename(store *kvstore.Store, key, name string) error {
	for {
		entry, err := store.GetEntry(key)
		if err != nil {
			return err
		}
		_, err = store.SetIf(key, []byte(name), entry.Version)
		if errors.Is(err, kvstore.ErrConflict) {
			continue
		}
		if err == nil {
			fmt.Printf("%s was %s, is %s\n", key, entry.Value, name)
		}
		return err
	}
}
