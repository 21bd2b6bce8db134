package kvstore

// The calls into C that are about scans.
//
// Owns: the C scan, until the end of the scan, close, or the garbage collector; and the buffer that one call fills with
// entries. Nothing of the buffer is given out.

/*
#cgo noescape kvgo_scan
#cgo noescape kvgo_scan_fill
#cgo nocallback kvgo_scan
#cgo nocallback kvgo_scan_fill
#cgo nocallback kvgo_scan_free
#include "native_scan.h"
*/
import "C"

import (
	"runtime"
	"unsafe"
)

// How much one call takes: little at first, for those who want the first few entries, and twice as much each time.
const (
	scanBytesFirst, scanBytesMost     = 4 << 10, 64 << 10
	scanEntriesFirst, scanEntriesMost = 16, 512
)

// order is the one of a scan, with the numbers of kv.h.
type order C.int32_t

const (
	orderNone order = C.KV_ORDER_NONE
	orderAsc  order = C.KV_ORDER_ASC
	orderDesc order = C.KV_ORDER_DESC
)

// bounds is what the library is asked for.
type bounds struct {
	prefix, start, end string
	limit              int
	order              order
	keysOnly           bool
	pointInTime        bool
}

// scanned is an entry that a scan came to. Its bytes are valid until the next one is taken.
type scanned struct {
	key, value []byte
	version    uint64
	expireAtMs int64
}

// scan is a C scan and what was read ahead of it. It belongs to one goroutine at a time.
type scan struct {
	native  *C.kvgo_scan_t
	cleanup runtime.Cleanup
	// handle is here to be kept: a store is not collected under its scans.
	handle *handle

	buffer  []byte
	entries []C.kvgo_found_t
	// ahead is the part of entries, and rest that of buffer, which was not taken yet.
	ahead []C.kvgo_found_t
	rest  []byte
	// after is what comes behind them: StatusOK if that is to be asked.
	after Status
}

func (h *handle) scan(want bounds) (*scan, Status) {
	answer := C.kvgo_scan(h.store, stringStart(want.prefix), C.size_t(len(want.prefix)), stringStart(want.start),
		C.size_t(len(want.start)), stringStart(want.end), C.size_t(len(want.end)), C.uint64_t(want.limit),
		C.int32_t(want.order), flag(want.keysOnly), flag(want.pointInTime))
	runtime.KeepAlive(h)
	if answer.status != C.KV_OK {
		return nil, Status(answer.status)
	}
	s := &scan{native: answer.scan, handle: h}
	s.cleanup = runtime.AddCleanup(s, freeScan, answer.scan)
	return s, StatusOK
}

// flag is a truth as C has it.
func flag(is bool) C.int32_t {
	if is {
		return 1
	}
	return 0
}

func freeScan(native *C.kvgo_scan_t) {
	C.kvgo_scan_free(native)
}

// next takes an entry: StatusOK, StatusDone after the last one, or an error. What is not StatusOK is repeated.
func (s *scan) next() (scanned, Status) {
	for len(s.ahead) == 0 {
		if s.after != StatusOK {
			s.close()
			return scanned{}, s.after
		}
		s.fill()
	}
	entry := &s.ahead[0]
	key, rest := s.rest[:entry.key_len], s.rest[entry.key_len:]
	one := scanned{key, rest[:entry.value_len], uint64(entry.version), int64(entry.expire_at_ms)}
	s.ahead, s.rest = s.ahead[1:], rest[entry.value_len:]
	return one, StatusOK
}

// hasExpired says whether the deadline of an entry has come since it was read ahead.
func (s *scan) hasExpired(one scanned) bool {
	return one.expireAtMs != ttlNoneMs && one.expireAtMs <= s.handle.nowMs()
}

// fill reads ahead.
func (s *scan) fill() {
	s.buffer = grown(s.buffer, scanBytesFirst, scanBytesMost)
	s.entries = grown(s.entries, scanEntriesFirst, scanEntriesMost)
	var filled C.kvgo_filled_t
	for {
		C.kvgo_scan_fill(s.native, bytesStart(s.buffer), C.size_t(len(s.buffer)), unsafe.SliceData(s.entries),
			C.size_t(len(s.entries)), (*C.char)(unsafe.Pointer(&filled)))
		runtime.KeepAlive(s)
		if filled.status != C.KV_SHORT_BUFFER {
			break
		}
		s.buffer = make([]byte, filled.needed)
	}
	s.ahead, s.rest, s.after = s.entries[:filled.count], s.buffer, Status(filled.status)
}

// grown gives room for the next call. What one large entry needed goes with it.
func grown[T any](room []T, first, most int) []T {
	switch {
	case len(room) == 0:
		return make([]T, first)
	case len(room) < most:
		return make([]T, min(2*len(room), most))
	case len(room) > most:
		return make([]T, most)
	}
	return room
}

// close frees the C scan. It may be called often.
func (s *scan) close() {
	if s.native == nil {
		return
	}
	s.cleanup.Stop()
	freeScan(s.native)
	s.native, s.ahead, s.rest, s.buffer, s.entries = nil, nil, nil, nil, nil
	if s.after == StatusOK {
		s.after = StatusDone
	}
}
