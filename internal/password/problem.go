package password

import (
	"errors"
	"io"
	"strconv"
)

// Problem is what is wrong with a new password.
type Problem string

// The problems, as the schema spells them.
const (
	TooShort    Problem = "TOO_SHORT"   // fewer than [MinLength] characters
	TooLong     Problem = "TOO_LONG"    // more than [MaxBytes] bytes
	Compromised Problem = "COMPROMISED" // on a list of leaked passwords
	Contextual  Problem = "CONTEXTUAL"  // contains a word that an attacker tries first
	Unchanged   Problem = "UNCHANGED"   // the same as the old one
)

// IsValid reports whether p is one of the problems above.
func (p Problem) IsValid() bool {
	switch p {
	case TooShort, TooLong, Compromised, Contextual, Unchanged:
		return true
	}
	return false
}

// String is the spelling of the schema.
func (p Problem) String() string { return string(p) }

// MarshalGQL writes p as an enum value of the schema.
func (p Problem) MarshalGQL(w io.Writer) { _, _ = io.WriteString(w, strconv.Quote(string(p))) }

// UnmarshalGQL reads an enum value of the schema.
func (p *Problem) UnmarshalGQL(value any) error {
	text, ok := value.(string)
	if !ok || !Problem(text).IsValid() {
		return errors.New("password: not a PasswordProblem; use TOO_SHORT, TOO_LONG, COMPROMISED, CONTEXTUAL or UNCHANGED")
	}
	*p = Problem(text)
	return nil
}
