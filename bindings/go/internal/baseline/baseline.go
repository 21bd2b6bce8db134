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

static size_t baseline_get(kv_store_t *store, const char *keys, size_t key_len, size_t count)
{
    char buffer[4096];
    size_t found = 0, i;
    for (i = 0; i < count; i++) {
        size_t len = 0;
        found += kv_get_into(store, keys + i * key_len, key_len, buffer, sizeof buffer, &len) == KV_OK;
    }
    return found;
}

static size_t baseline_set(kv_store_t *store, const char *keys, size_t key_len, size_t count, const char *value,
                           size_t value_len)
{
    size_t stored = 0, i;
    for (i = 0; i < count; i++) {
        stored += kv_set(store, keys + i * key_len, key_len, value, value_len, KV_TTL_DEFAULT) == KV_OK;
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

import "unsafe"

// Get calls kv_get_into of a kv_store_t for each key, all within one call into C, and says how often it found one. The
// keys have one length, and lie one after the other.
func Get(store unsafe.Pointer, keys string, keyLen int) int {
	return int(C.baseline_get((*C.kv_store_t)(store), start(keys), C.size_t(keyLen), C.size_t(len(keys)/keyLen)))
}

// Set calls kv_set of a kv_store_t for each key, all within one call into C, and says how often it succeeded.
func Set(store unsafe.Pointer, keys string, keyLen int, value string) int {
	return int(C.baseline_set((*C.kv_store_t)(store), start(keys), C.size_t(keyLen), C.size_t(len(keys)/keyLen),
		start(value), C.size_t(len(value))))
}

// Nothing is a call into C that does nothing.
func Nothing(key string) {
	C.baseline_nothing(start(key), C.size_t(len(key)))
}

func start(s string) *C.char {
	return (*C.char)(unsafe.Pointer(unsafe.StringData(s)))
}
