package scalar_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/google/uuid"

	"github.com/pawlauth/pawl/graph/scalar"
	"github.com/pawlauth/pawl/internal/secret"
)

func written(m graphql.Marshaler) string {
	var b strings.Builder
	m.MarshalGQL(&b)
	return b.String()
}

func TestMarshal(t *testing.T) {
	id := uuid.MustParse("0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b")
	moment := time.Date(2030, 1, 2, 3, 4, 5, 6_999_999, time.FixedZone("east", 3600))
	for want, got := range map[string]graphql.Marshaler{
		`null`:                                   scalar.MarshalString(""),
		`"a"`:                                    scalar.MarshalString("a"),
		`"b"`:                                    scalar.MarshalID("b"),
		`"hunter2"`:                              scalar.MarshalSecret(secret.New("hunter2")),
		`"0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b"`: scalar.MarshalUUID(id),
		`"2030-01-02T02:04:05.006Z"`:             scalar.MarshalDateTime(moment),
	} {
		if written(got) != want {
			t.Errorf("got %s, want %s", written(got), want)
		}
	}
	for name, got := range map[string]graphql.Marshaler{
		"secret": scalar.MarshalSecret(secret.Text{}), "id": scalar.MarshalID(""), "uuid": scalar.MarshalUUID(uuid.Nil), "time": scalar.MarshalDateTime(time.Time{}),
	} {
		if got != graphql.Null {
			t.Errorf("empty %s: got %s, want null", name, written(got))
		}
	}
}

// Every string comes back from a JSON reader as it was, or with U+FFFD for what
// was not UTF-8.
func FuzzMarshalString(f *testing.F) {
	for _, s := range []string{"a", "\"\\/\b\f\n\r\t\x00\x1f\x7f", "é😀\u2028\ufffd", "\xff\xc0\xaf", "</script>"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if s == "" {
			return
		}
		var got string
		text := written(scalar.MarshalString(s))
		if err := json.Unmarshal([]byte(text), &got); err != nil || got != strings.ToValidUTF8(s, "\ufffd") {
			t.Errorf("%q: got %q by %s (%v)", s, got, text, err)
		}
	})
}

func TestUnmarshal(t *testing.T) {
	for name, read := range map[string]func(any) error{
		"String":   func(v any) error { _, err := scalar.UnmarshalString(v); return err },
		"ID":       func(v any) error { _, err := scalar.UnmarshalID(v); return err },
		"Secret":   func(v any) error { _, err := scalar.UnmarshalSecret(v); return err },
		"UUID":     func(v any) error { _, err := scalar.UnmarshalUUID(v); return err },
		"DateTime": func(v any) error { _, err := scalar.UnmarshalDateTime(v); return err },
	} {
		for _, bad := range []any{nil, true, 1.5, json.Number("1"), []any{"hunter2"}, map[string]any{"hunter2": 1}} {
			if err := read(bad); err == nil || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%s of %T: got %v, want an error without the value", name, bad, err)
			}
		}
	}
	if s, err := scalar.UnmarshalString("x"); s != "x" || err != nil {
		t.Errorf("string: got %q, %v", s, err)
	}
	if _, err := scalar.UnmarshalString(int64(1)); err == nil {
		t.Error("an integer is taken for a String")
	}
	if s, err := scalar.UnmarshalID(int64(12)); s != "12" || err != nil {
		t.Errorf("integer id: got %q, %v", s, err)
	}
	if s, err := scalar.UnmarshalSecret("x"); s.Reveal() != "x" || err != nil {
		t.Errorf("secret: got %q, %v", s.Reveal(), err)
	}
	for _, bad := range []string{"hunter2", "2030-01-02", "2030-01-02T03:04:05"} {
		if _, err := scalar.UnmarshalDateTime(bad); err == nil || strings.Contains(err.Error(), bad) {
			t.Errorf("time %q: got %v", bad, err)
		}
		if _, err := scalar.UnmarshalUUID(bad); err == nil || strings.Contains(err.Error(), bad) {
			t.Errorf("uuid %q: got %v", bad, err)
		}
	}
	if got, err := scalar.UnmarshalDateTime("2030-01-02T03:04:05.006+01:00"); err != nil || got.Format(time.RFC3339Nano) != "2030-01-02T02:04:05.006Z" {
		t.Errorf("time: got %v, %v", got, err)
	}
}
