package kvstore

// The operations of the conformance cases that write batches and go through many entries.

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

// write fills a Batch, and a BatchBuilder beside it, and applies the first.
func (c *conformanceCall) write() (answer, error) {
	batch, builder := NewBatch(), NewBatchBuilder()
	changes := 0
	for at := 0; at < len(c.arguments); changes++ {
		end := at + 1
		for end < len(c.arguments) && !isChange(c.arguments[end]) {
			end++
		}
		if err := c.addChange(batch, builder, c.arguments[at:end]); err != nil {
			return answer{}, err
		}
		at = end
	}
	if batch.Len() != changes {
		return answer{}, fmt.Errorf("a batch of %d changes says it has %d", changes, batch.Len())
	}
	if built, err := builder.Build(); err == nil && !slices.Equal(built.changes.bytes, batch.changes.bytes) {
		return answer{}, fmt.Errorf("the builder makes another batch")
	} else if err != nil && !errors.Is(err, ErrInvalid) {
		return answer{}, err
	}
	result, err := c.run.store.ApplyBatch(batch)
	got := asAnswer(err)
	counted := []int{result.Successful, result.Failed}
	if err == nil && !slices.Equal(counted, []int{changes, 0}) || err != nil && !slices.Equal(counted, []int{0, changes}) {
		return answer{}, fmt.Errorf("%d changes came to %+v", changes, result)
	}
	if err != nil {
		return got.with("failed", int64(result.FailedIndex)), nil
	}
	return got.with("applied", int64(result.Successful-result.Missing)).with("missing", int64(result.Missing)), nil
}

func isChange(w word) bool {
	return !w.isBytes && !w.named && slices.Contains([]string{"set", "del", "expire"}, w.text)
}

func (c *conformanceCall) addChange(batch *Batch, builder *BatchBuilder, words []word) error {
	kind, has := words[0].text, len(words)
	wrong := fmt.Errorf("write does not take these words: %s", kind)
	if has < 2 || !words[1].isBytes || words[1].named {
		return wrong
	}
	key := string(words[1].bytes)
	switch {
	case kind == "del" && has == 2:
		batch.Delete(key)
		builder.Delete(key)
	case kind == "expire" && has == 3:
		ms, err := parseNumber(words[2].text, c.run.variables)
		ttl := NoTTL
		if err == nil && ms != math.MaxInt64 {
			ttl, err = duration(ms)
		}
		if err != nil {
			return err
		}
		batch.Expire(key, ttl)
		builder.Expire(key, ttl)
	case kind == "set" && has >= 3 && words[2].isBytes:
		value := words[2].bytes
		options, conditional, err := c.setOptionsOf(words[3:])
		if err != nil {
			return err
		}
		switch {
		case has == 3:
			batch.PutString(key, string(value))
		case !conditional:
			batch.PutWithTTL(key, value, options.TTL)
		default:
			batch.PutWith(key, value, options)
		}
		builder.PutWith(key, value, options)
	default:
		return wrong
	}
	return nil
}

// scan goes through Scan, and through an Iterator, which must agree where there is an order.
func (c *conformanceCall) scan() (answer, error) {
	options, err := c.iteratorOptions()
	if err != nil {
		return answer{}, err
	}
	var entries []Entry
	var failure error
	for entry, err := range c.run.store.Scan(options) {
		if err != nil {
			failure = err
			break
		}
		entries = append(entries, entry)
	}
	it := c.run.store.Iterator(&options)
	again := CollectEntries(it)
	if it.Next() || !errors.Is(it.Err(), failure) || len(again) != len(entries) {
		return answer{}, fmt.Errorf("Scan gives %d entries and %v, Iterator %d and %v", len(entries), failure, len(again),
			it.Err())
	}
	if !options.Sorted && !options.Reverse {
		slices.SortFunc(entries, func(a, b Entry) int { return strings.Compare(a.Key, b.Key) })
		slices.SortFunc(again, func(a, b Entry) int { return strings.Compare(a.Key, b.Key) })
	}
	got := asAnswer(failure)
	got.whole = true
	for i, entry := range entries {
		if options.Limit == 0 && (again[i].Key != entry.Key || !bytes.Equal(again[i].Value, entry.Value)) {
			return answer{}, fmt.Errorf("Scan gives %.60q where Iterator gives %.60q", entry.Key, again[i].Key)
		}
		if entry.Version == 0 || (entry.Value == nil) != options.KeysOnly {
			return answer{}, fmt.Errorf("the entry of %.60q is %+v", entry.Key, entry)
		}
		got.values = append(got.values, []byte(entry.Key))
		if !options.KeysOnly {
			got.values = append(got.values, entry.Value)
		}
	}
	return got.with("count", int64(len(entries))), nil
}

func (c *conformanceCall) iteratorOptions() (options IteratorOptions, err error) {
	for _, argument := range c.arguments {
		var number int64
		switch argument.name {
		case "prefix":
			options.Prefix = string(argument.bytes)
		case "start":
			options.Start = string(argument.bytes)
		case "end":
			options.End = string(argument.bytes)
		case "limit":
			number, err = parseNumber(argument.text, c.run.variables)
			options.Limit = int(number)
		case "order":
			options.Sorted, options.Reverse = argument.text == "asc", argument.text == "desc"
		case "keys_only":
			options.KeysOnly = argument.text == "1"
		case "point_in_time":
			options.PointInTime = argument.text == "1"
		default:
			err = fmt.Errorf("%q is no argument of scan", argument.name)
		}
		if err != nil {
			return options, err
		}
	}
	return options, nil
}

// keys asks an iterator for the error, which Keys does not tell.
func (c *conformanceCall) keys() (answer, error) {
	// Servers scan in no order.
	onServer := c.run.own != ""
	it := c.run.store.Iterator(&IteratorOptions{KeysOnly: true, Sorted: !onServer})
	sorted := CollectKeys(it)
	if onServer {
		slices.Sort(sorted)
	}
	keys := c.run.store.Keys()
	slices.Sort(keys)
	if !slices.Equal(keys, sorted) {
		return answer{}, fmt.Errorf("Keys gives %.60q, an iterator %.60q", keys, sorted)
	}
	got := asAnswer(it.Err())
	got.whole = true
	for _, key := range keys {
		got.values = append(got.values, []byte(key))
	}
	return got, nil
}
