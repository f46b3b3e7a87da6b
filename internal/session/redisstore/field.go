package redisstore

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/google/uuid"

	"github.com/pawlauth/pawl/internal/session"
)

// sep joins the values of a field, and added those that later versions put behind
// the last one; clean keeps both out of them.
const (
	sep   = "\x1f"
	added = "\x1e"
)

var errField = errors.New("redisstore: a session's field cannot be read")

// encode spells a live session's field as state.lua describes it.
func encode(s session.State) string {
	return strings.Join([]string{
		"L",
		strconv.FormatUint(s.Generation, 10),
		formatMillis(s.TurnedAt),
		string(s.Attempt),
		flag(s.Held),
		formatMillis(s.IdleExpiresAt),
		formatMillis(s.LastUsedAt),
		formatMillis(s.RecoveredAt),
		clean(s.IPAddress),
		clean(s.UserAgent),
		formatMillis(s.ExpiresAt),
		encodeHash(s.SecretHash),
		s.Binding,
		formatMillis(s.CreatedAt),
		s.Delivery.String(),
		s.Role,
		clean(s.DeviceName) + encodeAdded(s),
	}, sep)
}

func flag(on bool) string {
	if on {
		return "1"
	}
	return "0"
}

// decode reads what encode or a script wrote. It can read what the scripts can.
func decode(userID, id uuid.UUID, field string) (session.State, error) {
	values := strings.Split(field, sep)
	if len(values) != 17 || values[0] != "L" || values[4] != "0" && values[4] != "1" {
		return session.State{}, errField
	}
	s := session.State{
		Session: session.Session{
			ID: id, UserID: userID,
			IPAddress: values[8], UserAgent: values[9],
		},
		Attempt: session.Attempt(values[3]),
		Held:    values[4] == "1",
		Binding: values[12],
		Role:    values[15],
	}
	var err error
	if s.Generation, err = parseNumber(values[1]); err != nil {
		return session.State{}, err
	}
	if s.Delivery, err = session.ParseDelivery(values[14]); err != nil {
		return session.State{}, fmt.Errorf("%w: %w", errField, err)
	}
	hash, err := base64.RawURLEncoding.DecodeString(values[11])
	if err != nil || len(hash) != len(s.SecretHash) {
		return session.State{}, errField
	}
	copy(s.SecretHash[:], hash)
	for _, f := range []struct {
		at int
		t  *time.Time
	}{
		{2, &s.TurnedAt}, {5, &s.IdleExpiresAt}, {6, &s.LastUsedAt},
		{7, &s.RecoveredAt}, {10, &s.ExpiresAt}, {13, &s.CreatedAt},
	} {
		if *f.t, err = parseMillis(values[f.at]); err != nil {
			return session.State{}, err
		}
	}
	decodeAdded(&s, values[16])
	return s, nil
}

// encodeAdded spells what later versions put behind the device.
func encodeAdded(s session.State) string {
	text := added + "g" + formatSpan(s.Grace) + added + "r" + formatSpan(s.Retry)
	if s.RotatedBy != "" {
		text += added + "b" + s.RotatedBy
	}
	if !s.EarlierUses[0].IsZero() {
		periods := [2]int64{periodsBetween(s.EarlierUses[0], s.LastUsedAt)}
		if !s.EarlierUses[1].IsZero() {
			periods[1] = periodsBetween(s.EarlierUses[1], s.EarlierUses[0])
		}
		text += fmt.Sprintf("%se%d.%d", added, periods[0], periods[1])
	}
	if !s.MovedAt.IsZero() {
		text += added + "m" + formatMillis(s.MovedAt) + added + "o" + clean(s.FormerIPAddress) + added + "u" + clean(s.FormerUserAgent)
	}
	if s.Followed > 0 {
		text += fmt.Sprintf("%sf%d.%d", added, s.Followed, s.Follows)
	}
	return text
}

// decodeAdded reads the device and what is behind it. What an older program did
// not write, or a newer one wrote otherwise, is zero.
func decodeAdded(s *session.State, text string) {
	values := strings.Split(text, added)
	s.DeviceName = values[0]
	for _, value := range values[1:] {
		if value == "" {
			continue
		}
		first, second, _ := strings.Cut(value[1:], ".")
		switch value[0] {
		case 'g':
			s.Grace = parseSpan(first)
		case 'r':
			s.Retry = parseSpan(first)
		case 'b':
			s.RotatedBy = first
		case 'e':
			s.EarlierUses = parseEarlier(s.LastUsedAt, first, second)
		case 'm':
			s.MovedAt, _ = parseMillis(value[1:])
		case 'o':
			s.FormerIPAddress = value[1:]
		case 'u':
			s.FormerUserAgent = value[1:]
		case 'f':
			s.Followed, _ = parseNumber(first)
			s.Follows, _ = parseNumber(second)
		}
	}
}

// formatSpan is a number of milliseconds, or of seconds where it is whole.
func formatSpan(d time.Duration) string {
	if d%time.Second == 0 {
		return strconv.FormatInt(int64(d/time.Second), 10) + "s"
	}
	return strconv.FormatInt(d.Milliseconds(), 10)
}

func parseSpan(text string) time.Duration {
	digits, seconds := strings.CutSuffix(text, "s")
	n, _ := parseNumber(digits)
	if seconds {
		return time.Duration(n) * time.Second
	}
	return time.Duration(n) * time.Millisecond
}

func periodsBetween(a, b time.Time) int64 {
	return int64(b.Truncate(session.Period).Sub(a.Truncate(session.Period)) / session.Period)
}

// parseEarlier is the starts of the periods of the uses before the last one.
func parseEarlier(lastUsed time.Time, first, second string) (starts [2]time.Time) {
	a, firstErr := parseNumber(first)
	b, secondErr := parseNumber(second)
	if firstErr != nil || secondErr != nil || a == 0 {
		return starts
	}
	starts[0] = lastUsed.Truncate(session.Period).Add(-time.Duration(a) * session.Period)
	if b > 0 {
		starts[1] = starts[0].Add(-time.Duration(b) * session.Period)
	}
	return starts
}

// isTombstone reports whether the field says that its session ended.
func isTombstone(field string) bool {
	values := strings.Split(field, sep)
	if len(values) != 4 || values[0] != "T" || values[1] == "" {
		return false
	}
	until, _, _ := strings.Cut(values[3], added)
	_, ended := parseNumber(values[2])
	_, expires := parseNumber(until)
	return ended == nil && expires == nil
}

func encodeHash(h [32]byte) string { return base64.RawURLEncoding.EncodeToString(h[:]) }

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func formatMillis(t time.Time) string { return strconv.FormatInt(millis(t), 10) }

func parseMillis(s string) (time.Time, error) {
	ms, err := parseNumber(s)
	if err != nil || ms == 0 {
		return time.Time{}, err
	}
	return time.UnixMilli(int64(ms)).UTC(), nil
}

// parseNumber reads digits, up to the largest number that Lua holds exactly.
func parseNumber(s string) (uint64, error) {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil || n > 1<<53 {
		return 0, errField
	}
	return n, nil
}

// clean keeps control characters out of what clients may choose: the separator,
// and NUL, at which Lua's string.format cuts.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, s)
}
