package kvstore

// Iterators: the entries of a store, of a prefix or of a range, while other calls go on. What is given out is a copy and
// the caller's, as everywhere in this package.
//
// Why entries are read ahead, although a call on one could tell what holds at that moment: a call into C for each would
// cost more than the scan does. So the deadline of what was read ahead is looked at again before it is given out.

import "iter"

// IteratorOptions says which entries an iterator gives, and in which order. Its zero value is all of them, in any order.
type IteratorOptions struct {
	// Prefix leaves out the keys that do not begin with it.
	Prefix string
	// Start leaves out the keys before it.
	Start string
	// End, unless it is empty, leaves out itself and the keys behind it.
	End string
	// Sorted gives the smallest key first, byte by byte. Without WithOrderedIndex it takes several passes over the store:
	// each finds the next few megabytes of keys.
	Sorted bool
	// Reverse gives the largest key first. It is an order of its own: Sorted means nothing beside it.
	Reverse bool
	// Limit is the most entries that are given; 0 or less is no limit.
	Limit int
	// KeysOnly leaves the values out: they are nil, for the Filter too.
	KeysOnly bool
	// PointInTime gives every entry as it was when the iterator began, unless it has expired since, and no other. No
	// write waits for that: what changes is kept as it was, up to the option scan_buffer_bytes, until the iterator has
	// ended or is closed. If that is too little, or the store is cleared, the iterator ends with ErrConflict.
	PointInTime bool
	// Filter, unless it is nil, leaves out the entries for which it says false. It is called by Next, on its goroutine,
	// and may use the store. The key and the value are its own to keep.
	Filter func(key string, value []byte) bool
}

// Iterator gives entries one by one:
//
//	it := store.PrefixIterator("user:")
//	defer it.Close()
//	for it.Next() {
//		fmt.Println(it.Key(), it.Value())
//	}
//	err := it.Err()
//
// An entry that is there from the beginning to the end comes exactly once. One that is set, changed or removed meanwhile
// may be missing, or come as it was at any moment since the iterator began; but no key comes twice, and nothing comes that
// has expired. No write waits for an iterator. It is a look at one moment only with PointInTime.
//
// An Iterator belongs to one goroutine at a time. Reading by it does not count as use of the entries, for eviction and
// for Stats.
type Iterator struct {
	scan    *scan // nil once there is nothing more to take
	options IteratorOptions
	left    int
	entry   Entry
	err     error
}

// Iterator begins an iterator; nil options are all entries in any order. If it cannot begin, Next says false and Err why.
func (s *Store) Iterator(options *IteratorOptions) *Iterator {
	it := &Iterator{}
	if options != nil {
		it.options = *options
	}
	it.left = it.options.Limit
	h, err := s.handle()
	if err != nil {
		it.err = err
		return it
	}
	begun, status := h.scan(it.options.bounds())
	it.scan, it.err = begun, status.err()
	return it
}

// PrefixIterator gives the entries whose keys begin with a prefix, the smallest key first.
func (s *Store) PrefixIterator(prefix string) *Iterator {
	return s.Iterator(&IteratorOptions{Prefix: prefix, Sorted: true})
}

// RangeIterator gives the entries from start on to before end, the smallest key first. An empty end is no end.
func (s *Store) RangeIterator(start, end string) *Iterator {
	return s.Iterator(&IteratorOptions{Start: start, End: end, Sorted: true})
}

// Scan gives entries for range, with whatever ends them early as the error of the last step:
//
//	for entry, err := range store.Scan(kvstore.IteratorOptions{Prefix: "user:", Sorted: true}) {
//		if err != nil {
//			return err
//		}
//		fmt.Println(entry.Key, entry.Value, entry.ExpiresAt)
//	}
//
// Each range begins anew. What comes is what Iterator promises.
func (s *Store) Scan(options IteratorOptions) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		it := s.Iterator(&options)
		defer it.Close()
		for it.Next() {
			if !yield(it.entry, nil) {
				return
			}
		}
		if it.err != nil {
			yield(Entry{}, it.err)
		}
	}
}

// Keys gives all keys, in any order: those that Iterator gives. It takes memory for all of them. A closed store has none.
func (s *Store) Keys() []string {
	return CollectKeys(s.Iterator(&IteratorOptions{KeysOnly: true}))
}

// Next goes to the next entry, and says whether there is one.
func (it *Iterator) Next() bool {
	it.entry = Entry{}
	for it.scan != nil {
		one, status := it.scan.next()
		if status != StatusOK {
			if status != StatusDone {
				it.err = status.err()
			}
			break
		}
		if it.scan.hasExpired(one) {
			continue
		}
		entry := Entry{Key: string(one.key), Version: one.version, ExpiresAt: deadline(one.expireAtMs)}
		if !it.options.KeysOnly {
			entry.Value = clone(one.value)
		}
		if filter := it.options.Filter; filter != nil && !filter(entry.Key, entry.Value) {
			continue
		}
		it.entry = entry
		if it.left--; it.left == 0 {
			it.end()
		}
		return true
	}
	it.end()
	return false
}

// Key is the key of the entry that Next came to; empty before the first and after the last one.
func (it *Iterator) Key() string {
	return it.entry.Key
}

// Value is the value of the entry that Next came to, for the caller to keep and change. It is nil before the first entry,
// after the last one, and with KeysOnly.
func (it *Iterator) Value() []byte {
	return it.entry.Value
}

// Entry is what is known of the entry that Next came to: all but CreatedAt and Hits, which GetEntry tells.
func (it *Iterator) Entry() Entry {
	return it.entry
}

// Err says what ended the iterator early, once Next has said false: ErrConflict if Restore replaced the contents, or see
// PointInTime; ErrClosed and so on; nil if it came to its end.
func (it *Iterator) Err() error {
	return it.err
}

// Close ends the iterator and frees what it holds. Next says false from then on. It does no harm to close often, or after
// the end; one that is dropped without is closed by the garbage collector.
func (it *Iterator) Close() {
	it.end()
	it.entry = Entry{}
}

// All gives the keys and values that are left for range, and closes the iterator. Err says afterwards what ended it early.
func (it *Iterator) All() iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		defer it.Close()
		for it.Next() {
			if !yield(it.entry.Key, it.entry.Value) {
				return
			}
		}
	}
}

func (it *Iterator) end() {
	if it.scan != nil {
		it.scan.close()
		it.scan = nil
	}
}

// CollectKeys gives the keys that are left of an iterator, and closes it. It stops where the iterator does: see Err.
func CollectKeys(it *Iterator) []string {
	return collect(it, (*Iterator).Key)
}

// CollectValues gives the values that are left of an iterator, and closes it. It stops where the iterator does: see Err.
func CollectValues(it *Iterator) [][]byte {
	return collect(it, (*Iterator).Value)
}

// CollectEntries gives the entries that are left of an iterator, and closes it. It stops where the iterator does: see Err.
func CollectEntries(it *Iterator) []Entry {
	return collect(it, (*Iterator).Entry)
}

func collect[T any](it *Iterator, of func(*Iterator) T) []T {
	all := []T{}
	defer it.Close()
	for it.Next() {
		all = append(all, of(it))
	}
	return all
}

// bounds is what of it the library does: all but the filter, and so not the limit where there is one.
func (o *IteratorOptions) bounds() bounds {
	want := bounds{prefix: o.Prefix, start: o.Start, end: o.End, keysOnly: o.KeysOnly,
		pointInTime: o.PointInTime}
	if o.Filter == nil {
		want.limit = max(o.Limit, 0)
	}
	switch {
	case o.Reverse:
		want.order = orderDesc
	case o.Sorted:
		want.order = orderAsc
	}
	return want
}
