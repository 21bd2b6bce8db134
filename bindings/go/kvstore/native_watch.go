package kvstore

// The calls into C that are about watches.

/*
#include "native_watch.h"
*/
import "C"

import (
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// watch holds a C watch until it is freed. One goroutine reads; any may cancel.
type watch struct {
	native *C.kv_watch_t
	// ready is a copy of the watch's descriptor, which the runtime's poller waits for; nil if there is none.
	ready *os.File

	freeing sync.Mutex
	freed   bool
}

// watch begins a watch of a key or of a prefix, which sees everything from this call on.
func (h *handle) watch(keys string, exact bool, fromRevision uint64) (*watch, error) {
	var one C.int32_t
	if exact {
		one = 1
	}
	answer := C.kvgo_watch(h.store, stringStart(keys), C.size_t(len(keys)), one, C.uint64_t(fromRevision))
	runtime.KeepAlive(h)
	runtime.KeepAlive(keys)
	if answer.status != C.KV_OK {
		return nil, Status(answer.status).err()
	}
	return &watch{native: answer.watch, ready: pollable(int(C.kv_watch_fd(answer.watch)))}, nil
}

// pollable gives a file of its own for a descriptor that does not block.
func pollable(fd int) *os.File {
	if fd < 0 {
		return nil
	}
	syscall.ForkLock.RLock()
	own, err := syscall.Dup(fd)
	if err == nil {
		syscall.CloseOnExec(own)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil
	}
	return os.NewFile(uintptr(own), "kv watch")
}

// next waits for what comes next, without a thread of the system if there is a descriptor.
func (w *watch) next() (Event, Status) {
	if w.ready != nil {
		if conn, err := w.ready.SyscallConn(); err == nil {
			var event Event
			var status Status
			err = conn.Read(func(uintptr) bool {
				event, status = w.take(0)
				return status != StatusTimeout
			})
			if err == nil {
				return event, status
			}
		}
	}
	return w.take(-1)
}

func (w *watch) take(timeoutMS int64) (Event, Status) {
	answer := C.kvgo_watch_next(w.native, C.int64_t(timeoutMS))
	status := Status(answer.status)
	if status != StatusOK && status != StatusLagged {
		return Event{}, status
	}
	event := Event{Kind: EventKind(answer.change), Revision: uint64(answer.revision)}
	if status == StatusLagged {
		event.Missed = uint64(answer.lagged)
		return event, status
	}
	event.Key = string(cloneC(answer.key, answer.key_len))
	if event.Kind == EventSet {
		event.Value = cloneC(answer.value, answer.value_len)
	}
	if answer.expire_at_ms != C.KV_TTL_NONE {
		event.ExpireAt = time.UnixMilli(int64(answer.expire_at_ms))
	}
	return event, status
}

// cancel ends the watch, and wakes next.
func (w *watch) cancel() {
	w.freeing.Lock()
	defer w.freeing.Unlock()
	if !w.freed {
		C.kv_watch_cancel(w.native)
	}
}

// free lets go of the watch. next must not be running.
func (w *watch) free() {
	w.freeing.Lock()
	defer w.freeing.Unlock()
	w.freed = true
	if w.ready != nil {
		w.ready.Close()
	}
	C.kv_watch_free(w.native)
}
