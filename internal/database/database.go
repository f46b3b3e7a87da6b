// Package database owns the way to the two SQL databases, PostgreSQL and
// SQLite: reading the URL, the connection pool, the gorm handle, and the few
// spellings in which the two differ. It refuses to know any table; the schema
// is the work of package migrations.
//
// Nothing here logs, and no error carries a password or a bound value.
package database

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"
)

// The dialects, as [Dialect] names them.
const (
	PostgreSQL = "postgres"
	SQLite     = "sqlite"
)

// Open makes a handle for "postgres://…" (or "postgresql://…") or
// "sqlite:PATH". A SQLite file is opened, and created with mode 0600 where there is none;
// its folder must exist. For PostgreSQL only the URL is judged and nothing is
// connected: ask [Ping] whether the server answers. Errors name no part of the
// URL that could be secret.
func Open(ctx context.Context, url string) (*gorm.DB, error) {
	scheme, rest, _ := strings.Cut(url, ":")
	var dialector gorm.Dialector
	var err error
	switch scheme {
	case "postgres", "postgresql":
		dialector, err = openPostgres(url)
	case "sqlite":
		dialector, err = openSQLite(ctx, rest)
	default:
		err = errors.New("database: the URL must begin with postgres:// or with sqlite: and a path")
	}
	if err != nil {
		return nil, err
	}
	db, err := gorm.Open(dialector, &gorm.Config{
		Logger:                 logger.Discard, // gorm's own logger writes bound values
		SkipDefaultTransaction: true,           // one statement is atomic by itself
		DisableAutomaticPing:   true,           // it knows no context
	})
	if err != nil {
		return nil, fmt.Errorf("database: %w", err)
	}
	return db, nil
}

// Dialect is [PostgreSQL] or [SQLite].
func Dialect(db *gorm.DB) string { return db.Name() }

// Ping reports whether the database answers before ctx ends.
func Ping(ctx context.Context, db *gorm.DB) error {
	pool, err := db.DB()
	if err != nil {
		return fmt.Errorf("database: %w", err)
	}
	if err := pool.PingContext(ctx); err != nil {
		return fmt.Errorf("database: no answer: %w", err)
	}
	return nil
}

// Close ends all connections. It waits for statements that run.
func Close(db *gorm.DB) error {
	pool, err := db.DB()
	if err != nil {
		return fmt.Errorf("database: %w", err)
	}
	return pool.Close()
}

// RowLock is the locking clause of a SELECT ("FOR UPDATE", "FOR SHARE") where
// the dialect has one, and nothing for SQLite, which lets one statement or
// transaction write at a time.
func RowLock(db *gorm.DB, clause string) string {
	if Dialect(db) == PostgreSQL {
		return clause
	}
	return ""
}

// Among is the condition that what stands before it is one of the ids, and the
// value of its one placeholder. A placeholder for each id would be another
// statement for each length, and every connection to PostgreSQL keeps those that
// it has prepared.
func Among(db *gorm.DB, ids []uuid.UUID) (condition, list string) {
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = id.String()
	}
	if Dialect(db) == PostgreSQL {
		return "= ANY (CAST(? AS uuid[]))", "{" + strings.Join(names, ",") + "}"
	}
	if len(ids) == 0 {
		return "IN (SELECT value FROM json_each(?))", "[]"
	}
	return "IN (SELECT value FROM json_each(?))", `["` + strings.Join(names, `","`) + `"]`
}
