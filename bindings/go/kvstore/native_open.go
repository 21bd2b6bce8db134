package kvstore

// The calls into C that are not about one key: opening and closing, counters, the texts of errors.
//
// Invariant: a text or an error object that C hands over is copied and freed before the function returns.

/*
#include "native.h"
#include <stdlib.h>
*/
import "C"

import (
	"runtime"
	"strings"
	"sync/atomic"
	"time"
	"unsafe"
)

// The numbers that kv.h gives to TTLs which are not a number of milliseconds.
const (
	ttlDefaultMs int64 = C.KV_TTL_DEFAULT
	ttlNoneMs    int64 = C.KV_TTL_NONE
	ttlKeepMs    int64 = C.KV_TTL_KEEP
)

// handlesOpen counts the C stores that are not freed yet. Tests watch it.
var handlesOpen atomic.Int64

// openHandle opens a store. An error of an option is found here and not earlier, because only the library knows
// the options.
func openHandle(c config) (*handle, error) {
	if C.kv_abi_version() < C.KV_ABI_VERSION {
		return nil, &Error{Status: StatusUnsupported, Message: "libkv " + libraryVersion() +
			" is older than the kv.h this program was built with: install the newer one, or build again"}
	}
	options := C.kv_options_new()
	if options == nil {
		return nil, ErrNoMemory
	}
	defer C.kv_options_free(options)
	for _, option := range c.settings {
		if err := setOption(options, option); err != nil {
			return nil, err
		}
	}
	var removals *listener
	if len(c.onRemove) > 0 {
		removals = newListener(c.onRemove)
		if err := onRemove(options, removals); err != nil {
			return nil, err
		}
	}
	if c.onProgress != nil {
		if err := onProgress(options, &progressListener{c.onProgress}); err != nil {
			return nil, err
		}
	}
	var place *C.char
	if c.location != nil {
		text, free, err := toC("location", *c.location)
		if err != nil {
			return nil, err
		}
		defer free()
		place = text
	}
	before := time.Now()
	opened := C.kvgo_open(place, options)
	if opened.status != C.KV_OK {
		return nil, takeError(opened.status, opened.err)
	}
	h := &handle{store: opened.store, removals: removals, opened: before}
	handlesOpen.Add(1)
	runtime.AddCleanup(h, freeStore, opened.store)
	return h, nil
}

// freeStore runs once nothing refers to a handle any more, so no call can be using the store. Closing may wait
// for the store's threads, and the runtime's cleanups must not: hence the goroutine.
func freeStore(store *C.kvgo_store_t) {
	go func() {
		closed := C.kvgo_close(store)
		C.kv_error_free(closed.err)
		handlesOpen.Add(-1)
	}()
}

// inC gives a call the name and the value of an option as C takes them, for as long as the call lasts.
func (option setting) inC(call func(name, value *C.char) error) error {
	name, freeName, err := toC("option name", option.name)
	if err != nil {
		return err
	}
	defer freeName()
	value, freeValue, err := toC("value of option "+option.name, option.value)
	if err != nil {
		return err
	}
	defer freeValue()
	return call(name, value)
}

func setOption(options *C.kv_options_t, option setting) error {
	return option.inC(func(name, value *C.char) error {
		set := C.kvgo_options_set(options, name, value)
		return takeError(set.status, set.err)
	})
}

func (h *handle) configure(option setting) error {
	return option.inC(func(name, value *C.char) error {
		configured := C.kvgo_configure(h.store, name, value)
		runtime.KeepAlive(h)
		return takeError(configured.status, configured.err)
	})
}

// toC copies a text for C, which must be freed; what names it in the error.
func toC(what, text string) (*C.char, func(), error) {
	if strings.IndexByte(text, 0) >= 0 {
		return nil, nil, &Error{Status: StatusInvalid, Message: "the " + what + " contains a zero byte: leave it out"}
	}
	copied := C.CString(text)
	return copied, func() { C.free(unsafe.Pointer(copied)) }, nil
}

// takeError turns what a slow call answered into an error, and frees the error object.
func takeError(status C.kv_status_t, object *C.kv_error_t) error {
	defer C.kv_error_free(object)
	if status == C.KV_OK {
		return nil
	}
	if object == nil {
		return Status(status).err()
	}
	return readError(object)
}

func readError(object *C.kv_error_t) *Error {
	return &Error{
		Status:  Status(C.kv_error_status(object)),
		Message: C.GoString(C.kv_error_message(object)),
		OSCode:  int(C.kv_error_os_code(object)),
	}
}

func (h *handle) lastFault() error {
	fault := C.kvgo_last_fault(h.store)
	runtime.KeepAlive(h)
	switch {
	case fault.status == C.KV_NOT_FOUND:
		return nil
	case fault.status != C.KV_OK || fault.err == nil:
		return takeError(fault.status, fault.err)
	}
	defer C.kv_error_free(fault.err)
	return readError(fault.err)
}

func (h *handle) shutdown() error {
	done := C.kvgo_shutdown(h.store)
	runtime.KeepAlive(h)
	err := takeError(done.status, done.err)
	if err == nil && h.removals != nil {
		h.removals.release()
	}
	return err
}

func (h *handle) clear() Status {
	status := C.kvgo_clear(h.store)
	runtime.KeepAlive(h)
	return Status(status)
}

func (h *handle) purgeExpired() (int64, Status) {
	answer := C.kvgo_purge_expired(h.store)
	runtime.KeepAlive(h)
	return int64(answer.number), Status(answer.status)
}

func (h *handle) length() (int, Status) {
	answer := C.kvgo_len(h.store)
	runtime.KeepAlive(h)
	return int(answer.number), Status(answer.status)
}

func (h *handle) stats() (Stats, Status) {
	answer := C.kvgo_stats(h.store)
	runtime.KeepAlive(h)
	if answer.status != C.KV_OK {
		return Stats{}, Status(answer.status)
	}
	return statsOf(&answer.stats), StatusOK
}

// shardStats answers StatusNotFound if there are not so many shards.
func (h *handle) shardStats(shard int) (Stats, Status) {
	answer := C.kvgo_shard_stats(h.store, C.size_t(shard))
	runtime.KeepAlive(h)
	if answer.status != C.KV_OK {
		return Stats{}, Status(answer.status)
	}
	return statsOf(&answer.stats), StatusOK
}

func statsOf(from *C.kv_stats_t) Stats {
	return Stats{
		EntryCount:       int64(from.entries),
		ExpiringEntries:  int64(from.expiring_entries),
		ExpiredPending:   int64(from.expired_pending),
		TotalSize:        int64(from.key_bytes + from.value_bytes),
		KeyBytes:         int64(from.key_bytes),
		ValueBytes:       int64(from.value_bytes),
		MemoryBytes:      int64(from.memory_bytes),
		ResidentBytes:    int64(from.resident_bytes),
		PinnedBytes:      int64(from.pinned_bytes),
		HitRate:          100 * float64(from.hit_ratio),
		Gets:             int64(from.gets),
		Hits:             int64(from.hits),
		Misses:           int64(from.misses),
		Sets:             int64(from.sets),
		Deletes:          int64(from.deletes),
		Expired:          int64(from.expired),
		Evicted:          int64(from.evicted),
		CallbacksDropped: int64(from.callbacks_dropped),
		WALBytes:         int64(from.wal_bytes),
		WALSyncs:         int64(from.wal_syncs),
		Snapshots:        int64(from.snapshots),
		Revision:         uint64(from.revision),
		IndexBytes:       int64(from.index_bytes),
		EntryBytes:       int64(from.entry_bytes),
		LargeBytes:       int64(from.large_bytes),
		ExpiryBytes:      int64(from.expiry_bytes),
		PolicyBytes:      int64(from.policy_bytes),
		OrderBytes:       int64(from.order_bytes),
		CallbackBytes:    int64(from.callback_bytes),
		WatchBytes:       int64(from.watch_bytes),
		WALBufferBytes:   int64(from.wal_buffer_bytes),
		ExpiringIn1s:     int64(from.expiring_in_1s),
		ExpiringIn10s:    int64(from.expiring_in_10s),
		ExpiringIn1m:     int64(from.expiring_in_1m),
		ExpiringIn10m:    int64(from.expiring_in_10m),

		NearHits:          int64(from.near_hits),
		NearFills:         int64(from.near_fills),
		NearInvalidations: int64(from.near_invalidations),
		NearDrops:         int64(from.near_drops),
	}
}

func (h *handle) capabilities() (Capabilities, Status) {
	answer := C.kvgo_capabilities(h.store)
	runtime.KeepAlive(h)
	if answer.status != C.KV_OK {
		return Capabilities{}, Status(answer.status)
	}
	can := func(bit C.uint64_t) bool { return answer.number&bit != 0 }
	return Capabilities{
		Versions:         can(C.KV_CAN_VERSIONS),
		CrossSlotBatches: can(C.KV_CAN_BATCH_ANY_KEYS),
		OrderedScans:     can(C.KV_CAN_SCAN_IN_ORDER),
		ExactScans:       can(C.KV_CAN_SCAN_EXACTLY),
		Watches:          can(C.KV_CAN_WATCH),
		WatchHistory:     can(C.KV_CAN_WATCH_HISTORY),
		Snapshots:        can(C.KV_CAN_SNAPSHOT),
		Eviction:         can(C.KV_CAN_EVICT),
		Clear:            can(C.KV_CAN_CLEAR),
		NearCache:        can(C.KV_CAN_READ_NEAR),
	}, StatusOK
}

func (h *handle) latency(timed Timed) (Latency, Status) {
	answer := C.kvgo_latency(h.store, C.int32_t(timed))
	runtime.KeepAlive(h)
	if answer.status != C.KV_OK {
		return Latency{}, Status(answer.status)
	}
	from := &answer.latency
	return Latency{
		Count: int64(from.count),
		Sum:   time.Duration(from.sum_ns),
		P50:   time.Duration(from.p50_ns),
		P90:   time.Duration(from.p90_ns),
		P99:   time.Duration(from.p99_ns),
		P999:  time.Duration(from.p999_ns),
		Max:   time.Duration(from.max_ns),
	}, StatusOK
}

func (h *handle) statsText(format string) (string, error) {
	wanted, free, err := toC("format", format)
	if err != nil {
		return "", err
	}
	defer free()
	answer := C.kvgo_stats_text(h.store, wanted)
	runtime.KeepAlive(h)
	if answer.status != C.KV_OK {
		return "", Status(answer.status).err()
	}
	defer C.kv_string_free(answer.text)
	return C.GoString(answer.text), nil
}

func libraryVersion() string {
	return C.GoString(C.kv_version())
}

func statusName(status Status) string {
	return C.GoString(C.kv_status_name(C.kv_status_t(status)))
}

func statusMessage(status Status) string {
	return C.GoString(C.kv_status_message(C.kv_status_t(status)))
}
