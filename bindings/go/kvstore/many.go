package kvstore

// Many keys at once. A call into C costs more than the work on one key; these make one call for all of them, and the
// library fetches the memory of one key while it works on another.

import (
	"strconv"
	"time"
)

// GetMany gives the values of several keys in their order, nil where a key is absent; an empty value is not nil.
// Each value is read at its own moment: writes that go on meanwhile may be seen in one and not yet in another.
//
// The values are the caller's to keep and change, and share one allocation. Each ends at its capacity, so that appending
// to one never touches the next; but one that is kept keeps all of them in memory, unless it is cloned.
//
// It makes one call into C, or two where the values do not fit the memory that such calls have at hand, which grows with
// use up to 1 MiB. It fails with ErrTooLarge for a key that is too long, before anything is read.
func (s *Store) GetMany(keys []string) ([][]byte, error) {
	h, err := s.handle()
	if err != nil {
		return nil, err
	}
	return h.getMany(keys)
}

// AppendGetMany is GetMany into memory of the caller's, as AppendGet is Get. It appends the bytes of all values to buffer,
// and a slice of them for each key to values, nil where a key is absent, and gives both, longer, as append does. It
// allocates nothing where both have room, so a program that reads again and again leaves the garbage collector nothing to do:
//
//	values, buffer, err = store.AppendGetMany(values[:0], buffer[:0], keys)
//
// What it gave before is then overwritten. Each value ends at its capacity. On an error it gives both as they were. In
// any case all that lies between the length of buffer and its capacity may have changed.
func (s *Store) AppendGetMany(values [][]byte, buffer []byte, keys []string) ([][]byte, []byte, error) {
	h, err := s.handle()
	if err != nil {
		return values, buffer, err
	}
	return h.appendGetMany(values, buffer, keys)
}

// SetMany stores values under as many keys, all of them or none, in one step: no other call sees some of them. Of a key
// that comes twice the last value stays.
func (s *Store) SetMany(keys []string, values [][]byte) error {
	return s.SetManyWithTTL(keys, values, DefaultTTL)
}

// SetManyWithTTL is SetMany for entries that expire so long from now; ttl is as for SetWithTTL.
func (s *Store) SetManyWithTTL(keys []string, values [][]byte, ttl time.Duration) error {
	h, err := s.handle()
	if err != nil {
		return err
	}
	if len(keys) != len(values) {
		return &Error{Status: StatusInvalid, Message: "there are " + strconv.Itoa(len(keys)) + " keys and " +
			strconv.Itoa(len(values)) + " values: pass as many values as keys"}
	}
	return h.setMany(keys, values, ttlMs(ttl))
}

// DeleteMany removes several keys, each by itself, and says how many were there. It fails with ErrTooLarge for a key that
// is too long, before anything is removed.
func (s *Store) DeleteMany(keys []string) (int, error) {
	h, err := s.handle()
	if err != nil {
		return 0, err
	}
	return h.delMany(keys)
}
