package kvstore

// Progress of opening: what a large directory tells while it is read.

import (
	"log"
	"runtime/debug"
	"strconv"
)

// Phase says what opening a store is busy with.
type Phase uint32

// The phases, in their order.
const (
	// PhaseSnapshot reads the entries of a snapshot.
	PhaseSnapshot Phase = 1
	// PhaseLog replays the log that goes on from there.
	PhaseLog Phase = 2
)

// String is "snapshot" or "log".
func (p Phase) String() string {
	switch p {
	case PhaseSnapshot:
		return "snapshot"
	case PhaseLog:
		return "log"
	}
	return "Phase(" + strconv.FormatUint(uint64(p), 10) + ")"
}

// Progress tells how far opening a store has come.
type Progress struct {
	// Phase is what it is busy with.
	Phase Phase
	// DoneBytes is how much of the files was read, over both phases. It rises, and begins anew only if a snapshot turns
	// out to be damaged and an older one is read.
	DoneBytes uint64
	// TotalBytes is how much is to be read.
	TotalBytes uint64
}

// WithProgress has a function called by New or Open while it reads the files of a directory, on its goroutine: when a
// phase begins, when it ends, and at most every 100 ms in between. A new directory and a store in memory have nothing to
// read. A panic is logged, and opening goes on. The function given last is the one that counts.
func WithProgress(call func(Progress)) Option {
	return func(c *config) {
		c.onProgress = call
	}
}

// progressListener is what C calls by its handle.
type progressListener struct {
	call func(Progress)
}

func (l *progressListener) tell(progress Progress) {
	defer func() {
		if reason := recover(); reason != nil {
			log.Printf("kvstore: a progress callback panicked: %v\n%s", reason, debug.Stack())
		}
	}()
	l.call(progress)
}
