// Package migrations owns the database schema: numbered SQL files, one set per
// dialect with the same numbers and names, embedded and applied by goose. It
// refuses to know what the tables mean, and never derives them from Go types.
//
// To change the schema add the next number to both folders, with Up and Down;
// never change a file that was released.
package migrations

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed postgres/*.sql sqlite/*.sql
var files embed.FS

// table keeps the numbers of the migrations that a database has. It is not
// goose's default, so that an application that uses goose can share a database.
const table = "pawl_migrations"

// Migration is one step of the schema.
type Migration struct {
	Version   int64
	Name      string    // file name, the same in both dialects
	AppliedAt time.Time // zero while it is pending
}

// Up applies what is pending, each migration in a transaction of its own, and
// returns what it applied, in order. Two programs that do so at once on one
// PostgreSQL database wait for each other. dialect is "postgres" or "sqlite".
func Up(ctx context.Context, db *sql.DB, dialect string) ([]Migration, error) {
	provider, err := newProvider(db, dialect)
	if err != nil {
		return nil, err
	}
	results, err := provider.Up(ctx)
	var partial *goose.PartialError
	if errors.As(err, &partial) {
		results = partial.Applied
	}
	if err != nil {
		err = fmt.Errorf("migrations: %w", err)
	}
	at, _ := read(ctx, db, dialect) // for the reader only
	applied := make([]Migration, 0, len(results))
	for _, r := range results {
		v := r.Source.Version
		applied = append(applied, Migration{Version: v, Name: path.Base(r.Source.Path), AppliedAt: at[v]})
	}
	return applied, err
}

// Down undoes the newest migration that the database has, with its data. It is
// for tests and development.
func Down(ctx context.Context, db *sql.DB, dialect string) error {
	provider, err := newProvider(db, dialect)
	if err != nil {
		return err
	}
	if _, err := provider.Down(ctx); err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	return nil
}

// Status lists every migration of this program, in order, and when the database
// got it. It changes nothing and needs no right to.
func Status(ctx context.Context, db *sql.DB, dialect string) ([]Migration, error) {
	known, err := embedded(dialect)
	if err != nil {
		return nil, err
	}
	applied, err := read(ctx, db, dialect)
	if err != nil {
		return nil, fmt.Errorf("migrations: %w", err)
	}
	for i := range known {
		known[i].AppliedAt = applied[known[i].Version]
	}
	return known, nil
}

// Current reports whether the database has every migration of this program. It
// may have newer ones. The check is one or two small reads; it changes nothing
// and needs no right to.
func Current(ctx context.Context, db *sql.DB, dialect string) (bool, error) {
	all, err := Status(ctx, db, dialect)
	if err != nil {
		return false, err
	}
	for _, m := range all {
		if m.AppliedAt.IsZero() {
			return false, nil
		}
	}
	return true, nil
}

// embedded lists the migrations of a dialect by number.
func embedded(dialect string) ([]Migration, error) {
	entries, err := fs.ReadDir(files, dialect) // sorted by name, and so by number
	if err != nil {
		return nil, fmt.Errorf("migrations: no dialect %q: it is postgres or sqlite", dialect)
	}
	all := make([]Migration, 0, len(entries))
	for _, entry := range entries {
		version, err := goose.NumericComponent(entry.Name())
		if err != nil {
			return nil, fmt.Errorf("migrations: %w", err)
		}
		all = append(all, Migration{Version: version, Name: entry.Name()})
	}
	return all, nil
}

// read returns when the database got which version. goose's own look creates
// its table, which the role of a server may not be allowed to.
func read(ctx context.Context, db *sql.DB, dialect string) (map[int64]time.Time, error) {
	exists, tstamp := "SELECT to_regclass('"+table+"') IS NOT NULL", "tstamp::timestamptz"
	if dialect == "sqlite" {
		tstamp = "tstamp"
		exists = "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = '" + table + "')"
	}
	var found bool
	if err := db.QueryRowContext(ctx, exists).Scan(&found); err != nil || !found {
		return nil, err
	}
	rows, err := db.QueryContext(ctx, "SELECT version_id, "+tstamp+" FROM "+table+" WHERE is_applied")
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	applied := map[int64]time.Time{}
	for rows.Next() {
		var version int64
		var at time.Time
		if err := rows.Scan(&version, &at); err != nil {
			return nil, err
		}
		applied[version] = at.UTC()
	}
	return applied, rows.Err()
}

func newProvider(db *sql.DB, dialect string) (*goose.Provider, error) {
	options := []goose.ProviderOption{
		goose.WithTableName(table),
		goose.WithLogger(goose.NopLogger()),
		goose.WithDisableGlobalRegistry(true),
	}
	kind := goose.DialectSQLite3
	if dialect == "postgres" {
		kind = goose.DialectPostgres
		locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 60)) // one try a second, for a minute
		if err != nil {
			return nil, fmt.Errorf("migrations: %w", err)
		}
		options = append(options, goose.WithSessionLocker(locker))
	}
	folder, err := fs.Sub(files, dialect)
	if err != nil {
		return nil, fmt.Errorf("migrations: %w", err)
	}
	provider, err := goose.NewProvider(kind, db, folder, options...)
	if err != nil {
		return nil, fmt.Errorf("migrations: %w", err)
	}
	return provider, nil
}
