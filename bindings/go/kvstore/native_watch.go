package kvstore

// The calls into C that are about watches.

/*
#cgo noescape kvgo_watch
#cgo nocallback kvgo_watch
#cgo nocallback kvgo_watch_next
#include "native_watch.h"
*/
import "C"

import (
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
)

// watchesOpen counts the C watches that are not freed yet. Tests watch it.
var watchesOpen atomic.Int64

// watch holds a C watch until it is freed. One goroutine reads; any may cancel.
type watch struct {
	native *C.kv_watch_t
	// ready is a copy of the watch's descriptor, which the runtime's poller waits for; nil if there is none.
	ready *os.File

	freeing sync.Mutex
	freed   bool
}

// watch begins a watch, which sees everything from this call on, or from an earlier revision.
func (h *handle) watch(want WatchOptions) (*watch, Status) {
	var exact C.int32_t
	if want.Exact {
		exact = 1
	}
	var kinds EventKind
	for _, kind := range want.Kinds {
		kinds |= kind
	}
	keys := want.KeyOrPrefix
	answer := C.kvgo_watch(h.store, stringStart(keys), C.size_t(len(keys)), exact, C.uint64_t(want.FromRevision),
		C.uint32_t(kinds))
	runtime.KeepAlive(h)
	if answer.status != C.KV_OK {
		return nil, Status(answer.status)
	}
	watchesOpen.Add(1)
	return &watch{native: answer.watch, ready: pollable(int(C.kv_watch_fd(answer.watch)))}, StatusOK
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
	event.ExpireAt = deadline(int64(answer.expire_at_ms))
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

// free lets go of the watch. next must not be running. It may be called often.
func (w *watch) free() {
	w.freeing.Lock()
	defer w.freeing.Unlock()
	if w.freed {
		return
	}
	w.freed = true
	if w.ready != nil {
		w.ready.Close()
	}
	C.kv_watch_free(w.native)
	watchesOpen.Add(-1)
}
