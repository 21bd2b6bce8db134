package kvstore

// The files native*.go are the only ones that talk to C and the only ones that use unsafe; this one has the calls on a key.
//
// Owns: the handle, and the rule that keeps it alive. A handle is freed when nothing refers to it any more,
// never by Close, so a call that races with Close finds a store that answers ErrClosed and not freed memory.
// Every call here ends with runtime.KeepAlive, without which a handle could be freed while C still works on it.
//
// C keeps no pointer into Go memory, and none of these calls calls back (removals are told on a thread of the store),
// which is what noescape and nocallback promise the
// compiler: keys, values and buffers stay on the stack, and a call into C costs no allocation.

/*
#cgo noescape kvgo_set
#cgo noescape kvgo_set_with
#cgo noescape kvgo_get
#cgo noescape kvgo_take
#cgo noescape kvgo_entry
#cgo noescape kvgo_del
#cgo noescape kvgo_del_if
#cgo noescape kvgo_exists
#cgo noescape kvgo_incr
#cgo noescape kvgo_append
#cgo noescape kvgo_expire
#cgo noescape kvgo_expire_at
#cgo noescape kvgo_persist
#cgo noescape kvgo_ttl
#cgo nocallback kvgo_set
#cgo nocallback kvgo_set_with
#cgo nocallback kvgo_get
#cgo nocallback kvgo_take
#cgo nocallback kvgo_entry
#cgo nocallback kvgo_del
#cgo nocallback kvgo_del_if
#cgo nocallback kvgo_exists
#cgo nocallback kvgo_incr
#cgo nocallback kvgo_append
#cgo nocallback kvgo_expire
#cgo nocallback kvgo_expire_at
#cgo nocallback kvgo_persist
#cgo nocallback kvgo_ttl
#include "native.h"
*/
import "C"

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"
)

// A value is read in one call into C, through a buffer, if it fits. The one on the stack is free but for being cleared,
// so it is small; a store in which it was too small once reads through pooled ones from then on.
const (
	stackBuffer  = 256
	pooledBuffer = 4096
)

var buffers = sync.Pool{New: func() any { return new([pooledBuffer]byte) }}

func takeBuffer() *[pooledBuffer]byte {
	return buffers.Get().(*[pooledBuffer]byte)
}

// handle holds a C store until nothing refers to the handle any more.
type handle struct {
	store *C.kvgo_store_t
	// removals is nil without callbacks.
	removals *listener
	// pooled says that the store has values which do not fit the buffer on the stack.
	pooled atomic.Bool
	// opened is a moment just before the store's clock started, by Go's.
	opened time.Time
}

// nowMs is the time in Unix milliseconds by the store's clock, or a little earlier. As that one, it goes on from the
// moment of opening, whatever the clock on the wall is set to.
func (h *handle) nowMs() int64 {
	return h.opened.UnixMilli() + time.Since(h.opened).Milliseconds()
}

func stringStart(s string) *C.char {
	return (*C.char)(unsafe.Pointer(unsafe.StringData(s)))
}

func bytesStart(b []byte) *C.char {
	return (*C.char)(unsafe.Pointer(unsafe.SliceData(b)))
}

// cloneC copies bytes that C owns.
func cloneC(data *C.char, length C.size_t) []byte {
	return clone(unsafe.Slice((*byte)(unsafe.Pointer(data)), int(length)))
}

// clone copies bytes; a copy of none is not nil. Unlike make and copy, append does not clear the memory first.
func clone(bytes []byte) []byte {
	if len(bytes) == 0 {
		return []byte{}
	}
	return append([]byte(nil), bytes...)
}

// settle turns what a call answered into a value of its own. The bytes are in the buffer, or the call handed them over,
// and they are freed.
func settle(read C.kvgo_read_t, buffer []byte) ([]byte, Status) {
	switch {
	case read.status != C.KV_OK:
		return nil, Status(read.status)
	case read.value != nil:
		value := cloneC(read.data, read.len)
		C.kv_value_free(read.value)
		return value, StatusOK
	}
	return clone(buffer[:read.len]), StatusOK
}

func answerStart(read *C.kvgo_read_t) *C.char {
	return (*C.char)(unsafe.Pointer(read))
}

func (h *handle) get(key string) ([]byte, Status) {
	if h.pooled.Load() {
		return h.getPooled(key)
	}
	var buffer [stackBuffer]byte
	var read C.kvgo_read_t
	C.kvgo_get(h.store, stringStart(key), C.size_t(len(key)), bytesStart(buffer[:]), stackBuffer, answerStart(&read))
	runtime.KeepAlive(h)
	if read.value != nil {
		h.pooled.Store(true)
	}
	return settle(read, buffer[:])
}

func (h *handle) getPooled(key string) ([]byte, Status) {
	buffer := takeBuffer()
	var read C.kvgo_read_t
	C.kvgo_get(h.store, stringStart(key), C.size_t(len(key)), bytesStart(buffer[:]), pooledBuffer, answerStart(&read))
	runtime.KeepAlive(h)
	value, status := settle(read, buffer[:])
	buffers.Put(buffer)
	return value, status
}

func (h *handle) getString(key string) (string, Status) {
	value, status := h.get(key)
	return unsafe.String(unsafe.SliceData(value), len(value)), status
}

func (h *handle) appendGet(dst []byte, key string) ([]byte, Status) {
	room := dst[len(dst):cap(dst)]
	var read C.kvgo_read_t
	C.kvgo_get(h.store, stringStart(key), C.size_t(len(key)), bytesStart(room), C.size_t(len(room)), answerStart(&read))
	runtime.KeepAlive(h)
	if read.status != C.KV_OK {
		return dst, Status(read.status)
	}
	if read.value == nil {
		return dst[:len(dst)+int(read.len)], StatusOK
	}
	dst = append(dst, unsafe.Slice((*byte)(unsafe.Pointer(read.data)), int(read.len))...)
	C.kv_value_free(read.value)
	return dst, StatusOK
}

func (h *handle) take(key string) ([]byte, Status) {
	buffer := takeBuffer()
	read := C.kvgo_take(h.store, stringStart(key), C.size_t(len(key)), bytesStart(buffer[:]), pooledBuffer)
	runtime.KeepAlive(h)
	value, status := settle(read, buffer[:])
	buffers.Put(buffer)
	return value, status
}

func (h *handle) entry(key string) (value []byte, info nativeInfo, status Status) {
	buffer := takeBuffer()
	entry := C.kvgo_entry(h.store, stringStart(key), C.size_t(len(key)), bytesStart(buffer[:]), pooledBuffer)
	runtime.KeepAlive(h)
	info = nativeInfo{
		version:     uint64(entry.info.version),
		createdAtMs: int64(entry.info.created_at_ms),
		expireAtMs:  int64(entry.info.expire_at_ms),
		hits:        uint64(entry.info.hits),
	}
	value, status = settle(entry.read, buffer[:])
	buffers.Put(buffer)
	return value, info, status
}

// nativeInfo is what the store knows of an entry beside its value.
type nativeInfo struct {
	version     uint64
	createdAtMs int64
	expireAtMs  int64
	hits        uint64
}

func (h *handle) set(key string, value []byte, ttlMs int64) Status {
	status := C.kvgo_set(h.store, stringStart(key), C.size_t(len(key)), bytesStart(value), C.size_t(len(value)),
		C.int64_t(ttlMs))
	runtime.KeepAlive(h)
	return Status(status)
}

func (h *handle) setString(key, value string, ttlMs int64) Status {
	status := C.kvgo_set(h.store, stringStart(key), C.size_t(len(key)), stringStart(value), C.size_t(len(value)),
		C.int64_t(ttlMs))
	runtime.KeepAlive(h)
	return Status(status)
}

func (h *handle) setWith(key string, value []byte, how nativeSet) (uint64, Status) {
	answer := C.kvgo_set_with(h.store, stringStart(key), C.size_t(len(key)), bytesStart(value), C.size_t(len(value)),
		C.int64_t(how.ttlMs), C.int64_t(how.expireAtMs), C.int32_t(how.condition), C.uint64_t(how.version))
	runtime.KeepAlive(h)
	return uint64(answer.number), Status(answer.status)
}

// nativeSet is how a conditional write is to be done; expireAtMs of zero leaves the word to ttlMs.
type nativeSet struct {
	ttlMs      int64
	expireAtMs int64
	condition  Condition
	version    uint64
}

func (h *handle) del(key string) Status {
	status := C.kvgo_del(h.store, stringStart(key), C.size_t(len(key)))
	runtime.KeepAlive(h)
	return Status(status)
}

func (h *handle) delIf(key string, version uint64) Status {
	status := C.kvgo_del_if(h.store, stringStart(key), C.size_t(len(key)), C.uint64_t(version))
	runtime.KeepAlive(h)
	return Status(status)
}

func (h *handle) exists(key string) Status {
	status := C.kvgo_exists(h.store, stringStart(key), C.size_t(len(key)))
	runtime.KeepAlive(h)
	return Status(status)
}

func (h *handle) incr(key string, delta, ttlMs int64) (int64, Status) {
	answer := C.kvgo_incr(h.store, stringStart(key), C.size_t(len(key)), C.int64_t(delta), C.int64_t(ttlMs))
	runtime.KeepAlive(h)
	return int64(answer.number), Status(answer.status)
}

func (h *handle) append(key string, data []byte) (int, Status) {
	answer := C.kvgo_append(h.store, stringStart(key), C.size_t(len(key)), bytesStart(data), C.size_t(len(data)))
	runtime.KeepAlive(h)
	return int(answer.number), Status(answer.status)
}

func (h *handle) expire(key string, ttlMs int64) Status {
	status := C.kvgo_expire(h.store, stringStart(key), C.size_t(len(key)), C.int64_t(ttlMs))
	runtime.KeepAlive(h)
	return Status(status)
}

func (h *handle) expireAt(key string, unixMs int64) Status {
	status := C.kvgo_expire_at(h.store, stringStart(key), C.size_t(len(key)), C.int64_t(unixMs))
	runtime.KeepAlive(h)
	return Status(status)
}

func (h *handle) persist(key string) Status {
	status := C.kvgo_persist(h.store, stringStart(key), C.size_t(len(key)))
	runtime.KeepAlive(h)
	return Status(status)
}

func (h *handle) ttl(key string) (int64, Status) {
	answer := C.kvgo_ttl(h.store, stringStart(key), C.size_t(len(key)))
	runtime.KeepAlive(h)
	return int64(answer.number), Status(answer.status)
}
