package kvstore

// The calls into C that are about a store's files. They may take as long as a disk does.

/*
#include "native_files.h"
*/
import "C"

import (
	"runtime"
	"time"
)

func (h *handle) sync() error {
	done := C.kvgo_sync(h.store)
	runtime.KeepAlive(h)
	return takeError(done.status, done.err)
}

// snapshot writes into the store's own directory for nil.
func (h *handle) snapshot(path *string) (SnapshotMeta, error) {
	var place *C.char
	if path != nil {
		text, free, err := toC("path", *path)
		if err != nil {
			return SnapshotMeta{}, err
		}
		defer free()
		place = text
	}
	answer := C.kvgo_snapshot(h.store, place)
	runtime.KeepAlive(h)
	if answer.status != C.KV_OK {
		return SnapshotMeta{}, takeError(answer.status, answer.err)
	}
	defer C.kv_string_free(answer.path)
	return SnapshotMeta{
		EntryCount: int64(answer.info.entries),
		Size:       int64(answer.info.bytes),
		Revision:   uint64(answer.info.revision),
		CreatedAt:  time.UnixMilli(int64(answer.info.created_at_ms)),
		Took:       time.Duration(float64(answer.info.seconds) * float64(time.Second)),
		Path:       C.GoString(answer.path),
	}, nil
}

func (h *handle) restore(path string) error {
	text, free, err := toC("path", path)
	if err != nil {
		return err
	}
	defer free()
	done := C.kvgo_restore(h.store, text)
	runtime.KeepAlive(h)
	return takeError(done.status, done.err)
}

func (h *handle) recovery() (Recovery, error) {
	answer := C.kvgo_recovery_report(h.store)
	runtime.KeepAlive(h)
	if answer.status != C.KV_OK {
		return Recovery{}, Status(answer.status).err()
	}
	defer C.kv_string_free(answer.text)
	return readReport[Recovery](C.GoString(answer.text))
}
