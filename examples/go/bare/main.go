// Command bare uses libkv from Go through kv.h alone, without a package in between: any language that can call C can
// do the same.
//
//	export PKG_CONFIG_PATH=$PREFIX/lib/pkgconfig LD_LIBRARY_PATH=$PREFIX/lib
//	go run ./bare
package main

/*
#cgo pkg-config: libkv
#include <kv.h>
*/
import "C"

import (
	"fmt"
	"log"
	"unsafe"
)

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	var store *C.kv_store_t
	var failure *C.kv_error_t
	if C.kv_open(nil, nil, &store, &failure) != C.KV_OK {
		defer C.kv_error_free(failure)
		return fmt.Errorf("kv_open: %s", C.GoString(C.kv_error_message(failure)))
	}
	defer C.kv_close(store, nil)
	fmt.Println("a store is open")

	key, value := []byte("greeting"), []byte("hello from C")
	status := C.kv_set(store, start(key), C.size_t(len(key)), start(value), C.size_t(len(value)), 60*1000)
	if status != C.KV_OK {
		return failed("kv_set", status)
	}

	// kv_get gives a handle to the value, which the caller frees.
	var found *C.kv_value_t
	if status := C.kv_get(store, start(key), C.size_t(len(key)), &found); status != C.KV_OK {
		return failed("kv_get", status)
	}
	text := C.GoStringN((*C.char)(C.kv_value_data(found)), C.int(C.kv_value_len(found)))
	C.kv_value_free(found)
	fmt.Println(text)

	// kv_get_into copies into the caller's buffer, or says how large it has to be.
	buffer := make([]byte, 4)
	for {
		var length C.size_t
		status := C.kv_get_into(store, start(key), C.size_t(len(key)), start(buffer), C.size_t(len(buffer)), &length)
		if status == C.KV_SHORT_BUFFER {
			fmt.Printf("%d bytes do not hold %d\n", len(buffer), length)
			buffer = make([]byte, length)
			continue
		}
		if status != C.KV_OK {
			return failed("kv_get_into", status)
		}
		fmt.Printf("%s\n", buffer[:length])
		break
	}

	if status := C.kv_del(store, start(key), C.size_t(len(key))); status != C.KV_OK {
		return failed("kv_del", status)
	}
	status = C.kv_exists(store, start(key), C.size_t(len(key)))
	fmt.Println("and then:", C.GoString(C.kv_status_message(status)))
	return nil
}

// start is where the bytes of a slice begin.
func start(bytes []byte) unsafe.Pointer {
	return unsafe.Pointer(unsafe.SliceData(bytes))
}

func failed(call string, status C.kv_status_t) error {
	return fmt.Errorf("%s: %s", call, C.GoString(C.kv_status_message(status)))
}
