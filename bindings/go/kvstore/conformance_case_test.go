package kvstore

// The text format of the conformance cases: files into cases, lines into words, words into values.
// tests/conformance/README.md describes it. What it does not describe is an error here, never skipped.

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// conformanceCase is one case of a file.
type conformanceCase struct {
	file  string
	name  string
	needs []string
	lines []conformanceLine
}

type conformanceLine struct {
	number int
	words  []word
}

// word is bytes, or a plain text, either of them behind a name or not.
type word struct {
	named   bool
	name    string
	isBytes bool
	bytes   []byte
	text    string
}

func readCases(file string, content []byte) ([]*conformanceCase, error) {
	var cases []*conformanceCase
	for i, line := range bytes.Split(content, []byte("\n")) {
		text := strings.Trim(string(line), " ")
		if text == "" || text[0] == '#' {
			continue
		}
		words, err := splitWords(text)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", file, i+1, err)
		}
		switch first := words[0].text; {
		case first == "case" && len(words) == 2:
			cases = append(cases, &conformanceCase{file: file, name: words[1].text})
		case first == "case" || len(cases) == 0:
			return nil, fmt.Errorf("%s:%d: a case begins with `case NAME`", file, i+1)
		case first == "needs":
			last := cases[len(cases)-1]
			for _, feature := range words[1:] {
				last.needs = append(last.needs, feature.text)
			}
		default:
			last := cases[len(cases)-1]
			last.lines = append(last.lines, conformanceLine{i + 1, words})
		}
	}
	return cases, nil
}

// splitWords cuts a line at the spaces outside quotes.
func splitWords(line string) ([]word, error) {
	var words []word
	quoted, from := false, 0
	for at := 0; at <= len(line); at++ {
		switch {
		case at == len(line) || line[at] == ' ' && !quoted:
			if at > from {
				parsed, err := parseWord(line[from:at])
				if err != nil {
					return nil, err
				}
				words = append(words, parsed)
			}
			from = at + 1
		case line[at] == '\\' && quoted:
			at++
		case line[at] == '"':
			quoted = !quoted
		}
	}
	if quoted {
		return nil, fmt.Errorf("a quote is not closed")
	}
	return words, nil
}

func parseWord(text string) (word, error) {
	if text[0] == '"' {
		value, err := parseBytes(text)
		return word{isBytes: true, bytes: value}, err
	}
	name, value, named := strings.Cut(text, "=")
	if !named {
		return word{text: text}, nil
	}
	parsed := word{named: true, name: name, text: value}
	if strings.HasPrefix(value, `"`) {
		var err error
		parsed.isBytes = true
		parsed.bytes, err = parseBytes(value)
		return parsed, err
	}
	return parsed, nil
}

// parseBytes reads "…", repeated with *N, joined with +.
func parseBytes(text string) ([]byte, error) {
	value := []byte{}
	for {
		part, rest, err := parseQuoted(text)
		if err != nil {
			return nil, err
		}
		times := 1
		if strings.HasPrefix(rest, "*") {
			digits := len(rest[1:]) - len(strings.TrimLeft(rest[1:], "0123456789"))
			times, err = strconv.Atoi(rest[1 : 1+digits])
			if err != nil {
				return nil, fmt.Errorf("%q repeats by no number", text)
			}
			rest = rest[1+digits:]
		}
		value = append(value, bytes.Repeat(part, times)...)
		if rest == "" {
			return value, nil
		}
		if rest[0] != '+' {
			return nil, fmt.Errorf("%q is no bytes", rest)
		}
		text = rest[1:]
	}
}

func parseQuoted(text string) (value []byte, rest string, err error) {
	if text == "" || text[0] != '"' {
		return nil, "", fmt.Errorf("%q should start with a quote", text)
	}
	for at := 1; at < len(text); at++ {
		switch text[at] {
		case '"':
			return value, text[at+1:], nil
		case '\\':
			escape := text[at+1:]
			switch {
			case strings.HasPrefix(escape, `\`) || strings.HasPrefix(escape, `"`):
				value = append(value, escape[0])
				at++
			case strings.HasPrefix(escape, "x") && len(escape) >= 3:
				number, err := strconv.ParseUint(escape[1:3], 16, 8)
				if err != nil {
					return nil, "", fmt.Errorf("%q is no escape", escape[:3])
				}
				value = append(value, byte(number))
				at += 3
			default:
				return nil, "", fmt.Errorf("%q has an unknown escape", text)
			}
		default:
			value = append(value, text[at])
		}
	}
	return nil, "", fmt.Errorf("%q has no closing quote", text)
}

// parseNumber reads a decimal number, or `now`, `$NAME` or `never` with an optional +INT or -INT behind.
func parseNumber(text string, variables map[string]int64) (int64, error) {
	if number, err := strconv.ParseInt(text, 10, 64); err == nil {
		return number, nil
	}
	name, offset := text, int64(0)
	if at := strings.LastIndexAny(text, "+-"); at > 0 {
		var err error
		if offset, err = strconv.ParseInt(text[at:], 10, 64); err != nil {
			return 0, fmt.Errorf("%q is no number", text)
		}
		name = text[:at]
	}
	switch {
	case name == "now":
		return time.Now().UnixMilli() + offset, nil
	case name == "never":
		return math.MaxInt64 + offset, nil
	case strings.HasPrefix(name, "$"):
		value, known := variables[name[1:]]
		if !known {
			return 0, fmt.Errorf("%q is not set", name)
		}
		return value + offset, nil
	}
	return 0, fmt.Errorf("%q is no number", text)
}
