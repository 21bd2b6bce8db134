package kvstore

// Opening and closing. A handle, once opened, stays until nothing refers to the Store: Close only shuts it down, so that
// a call beside it meets a closed store and never freed memory.

import (
	"sync"
	"sync/atomic"
)

// Store is a key-value store. Any number of goroutines may use it at once. Its zero value is an empty store in
// memory with default options, opened by the first call. A Store must not be copied.
type Store struct {
	open atomic.Pointer[handle]

	// opening guards closed and the first opening of a zero Store.
	opening sync.Mutex
	closed  bool
}

// New makes a store, in memory unless WithPersistence says otherwise. It fails with an error that names the option
// that cannot be had, and what can.
func New(options ...Option) (*Store, error) {
	return openStore(config{}, options)
}

// Open is New for a location: a directory, which is made if it is missing and is never parsed, or ":memory:".
// "kv:DIR?sync=always" and "kv::memory:?max_entries=1000&eviction=random" carry options, which win over the others. A
// directory has one opener at a time: a second one fails with ErrLocked. A damaged file fails with ErrCorrupt and a
// message that names it.
//
// "valkey://HOST:PORT/?prefix=app:" is a store on a Valkey or Redis server, and
// "valkey-cluster://HOST:PORT,HOST:PORT/?prefix=app:&near=64MiB" one on a cluster, with USER:PASSWORD@ before the first
// host if need be. The same calls run there; Capabilities tells what does not, and docs/cluster.md what differs.
func Open(location string, options ...Option) (*Store, error) {
	return openStore(config{location: &location}, options)
}

func openStore(c config, options []Option) (*Store, error) {
	for _, option := range options {
		option(&c)
	}
	h, err := openHandle(c)
	if err != nil {
		return nil, err
	}
	s := &Store{}
	s.open.Store(h)
	return s, nil
}

// handle gives the open handle. A call on it after Close is safe: the library answers that the store is closed.
func (s *Store) handle() (*handle, error) {
	if h := s.open.Load(); h != nil {
		return h, nil
	}
	return s.openFirst()
}

// openFirst opens a zero Store, once.
func (s *Store) openFirst() (*handle, error) {
	s.opening.Lock()
	defer s.opening.Unlock()
	if h := s.open.Load(); h != nil {
		return h, nil
	}
	if s.closed {
		return nil, ErrClosed
	}
	h, err := openHandle(config{})
	if err != nil {
		return nil, err
	}
	s.open.Store(h)
	return h, nil
}

// Close ends the store and frees what it holds. A store on disk is flushed first. Calls that run meanwhile finish or fail
// with ErrClosed; calls that come later fail with ErrClosed. Closing again does nothing. A store that nothing refers to
// any more is closed by the garbage collector, but at a time of its choosing. Close waits until the functions of
// WithOnRemove were told all that they are to be told; called by one of them it fails with ErrInvalid and does nothing.
func (s *Store) Close() error {
	s.opening.Lock()
	s.closed = true
	h := s.open.Load()
	// A removal callback may call Close too, and another Close waits for it.
	s.opening.Unlock()
	if h == nil {
		return nil
	}
	return h.shutdown()
}

// Configure changes an option while the store is open, for example Configure("max_entries", "1000"). The options
// table says which can be. Lowering a limit evicts at once, or fails with ErrFull and changes nothing where nothing
// may be evicted.
func (s *Store) Configure(name, value string) error {
	h, err := s.handle()
	if err != nil {
		return err
	}
	return h.configure(setting{name, value})
}

// Fault says what stopped the store's writes or filled its disk: an *Error, or nil if nothing did. It answers after
// Close too.
func (s *Store) Fault() error {
	h := s.open.Load()
	if h == nil {
		return nil // a zero Store that no call has opened yet
	}
	return h.lastFault()
}

// Version is the version of the library behind this package, for example "0.1.0".
func Version() string {
	return libraryVersion()
}
