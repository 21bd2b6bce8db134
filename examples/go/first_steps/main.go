// Command first_steps is the first program of the kv-store module whose interface package kvstore keeps, with another
// import path and nothing else changed.
//
//	export PKG_CONFIG_PATH=$PREFIX/lib/pkgconfig LD_LIBRARY_PATH=$PREFIX/lib
//	go run ./first_steps
package main

import (
	"fmt"
	"time"

	"github.com/libkv/libkv/bindings/go/kvstore"
)

func main() {
	// Create a new store with default options
	store, err := kvstore.New()
	if err != nil {
		panic(err)
	}
	defer store.Close()

	// Basic operations
	store.Set("key", []byte("value"))

	value, err := store.Get("key")
	if err != nil {
		panic(err)
	}
	fmt.Printf("Value: %s\n", value)

	// With TTL
	store.SetWithTTL("session", []byte("data"), 5*time.Minute)

	// Delete
	store.Delete("key")
}
