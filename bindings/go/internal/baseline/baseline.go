// Package baseline measures what the calls of package kvstore are compared with: the C functions called from C, and
// a call into C that does nothing.
package baseline

/*
#cgo noescape baseline_get
#cgo nocallback baseline_get
#cgo noescape baseline_set
#cgo nocallback baseline_set
#cgo noescape baseline_nothing
#cgo nocallback baseline_nothing
#include <kv.h>
#include <stddef.h>

static size_t baseline_get(kv_store_t *store, const char *keys, size_t key_len, size_t count, size_t rounds)
{
    char buffer[1024];
    size_t found = 0, i;
    for (i = 0; i < rounds; i++) {
        size_t len = 0;
        const char *key = keys + i % count * key_len;
        found += kv_get_into(store, key, key_len, buffer, sizeof buffer, &len) == KV_OK;
    }
    return found;
}

static size_t baseline_set(kv_store_t *store, const char *keys, size_t key_len, size_t count, const char *value,
                           size_t value_len, size_t rounds)
{
    size_t stored = 0, i;
    for (i = 0; i < rounds; i++) {
        const char *key = keys + i % count * key_len;
        stored += kv_set(store, key, key_len, value, value_len, KV_TTL_DEFAULT) == KV_OK;
    }
    return stored;
}

static void baseline_nothing(const char *key, size_t key_len)
{
    (void)key;
    (void)key_len;
}
*/
import "C"

import (
	"errors"
	"strings"
	"unsafe"
)

// Store is a C store and the keys it is measured with, all of one length.
type Store struct {
	store  *C.kv_store_t
	keys   []byte
	keyLen int
}

// New opens a store with default options and stores the value under every key, in their order. The calls that are
// measured go through the keys in another order, given by their indices, so that memory is visited as a program would.
func New(keys []string, value []byte, order []int) (*Store, error) {
	s := &Store{keyLen: len(keys[0])}
	if C.kv_open(nil, nil, &s.store, nil) != C.KV_OK {
		return nil, errors.New("kv_open failed")
	}
	s.keys = []byte(strings.Join(keys, ""))
	if s.Set(value, len(keys)) != len(keys) {
		return nil, errors.New("kv_set failed")
	}
	s.keys = s.keys[:0:0]
	for _, index := range order {
		s.keys = append(s.keys, keys[index]...)
	}
	return s, nil
}

// Get calls kv_get_into so many times, all within one call into C, and says how often it found the key.
func (s *Store) Get(rounds int) int {
	keys := (*C.char)(unsafe.Pointer(unsafe.SliceData(s.keys)))
	return int(C.baseline_get(s.store, keys, C.size_t(s.keyLen), C.size_t(len(s.keys)/s.keyLen), C.size_t(rounds)))
}

// Set calls kv_set so many times, all within one call into C, and says how often it succeeded.
func (s *Store) Set(value []byte, rounds int) int {
	keys := (*C.char)(unsafe.Pointer(unsafe.SliceData(s.keys)))
	bytes := (*C.char)(unsafe.Pointer(unsafe.SliceData(value)))
	count := C.size_t(len(s.keys) / s.keyLen)
	return int(C.baseline_set(s.store, keys, C.size_t(s.keyLen), count, bytes, C.size_t(len(value)), C.size_t(rounds)))
}

// Close frees the store.
func (s *Store) Close() {
	C.kv_close(s.store, nil)
}

// Nothing is a call into C that does nothing.
func Nothing(key string) {
	C.baseline_nothing((*C.char)(unsafe.Pointer(unsafe.StringData(key))), C.size_t(len(key)))
}
