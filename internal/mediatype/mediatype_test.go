package mediatype_test

import (
	"strings"
	"testing"

	"github.com/pawlauth/pawl/internal/mediatype"
)

func TestNegotiate(t *testing.T) {
	const both = mediatype.NameJSON + ", " + mediatype.NameGraphQL
	for _, c := range []struct {
		accept []string
		want   mediatype.Type
	}{
		{nil, mediatype.JSON},
		{[]string{""}, mediatype.JSON},
		{[]string{"*/*"}, mediatype.JSON},
		{[]string{mediatype.NameGraphQL}, mediatype.GraphQL},
		{[]string{both}, mediatype.GraphQL},
		{[]string{mediatype.NameJSON + ";q=0.9, " + mediatype.NameGraphQL + ";q=0.8"}, mediatype.JSON},
		{[]string{mediatype.NameJSON + ";q=0.5", mediatype.NameGraphQL}, mediatype.GraphQL},
		{[]string{"text/html"}, mediatype.None},
		{[]string{"*/*;q=0"}, mediatype.None},
		// The header that a flood would send: as long as all headers may be.
		{[]string{strings.Repeat("a/b,", 4<<10)}, mediatype.None},
		{[]string{strings.Repeat(`"\`, 8<<10)}, mediatype.None},
	} {
		if got := mediatype.Negotiate(c.accept); got != c.want {
			t.Errorf("%.60q: got %d, want %d", c.accept, got, c.want)
		}
	}
}

func FuzzNegotiate(f *testing.F) {
	f.Add("*/*;q=0.1", mediatype.NameGraphQL)
	f.Add(`text/plain;x="a, b"`, ",;=")
	f.Fuzz(func(t *testing.T, one, two string) {
		got := mediatype.Negotiate([]string{one, two})
		if got > mediatype.GraphQL {
			t.Errorf("%q, %q: got %d", one, two, got)
		}
		if named := strings.Contains(strings.ToLower(one+two), "json") || strings.Contains(one+two, "*"); !named && one+two != "" && got != mediatype.None {
			t.Errorf("%q, %q: got %d, want none", one, two, got)
		}
	})
}
