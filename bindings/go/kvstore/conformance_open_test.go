package kvstore

// Opening the store of a conformance case, and what its removal callback is told.

import (
	"fmt"
	"time"
)

// told is one removal: cause, key, value.
type told [3][]byte

func (c *conformanceCall) open() (answer, error) {
	if err := c.run.close(); err != nil {
		return answer{}, fmt.Errorf("closing the store before: %w", err)
	}
	open := New
	if c.run.own != "" {
		open = func(options ...Option) (*Store, error) { return openCleared(c.run.own, options...) }
	}
	var options []Option
	for _, argument := range c.arguments {
		text := argument.text
		if argument.isBytes {
			text = string(argument.bytes)
		}
		if argument.name == "at" {
			location := c.run.path(fillServers(text))
			open = func(options ...Option) (*Store, error) { return Open(location, options...) }
			continue
		}
		if argument.name == "on_remove" {
			option, err := c.listen(text)
			if err != nil {
				return answer{}, err
			}
			options = append(options, option)
			continue
		}
		options = append(options, WithOption(argument.name, text))
	}
	store, err := open(options...)
	c.run.store = store
	return asAnswer(err), nil
}

// listen is the option of a store whose removals are told, for the causes in a mask or, for 0, all of them.
func (c *conformanceCall) listen(text string) (Option, error) {
	mask, err := parseNumber(text, c.run.variables)
	if err != nil {
		return nil, err
	}
	var causes []Cause
	for bit := range 32 {
		if mask>>bit&1 != 0 {
			causes = append(causes, Cause(1)<<bit)
		}
	}
	removals := make(chan told, 1<<16)
	c.run.told = removals
	return WithOnRemove(func(cause Cause, key string, value []byte) {
		removals <- told{[]byte(cause.String()), []byte(key), value}
	}, causes...), nil
}

// removed waits until so many removals were told, and lists all that were since the last time.
func (c *conformanceCall) removed() (answer, error) {
	if len(c.arguments) != 1 {
		return answer{}, fmt.Errorf("removed takes a count")
	}
	count, err := parseNumber(c.arguments[0].text, c.run.variables)
	if err != nil {
		return answer{}, err
	}
	got := answer{status: StatusOK, whole: true}
	patience := time.After(time.Minute)
	for ; count > 0; count-- {
		select {
		case one := <-c.run.told:
			got.values = append(got.values, one[:]...)
		case <-patience:
			return answer{}, fmt.Errorf("%d removals less were told", count)
		}
	}
	for {
		select {
		case one := <-c.run.told:
			got.values = append(got.values, one[:]...)
		default:
			return got, nil
		}
	}
}
