package kvstore

// Runs the cases of tests/conformance through this package, and proves that the driver can fail.

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// allFeatures are those the format knows; a case that needs another one is an error.
var allFeatures = []string{
	"set_many", "batch", "scan", "keys", "location", "directory", "get_into", "del_if",
	"last_fault", "raw_ttl", "wide_ttl", "far_deadline", "watch",
	"versions", "order", "moment", "history", "files", "engine", "servers",
}

// answer is what an operation came to.
type answer struct {
	status  Status
	err     error
	values  [][]byte // nil for a hole
	whole   bool     // every value must be listed, also if none is
	numbers map[string]int64
}

// conformanceRun is the state of one case.
type conformanceRun struct {
	store   *Store
	told    chan told
	watcher *Watcher
	// cancel ends the context of the watcher.
	cancel    context.CancelFunc
	folder    string
	variables map[string]int64
	// own is where a store is opened of which the case says nothing; empty for this process.
	own string
	// get reads a value: the cases run once for every way of reading.
	get func(store *Store, key string) ([]byte, error)
}

var waysToGet = map[string]func(*Store, string) ([]byte, error){
	"Get": (*Store).Get,
	"GetString": func(s *Store, key string) ([]byte, error) {
		value, err := s.GetString(key)
		return []byte(value), err
	},
	"AppendGet": func(s *Store, key string) ([]byte, error) {
		value, err := s.AppendGet(make([]byte, 2, 64), key)
		return value[2:], err
	},
}

func TestConformance(t *testing.T) {
	cases := loadCases(t)
	if len(cases) < 150 {
		t.Fatalf("only %d cases were found", len(cases))
	}
	lacking := conformanceLacks(t)
	for way, get := range waysToGet {
		if way != "Get" && os.Getenv("KV_AT") != "" {
			// The ways differ in this package, and a server makes each case take longer.
			continue
		}
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			skipped := 0
			for _, c := range cases {
				if lacks(lacking, c.needs) {
					skipped++
				} else if err := runCase(c, get, ownPlace(way, c.name)); err != nil {
					t.Errorf("case %s: %v", c.name, err)
				}
			}
			t.Logf("%d cases ran, %d need what is not here", len(cases)-skipped, skipped)
		})
	}
}

func loadCases(t *testing.T) []*conformanceCase {
	t.Helper()
	files, err := filepath.Glob("../../../tests/conformance/*.kvt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases in ../../../tests/conformance: %v", err)
	}
	var all []*conformanceCase
	seen := map[string]bool{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		cases, err := readCases(filepath.Base(file), content)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range cases {
			if seen[c.name] {
				t.Errorf("%s: two cases are named %s", c.file, c.name)
			}
			seen[c.name] = true
			for _, feature := range c.needs {
				if !slices.Contains(allFeatures, feature) {
					t.Errorf("%s: case %s needs the unknown feature %q", c.file, c.name, feature)
				}
			}
		}
		all = append(all, cases...)
	}
	return all
}

func lacks(lacking, needs []string) bool {
	return slices.ContainsFunc(needs, func(feature string) bool {
		return slices.Contains(lacking, feature)
	})
}

func runCase(c *conformanceCase, get func(*Store, string) ([]byte, error), own string) error {
	folder, err := os.MkdirTemp("", "conformance-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	run := &conformanceRun{variables: map[string]int64{}, get: get, folder: folder, own: own}
	for _, line := range c.lines {
		if err := run.line(line.words); err != nil {
			_ = run.close()
			return fmt.Errorf("%s:%d: %w", c.file, line.number, err)
		}
	}
	if err := run.close(); err != nil {
		return fmt.Errorf("%s: closing: %w", c.file, err)
	}
	return nil
}

func (r *conformanceRun) close() error {
	r.endWatch()
	if r.store == nil {
		return nil
	}
	store := r.store
	r.store = nil
	return store.Close()
}

// path is a text with the case's directory in the place of {dir}.
func (r *conformanceRun) path(text string) string {
	return strings.ReplaceAll(text, "{dir}", r.folder)
}

func (r *conformanceRun) line(words []word) error {
	switch words[0].text {
	case "let":
		if len(words) != 3 || !strings.HasPrefix(words[1].text, "$") {
			return fmt.Errorf("let takes $NAME and a number")
		}
		number, err := parseNumber(words[2].text, r.variables)
		r.variables[words[1].text[1:]] = number
		return err
	case "wait":
		ms, err := parseNumber(words[1].text, r.variables)
		time.Sleep(time.Duration(ms) * time.Millisecond)
		return err
	}
	arrow := slices.IndexFunc(words, func(w word) bool { return w.text == "->" && !w.named })
	if arrow < 1 || arrow+1 >= len(words) {
		return fmt.Errorf("a call is followed by -> and a status")
	}
	call := &conformanceCall{run: r, arguments: words[1:arrow], expected: words[arrow+2:]}
	got, err := call.perform(words[0].text)
	if err != nil {
		return err
	}
	status, err := parseStatus(words[arrow+1].text)
	if err != nil {
		return err
	}
	if got.status != status {
		return fmt.Errorf("expected %v, got %v (%v)", status, got.status, got.err)
	}
	return r.check(got, words[arrow+2:])
}

func parseStatus(name string) (Status, error) {
	for status := StatusCrossSlot; status <= StatusLagged; status++ {
		if status.String() == "KV_"+name {
			return status, nil
		}
	}
	return 0, fmt.Errorf("%q is no status", name)
}

// check compares the results that are written with those that came.
func (r *conformanceRun) check(got answer, expected []word) error {
	values := 0
	for _, want := range expected {
		if want.named {
			if err := r.checkNamed(got, want); err != nil {
				return err
			}
			continue
		}
		if values >= len(got.values) {
			return fmt.Errorf("expected more than %d values", len(got.values))
		}
		value := got.values[values]
		values++
		switch {
		case want.isBytes && value == nil:
			return fmt.Errorf("expected %.60q, got a hole", want.bytes)
		case want.isBytes && !bytes.Equal(want.bytes, value):
			return fmt.Errorf("expected %.60q (%d bytes), got %.60q (%d bytes)", want.bytes, len(want.bytes), value, len(value))
		case !want.isBytes && want.text != "-":
			return fmt.Errorf("%q is no result", want.text)
		case !want.isBytes && value != nil:
			return fmt.Errorf("expected a hole, got %.60q", value)
		}
	}
	if (values > 0 || got.whole) && values < len(got.values) {
		return fmt.Errorf("expected %d values, got %d", values, len(got.values))
	}
	return nil
}

func (r *conformanceRun) checkNamed(got answer, want word) error {
	if want.name == "message" && want.isBytes {
		if got.err == nil || !strings.Contains(got.err.Error(), string(want.bytes)) {
			return fmt.Errorf("expected a message with %q, got %v", want.bytes, got.err)
		}
		return nil
	}
	number, known := got.numbers[want.name]
	if !known || want.isBytes {
		return fmt.Errorf("%s is no result of this operation", want.name)
	}
	text := want.text
	if strings.HasPrefix(text, "?") {
		r.variables[text[1:]] = number
		return nil
	}
	low, high, isRange := strings.Cut(text, "..")
	if !isRange {
		low, high = strings.TrimLeft(text, "<>"), "0"
	}
	from, err := parseNumber(low, r.variables)
	if err != nil {
		return err
	}
	to, err := parseNumber(high, r.variables)
	if err != nil {
		return err
	}
	holds := number == from
	switch {
	case isRange:
		holds = from <= number && number <= to
	case text[0] == '>':
		holds = number > from
	case text[0] == '<':
		holds = number < from
	}
	if !holds {
		return fmt.Errorf("expected %s=%s, got %d", want.name, text, number)
	}
	return nil
}

// A driver that cannot fail proves nothing: each of these expectations is wrong, and must be refused.
func TestConformanceDriverCanFail(t *testing.T) {
	planted := []string{
		`get "k" -> NOT_FOUND`,
		`open at="{dir}/data" -> ERR_LOCKED`,
		`snapshot "{dir}/file.kvs" -> OK entries=2`,
		`restore "{dir}/file.kvs" -> OK`,
		`recovery -> OK records=1`,
		`get "k" -> OK "w"`,
		`get "k" -> OK "v" "v"`,
		`get "gone" -> OK`,
		`set "k" "v" -> OK version=1..2 version=>1000000`,
		`set "k" "v" -> OK version=<1`,
		`set "k" "v" -> OK len=1`,
		`ttl "k" -> OK ttl=5`,
		`ttl "k" -> OK ttl=1..600000`,
		`get_many "k" "gone" -> OK "v" "v"`,
		`get_many "k" "gone" -> OK "v"`,
		`get_many "k" "gone" -> OK - -`,
		`removed 0 -> OK "deleted"`,
		`write set "a" "1" -> OK applied=2`,
		`write set "k" "1" if=absent -> CONFLICT failed=1`,
		`write set "k" "1" if=absent -> OK`,
		`write nothing "k" -> OK`,
		`scan -> OK`,
		`scan -> OK "k"`,
		`scan -> OK "k" "w"`,
		`scan keys_only=1 -> OK "k" "v"`,
		`scan no_such_argument=1 -> OK "k" "v"`,
		`keys -> OK`,
		`keys -> OK "k" "l"`,
		`watch changes=32 -> OK`,
		`event -> TIMEOUT`,
		`len -> OK count=2`,
		`stats -> OK sets=7`,
		`stats -> OK no_such_field=0`,
		`configure max_entris=5 -> ERR_UNSUPPORTED message="nonsense"`,
		`configure max_entries=5 -> OK message=""`,
		`no_such_operation "k" -> OK`,
		`set "k" "v" no_such_argument=1 -> OK`,
		`set "k" -> OK`,
		`get "k" -> NO_SUCH_STATUS`,
		`get "k"`,
		`get "k" -> OK $unset`,
		`len -> OK count=$unset`,
		`get "k -> OK`,
		`get "\q" -> OK`,
	}
	for i, line := range planted {
		text := "case planted-" + strconv.Itoa(i) + "\nopen -> OK\nset \"k\" \"v\" -> OK\n" + line + "\n"
		cases, err := readCases("planted", []byte(text))
		if err == nil {
			err = runCase(cases[0], (*Store).Get, "")
		}
		if err == nil {
			t.Errorf("the driver let this pass: %s", line)
		}
	}
}
