package password_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/pawlauth/pawl/internal/password"
	"github.com/pawlauth/pawl/internal/secret"
)

func TestCheck(t *testing.T) {
	none := []password.Problem(nil)
	words := []string{"pawl", "auth.example.com", "al@example.com", "Grace.Hopper@example.com", "\u03bf\u03b4\u03bf\u03c2@example.com", "letmein@example.com", ""}
	for _, c := range []struct {
		name, text string
		want       []password.Problem
	}{
		{"a phrase", phrase, none},
		{"15 characters", "abydeighajklmno", none},
		{"14 characters", "abydeighajklmn", []password.Problem{password.TooShort}},
		{"empty", "", []password.Problem{password.TooShort}},
		{"no digits, no capitals", "                x", none},
		{"15 characters of many bytes", emoji(15), none},
		{"14 characters of many bytes", emoji(14), []password.Problem{password.TooShort}},
		{"30 code points that NFKC makes 15", accents("aeiouycnszlrgkm"), none},
		{"28 code points that NFKC makes 14", accents("aeiouycnszlrgk"), []password.Problem{password.TooShort}},
		{"1024 bytes", strings.Repeat("correct horse b ", 64), none},
		{"1025 bytes", strings.Repeat("correct horse b ", 64) + "a", []password.Problem{password.TooLong}},
		{"a megabyte", strings.Repeat("a", 1<<20), []password.Problem{password.TooLong}},
		{"the product's name", "my pawl password is long", []password.Problem{password.Contextual}},
		{"in another case", "my PaWl password is long", []password.Problem{password.Contextual}},
		{"in wide letters", "my \uff50\uff41\uff57\uff4c password is long", []password.Problem{password.Contextual}},
		{"the host", "https://auth.example.com/", []password.Problem{password.Contextual}},
		{"the local part", "I am grace.hopper today", []password.Problem{password.Contextual}},
		{"the domain alone", "mail at example.com, please", none},
		{"a short local part", "salamanders are alive", none},
		{"the local part with another sigma", "I am \u039f\u0394\u039f\u03a3 today", []password.Problem{password.Contextual}},
		{"leaked", "Password1Password1", []password.Problem{password.Compromised}},
		{"leaked and short", "trustno1", []password.Problem{password.TooShort, password.Compromised}},
		{"leaked and contextual", "letmein letmein@example.com", []password.Problem{password.Contextual}},
		{"short, leaked, contextual", "PAWLPAWL", []password.Problem{password.TooShort, password.Compromised, password.Contextual}},
		{"short and contextual", "pawl.", []password.Problem{password.TooShort, password.Contextual}},
		{"two words of the context", "pawl at auth.example.com", []password.Problem{password.Contextual}},
	} {
		if got := password.Check(secret.New(c.text), words...); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
	if got := password.Check(secret.New(phrase)); got != nil {
		t.Errorf("without context: got %v, want none", got)
	}
}

// emoji are so many different characters of four bytes.
func emoji(n int) string {
	var text []rune
	for i := range n {
		text = append(text, '\U0001f600'+rune(i))
	}
	return string(text)
}

// accents puts an acute accent on each letter, as a character of its own.
func accents(text string) string { return strings.Join(strings.Split(text, ""), "\u0301") + "\u0301" }

func TestProblemInGraphQL(t *testing.T) {
	for _, problem := range []password.Problem{
		password.TooShort, password.TooLong, password.Compromised, password.Contextual, password.Unchanged,
	} {
		var out bytes.Buffer
		problem.MarshalGQL(&out)
		if want := `"` + problem.String() + `"`; out.String() != want {
			t.Errorf("MarshalGQL: got %s, want %s", out.String(), want)
		}
		var back password.Problem
		if err := back.UnmarshalGQL(string(problem)); err != nil || back != problem {
			t.Errorf("UnmarshalGQL(%s): got %s, %v", problem, back, err)
		}
	}
	for _, value := range []any{"", "too_short", "X", 1, nil, []string{"TOO_SHORT"}} {
		var problem password.Problem
		if err := problem.UnmarshalGQL(value); err == nil || problem != "" {
			t.Errorf("UnmarshalGQL(%v): got %q, want an error", value, problem)
		}
	}
}
