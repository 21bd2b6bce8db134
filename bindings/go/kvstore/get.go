package kvstore

// Reads. Whatever is given out is a copy in Go memory and the caller's: no slice ever points to memory of the library.

import "time"

// Get gives the value of a key, which is the caller's to keep and change. It fails with ErrNotFound for an absent
// key.
func (s *Store) Get(key string) ([]byte, error) {
	h, err := s.handle()
	if err != nil {
		return nil, err
	}
	value, status := h.get(key)
	return value, status.err()
}

// GetString is Get for a value that is text.
func (s *Store) GetString(key string) (string, error) {
	h, err := s.handle()
	if err != nil {
		return "", err
	}
	value, status := h.getString(key)
	return value, status.err()
}

// AppendGet appends the value of a key to dst and gives the longer slice, as append does. It allocates nothing
// where dst has room: AppendGet(buffer[:0], key) reads into a buffer that is used again and again. On an error it
// gives dst as it was; what lies between its length and its capacity may have changed.
func (s *Store) AppendGet(dst []byte, key string) ([]byte, error) {
	h, err := s.handle()
	if err != nil {
		return dst, err
	}
	dst, status := h.appendGet(dst, key)
	return dst, status.err()
}

// Take gives the value of a key and deletes it, in one step. It fails with ErrNotFound for an absent key.
func (s *Store) Take(key string) ([]byte, error) {
	h, err := s.handle()
	if err != nil {
		return nil, err
	}
	value, status := h.take(key)
	return value, status.err()
}

// Exists says whether a key is there. A closed store has none.
func (s *Store) Exists(key string) bool {
	h, err := s.handle()
	return err == nil && h.exists(key) == StatusOK
}

// Entry is a value and what the store knows of it.
type Entry struct {
	// Key is the key it was found under.
	Key string
	// Value is the caller's to keep and change.
	Value []byte
	// Version is the number of the key's last change. Every change in a store has a greater one than those
	// before; SetIf and CompareAndDelete take it.
	Version uint64
	// CreatedAt is when the key was first set, to the millisecond. It is zero unless WithEntryStats is on.
	CreatedAt time.Time
	// ExpiresAt is the deadline, to the millisecond. It is zero for an entry that never expires.
	ExpiresAt time.Time
	// Hits is about how often the value was read. It is 0 unless WithEntryStats is on.
	Hits uint64
}

// GetEntry is Get with everything the store knows of the entry.
func (s *Store) GetEntry(key string) (*Entry, error) {
	h, err := s.handle()
	if err != nil {
		return nil, err
	}
	value, info, status := h.entry(key)
	if status != StatusOK {
		return nil, status.err()
	}
	entry := &Entry{Key: key, Value: value, Version: info.version, Hits: info.hits}
	if info.createdAtMs >= 0 {
		entry.CreatedAt = time.UnixMilli(info.createdAtMs)
	}
	if info.expireAtMs != ttlNoneMs {
		entry.ExpiresAt = time.UnixMilli(info.expireAtMs)
	}
	return entry, nil
}

// GetMany gives the values of several keys in their order, nil where a key is absent; an empty value is not nil.
// It makes one call into C for up to 64 keys. Each value is read at its own moment: writes that go on meanwhile may be
// seen in one and not yet in another.
//
// Small values share an allocation, of 64 KiB at most. One that is kept for long keeps its neighbours in memory
// too, unless it is cloned.
func (s *Store) GetMany(keys []string) ([][]byte, error) {
	h, err := s.handle()
	if err != nil {
		return nil, err
	}
	values := make([][]byte, len(keys))
	var room arena
	for from := 0; from < len(keys); from += manyMax {
		to := min(from+manyMax, len(keys))
		if status := h.getMany(keys[from:to], values[from:to], &room); status != StatusOK {
			return nil, status.err()
		}
	}
	return values, nil
}

const (
	// arenaBytes bounds how much memory one small value that is kept can hold on to.
	arenaBytes = 64 << 10
	// arenaValue is the longest value that shares an allocation.
	arenaValue = 1 << 10
)

// arena hands out pieces of shared allocations. Each piece ends at its capacity, so appending to one never touches
// the next.
type arena struct {
	free []byte
}

// clone copies a value; left says how many bytes are to come for certain, this value among them.
func (a *arena) clone(value []byte, left int) []byte {
	if len(value) > arenaValue || len(value) == 0 {
		own := make([]byte, len(value))
		copy(own, value)
		return own
	}
	if len(value) > len(a.free) {
		a.free = make([]byte, max(len(value), min(left, arenaBytes)))
	}
	piece := a.free[:len(value):len(value)]
	a.free = a.free[len(value):]
	copy(piece, value)
	return piece
}
