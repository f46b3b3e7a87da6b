package user_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/pawlauth/pawl/internal/user"
)

func TestNormalize(t *testing.T) {
	long := strings.Repeat("a", 254-len("@example.com")) + "@example.com"
	for typed, want := range map[string]string{
		"ann@example.com":           "ann@example.com",
		"\t Ann@Example.COM\r\n":    "ann@example.com",
		"ａｎｎ＠ｅｘａｍｐｌｅ．ｃｏｍ":           "ann@example.com", // full width
		"e\u0301va@example.com":     "\u00e9va@example.com",
		"ÉVA@EXAMPLE.COM":           "éva@example.com",
		"o'b+tag@[192.0.2.1]":       "o'b+tag@[192.0.2.1]",
		long:                        long,
		strings.ToUpper(long) + " ": long,

		"":                         "",
		"   ":                      "",
		"ann":                      "",
		"@":                        "",
		"@example.com":             "",
		"ann@":                     "",
		"ann@b@example.com":        "",
		"an n@example.com":         "",
		"ann\x00@example.com":      "",
		"ann\u200b@example.com":    "", // zero width
		"ann\u202e@example.com":    "", // right-to-left override
		"ann@exam\u00a0ple.com":    "", // no-break space
		"ann\xff@example.com":      "",
		"a" + long:                 "",
		strings.Repeat("㌀@", 5000): "",
	} {
		got, err := user.Normalize(typed)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("Normalize(%q): got %q, %v, want %q", typed, got, err, want)
		}
	}
}

// FuzzNormalize: what comes out is an address, and its own normal form.
func FuzzNormalize(f *testing.F) {
	for _, seed := range []string{"Ann@Example.com", "İ@x", "ǅ\u0345@Σ", "ϓ\u0301@K", "１@＠"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		once, err := user.Normalize(typed)
		if err != nil {
			return
		}
		twice, err := user.Normalize(once)
		if err != nil || twice != once {
			t.Errorf("%q: got %q, %v, want %q again", typed, twice, err, once)
		}
		if len(once) > 254 || !utf8.ValidString(once) || strings.Count(once, "@") != 1 {
			t.Errorf("%q: got %q, want an address", typed, once)
		}
	})
}
