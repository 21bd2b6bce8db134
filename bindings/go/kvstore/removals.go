package kvstore

// Removal callbacks: the options that take functions, and which of them a removal is told to.
//
// Invariant: a function of the program runs on the store's callback thread, one at a time, with no lock of this package
// held; a panic in it is logged and ends that one call.

import (
	"log"
	"runtime/debug"
	"strconv"
	"sync/atomic"
)

// Cause says why an entry, or its value, went.
type Cause uint32

// The causes. Each is one bit.
const (
	// CauseDeleted is a call that removed the entry, or gave it a deadline that had passed.
	CauseDeleted Cause = 2
	// CauseExpired is a deadline that came.
	CauseExpired Cause = 4
	// CauseEvicted is room for other entries.
	CauseEvicted Cause = 8
	// CauseCleared is Clear.
	CauseCleared Cause = 16
	// CauseReplaced is a write that stored another value: what is told is the value before.
	CauseReplaced Cause = 32
)

const everyCause = CauseDeleted | CauseExpired | CauseEvicted | CauseCleared | CauseReplaced

// String is "deleted", "expired", "evicted", "cleared" or "replaced".
func (c Cause) String() string {
	switch c {
	case CauseDeleted:
		return "deleted"
	case CauseExpired:
		return "expired"
	case CauseEvicted:
		return "evicted"
	case CauseCleared:
		return "cleared"
	case CauseReplaced:
		return "replaced"
	}
	return "Cause(" + strconv.FormatUint(uint64(c), 10) + ")"
}

// removalFunc is called for the causes in a mask. The key and the value are its own.
type removalFunc struct {
	causes Cause
	call   func(cause Cause, key string, value []byte)
}

// WithOnRemove has a function called for every entry that goes for one of the causes, or for any if none is named. It
// may be given several times, also beside WithOnEvict and WithOnExpire; each function is called.
//
// The functions run after the change, one at a time, on a thread of the store. They may call the store, but its Close
// fails with ErrInvalid in there, and they must not end their goroutine (runtime.Goexit, and so testing.T.FailNow). Slow
// ones delay no write: the option callback_buffer says how many removals wait, and more are dropped and counted in
// Stats.CallbacksDropped. Close returns once all that wait were told. A panic is logged, and the next removal is told.
// A function that refers to its own store keeps it alive until Close.
func WithOnRemove(call func(cause Cause, key string, value []byte), causes ...Cause) Option {
	mask := everyCause
	if len(causes) > 0 {
		mask = 0
		for _, cause := range causes {
			mask |= cause
		}
	}
	return func(c *config) {
		if call != nil {
			c.onRemove = append(c.onRemove, removalFunc{mask, call})
		}
	}
}

// WithOnEvict has a function called for every entry that was evicted to make room, as WithOnRemove does.
func WithOnEvict(call func(key string, value []byte)) Option {
	return withOnOne(call, CauseEvicted)
}

// WithOnExpire has a function called for every entry that expired, as WithOnRemove does. It comes when the store frees
// the entry, at most the cleanup interval after its deadline.
func WithOnExpire(call func(key string, value []byte)) Option {
	return withOnOne(call, CauseExpired)
}

func withOnOne(call func(key string, value []byte), cause Cause) Option {
	if call == nil {
		return WithOnRemove(nil)
	}
	return WithOnRemove(func(_ Cause, key string, value []byte) { call(key, value) }, cause)
}

// listener is what C calls by its handle.
type listener struct {
	functions atomic.Pointer[[]removalFunc]
}

func newListener(functions []removalFunc) *listener {
	l := &listener{}
	l.functions.Store(&functions)
	return l
}

// causes is what C is to call for.
func (l *listener) causes() Cause {
	var mask Cause
	for _, function := range *l.functions.Load() {
		mask |= function.causes
	}
	return mask
}

// release lets go of the functions once the store is closed, and so of what they refer to.
func (l *listener) release() {
	l.functions.Store(&[]removalFunc{})
}

// tell calls the functions that asked for this cause. Each has a value of its own to keep or change.
func (l *listener) tell(cause Cause, key string, value []byte) {
	functions := *l.functions.Load()
	for i, function := range functions {
		if function.causes&cause == 0 {
			continue
		}
		own := value
		if i+1 < len(functions) {
			own = append([]byte{}, value...)
		}
		function.tell(cause, key, own)
	}
}

func (f removalFunc) tell(cause Cause, key string, value []byte) {
	defer func() {
		if reason := recover(); reason != nil {
			log.Printf("kvstore: a removal callback panicked: %v\n%s", reason, debug.Stack())
		}
	}()
	f.call(cause, key, value)
}
