package database

import (
	"errors"
	"strings"
	"time"

	"gorm.io/gorm"
)

// startedKey is where a statement keeps the time it began.
const startedKey = "pawl:started"

// Statements lists the words that [Observe] tells statements apart by: the
// first of their SQL, in small letters, or "other".
func Statements() []string {
	return []string{"select", "insert", "update", "delete", "with", "other"}
}

// Observe has every statement that goes through db told: its word (one of
// [Statements]), how long it took until its first row or its end, and the error
// where the database did not carry it out. A row that is not there is no error.
// Call it once, before db is used. told is called by many goroutines at once.
func Observe(db *gorm.DB, now func() time.Time, told func(statement string, took time.Duration, err error)) error {
	begin := func(db *gorm.DB) { db.InstanceSet(startedKey, now()) }
	end := func(db *gorm.DB) {
		value, _ := db.InstanceGet(startedKey)
		started, ok := value.(time.Time)
		if !ok || db.Statement.SQL.Len() == 0 {
			return // it was not sent
		}
		err := db.Error
		if errors.Is(err, gorm.ErrRecordNotFound) {
			err = nil
		}
		told(statementWord(db.Statement.SQL.String()), now().Sub(started), err)
	}
	const before, after = "pawl:begin", "pawl:end"
	c := db.Callback()
	return errors.Join(
		c.Create().Before("*").Register(before, begin), c.Create().After("*").Register(after, end),
		c.Query().Before("*").Register(before, begin), c.Query().After("*").Register(after, end),
		c.Update().Before("*").Register(before, begin), c.Update().After("*").Register(after, end),
		c.Delete().Before("*").Register(before, begin), c.Delete().After("*").Register(after, end),
		c.Row().Before("*").Register(before, begin), c.Row().After("*").Register(after, end),
		c.Raw().Before("*").Register(before, begin), c.Raw().After("*").Register(after, end),
	)
}

// statementWord is what a statement is told apart by.
func statementWord(sql string) string {
	sql = strings.TrimLeft(sql, " \t\r\n")
	for _, word := range Statements() {
		if len(sql) > len(word) && strings.EqualFold(sql[:len(word)], word) {
			return word
		}
	}
	return "other"
}
