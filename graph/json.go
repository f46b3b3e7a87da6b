package graph

import (
	"fmt"
	"math"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// maxJSONDepth is how deep the arrays and objects of a body may nest.
const maxJSONDepth = 64

// decoder reads JSON (RFC 8259) more strictly than encoding/json: a key that
// comes twice in one object is an error at any depth, and so is half a surrogate
// pair, which would be replaced silently otherwise: in a password, say. Integers
// become int64 and other numbers float64, so that a number is never taken for a
// string. The input must be valid UTF-8. Its errors name a byte and no content.
type decoder struct {
	data  []byte
	pos   int
	depth int
}

func (d *decoder) fail(what string) error {
	return fmt.Errorf("%s at byte %d", what, d.pos)
}

func (d *decoder) space() {
	for d.pos < len(d.data) {
		switch d.data[d.pos] {
		case ' ', '\t', '\r', '\n':
			d.pos++
		default:
			return
		}
	}
}

// next is the next byte that is not space, 0 at the end.
func (d *decoder) next() byte {
	d.space()
	if d.pos == len(d.data) {
		return 0
	}
	return d.data[d.pos]
}

func (d *decoder) value() (any, error) {
	switch c := d.next(); {
	case c == '{':
		return d.nested(d.object)
	case c == '[':
		return d.nested(d.array)
	case c == '"':
		return d.string()
	case c == '-' || '0' <= c && c <= '9':
		return d.number()
	case c == 't' && d.word("true"):
		return true, nil
	case c == 'f' && d.word("false"):
		return false, nil
	case c == 'n' && d.word("null"):
		return nil, nil
	}
	return nil, d.fail("a value is missing or misspelled")
}

func (d *decoder) nested(read func() (any, error)) (any, error) {
	if d.depth++; d.depth > maxJSONDepth {
		return nil, d.fail("values nest too deep")
	}
	d.pos++
	value, err := read()
	d.depth--
	return value, err
}

func (d *decoder) word(word string) bool {
	if len(d.data)-d.pos < len(word) || string(d.data[d.pos:d.pos+len(word)]) != word {
		return false
	}
	d.pos += len(word)
	return true
}

func (d *decoder) object() (any, error) {
	out := map[string]any{}
	if d.next() == '}' {
		d.pos++
		return out, nil
	}
	for {
		if d.next() != '"' {
			return nil, d.fail("a key is missing")
		}
		key, err := d.string()
		if err != nil {
			return nil, err
		}
		if _, twice := out[key]; twice {
			return nil, d.fail("a key comes twice")
		}
		if d.next() != ':' {
			return nil, d.fail("a colon is missing")
		}
		d.pos++
		if out[key], err = d.value(); err != nil {
			return nil, err
		}
		switch d.next() {
		case ',':
			d.pos++
		case '}':
			d.pos++
			return out, nil
		default:
			return nil, d.fail("an object is not closed")
		}
	}
}

func (d *decoder) array() (any, error) {
	out := []any{}
	if d.next() == ']' {
		d.pos++
		return out, nil
	}
	for {
		value, err := d.value()
		if err != nil {
			return nil, err
		}
		out = append(out, value)
		switch d.next() {
		case ',':
			d.pos++
		case ']':
			d.pos++
			return out, nil
		default:
			return nil, d.fail("an array is not closed")
		}
	}
}

// string reads a string whose opening quote is the current byte.
func (d *decoder) string() (string, error) {
	d.pos++
	start := d.pos
	for d.pos < len(d.data) {
		switch c := d.data[d.pos]; {
		case c == '"':
			d.pos++
			return string(d.data[start : d.pos-1]), nil
		case c == '\\':
			return d.escaped(start)
		case c < 0x20:
			return "", d.fail("a string has a control character")
		default:
			d.pos++
		}
	}
	return "", d.fail("a string is not closed")
}

// escaped reads on in a string that began at start and has an escape here.
func (d *decoder) escaped(start int) (string, error) {
	out := append(make([]byte, 0, 2*(d.pos-start)+32), d.data[start:d.pos]...)
	for d.pos < len(d.data) {
		c := d.data[d.pos]
		switch {
		case c == '"':
			d.pos++
			return string(out), nil
		case c < 0x20:
			return "", d.fail("a string has a control character")
		case c != '\\':
			out = append(out, c)
			d.pos++
			continue
		}
		r, ok := d.escape()
		if !ok {
			return "", d.fail("an escape is misspelled")
		}
		out = utf8.AppendRune(out, r)
	}
	return "", d.fail("a string is not closed")
}

// escape reads one escape sequence, or the two of a surrogate pair.
func (d *decoder) escape() (rune, bool) {
	if d.pos+1 >= len(d.data) {
		return 0, false
	}
	c := d.data[d.pos+1]
	if c == 'u' {
		r, ok := d.unicode()
		if !ok || !utf16.IsSurrogate(r) {
			return r, ok
		}
		low, ok := d.unicode()
		r = utf16.DecodeRune(r, low)
		return r, ok && r != utf8.RuneError
	}
	d.pos += 2
	switch c {
	case '"', '\\', '/':
		return rune(c), true
	case 'b':
		return '\b', true
	case 'f':
		return '\f', true
	case 'n':
		return '\n', true
	case 'r':
		return '\r', true
	case 't':
		return '\t', true
	}
	return 0, false
}

// unicode reads \uXXXX.
func (d *decoder) unicode() (rune, bool) {
	if len(d.data)-d.pos < 6 || d.data[d.pos] != '\\' || d.data[d.pos+1] != 'u' {
		return 0, false
	}
	var r rune
	for _, c := range d.data[d.pos+2 : d.pos+6] {
		switch {
		case '0' <= c && c <= '9':
			r = r<<4 | rune(c-'0')
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			r = r<<4 | rune(c|0x20-'a'+10)
		default:
			return 0, false
		}
	}
	d.pos += 6
	return r, true
}

func (d *decoder) number() (any, error) {
	start := d.pos
	if d.data[d.pos] == '-' {
		d.pos++
	}
	integer, ok := true, true
	if d.pos < len(d.data) && d.data[d.pos] == '0' {
		d.pos++
	} else {
		ok = d.digits()
	}
	if ok && d.pos < len(d.data) && d.data[d.pos] == '.' {
		d.pos++
		integer, ok = false, d.digits()
	}
	if ok && d.pos < len(d.data) && d.data[d.pos]|0x20 == 'e' {
		d.pos++
		if d.pos < len(d.data) && (d.data[d.pos] == '+' || d.data[d.pos] == '-') {
			d.pos++
		}
		integer, ok = false, d.digits()
	}
	if !ok {
		return nil, d.fail("a number is misspelled")
	}
	text := string(d.data[start:d.pos])
	if integer {
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return n, nil
		}
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsInf(f, 0) {
		return nil, d.fail("a number is too large")
	}
	return f, nil
}

func (d *decoder) digits() bool {
	start := d.pos
	for d.pos < len(d.data) && '0' <= d.data[d.pos] && d.data[d.pos] <= '9' {
		d.pos++
	}
	return d.pos > start
}
