package storage_test

import (
	"errors"
	"fmt"
	"time"

	"github.com/libkv/libkv/bindings/go/storage"
)

func Example() {
	s := storage.New() // Create a new storage object

	s.Set("key", "value", 20*time.Minute) // Set the new value with expiration time

	val, err := s.Get("key") // Get value
	if err != nil {
		fmt.Println(err)
	}
	fmt.Println(val)

	s.Delete("key") // Delete value

	_, err = s.Get("key")
	fmt.Println(errors.Is(err, storage.ErrNotFound))
	// Output:
	// value
	// true
}
