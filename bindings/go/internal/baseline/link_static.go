//go:build libkv_static

package baseline

// #cgo pkg-config: libkv-static
import "C"
