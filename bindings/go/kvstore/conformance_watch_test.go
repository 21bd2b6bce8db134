package kvstore

// The operations of the conformance cases on a watch.

import (
	"context"
	"errors"
	"fmt"
	"math"
)

// watch begins a watcher in the place of the one before.
func (c *conformanceCall) watch() (answer, error) {
	var options WatchOptions
	for _, argument := range c.arguments {
		switch argument.name {
		case "key", "prefix":
			options.KeyOrPrefix, options.Exact = string(argument.bytes), argument.name == "key"
		case "from", "changes":
			number, err := parseNumber(argument.text, c.run.variables)
			if err != nil {
				return answer{}, err
			}
			if argument.name == "from" {
				options.FromRevision = uint64(number)
			} else {
				options.Kinds = []EventKind{EventKind(number)}
			}
		default:
			return answer{}, fmt.Errorf("%q is no argument of watch", argument.name)
		}
	}
	c.run.endWatch()
	ctx, cancel := context.WithCancel(context.Background())
	watcher, err := c.run.store.NewWatcher(ctx, options)
	c.run.watcher, c.run.cancel = watcher, cancel
	return asAnswer(err), nil
}

// event gives what the watcher has next.
func (c *conformanceCall) event() (answer, error) {
	if len(c.arguments) != 0 || c.run.watcher == nil {
		return answer{}, fmt.Errorf("event takes nothing, and a watch that was begun")
	}
	event, there, err := c.run.watcher.TryNext()
	switch {
	case errors.Is(err, context.Canceled):
		return answer{status: StatusDone}, nil
	case err != nil:
		return asAnswer(err), nil
	case !there:
		return answer{status: StatusTimeout}, nil
	case event.Kind == EventLagged:
		got := answer{status: StatusLagged}
		return got.with("revision", int64(event.Revision)).with("lagged", int64(event.Missed)), nil
	}
	if (event.Value != nil) != (event.Kind == EventSet) {
		return answer{}, fmt.Errorf("the value of %v is %q", event.Kind, event.Value)
	}
	got := answer{whole: true}
	got.values = [][]byte{[]byte(event.Kind.String()), []byte(event.Key), append([]byte{}, event.Value...)}
	expireAt := int64(math.MaxInt64)
	if !event.ExpireAt.IsZero() {
		expireAt = event.ExpireAt.UnixMilli()
	}
	return got.with("revision", int64(event.Revision)).with("expire_at", expireAt), nil
}

func (c *conformanceCall) cancel() (answer, error) {
	if len(c.arguments) != 0 || c.run.watcher == nil {
		return answer{}, fmt.Errorf("cancel takes nothing, and a watch that was begun")
	}
	c.run.cancel()
	return answer{}, nil
}

func (r *conformanceRun) endWatch() {
	if r.watcher != nil {
		r.cancel()
		r.watcher.Close()
		r.watcher = nil
	}
}
