//go:build libkv_static

package kvstore

// #cgo pkg-config: libkv-static
import "C"
