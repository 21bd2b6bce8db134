// Package storage is a key-value store with three calls: Set, Get and Delete.
//
//	s := storage.New()
//	s.Set("key", "value", 20*time.Minute)
//	val, err := s.Get("key")
//	s.Delete("key")
//
// Keys and values are strings of any bytes. A key is gone when its time to live is over, exactly then, and its memory
// is freed in the background soon after. Package kvstore is the same store with everything else it can do; its
// documentation says how both are built.
package storage

import (
	"time"

	"github.com/libkv/libkv/bindings/go/kvstore"
)

// ErrNotFound is what Get gives for an absent key; compare with errors.Is. The other errors are those of package
// kvstore.
var ErrNotFound = kvstore.ErrNotFound

// Storage is a key-value store in memory. Any number of goroutines may use it at once. Its zero value is ready to use.
// A Storage must not be copied.
type Storage struct {
	store kvstore.Store
}

// New makes an empty store. One that nothing refers to any more goes with the garbage collector.
func New() *Storage {
	return &Storage{}
}

// Set stores a value under a key for so long; zero is for ever. The ttl is rounded up to a millisecond, and a negative
// one is kvstore.ErrInvalid.
func (s *Storage) Set(key, value string, ttl time.Duration) error {
	if ttl == kvstore.KeepTTL {
		ttl = -time.Millisecond // a number that is no time elsewhere is a negative one here
	}
	return s.store.SetStringWithTTL(key, value, ttl)
}

// Get gives the value of a key. It fails with ErrNotFound if the key was never set, was deleted, or its time is over.
func (s *Storage) Get(key string) (string, error) {
	return s.store.GetString(key)
}

// Delete removes a key. It does not matter whether it was there.
func (s *Storage) Delete(key string) error {
	_, err := s.store.Delete(key)
	return err
}

// Len is the number of keys. Those whose time is over and whose memory is not yet freed may be among them.
func (s *Storage) Len() int {
	return s.store.Len()
}

// Close frees everything now. Calls after it fail with kvstore.ErrClosed.
func (s *Storage) Close() error {
	return s.store.Close()
}
