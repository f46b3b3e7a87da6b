package database

import (
	"database/sql/driver"
	"fmt"
	"time"
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
