// Package audit owns what is told about security: a vocabulary of events, one
// line of the log for each, and the table audit_events, which is written behind
// the requests. It refuses to judge what happened, and to know more of users
// and sessions than their ids.
//
// No event carries a password, a token, an attempt id, a cookie, the text of a
// query, or the email that a failed login was tried with: whoever needs to tell
// such values apart gives a keyed hash of them. What may tell where a person is
// (addresses, user agents) belongs into the fields for it, never into details,
// so that [Scrub] finds it.
package audit

import (
	"cmp"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/pawlauth/pawl/internal/database"
)

// Limits of an event. What is longer is cut.
const (
	maxText    = 512 // bytes of a value
	maxKey     = 64  // bytes of the name of a detail
	maxDetails = 16
)

// Event is something that happened. All fields but Name are optional. Texts may
// be whatever a client sent: they are kept as valid UTF-8 of at most 512 bytes,
// with U+FFFD for what is no graphic character or blank.
type Event struct {
	Name      Name
	At        time.Time // zero: now
	UserID    uuid.UUID // uuid.Nil: nobody known
	SessionID uuid.UUID // uuid.Nil: none
	Address   string
	UserAgent string
	// Earlier is who came before, where the event is about two: of a reuse,
	// who turned the token that came back at At from Address.
	Earlier Presenter
	// Details are further facts by name, as "reason" or "operation": at most 16.
	Details map[string]string
}

// Presenter is who presented a token, and when.
type Presenter struct {
	At        time.Time // zero: unknown
	Address   string
	UserAgent string
}

// bounded is the event as it is told: with a time, and fit for a log and for
// both databases. It shares no memory with e.
func (e Event) bounded(now time.Time) Event {
	if e.At.UnixMilli() < 0 || e.At.Year() > 9999 { // the zero time too
		e.At = now
	}
	e.At = database.At(e.At).Time
	e.Address, e.UserAgent = bounded(e.Address, maxText), bounded(e.UserAgent, maxText)
	p := &e.Earlier
	if p.At.UnixMilli() < 0 || p.At.Year() > 9999 {
		p.At = time.Time{}
	}
	p.At = database.At(p.At).Time
	p.Address, p.UserAgent = bounded(p.Address, maxText), bounded(p.UserAgent, maxText)
	details := make(map[string]string, min(len(e.Details), maxDetails))
	for _, key := range slices.Sorted(maps.Keys(e.Details))[:min(len(e.Details), maxDetails)] {
		details[bounded(key, maxKey)] = bounded(e.Details[key], maxText)
	}
	e.Details = details
	return e
}

// bounded is a copy of text that cannot break a line, reorder what is around
// it, or fill a disk.
func bounded(text string, limit int) string {
	var b strings.Builder
	for _, r := range text {
		if !unicode.IsGraphic(r) {
			r = utf8.RuneError
		}
		if b.Len()+utf8.RuneLen(r) > limit {
			break
		}
		b.WriteRune(r)
	}
	return b.String()
}

// level is the severity in the words of the log.
func (s Severity) level() slog.Level {
	switch s {
	case Critical:
		return slog.LevelError
	case Warning:
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

// record is the event's line of the log. Its attributes are those that the event has:
// severity, user, session, address, user_agent, earlier_at, earlier_address,
// earlier_user_agent, and the group details.
func (e Event) record() slog.Record {
	severity := e.Name.Severity()
	r := slog.NewRecord(e.At, severity.level(), string(e.Name), 0)
	r.AddAttrs(slog.String("severity", string(severity)))
	add := func(key, value string) {
		if value != "" {
			r.AddAttrs(slog.String(key, value))
		}
	}
	add("user", idText(e.UserID))
	add("session", idText(e.SessionID))
	add("address", e.Address)
	add("user_agent", e.UserAgent)
	if !e.Earlier.At.IsZero() {
		r.AddAttrs(slog.Time("earlier_at", e.Earlier.At))
	}
	add("earlier_address", e.Earlier.Address)
	add("earlier_user_agent", e.Earlier.UserAgent)
	if len(e.Details) > 0 {
		attrs := make([]slog.Attr, 0, len(e.Details))
		for key, value := range e.Details {
			attrs = append(attrs, slog.String(key, value))
		}
		slices.SortFunc(attrs, func(a, b slog.Attr) int { return cmp.Compare(a.Key, b.Key) })
		r.AddAttrs(slog.GroupAttrs("details", attrs...))
	}
	return r
}

// idText is an id as text, empty for none.
func idText(id uuid.UUID) string {
	if id == uuid.Nil {
		return ""
	}
	return id.String()
}
