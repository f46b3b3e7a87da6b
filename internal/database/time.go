package database

import (
	"context"
	"database/sql/driver"
	"fmt"
	"time"

	"gorm.io/gorm"
)

// Time is a point in time as both databases keep it: UTC, to the millisecond
// (timestamptz in PostgreSQL, milliseconds since 1970 in SQLite). The zero time
// is NULL.
type Time struct{ time.Time }

// At is t as it will be read back.
func At(t time.Time) Time {
	if t.IsZero() {
		return Time{}
	}
	return Time{t.UTC().Truncate(time.Millisecond)}
}

// Value implements [driver.Valuer].
func (t Time) Value() (driver.Value, error) {
	if t.IsZero() {
		return nil, nil
	}
	return At(t.Time).Time, nil
}

// Scan implements [database/sql.Scanner].
func (t *Time) Scan(src any) error {
	switch v := src.(type) {
	case nil:
		t.Time = time.Time{}
	case time.Time:
		t.Time = v.UTC()
	case int64:
		t.Time = time.UnixMilli(v).UTC()
	default:
		return fmt.Errorf("database: a %T is no time", src)
	}
	return nil
}

// Passed is a time that has passed by both clocks that there are: the earlier of
// own and of the database's, which is PostgreSQL's own and for SQLite that of
// this machine. Whatever is deleted for its age is deleted by it, so that one
// clock that is ahead deletes nothing that others need.
func Passed(ctx context.Context, db *gorm.DB, own time.Time) (time.Time, error) {
	query := "SELECT now()"
	if Dialect(db) == SQLite {
		query = "SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER)"
	}
	var theirs Time
	if err := db.WithContext(ctx).Raw(query).Scan(&theirs).Error; err != nil {
		return time.Time{}, fmt.Errorf("database: reading its clock: %w", err)
	}
	if own.Before(theirs.Time) {
		return own, nil
	}
	return theirs.Time, nil
}
