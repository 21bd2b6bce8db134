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

// With a mask of 0 the offset is always 0, but the processor has to wait for the value to know that.
static size_t baseline_get(kv_store_t *store, const char *keys, size_t key_len, size_t count, int waits, size_t mask)
{
    char buffer[4096] = {0};
    size_t found = 0, offset = 0, i;
    for (i = 0; i < count; i++) {
        size_t len = 0;
        const char *key = keys + i * key_len + offset;
        found += kv_get_into(store, key, key_len, buffer, sizeof buffer, &len) == KV_OK;
        if (waits) {
            offset = (size_t)(unsigned char)buffer[0] & mask;
        }
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
// keys have one length, and lie one after the other. The processor works on several calls at once, as nothing depends
// on a value.
func Get(store unsafe.Pointer, keys string, keyLen int) int {
	return get(store, keys, keyLen, 0)
}

// GetAndWait is Get where each call needs the value of the one before: what one call takes alone.
func GetAndWait(store unsafe.Pointer, keys string, keyLen int) int {
	return get(store, keys, keyLen, 1)
}

func get(store unsafe.Pointer, keys string, keyLen int, waits C.int) int {
	count := C.size_t(len(keys) / keyLen)
	return int(C.baseline_get((*C.kv_store_t)(store), start(keys), C.size_t(keyLen), count, waits, 0))
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
