//go:build !libkv_static

package kvstore

// In files of their own, because Go's build cache tells builds apart by their files and not by what pkg-config says.

// #cgo pkg-config: libkv
import "C"
