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
	entry := &Entry{Key: key, Value: value, Version: info.version, Hits: info.hits, ExpiresAt: deadline(info.expireAtMs)}
	if info.createdAtMs >= 0 {
		entry.CreatedAt = time.UnixMilli(info.createdAtMs)
	}
	return entry, nil
}
