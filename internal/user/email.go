package user

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

const (
	maxEmail      = 254  // bytes, normalised (RFC 5321 §4.5.3.1.3 less the brackets)
	maxTypedEmail = 1024 // bytes as typed: what cannot come to maxEmail is not looked at
)

// Normalize is the one spelling under which an email address is unique and
// found: trimmed, NFKC, lower case. It is ErrEmail when that is over 254 bytes,
// or not something before and something after a single "@", all visible
// characters without spaces. Whether the address exists is not asked.
func Normalize(email string) (string, error) {
	if len(email) > maxTypedEmail || !utf8.ValidString(email) {
		return "", ErrEmail
	}
	// Lower-casing can undo NFKC; normalising again settles it.
	email = norm.NFKC.String(strings.ToLower(norm.NFKC.String(strings.TrimSpace(email))))
	local, host, _ := strings.Cut(email, "@")
	invisible := func(r rune) bool { return !unicode.IsGraphic(r) || unicode.IsSpace(r) }
	if len(email) > maxEmail || local == "" || host == "" || strings.Contains(host, "@") ||
		strings.ContainsFunc(email, invisible) {
		return "", ErrEmail
	}
	return email, nil
}
