package kvstore

// Watches: changes of a key or of a prefix, on a channel.
//
// Invariants: a watch sees everything from its call on, in the order of revisions, or says what it missed; it holds up no
// write; a goroutine that waits holds no thread of the system, unless the store is on servers.

import (
	"context"
	"errors"
	"strconv"
	"time"
)

// EventKind says what happened to an entry.
type EventKind uint32

// The kinds. Each is one bit, but for EventLagged.
const (
	// EventLagged is no change: some were missed, as Missed says, and the watch goes on at Revision.
	EventLagged EventKind = 0
	// EventSet is a new value.
	EventSet EventKind = 1
	// EventDeleted is a call that removed the entry, or gave it a deadline that had passed.
	EventDeleted EventKind = 2
	// EventExpired is a deadline that came.
	EventExpired EventKind = 4
	// EventEvicted is room for other entries.
	EventEvicted EventKind = 8
	// EventCleared is Clear. It has no key.
	EventCleared EventKind = 16
	// EventTouched is another deadline, or none any more.
	EventTouched EventKind = 64
)

// String is "set", "deleted", "expired", "evicted", "cleared", "touched" or "lagged".
func (k EventKind) String() string {
	switch k {
	case EventLagged:
		return "lagged"
	case EventSet:
		return "set"
	case EventDeleted:
		return "deleted"
	case EventExpired:
		return "expired"
	case EventEvicted:
		return "evicted"
	case EventCleared:
		return "cleared"
	case EventTouched:
		return "touched"
	}
	return "EventKind(" + strconv.FormatUint(uint64(k), 10) + ")"
}

// Event is a change that a watch saw.
type Event struct {
	Kind EventKind
	Key  string
	// Value is what was set; nil for every other kind. Servers do not tell it: it is empty then.
	Value []byte
	// Revision is that of the change. The revisions of a watch rise. Servers have none: it is 0 then.
	Revision uint64
	// ExpireAt is the deadline that was set. It is zero if the entry never expires.
	ExpireAt time.Time
	// Missed is how many events were missed, of an EventLagged.
	Missed uint64
}

// Watch gives every new value of a key, and nil when the key goes: deleted, expired, evicted or cleared. A new deadline
// alone is not told. The channel is closed when the context is done or the store is closed, and at once if the key
// cannot be watched.
//
// A channel that is read too slowly, while more changes come than the option watch_buffer keeps, skips values; it then
// gives the value that the key has by that time. So it does, for every change, of a store on servers, and waits for
// servers that cannot be reached. Until the context is done somebody has to read the channel, or a goroutine waits.
func (s *Store) Watch(ctx context.Context, key string) <-chan []byte {
	values := make(chan []byte)
	// Servers tell which key was set, and not to what.
	can, _ := s.Capabilities()
	s.follow(ctx, WatchOptions{KeyOrPrefix: key, Exact: true}, func() { close(values) }, func(event Event) bool {
		value := event.Value
		switch {
		case event.Kind == EventTouched:
			return true
		case event.Kind == EventLagged, event.Kind == EventSet && !can.WatchHistory:
			now, err := s.getOnceReachable(ctx, key)
			if err != nil && !errors.Is(err, ErrNotFound) {
				return false
			}
			value = now
		}
		select {
		case values <- value:
			return true
		case <-ctx.Done():
			return false
		}
	})
	return values
}

// getOnceReachable is Get, again while the servers cannot be reached: a watch outlives a failover.
func (s *Store) getOnceReachable(ctx context.Context, key string) ([]byte, error) {
	const pause = 100 * time.Millisecond
	for {
		value, err := s.Get(key)
		if !errors.Is(err, ErrUnavailable) {
			return value, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pause):
		}
	}
}

// WatchPrefix gives every change of the keys that begin with a prefix, which may be empty, and every Clear. The channel
// is closed when the context is done or the store is closed, and at once if the prefix cannot be watched. If it is read
// too slowly, an EventLagged says what was missed. Until the context is done somebody has to read the channel, or a
// goroutine waits.
func (s *Store) WatchPrefix(ctx context.Context, prefix string) <-chan Event {
	events := make(chan Event)
	s.follow(ctx, WatchOptions{KeyOrPrefix: prefix}, func() { close(events) }, func(event Event) bool {
		select {
		case events <- event:
			return true
		case <-ctx.Done():
			return false
		}
	})
	return events
}

// follow begins a watch, and hands what it sees to tell, in a goroutine of its own, until that says no, the context is done
// or the store is closed. end is called at the end, also if nothing can be watched.
func (s *Store) follow(ctx context.Context, options WatchOptions, end func(), tell func(Event) bool) {
	w, err := s.NewWatcher(ctx, options)
	if err != nil {
		end()
		return
	}
	go func() {
		defer end()
		defer w.Close()
		for {
			event, err := w.Next()
			if err != nil || !tell(event) {
				return
			}
		}
	}()
}
