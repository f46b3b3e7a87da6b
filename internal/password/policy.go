package password

import (
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/pawlauth/pawl/internal/secret"
)

const (
	// MinLength is the least number of characters of a new password: Unicode
	// code points in NFKC.
	MinLength = 15
	// MaxBytes is the most bytes of a password, as it was sent.
	MaxBytes = 1024
	// minWordLength is the least number of characters of a word that a password
	// must not contain: shorter ones stand in honest sentences.
	minWordLength = 4
)

// Check says what is wrong with a new password; nothing is when it returns none.
// It must not be a leaked one or hardly more than one, and the words of context
// must not stand in it: the product's name, the host, the user's email (of which
// the part before the @ counts). Upper and lower case are one. There are no rules
// about kinds of characters (NIST SP 800-63B, section 3.1.1.2).
func Check(password secret.Text, context ...string) []Problem {
	if password.Len() > MaxBytes {
		return []Problem{TooLong}
	}
	var problems []Problem
	text := fold(password.Reveal())
	if utf8.RuneCountInString(norm.NFKC.String(password.Reveal())) < MinLength {
		problems = append(problems, TooShort)
	}
	if leaked(text) {
		problems = append(problems, Compromised)
	}
	if slices.ContainsFunc(context, func(word string) bool { return mentions(text, word) }) {
		problems = append(problems, Contextual)
	}
	return problems
}

// mentions reports whether a folded text contains a word of the context.
func mentions(text, word string) bool {
	if at := strings.LastIndexByte(word, '@'); at >= 0 {
		word = word[:at]
	}
	word = fold(word)
	return utf8.RuneCountInString(word) >= minWordLength && strings.Contains(text, word)
}

// fold makes one of what differs in case or in Unicode form. Going through upper
// case unites letters that have two lower ones.
func fold(text string) string {
	return norm.NFKC.String(strings.ToLower(strings.ToUpper(norm.NFKC.String(text))))
}
