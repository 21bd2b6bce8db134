package kvstore

// The operations of the conformance cases as calls of this package.

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"
)

// conformanceCall is one operation with its arguments, and what is expected of it: that decides between calls which
// differ only in what they answer.
type conformanceCall struct {
	run       *conformanceRun
	arguments []word
	expected  []word
}

// perform runs an operation. Its error is about the case, not about the store.
func (c *conformanceCall) perform(operation string) (answer, error) {
	if operation == "open" {
		return c.open()
	}
	if c.run.store == nil {
		return answer{}, fmt.Errorf("no store is open")
	}
	operations := map[string]func() (answer, error){
		"configure": c.configure, "set": c.set, "fill": c.fill, "get": c.get, "info": c.info, "get_many": c.getMany,
		"set_many": c.setMany, "del_many": c.delMany,
		"take": c.take, "del": c.del, "del_if": c.delIf, "exists": c.exists, "persist": c.persist, "expire": c.expire,
		"expire_at": c.expireAt, "ttl": c.ttl, "incr": c.incr, "append": c.append, "len": c.len,
		"purge_expired": c.purgeExpired, "clear": c.clear, "stats": c.stats, "last_fault": c.lastFault,
		"shutdown": c.shutdown, "removed": c.removed,
		"write": c.write, "scan": c.scan, "keys": c.keys, "watch": c.watch, "event": c.event, "cancel": c.cancel,
		"sync": c.sync, "snapshot": c.snapshot, "restore": c.restore, "recovery": c.recovery,
	}
	perform, known := operations[operation]
	if !known {
		return answer{}, fmt.Errorf("%q is no operation", operation)
	}
	return perform()
}

// bytes takes the arguments that are no options, which must be so many, all of them bytes.
func (c *conformanceCall) bytes(count int) ([][]byte, error) {
	var all [][]byte
	for _, argument := range c.arguments {
		if argument.isBytes && !argument.named {
			all = append(all, argument.bytes)
		}
	}
	if len(all) != count {
		return nil, fmt.Errorf("expected %d arguments of bytes, got %d", count, len(all))
	}
	return all, nil
}

func (c *conformanceCall) key() (string, error) {
	if len(c.arguments) != 1 {
		return "", fmt.Errorf("expected a key and nothing else")
	}
	keys, err := c.bytes(1)
	if err != nil {
		return "", err
	}
	return string(keys[0]), nil
}

// keyAndNumber takes a key and a number.
func (c *conformanceCall) keyAndNumber() (string, int64, error) {
	keys, err := c.bytes(1)
	if err != nil {
		return "", 0, err
	}
	if len(c.arguments) < 2 || c.arguments[1].isBytes || c.arguments[1].named {
		return "", 0, fmt.Errorf("expected a key and a number")
	}
	number, err := parseNumber(c.arguments[1].text, c.run.variables)
	return string(keys[0]), number, err
}

func asAnswer(err error) answer {
	var known *Error
	switch {
	case err == nil:
		return answer{status: StatusOK}
	case errors.As(err, &known):
		return answer{status: known.Status, err: err}
	}
	panic(fmt.Sprintf("not an *Error: %v", err))
}

func (a answer) with(name string, number int64) answer {
	if a.numbers == nil {
		a.numbers = map[string]int64{}
	}
	a.numbers[name] = number
	return a
}

// found is the answer of a call that says of an absent key no more than that.
func found(there bool, err error) answer {
	if err == nil && !there {
		return answer{status: StatusNotFound}
	}
	return asAnswer(err)
}

// duration takes milliseconds, which must fit a time.Duration.
func duration(ms int64) (time.Duration, error) {
	if ms > math.MaxInt64/int64(time.Millisecond) || ms < math.MinInt64/int64(time.Millisecond) {
		return 0, fmt.Errorf("%d ms do not fit a time.Duration: the case needs wide_ttl", ms)
	}
	return time.Duration(ms) * time.Millisecond, nil
}

func (c *conformanceCall) parseTTL(text string) (time.Duration, error) {
	switch text {
	case "default":
		return DefaultTTL, nil
	case "none":
		return NoTTL, nil
	case "keep":
		return KeepTTL, nil
	}
	ms, err := parseNumber(text, c.run.variables)
	if err != nil {
		return 0, err
	}
	return duration(ms)
}

func (c *conformanceCall) configure() (answer, error) {
	if len(c.arguments) != 1 || !c.arguments[0].named {
		return answer{}, fmt.Errorf("configure takes NAME=VALUE")
	}
	argument := c.arguments[0]
	if argument.isBytes {
		argument.text = string(argument.bytes)
	}
	return asAnswer(c.run.store.Configure(argument.name, argument.text)), nil
}

// set goes through SetWithTTL unless the case wants more of it than that can do.
func (c *conformanceCall) set() (answer, error) {
	words, err := c.bytes(2)
	if err != nil {
		return answer{}, err
	}
	key, value := string(words[0]), words[1]
	options, conditional, err := c.setOptions()
	if err != nil {
		return answer{}, err
	}
	for _, want := range c.expected {
		conditional = conditional || want.name == "version"
	}
	if !conditional {
		return asAnswer(c.run.store.SetWithTTL(key, value, options.TTL)), nil
	}
	version, err := c.conditionalSet(key, value, options)
	return asAnswer(err).with("version", int64(version)), nil
}

// conditionalSet goes through the most special call that can do it and tell the version if that is wanted.
func (c *conformanceCall) conditionalSet(key string, value []byte, options SetOptions) (uint64, error) {
	switch options {
	case SetOptions{Condition: IfVersion, Version: options.Version}:
		return c.run.store.SetIf(key, value, options.Version)
	case SetOptions{Condition: IfAbsent, TTL: options.TTL}:
		if len(c.expected) == 0 {
			stored, err := c.run.store.SetNXWithTTL(key, value, options.TTL)
			if err == nil && !stored {
				err = ErrExists
			}
			return 0, err
		}
	}
	return c.run.store.SetWith(key, value, options)
}

func (c *conformanceCall) setOptions() (options SetOptions, conditional bool, err error) {
	return c.setOptionsOf(c.arguments)
}

func (c *conformanceCall) setOptionsOf(words []word) (options SetOptions, conditional bool, err error) {
	for _, argument := range words {
		if !argument.named {
			continue
		}
		conditional = conditional || argument.name != "ttl"
		var number int64
		switch argument.name {
		case "ttl":
			options.TTL, err = c.parseTTL(argument.text)
		case "at":
			number, err = parseNumber(argument.text, c.run.variables)
			options.ExpireAt = time.UnixMilli(number)
		case "if_version":
			number, err = parseNumber(argument.text, c.run.variables)
			options.Condition, options.Version = IfVersion, uint64(number)
		case "if":
			options.Condition = map[string]Condition{"absent": IfAbsent, "present": IfPresent}[argument.text]
			if options.Condition == IfAny {
				err = fmt.Errorf("%q is no condition", argument.text)
			}
		default:
			err = fmt.Errorf("%q is no argument", argument.name)
		}
		if err != nil {
			return options, conditional, err
		}
	}
	return options, conditional, nil
}

func (c *conformanceCall) fill() (answer, error) {
	words, err := c.bytes(2)
	if err != nil {
		return answer{}, err
	}
	count, err := parseNumber(c.arguments[1].text, c.run.variables)
	if err != nil {
		return answer{}, err
	}
	options, _, err := c.setOptions()
	if err != nil {
		return answer{}, err
	}
	for i := range count {
		key := string(words[0]) + strconv.FormatInt(i, 10)
		if err := c.run.store.SetWithTTL(key, words[1], options.TTL); err != nil {
			return asAnswer(err).with("count", i), nil
		}
	}
	return answer{}.with("count", count), nil
}

func (c *conformanceCall) get() (answer, error) {
	key, err := c.key()
	if err != nil {
		return answer{}, err
	}
	value, err := c.run.get(c.run.store, key)
	got := asAnswer(err)
	got.values = [][]byte{value}
	return got, nil
}

func (c *conformanceCall) info() (answer, error) {
	key, err := c.key()
	if err != nil {
		return answer{}, err
	}
	entry, err := c.run.store.GetEntry(key)
	got := asAnswer(err)
	if err != nil {
		return got, nil
	}
	if entry.Key != key {
		return answer{}, fmt.Errorf("the entry of %.60q says it is %.60q", key, entry.Key)
	}
	got.values = [][]byte{entry.Value}
	expireAt, createdAt := int64(math.MaxInt64), int64(-1)
	if !entry.ExpiresAt.IsZero() {
		expireAt = entry.ExpiresAt.UnixMilli()
	}
	if !entry.CreatedAt.IsZero() {
		createdAt = entry.CreatedAt.UnixMilli()
	}
	got = got.with("version", int64(entry.Version)).with("hits", int64(entry.Hits))
	return got.with("expire_at", expireAt).with("created_at", createdAt), nil
}

func (c *conformanceCall) getMany() (answer, error) {
	words, err := c.bytes(len(c.arguments))
	if err != nil {
		return answer{}, err
	}
	keys := make([]string, len(words))
	for i, key := range words {
		keys[i] = string(key)
	}
	values, err := c.run.store.GetMany(keys)
	got := asAnswer(err)
	got.values = values
	return got, nil
}

func (c *conformanceCall) setMany() (answer, error) {
	var keys []string
	var values [][]byte
	for _, argument := range c.arguments {
		switch {
		case argument.named:
		case len(keys) == len(values):
			keys = append(keys, string(argument.bytes))
		default:
			values = append(values, argument.bytes)
		}
	}
	options, _, err := c.setOptions()
	if err != nil || len(keys) != len(values) {
		return answer{}, errors.Join(err, fmt.Errorf("set_many takes pairs"))
	}
	return asAnswer(c.run.store.SetManyWithTTL(keys, values, options.TTL)), nil
}

func (c *conformanceCall) delMany() (answer, error) {
	words, err := c.bytes(len(c.arguments))
	if err != nil {
		return answer{}, err
	}
	keys := make([]string, len(words))
	for i, key := range words {
		keys[i] = string(key)
	}
	deleted, err := c.run.store.DeleteMany(keys)
	return asAnswer(err).with("count", int64(deleted)), nil
}

func (c *conformanceCall) take() (answer, error) {
	key, err := c.key()
	if err != nil {
		return answer{}, err
	}
	value, err := c.run.store.Take(key)
	got := asAnswer(err)
	got.values = [][]byte{value}
	return got, nil
}

func (c *conformanceCall) del() (answer, error) {
	key, err := c.key()
	if err != nil {
		return answer{}, err
	}
	return found(c.run.store.Delete(key)), nil
}

func (c *conformanceCall) delIf() (answer, error) {
	key, version, err := c.keyAndNumber()
	if err != nil {
		return answer{}, err
	}
	return asAnswer(c.run.store.CompareAndDelete(key, uint64(version))), nil
}

// exists asks the handle, because Exists does not tell an error from an absent key, and then Exists.
func (c *conformanceCall) exists() (answer, error) {
	key, err := c.key()
	if err != nil {
		return answer{}, err
	}
	h, err := c.run.store.handle()
	if err != nil {
		return answer{}, err
	}
	got := asAnswer(h.exists(key).err())
	if there := c.run.store.Exists(key); there != (got.status == StatusOK) {
		return answer{}, fmt.Errorf("Exists says %v where the store says %v", there, got.status)
	}
	return got, nil
}

func (c *conformanceCall) persist() (answer, error) {
	key, err := c.key()
	if err != nil {
		return answer{}, err
	}
	return asAnswer(c.run.store.Persist(key)), nil
}

func (c *conformanceCall) expire() (answer, error) {
	key, ms, err := c.keyAndNumber()
	if err != nil {
		return answer{}, err
	}
	ttl := NoTTL
	if ms != math.MaxInt64 {
		if ttl, err = duration(ms); err != nil {
			return answer{}, err
		}
	}
	return asAnswer(c.run.store.Expire(key, ttl)), nil
}

func (c *conformanceCall) expireAt() (answer, error) {
	key, ms, err := c.keyAndNumber()
	if err != nil {
		return answer{}, err
	}
	return asAnswer(c.run.store.ExpireAt(key, time.UnixMilli(ms))), nil
}

func (c *conformanceCall) ttl() (answer, error) {
	key, err := c.key()
	if err != nil {
		return answer{}, err
	}
	ttl, err := c.run.store.TTL(key)
	ms := int64(math.MaxInt64)
	if ttl != NoTTL {
		ms = ttl.Milliseconds()
	}
	return asAnswer(err).with("ttl", ms), nil
}

func (c *conformanceCall) incr() (answer, error) {
	key, delta, err := c.keyAndNumber()
	if err != nil {
		return answer{}, err
	}
	options, _, err := c.setOptions()
	if err != nil {
		return answer{}, err
	}
	sum, err := c.run.store.IncrWithTTL(key, delta, options.TTL)
	return asAnswer(err).with("number", sum), nil
}

func (c *conformanceCall) append() (answer, error) {
	words, err := c.bytes(2)
	if err != nil {
		return answer{}, err
	}
	length, err := c.run.store.Append(string(words[0]), words[1])
	return asAnswer(err).with("len", int64(length)), nil
}

func (c *conformanceCall) len() (answer, error) {
	h, err := c.run.store.handle()
	if err != nil {
		return answer{}, err
	}
	count, status := h.length()
	return asAnswer(status.err()).with("count", int64(count)), nil
}

func (c *conformanceCall) purgeExpired() (answer, error) {
	count, err := c.run.store.PurgeExpired()
	return asAnswer(err).with("count", count), nil
}

func (c *conformanceCall) clear() (answer, error) {
	return asAnswer(c.run.store.Clear()), nil
}

func (c *conformanceCall) stats() (answer, error) {
	h, err := c.run.store.handle()
	if err != nil {
		return answer{}, err
	}
	stats, status := h.stats()
	got := asAnswer(status.err())
	for name, number := range map[string]int64{
		"entries": stats.EntryCount, "expiring_entries": stats.ExpiringEntries, "expired_pending": stats.ExpiredPending,
		"key_bytes": stats.KeyBytes, "value_bytes": stats.ValueBytes, "memory_bytes": stats.MemoryBytes,
		"resident_bytes": stats.ResidentBytes, "pinned_bytes": stats.PinnedBytes, "gets": stats.Gets, "hits": stats.Hits,
		"misses": stats.Misses, "sets": stats.Sets, "deletes": stats.Deletes, "expired": stats.Expired,
		"evicted": stats.Evicted, "callbacks_dropped": stats.CallbacksDropped, "wal_bytes": stats.WALBytes,
		"wal_syncs": stats.WALSyncs, "snapshots": stats.Snapshots, "revision": int64(stats.Revision),
		"index_bytes": stats.IndexBytes, "entry_bytes": stats.EntryBytes, "large_bytes": stats.LargeBytes,
		"expiry_bytes": stats.ExpiryBytes, "policy_bytes": stats.PolicyBytes, "order_bytes": stats.OrderBytes,
		"callback_bytes": stats.CallbackBytes, "watch_bytes": stats.WatchBytes, "wal_buffer_bytes": stats.WALBufferBytes,
		"expiring_in_1s": stats.ExpiringIn1s, "expiring_in_10s": stats.ExpiringIn10s,
		"expiring_in_1m": stats.ExpiringIn1m, "expiring_in_10m": stats.ExpiringIn10m,
		"near_hits": stats.NearHits, "near_fills": stats.NearFills, "near_invalidations": stats.NearInvalidations,
		"near_drops": stats.NearDrops,
	} {
		got = got.with(name, number)
	}
	return got, nil
}

func (c *conformanceCall) lastFault() (answer, error) {
	if fault := c.run.store.Fault(); fault != nil {
		return asAnswer(fault), nil
	}
	return answer{status: StatusNotFound}, nil
}

func (c *conformanceCall) shutdown() (answer, error) {
	return asAnswer(c.run.store.Close()), nil
}
