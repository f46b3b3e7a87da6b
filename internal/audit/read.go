package audit

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/pawlauth/pawl/internal/database"
)

// Entry is an event of the table. Ids have the order of time, to the
// millisecond, whichever server wrote them.
type Entry struct {
	ID       uuid.UUID
	Severity Severity // when it was written
	Event
}

// Filter says which events are listed. Its zero value is the newest hundred.
type Filter struct {
	Since       time.Time // at this time or later; zero: all
	User        uuid.UUID // uuid.Nil: everybody's
	Session     uuid.UUID // uuid.Nil: all
	Name        Name      // empty: all
	OldestFirst bool      // otherwise the newest comes first
	After       uuid.UUID // what comes after this entry in the order asked for; uuid.Nil: from the first
	Limit       int       // 0: 100
}

const defaultLimit = 100

// List reads events. Servers write behind: an event may appear a second after
// it happened, and later where the database did not answer; it stands at its
// time then.
func List(ctx context.Context, db *gorm.DB, f Filter) ([]Entry, error) {
	query := db.WithContext(ctx).Table("audit_events").Select(columns)
	if !f.Since.IsZero() {
		query = query.Where("id >= ?", firstID(f.Since))
	}
	if f.User != uuid.Nil {
		query = query.Where("user_id = ?", f.User)
	}
	if f.Session != uuid.Nil {
		query = query.Where("session_id = ?", f.Session)
	}
	if f.Name != "" {
		query = query.Where("name = ?", f.Name)
	}
	order, after := "id DESC", "id < ?"
	if f.OldestFirst {
		order, after = "id", "id > ?"
	}
	if f.After != uuid.Nil {
		query = query.Where(after, f.After)
	}
	if f.Limit <= 0 {
		f.Limit = defaultLimit
	}
	var rows []row
	if err := query.Order(order).Limit(f.Limit).Scan(&rows).Error; err != nil {
		return nil, fmt.Errorf("audit: reading events: %w", err)
	}
	entries := make([]Entry, 0, len(rows))
	for _, r := range rows {
		e, err := r.entry()
		if err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// row is a line of the table.
type row struct {
	ID               uuid.UUID
	At               database.Time
	Name             Name
	Severity         Severity
	UserID           uuid.NullUUID
	SessionID        uuid.NullUUID
	Address          *string
	UserAgent        *string
	EarlierAt        database.Time
	EarlierAddress   *string
	EarlierUserAgent *string
	Details          string
}

func (r row) entry() (Entry, error) {
	e := Entry{ID: r.ID, Severity: r.Severity, Event: Event{
		Name: r.Name, At: r.At.Time, UserID: r.UserID.UUID, SessionID: r.SessionID.UUID,
		Address: text(r.Address), UserAgent: text(r.UserAgent),
		Earlier: Presenter{At: r.EarlierAt.Time, Address: text(r.EarlierAddress), UserAgent: text(r.EarlierUserAgent)},
	}}
	if err := json.Unmarshal([]byte(r.Details), &e.Details); err != nil {
		return Entry{}, fmt.Errorf("audit: the details of event %s are no object of texts", r.ID)
	}
	return e, nil
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
