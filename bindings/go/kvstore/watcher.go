package kvstore

// Watchers: the watch under Watch and WatchPrefix, for those who want to choose what they see, go back to an earlier
// revision, learn why a watch ended, or read at their own pace without a goroutine in between.

import (
	"context"
	"runtime"
)

// WatchOptions says which changes a watcher gives. Its zero value is all of them, from now on.
type WatchOptions struct {
	// KeyOrPrefix leaves out the keys that do not begin with it.
	KeyOrPrefix string
	// Exact leaves out all keys but KeyOrPrefix itself.
	Exact bool
	// FromRevision is the first revision to give; 0 is the next one. The store keeps the last watch_buffer changes in memory
	// from its first watch on; what came before is read from the log, if one is kept. What is not there any more, or not
	// yet, is EventLagged.
	FromRevision uint64
	// Kinds leaves out other kinds; none are all.
	Kinds []EventKind
}

// Watcher gives changes in the order of their revisions, each once, or says what it missed. It holds up no write.
//
// It belongs to one goroutine at a time; another one can end it through the context it was made with.
type Watcher struct {
	watch *watch
	ctx   context.Context
	// stop has the context leave the watch alone.
	stop    func() bool
	cleanup runtime.Cleanup
	// ended is what Next answers once the watcher is closed.
	ended error
}

// NewWatcher begins a watch: what changes from this call on is not missed. Whoever began it closes it; one that is
// dropped without is closed by the garbage collector. Once the context is done Next fails with its error.
//
// NewWatcher fails with ErrInvalid for a kind that is none, with ErrTooLarge for a key that is too long, and with ErrIO
// or ErrCorrupt if the log cannot be read; on servers with ErrUnsupported for FromRevision, and if they have their
// notify-keyspace-events off.
func (s *Store) NewWatcher(ctx context.Context, options WatchOptions) (*Watcher, error) {
	h, err := s.handle()
	if err != nil {
		return nil, err
	}
	begun, status := h.watch(options)
	if status != StatusOK {
		return nil, status.err()
	}
	w := &Watcher{watch: begun, ctx: ctx, stop: context.AfterFunc(ctx, begun.cancel)}
	w.cleanup = runtime.AddCleanup(w, (*watch).free, begun)
	return w, nil
}

// Next waits for the next change, without a thread of the system if the store is in this process. If changes were missed it gives an EventLagged, and goes
// on at its revision.
//
// It fails with the context's error once that is done, with ErrDone once the watcher was closed, with ErrClosed once the
// store was, with ErrPoisoned once nothing more can come, and with ErrIO or ErrCorrupt if the log could not be read; after
// these two it can be called again and goes on with what is in memory.
func (w *Watcher) Next() (Event, error) {
	if err := w.over(); err != nil {
		return Event{}, err
	}
	return w.answer(w.watch.next())
}

// TryNext is Next without waiting: it says false if there is nothing yet.
func (w *Watcher) TryNext() (Event, bool, error) {
	if err := w.over(); err != nil {
		return Event{}, false, err
	}
	event, status := w.watch.take(0)
	if status == StatusTimeout {
		return Event{}, false, nil
	}
	event, err := w.answer(event, status)
	return event, err == nil, err
}

// over says why nothing more is to come. The context is asked here too, because it tells the watch a moment later.
func (w *Watcher) over() error {
	if w.ended != nil {
		return w.ended
	}
	return w.ctx.Err()
}

func (w *Watcher) answer(event Event, status Status) (Event, error) {
	switch status {
	case StatusOK, StatusLagged:
		return event, nil
	case StatusDone:
		if err := w.ctx.Err(); err != nil {
			return Event{}, err
		}
	}
	return Event{}, status.err()
}

// Close ends the watcher and frees what it holds. It may be called often.
func (w *Watcher) Close() {
	if w.ended == nil {
		w.ended = ErrDone
		w.stop()
		w.cleanup.Stop()
		w.watch.free()
	}
}
