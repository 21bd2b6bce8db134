package kvstore

// The calls of C into Go: removal callbacks. C knows a listener by a number and never holds a Go pointer.

/*
#include "native.h"
*/
import "C"

import (
	"runtime/cgo"
)

// onRemove has C call the listener until it finalizes it: with the options, and the store opened with them.
func onRemove(options *C.kv_options_t, l *listener) error {
	number := cgo.NewHandle(l)
	status := C.kvgo_options_on_remove(options, C.uint32_t(l.causes()), C.uintptr_t(number))
	if status != C.KV_OK {
		number.Delete()
		return Status(status).err()
	}
	return nil
}

//export kvgoRemoved
func kvgoRemoved(number C.uintptr_t, change C.uint32_t, key *C.char, keyLen C.size_t, value *C.char, valueLen C.size_t) {
	l := cgo.Handle(number).Value().(*listener)
	l.tell(Cause(change), string(cloneC(key, keyLen)), cloneC(value, valueLen))
}

//export kvgoFinalize
func kvgoFinalize(number C.uintptr_t) {
	cgo.Handle(number).Delete()
}
