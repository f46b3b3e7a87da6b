// Package secret owns the one type that carries passwords, tokens and keys
// through the program. It refuses to be printed: every formatting, logging and
// encoding path of the standard library shows a placeholder, an address or an
// error. It knows nothing about what the secrets are for.
package secret

import (
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"log/slog"
)

const redacted = "[redacted]"

// Text is a string that must not be written anywhere by accident. The zero
// value is the empty text. Only [Text.Reveal] gives the content away. Texts are
// compared with [Text.Equal]; == does not compile.
//
// The content is behind a pointer on purpose: where package fmt cannot call the
// methods below (an unexported field of a struct, %p, %w) it walks the fields by
// reflection, and there it prints the address instead of the content.
type Text struct {
	_     [0]func() // == would compare addresses
	value *string
}

// New wraps value.
func New(value string) Text {
	if value == "" {
		return Text{}
	}
	return Text{value: &value}
}

// Reveal returns the content. Call it where the content leaves the process on
// purpose (a response body, a cookie) or is computed with, and nowhere else.
func (t Text) Reveal() string {
	if t.value == nil {
		return ""
	}
	return *t.value
}

// IsEmpty reports whether there is no content.
func (t Text) IsEmpty() bool { return t.value == nil }

// Len is the length of the content in bytes.
func (t Text) Len() int { return len(t.Reveal()) }

// Equal reports whether both contents are the same, in a time that tells
// nothing but whether the lengths are.
func (t Text) Equal(other Text) bool {
	return subtle.ConstantTimeCompare([]byte(t.Reveal()), []byte(other.Reveal())) == 1
}

// String implements [fmt.Stringer] with a placeholder.
func (Text) String() string { return redacted }

// Format implements [fmt.Formatter] with a placeholder for every verb, %#v too.
func (Text) Format(s fmt.State, _ rune) { _, _ = s.Write([]byte(redacted)) }

// LogValue implements [slog.LogValuer] with a placeholder.
func (Text) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON implements [json.Marshaler] with a placeholder.
func (Text) MarshalJSON() ([]byte, error) { return json.Marshal(redacted) }

// MarshalText implements [encoding.TextMarshaler] with a placeholder.
func (Text) MarshalText() ([]byte, error) { return []byte(redacted), nil }
