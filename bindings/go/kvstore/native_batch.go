package kvstore

// The call into C that writes a batch.
//
// Owns: the packed form, in which a batch is collected. It has no pointers, so that it goes to C as it is.

/*
#cgo noescape kvgo_write
#cgo nocallback kvgo_write
#include "native_batch.h"
*/
import "C"

import (
	"runtime"
	"strconv"
	"unsafe"
)

// changes are those of a batch: one record each, and the bytes of their keys and values one behind the other.
type changes struct {
	records []C.kvgo_change_t
	bytes   []byte
}

// written is what applying a batch came to.
type written struct {
	missing, failedIndex int
}

func addPut[T string | []byte](c *changes, key string, value T, how nativeSet) {
	c.bytes = append(append(c.bytes, key...), value...)
	c.records = append(c.records, C.kvgo_change_t{
		key_len: C.size_t(len(key)), value_len: C.size_t(len(value)), kind: C.KVGO_PUT,
		ttl_ms: C.int64_t(how.ttlMs), expire_at_ms: C.int64_t(how.expireAtMs),
		condition: C.int32_t(how.condition), version: C.uint64_t(how.version),
	})
}

func (c *changes) addDelete(key string) {
	c.bytes = append(c.bytes, key...)
	c.records = append(c.records, C.kvgo_change_t{key_len: C.size_t(len(key)), kind: C.KVGO_DELETE})
}

func (c *changes) addExpire(key string, ttlMs int64) {
	c.bytes = append(c.bytes, key...)
	c.records = append(c.records,
		C.kvgo_change_t{key_len: C.size_t(len(key)), kind: C.KVGO_EXPIRE, ttl_ms: C.int64_t(ttlMs)})
}

func (c *changes) len() int {
	return len(c.records)
}

func (c *changes) clear() {
	c.records, c.bytes = c.records[:0], c.bytes[:0]
}

// write applies changes, all or none.
func (h *handle) write(c *changes) (written, error) {
	var answer C.kvgo_written_t
	C.kvgo_write(h.store, unsafe.SliceData(c.records), C.size_t(len(c.records)), bytesStart(c.bytes),
		(*C.char)(unsafe.Pointer(&answer)))
	runtime.KeepAlive(h)
	done := written{missing: int(answer.missing), failedIndex: int(answer.failed)}
	status := Status(answer.status)
	switch {
	case status == StatusOK:
		return done, nil
	case answer.err != nil:
		return done, takeError(answer.status, answer.err)
	case status == StatusConflict:
		return done, &Error{Status: status, Message: "the condition of change " + strconv.Itoa(done.failedIndex) +
			" of the batch does not hold: nothing was changed"}
	case status == StatusInvalid:
		return done, &Error{Status: status, Message: "change " + strconv.Itoa(done.failedIndex) +
			" of the batch cannot be: look at its deadline and its condition; nothing was changed"}
	}
	return done, status.err()
}
