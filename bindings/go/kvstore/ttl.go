package kvstore

// Times to live and deadlines: between Go's nanoseconds and the library's milliseconds.

import "time"

// TTLs that are not a time. Any other TTL is how long from now an entry lives; it is rounded up to a whole
// millisecond, the tick of the store's clock, and a negative one is ErrInvalid.
const (
	// DefaultTTL is the TTL that WithDefaultTTL names; without that option an entry never expires.
	DefaultTTL time.Duration = 0
	// NoTTL means that an entry never expires, whatever WithDefaultTTL says. TTL answers it for such an entry.
	NoTTL time.Duration = 1<<63 - 1
	// KeepTTL leaves an entry that is overwritten its deadline. For an absent key it is DefaultTTL.
	KeepTTL time.Duration = -1 << 63
)

// longestTTL is the longest time in whole milliseconds that a time.Duration holds, some 292 years.
const longestTTL = NoTTL / time.Millisecond * time.Millisecond

// TTL says how long an entry has left: NoTTL for one that never expires, and 292 years for one that lasts longer
// than a time.Duration can say. It fails with ErrNotFound for an absent key.
func (s *Store) TTL(key string) (time.Duration, error) {
	h, err := s.handle()
	if err != nil {
		return 0, err
	}
	ms, status := h.ttl(key)
	switch {
	case status != StatusOK:
		return 0, status.err()
	case ms == ttlNoneMs:
		return NoTTL, nil
	case ms > longestTTL.Milliseconds():
		return longestTTL, nil
	}
	return time.Duration(ms) * time.Millisecond, nil
}

// Expire makes an entry expire so long from now. Zero or less removes it at once, NoTTL makes it last. It fails
// with ErrNotFound for an absent key.
func (s *Store) Expire(key string, ttl time.Duration) error {
	h, err := s.handle()
	if err != nil {
		return err
	}
	return h.expire(key, expireMs(ttl)).err()
}

// expireMs is the number that C takes for the TTL of Expire, which may be negative.
func expireMs(ttl time.Duration) int64 {
	if ttl == NoTTL {
		return ttlNoneMs
	}
	return roundUpMs(ttl)
}

// ExpireAt makes an entry expire at a time, rounded down to a millisecond. A time that has passed removes it at
// once. It fails with ErrNotFound for an absent key.
func (s *Store) ExpireAt(key string, at time.Time) error {
	h, err := s.handle()
	if err != nil {
		return err
	}
	return h.expireAt(key, unixMs(at)).err()
}

// Persist makes an entry last for ever. It fails with ErrNotFound for an absent key; an entry without a deadline
// is fine.
func (s *Store) Persist(key string) error {
	h, err := s.handle()
	if err != nil {
		return err
	}
	return h.persist(key).err()
}

// ttlMs is the number that C takes for a TTL.
func ttlMs(ttl time.Duration) int64 {
	switch ttl {
	case DefaultTTL:
		return ttlDefaultMs
	case NoTTL:
		return ttlNoneMs
	case KeepTTL:
		return ttlKeepMs
	}
	return roundUpMs(ttl)
}

// roundUpMs rounds away from zero: what is positive stays positive, what is negative stays negative.
func roundUpMs(d time.Duration) int64 {
	ms := int64(d / time.Millisecond)
	switch rest := d % time.Millisecond; {
	case rest > 0:
		ms++
	case rest < 0:
		ms--
	}
	return ms
}

// deadline is a time in Unix milliseconds that came from C: the zero time if there is none.
func deadline(unixMs int64) time.Time {
	if unixMs == ttlNoneMs {
		return time.Time{}
	}
	return time.UnixMilli(unixMs)
}

// unixMs is a time in Unix milliseconds, rounded down: nothing is seen after the time that was named.
func unixMs(at time.Time) int64 {
	return at.UnixMilli()
}
