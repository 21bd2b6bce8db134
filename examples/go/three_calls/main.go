// Command three_calls is the program of the storage module whose interface package storage keeps, with another import
// path. It also prints what it got: the original leaves val unused, which no compiler of Go accepts.
//
//	export PKG_CONFIG_PATH=$PREFIX/lib/pkgconfig LD_LIBRARY_PATH=$PREFIX/lib
//	go run ./three_calls
package main

import (
	"fmt"
	"log"
	"time"

	"github.com/libkv/libkv/bindings/go/storage" // import storage interface
)

func main() {
	s := storage.New() // Create a new storage object

	s.Set("key", "value", 20*time.Minute) // Set the new value with expiration time

	val, err := s.Get("key") // Get value
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(val)

	s.Delete("key") // Delete value
}
