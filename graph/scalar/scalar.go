// Package scalar owns how single values cross the API: how the domain's
// strings, ids, secrets and times are written into answers and read from
// arguments. It knows nothing about the fields they belong to.
//
// Functions come in pairs that the generated code finds by name. Reading is
// strict: a value of another JSON type is an error, whose text never repeats the
// value.
package scalar

import (
	"errors"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/99designs/gqlgen/graphql"
	"github.com/google/uuid"

	"github.com/pawlauth/pawl/internal/secret"
)

// UserError is the UserError interface of the schema.
type UserError interface {
	IsUserError()
	GetMessage() string
}

var (
	errString = errors.New("scalar: must be a string")
	errID     = errors.New("scalar: must be a string or an integer")
	errTime   = errors.New("scalar: must be an RFC 3339 time")
)

// MarshalString writes a string. The empty string is null: the API has no text
// that is empty on purpose, only such that is not known.
func MarshalString(s string) graphql.Marshaler {
	if s == "" {
		return graphql.Null
	}
	return text(s)
}

// UnmarshalString reads a String.
func UnmarshalString(v any) (string, error) {
	if s, ok := v.(string); ok {
		return s, nil
	}
	return "", errString
}

// MarshalID writes an id that is kept as a string.
func MarshalID(id string) graphql.Marshaler { return MarshalString(id) }

// UnmarshalID reads an ID. Clients may send integers; no id of this API is one,
// so they name nothing.
func UnmarshalID(v any) (string, error) {
	switch v := v.(type) {
	case string:
		return v, nil
	case int64:
		return strconv.FormatInt(v, 10), nil
	}
	return "", errID
}

// MarshalUUID writes an id; the zero id is null.
func MarshalUUID(id uuid.UUID) graphql.Marshaler {
	if id == uuid.Nil {
		return graphql.Null
	}
	return text(id.String())
}

// UnmarshalUUID reads an ID that must be a UUID.
func UnmarshalUUID(v any) (uuid.UUID, error) {
	s, err := UnmarshalID(v)
	if err != nil {
		return uuid.Nil, err
	}
	id, err := uuid.Parse(s)
	if err != nil {
		return uuid.Nil, errors.New("scalar: must be an id as this API writes them")
	}
	return id, nil
}

// MarshalSecret reveals a secret: its way into an answer is one of the places
// where it leaves the process on purpose. The empty secret is null.
func MarshalSecret(s secret.Text) graphql.Marshaler { return MarshalString(s.Reveal()) }

// UnmarshalSecret reads a String or ID that must not be printed.
func UnmarshalSecret(v any) (secret.Text, error) {
	s, err := UnmarshalID(v)
	return secret.New(s), err
}

// MarshalDateTime writes a time in UTC with milliseconds (RFC 3339); the zero
// time is null.
func MarshalDateTime(t time.Time) graphql.Marshaler {
	if t.IsZero() {
		return graphql.Null
	}
	return timestamp(t)
}

// UnmarshalDateTime reads an RFC 3339 time.
func UnmarshalDateTime(v any) (time.Time, error) {
	s, ok := v.(string)
	if !ok {
		return time.Time{}, errTime
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return time.Time{}, errTime
	}
	return t.UTC(), nil
}

type timestamp time.Time

func (t timestamp) MarshalGQL(w io.Writer) {
	const layout = `"2006-01-02T15:04:05.000Z"`
	var buf [len(layout)]byte
	_, _ = w.Write(time.Time(t).UTC().AppendFormat(buf[:0], layout))
}

type text string

func (s text) MarshalGQL(w io.Writer) { _, _ = io.WriteString(w, quote(string(s))) }

// quote is s as a JSON string (RFC 8259, section 7). Bytes that are not UTF-8
// become U+FFFD: they can come from request headers.
func quote(s string) string {
	const hex = "0123456789abcdef"
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	buf := make([]byte, 0, len(s)+2)
	buf = append(buf, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			buf = append(buf, '\\', c)
		case c < 0x20 || c == 0x7f:
			buf = append(buf, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			buf = append(buf, c)
		}
	}
	return string(append(buf, '"'))
}
