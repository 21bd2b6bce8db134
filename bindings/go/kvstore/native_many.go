package kvstore

// The calls into C on many keys.
//
// Owns: the memory in which keys and values are packed for a crossing. Keys go as one run of bytes and their lengths,
// because Go memory handed to C may hold no pointers to further Go memory; values come back in one buffer. The memory
// for keys is pooled, and nothing of it is given out; so is that for values, of which a caller gets a copy of the size it
// needs, unless it brings the memory (appendGetMany).

/*
#cgo noescape kvgo_get_packed
#cgo noescape kvgo_set_packed
#cgo noescape kvgo_del_packed
#cgo nocallback kvgo_get_packed
#cgo nocallback kvgo_set_packed
#cgo nocallback kvgo_del_packed
#include "native_many.h"
*/
import "C"

import (
	"runtime"
	"slices"
	"sync"
	"unsafe"
)

const (
	// roomAtFirst is how many bytes of values the first call of a scratch has room for.
	roomAtFirst = 16 << 10
	// roomKept is the most that the pool keeps of any one piece.
	roomKept = 1 << 20
)

// scratch is the memory of one crossing.
type scratch struct {
	keys, values       []byte
	keyLens, valueLens []C.size_t
	spans              []C.kv_span_t
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

func takeScratch() *scratch {
	return scratches.Get().(*scratch)
}

// giveBack returns it to the pool, but for what a large call made large.
func (s *scratch) giveBack() {
	s.keys, s.values = kept(s.keys), kept(s.values)
	s.keyLens, s.valueLens, s.spans = kept(s.keyLens), kept(s.valueLens), kept(s.spans)
	scratches.Put(s)
}

func kept[T any](piece []T) []T {
	var item T
	if cap(piece)*int(unsafe.Sizeof(item)) > roomKept {
		return nil
	}
	return piece[:0]
}

// pack puts strings one behind the other, and their lengths into an array.
func pack[T string | []byte](run []byte, lens []C.size_t, all []T) ([]byte, []C.size_t) {
	run, lens = run[:0], slices.Grow(lens[:0], len(all))
	for _, one := range all {
		run = append(run, one...)
		lens = append(lens, C.size_t(len(one)))
	}
	return run, lens
}

// many is what a packed call answered.
type many C.kvgo_many_t

func (m *many) start() *C.char {
	return (*C.char)(unsafe.Pointer(m))
}

// error gives the error of the answer, if it is one, and frees it.
func (m *many) error() error {
	if m.status >= 0 {
		return nil
	}
	return takeError(m.status, m.err)
}

// read reads keys that were packed, into the room from its start on, and notes in the spans where each value is. It says
// how many bytes all values need, and whether the room was too small for that.
func (s *scratch) read(h *handle, room []byte) (total int, short bool, err error) {
	var answer many
	C.kvgo_get_packed(h.store, bytesStart(s.keys), unsafe.SliceData(s.keyLens), C.size_t(len(s.keyLens)),
		bytesStart(room), C.size_t(len(room)), unsafe.SliceData(s.spans), answer.start())
	runtime.KeepAlive(h)
	return int(answer.number), answer.status == C.KV_SHORT_BUFFER, answer.error()
}

// packKeys makes ready to read these keys.
func (s *scratch) packKeys(keys []string) {
	s.keys, s.keyLens = pack(s.keys, s.keyLens, keys)
	s.spans = slices.Grow(s.spans[:0], len(keys))[:len(keys)]
}

// getMany reads all keys, in one call if the values fit the pooled memory, and gives the values in one run of bytes.
func (h *handle) getMany(keys []string) ([][]byte, error) {
	s := takeScratch()
	defer s.giveBack()
	s.packKeys(keys)
	if s.values == nil {
		s.values = make([]byte, roomAtFirst)
	}
	room, pooled := s.values[:cap(s.values)], true
	for more := 0; ; {
		total, short, err := s.read(h, room)
		switch {
		case err != nil:
			return nil, err
		case !short && pooled:
			// Not `make` and `copy`, which would clear the memory first.
			return s.cut(make([][]byte, 0, len(keys)), append([]byte(nil), room[:total]...)), nil
		case !short:
			return s.cut(make([][]byte, 0, len(keys)), room), nil
		case total+total/4 <= roomKept:
			room = make([]byte, total+total/4)
			s.values = room
		default:
			// What is too much for the pool is read into memory for the caller: no more than it takes, unless a
			// value has grown since it was measured.
			room, pooled = make([]byte, total+more), false
			more = total / 4
		}
	}
}

// appendGetMany reads all keys, in one call if the buffer has room for the values.
func (h *handle) appendGetMany(values [][]byte, buffer []byte, keys []string) ([][]byte, []byte, error) {
	s := takeScratch()
	defer s.giveBack()
	s.packKeys(keys)
	longer := buffer
	for {
		room := longer[len(buffer):cap(longer)]
		total, short, err := s.read(h, room)
		switch {
		case err != nil:
			return values, buffer, err
		case !short:
			return s.cut(slices.Grow(values, len(keys)), room[:total]), longer[:len(buffer)+total], nil
		}
		// A little more than is needed, since a value may grow meanwhile, and the next keys may have longer ones.
		longer = slices.Grow(buffer, total+total/4)
	}
}

// cut appends the values, out of the run of bytes that holds them all. Each ends at its capacity.
func (s *scratch) cut(values [][]byte, run []byte) [][]byte {
	if run == nil {
		run = []byte{} // an empty value is not nil
	}
	for _, span := range s.spans {
		if span.len == C.KV_SPAN_NONE {
			values = append(values, nil)
		} else {
			end := span.offset + span.len
			values = append(values, run[span.offset:end:end])
		}
	}
	return values
}

func (h *handle) setMany(keys []string, values [][]byte, ttlMs int64) error {
	s := takeScratch()
	defer s.giveBack()
	s.keys, s.keyLens = pack(s.keys, s.keyLens, keys)
	s.values, s.valueLens = pack(s.values, s.valueLens, values)
	var answer many
	C.kvgo_set_packed(h.store, bytesStart(s.keys), unsafe.SliceData(s.keyLens), bytesStart(s.values),
		unsafe.SliceData(s.valueLens), C.size_t(len(keys)), C.int64_t(ttlMs), answer.start())
	runtime.KeepAlive(h)
	return answer.error()
}

func (h *handle) delMany(keys []string) (int, error) {
	s := takeScratch()
	defer s.giveBack()
	s.keys, s.keyLens = pack(s.keys, s.keyLens, keys)
	var answer many
	C.kvgo_del_packed(h.store, bytesStart(s.keys), unsafe.SliceData(s.keyLens), C.size_t(len(keys)), answer.start())
	runtime.KeepAlive(h)
	return int(answer.number), answer.error()
}
