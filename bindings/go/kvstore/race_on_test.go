//go:build race

package kvstore

// raceEnabled says that the race detector is on, which allocates, and empties pools at random.
const raceEnabled = true
