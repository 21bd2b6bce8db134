package kvstore

// The calls of C into Go while a store is opened. C knows a listener by a number and never holds a Go pointer.

/*
#include "native.h"
*/
import "C"

import (
	"runtime/cgo"
)

// onProgress has C call the listener until it finalizes it: with the options.
func onProgress(options *C.kv_options_t, l *progressListener) error {
	number := cgo.NewHandle(l)
	status := C.kvgo_options_on_progress(options, C.uintptr_t(number))
	if status != C.KV_OK {
		number.Delete()
		return Status(status).err()
	}
	return nil
}

//export kvgoProgress
func kvgoProgress(number C.uintptr_t, phase C.uint32_t, done, total C.uint64_t) {
	l := cgo.Handle(number).Value().(*progressListener)
	l.tell(Progress{Phase: Phase(phase), DoneBytes: uint64(done), TotalBytes: uint64(total)})
}
