package kvstore

// Batches: changes that are made all together or not at all. A batch is packed while it is filled, so that writing it is
// one call into C, however many changes it has.

import (
	"strconv"
	"time"
)

// Batch collects changes for ApplyBatch. Its zero value is empty and ready to use. It is of no store, and may be applied
// any number of times. Keys and values are copied. A Batch belongs to one goroutine at a time, but several may apply it at
// once.
type Batch struct {
	changes changes
}

// NewBatch makes an empty batch.
func NewBatch() *Batch {
	return &Batch{}
}

// Put adds: store a value under a key, as Set does.
func (b *Batch) Put(key string, value []byte) {
	b.PutWithTTL(key, value, DefaultTTL)
}

// PutString is Put for a value that is text.
func (b *Batch) PutString(key, value string) {
	addPut(&b.changes, key, value, nativeSet{ttlMs: ttlDefaultMs})
}

// PutWithTTL adds: store a value that expires so long after the batch is applied; ttl is as for SetWithTTL.
func (b *Batch) PutWithTTL(key string, value []byte, ttl time.Duration) {
	addPut(&b.changes, key, value, nativeSet{ttlMs: ttlMs(ttl)})
}

// PutWith adds: store a value as SetWith does. If its condition does not hold, nothing of the batch is done. IfVersion does
// not hold for a key that the batch has changed before.
func (b *Batch) PutWith(key string, value []byte, options SetOptions) {
	addPut(&b.changes, key, value, options.native())
}

// Delete adds: remove a key.
func (b *Batch) Delete(key string) {
	b.changes.addDelete(key)
}

// Expire adds: make a key expire so long after the batch is applied, as the Expire of a Store does.
func (b *Batch) Expire(key string, ttl time.Duration) {
	b.changes.addExpire(key, expireMs(ttl))
}

// Len is the number of changes in the batch.
func (b *Batch) Len() int {
	return b.changes.len()
}

// Clear takes all changes out of the batch. It keeps their memory, for others.
func (b *Batch) Clear() {
	b.changes.clear()
}

// BatchResult tells what became of a batch.
type BatchResult struct {
	// Successful is the number of changes in a batch that was applied, and 0 of another.
	Successful int
	// Failed is the number of changes in a batch that was not applied, and 0 of another.
	Failed int
	// Missing is how many of the successful ones were of keys that were absent: there was nothing to delete, or to expire.
	Missing int
	// FailedIndex is, with ErrConflict, the number of the first change whose condition did not hold, from 0.
	FailedIndex int
}

// ApplyBatch makes all changes of a batch at one moment, or none of them: no other call sees some of them, and neither does
// the next opening after a crash. They apply in order: what comes later sees what came before. It fails with ErrConflict
// if a condition does not hold, with ErrFull if there is no room for all, and otherwise as the single calls do; the message
// names the change by its number, from 0. A nil batch is an empty one.
func (s *Store) ApplyBatch(batch *Batch) (BatchResult, error) {
	if batch == nil {
		batch = &Batch{}
	}
	h, err := s.handle()
	if err != nil {
		return BatchResult{Failed: batch.Len()}, err
	}
	done, err := h.write(&batch.changes)
	if err != nil {
		return BatchResult{Failed: batch.Len(), FailedIndex: done.failedIndex}, err
	}
	return BatchResult{Successful: batch.Len(), Missing: done.missing}, nil
}

// BatchBuilder makes a batch in one expression:
//
//	batch, err := kvstore.NewBatchBuilder().
//		PutString("key", "value").
//		Delete("old-key").
//		Build()
type BatchBuilder struct {
	batch Batch
	err   error
}

// NewBatchBuilder begins a batch.
func NewBatchBuilder() *BatchBuilder {
	return &BatchBuilder{}
}

// Put adds what the Put of a Batch does.
func (b *BatchBuilder) Put(key string, value []byte) *BatchBuilder {
	b.batch.Put(key, value)
	return b
}

// PutString adds what the PutString of a Batch does.
func (b *BatchBuilder) PutString(key, value string) *BatchBuilder {
	b.batch.PutString(key, value)
	return b
}

// PutWithTTL adds what the PutWithTTL of a Batch does.
func (b *BatchBuilder) PutWithTTL(key string, value []byte, ttl time.Duration) *BatchBuilder {
	b.check(ttl)
	b.batch.PutWithTTL(key, value, ttl)
	return b
}

// PutWith adds what the PutWith of a Batch does.
func (b *BatchBuilder) PutWith(key string, value []byte, options SetOptions) *BatchBuilder {
	if options.ExpireAt.IsZero() {
		b.check(options.TTL)
	}
	b.batch.PutWith(key, value, options)
	return b
}

// Delete adds what the Delete of a Batch does.
func (b *BatchBuilder) Delete(key string) *BatchBuilder {
	b.batch.Delete(key)
	return b
}

// Expire adds what the Expire of a Batch does.
func (b *BatchBuilder) Expire(key string, ttl time.Duration) *BatchBuilder {
	b.batch.Expire(key, ttl)
	return b
}

// Build gives the batch, and begins another. It fails with ErrInvalid if something of it could not be applied to any store:
// a TTL that is negative. What a store may refuse, as keys and values over its limits, ApplyBatch tells.
func (b *BatchBuilder) Build() (*Batch, error) {
	built, err := b.batch, b.err
	*b = BatchBuilder{}
	if err != nil {
		return nil, err
	}
	return &built, nil
}

// check notes the first TTL that is none.
func (b *BatchBuilder) check(ttl time.Duration) {
	if ttl < 0 && ttl != KeepTTL && b.err == nil {
		b.err = &Error{Status: StatusInvalid, Message: "change " + strconv.Itoa(b.batch.Len()) +
			" of the batch has a TTL of " + ttl.String() + ": a TTL is positive, NoTTL, KeepTTL or DefaultTTL"}
	}
}
