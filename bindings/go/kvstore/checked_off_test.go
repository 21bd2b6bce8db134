//go:build !race && !asan && !msan

package kvstore

// checkedBuild says that the program carries checks of every memory access, which allocate, and empty pools at random.
const checkedBuild = false
