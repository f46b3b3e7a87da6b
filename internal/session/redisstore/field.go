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
		strings.Join([]string{
			clean(s.DeviceName),
			strconv.FormatInt(s.Grace.Milliseconds(), 10),
			s.RotatedBy,
			formatNumber(s.Followed),
			formatNumber(s.Follows),
		}, added),
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
	decodeAdded(&s, values[16])
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
	return s, nil
}

// decodeAdded reads the device and what is behind it. What an older program did
// not write, or a newer one wrote otherwise, is zero.
func decodeAdded(s *session.State, text string) {
	values := strings.Split(text, added)
	s.DeviceName = values[0]
	if len(values) < 5 {
		return
	}
	grace, graceErr := parseNumber(values[1])
	followed, followedErr := parseNumber("0" + values[3])
	follows, followsErr := parseNumber("0" + values[4])
	if graceErr == nil && followedErr == nil && followsErr == nil {
		s.Grace, s.RotatedBy = time.Duration(grace)*time.Millisecond, values[2]
		s.Followed, s.Follows = followed, follows
	}
}

// isTombstone reports whether the field says that its session ended.
func isTombstone(field string) bool {
	values := strings.Split(field, sep)
	if len(values) != 4 || values[0] != "T" || values[1] == "" {
		return false
	}
	_, ended := parseNumber(values[2])
	_, expires := parseNumber(values[3])
	return ended == nil && expires == nil
}

func encodeHash(h [32]byte) string { return base64.RawURLEncoding.EncodeToString(h[:]) }

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// formatNumber is empty for none.
func formatNumber(n uint64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatUint(n, 10)
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
