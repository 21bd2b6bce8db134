package kvstore

// Writes. Keys and values are only borrowed for the call: the library has copied them when it returns.

import "time"

// Set stores a value under a key, whatever was there. The bytes are copied: the caller may change value afterwards.
func (s *Store) Set(key string, value []byte) error {
	return s.SetWithTTL(key, value, DefaultTTL)
}

// SetString is Set for a value that is text.
func (s *Store) SetString(key, value string) error {
	h, err := s.handle()
	if err != nil {
		return err
	}
	return h.setString(key, value, ttlDefaultMs).err()
}

// SetWithTTL is Set for an entry that expires so long from now. The ttl may be NoTTL, KeepTTL or DefaultTTL, which
// is 0; any other that is not positive is ErrInvalid.
func (s *Store) SetWithTTL(key string, value []byte, ttl time.Duration) error {
	h, err := s.handle()
	if err != nil {
		return err
	}
	return h.set(key, value, ttlMs(ttl)).err()
}

// SetStringWithTTL is SetWithTTL for a value that is text.
func (s *Store) SetStringWithTTL(key, value string, ttl time.Duration) error {
	h, err := s.handle()
	if err != nil {
		return err
	}
	return h.setString(key, value, ttlMs(ttl)).err()
}

// SetNX stores a value only if the key is absent, and says whether it did.
func (s *Store) SetNX(key string, value []byte) (bool, error) {
	return s.SetNXWithTTL(key, value, DefaultTTL)
}

// SetNXWithTTL is SetNX for an entry that expires so long from now; ttl is as for SetWithTTL.
func (s *Store) SetNXWithTTL(key string, value []byte, ttl time.Duration) (bool, error) {
	h, err := s.handle()
	if err != nil {
		return false, err
	}
	_, status := h.setWith(key, value, nativeSet{ttlMs: ttlMs(ttl), condition: IfAbsent})
	if status == StatusExists {
		return false, nil
	}
	return status == StatusOK, status.err()
}

// SetIf stores a value only if the key still has the version that GetEntry or a write gave, and gives the new
// version. It fails with ErrConflict if the key has changed since, with ErrNotFound if it is gone.
func (s *Store) SetIf(key string, value []byte, version uint64) (uint64, error) {
	return s.SetWith(key, value, SetOptions{Condition: IfVersion, Version: version})
}

// Condition is what must hold for a write to happen.
type Condition int32

// The conditions.
const (
	// IfAny asks for nothing.
	IfAny Condition = 0
	// IfAbsent asks for the key to be absent: else ErrExists.
	IfAbsent Condition = 1
	// IfPresent asks for the key to be there: else ErrNotFound.
	IfPresent Condition = 2
	// IfVersion asks for the key to have the version given: else ErrConflict, or ErrNotFound if it is absent.
	IfVersion Condition = 3
)

// SetOptions says how SetWith stores a value. Its zero value is Set.
type SetOptions struct {
	// TTL is as for SetWithTTL.
	TTL time.Duration
	// ExpireAt, unless it is zero, is the deadline, rounded down to a millisecond, and TTL means nothing. A time that
	// has passed removes what was there; one before 1970 is ErrInvalid.
	ExpireAt time.Time
	// Condition is what must hold for the write to happen.
	Condition Condition
	// Version is the version that IfVersion asks for.
	Version uint64
}

// SetWith stores a value as the options say, and gives its version. It fails with ErrExists, ErrNotFound or
// ErrConflict if the condition does not hold; nothing changed then.
func (s *Store) SetWith(key string, value []byte, options SetOptions) (uint64, error) {
	h, err := s.handle()
	if err != nil {
		return 0, err
	}
	version, status := h.setWith(key, value, options.native())
	if status != StatusOK {
		return 0, status.err()
	}
	return version, nil
}

// native is what C takes of the options.
func (options SetOptions) native() nativeSet {
	how := nativeSet{ttlMs: ttlMs(options.TTL), condition: options.Condition, version: options.Version}
	if !options.ExpireAt.IsZero() {
		// In C zero means that there is no deadline, so the start of 1970 is taken for the millisecond after it.
		how.expireAtMs = unixMs(options.ExpireAt)
		if how.expireAtMs == 0 {
			how.expireAtMs = 1
		}
	}
	return how
}

// Delete removes a key, and says whether it was there.
func (s *Store) Delete(key string) (bool, error) {
	h, err := s.handle()
	if err != nil {
		return false, err
	}
	status := h.del(key)
	if status == StatusNotFound {
		return false, nil
	}
	return status == StatusOK, status.err()
}

// CompareAndDelete removes a key only if it still has this version. It fails with ErrConflict if the key has
// changed since, with ErrNotFound if it is gone.
func (s *Store) CompareAndDelete(key string, version uint64) error {
	h, err := s.handle()
	if err != nil {
		return err
	}
	return h.delIf(key, version).err()
}

// Incr adds to a value that is a decimal number, and gives the sum. An absent key counts from 0. The deadline of the
// entry stays. It fails with ErrType if the value is no number of 64 bits, or the sum would not be.
func (s *Store) Incr(key string, delta int64) (int64, error) {
	return s.IncrWithTTL(key, delta, DefaultTTL)
}

// IncrWithTTL is Incr with a TTL for a key that was absent; ttl is as for SetWithTTL. If it is positive or NoTTL,
// an entry that was there gets it too.
func (s *Store) IncrWithTTL(key string, delta int64, ttl time.Duration) (int64, error) {
	h, err := s.handle()
	if err != nil {
		return 0, err
	}
	sum, status := h.incr(key, delta, ttlMs(ttl))
	return sum, status.err()
}

// Append adds bytes to the end of a value, and gives its new length. An absent key counts as empty. The deadline of
// the entry stays.
func (s *Store) Append(key string, data []byte) (int, error) {
	h, err := s.handle()
	if err != nil {
		return 0, err
	}
	length, status := h.append(key, data)
	return length, status.err()
}

// Clear removes every entry.
func (s *Store) Clear() error {
	h, err := s.handle()
	if err != nil {
		return err
	}
	return h.clear().err()
}

// PurgeExpired frees the entries that have expired, without waiting for the cleanup, and gives their number. It is
// never needed for an entry to be gone, only for its memory.
func (s *Store) PurgeExpired() (int64, error) {
	h, err := s.handle()
	if err != nil {
		return 0, err
	}
	freed, status := h.purgeExpired()
	return freed, status.err()
}
