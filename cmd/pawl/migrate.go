package main

import (
	"context"
	"database/sql"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/pawlauth/pawl/internal/database"
	"github.com/pawlauth/pawl/internal/secret"
	"github.com/pawlauth/pawl/migrations"
)

// databaseFlag is the setting of commands that need the database alone.
type databaseFlag struct {
	DatabaseURL string `name:"database-url" env:"PAWL_DATABASE_URL" placeholder:"URL" help:"postgres://USER:PASSWORD@HOST/NAME, or sqlite:PATH (sqlite:./.pawl/pawl.db is that of pawl dev)."`
}

type migrateUpCmd struct {
	databaseFlag `embed:""`
}

// Run applies what is pending.
func (c *migrateUpCmd) Run(io streams) error {
	return c.with(func(ctx context.Context, pool *sql.DB, dialect string) error {
		applied, err := bringUp(ctx, pool, dialect)
		for _, m := range applied {
			_, _ = fmt.Fprintln(io.out, "applied", m.Name)
		}
		if err == nil && len(applied) == 0 {
			_, _ = fmt.Fprintln(io.out, "the schema is up to date")
		}
		return databaseError(err)
	})
}

// bringUp applies what is pending. It reads first: a database that cannot be
// read is not written to, and says why better.
func bringUp(ctx context.Context, pool *sql.DB, dialect string) ([]migrations.Migration, error) {
	if current, err := migrations.Current(ctx, pool, dialect); current || err != nil {
		return nil, err
	}
	return migrations.Up(ctx, pool, dialect)
}

type migrateStatusCmd struct {
	databaseFlag `embed:""`
	jsonFlag     `embed:""`
}

// migrationRow is one line of the status.
type migrationRow struct {
	Version   int64      `json:"version"`
	Name      string     `json:"name"`
	AppliedAt *time.Time `json:"appliedAt"` // null while it is pending
}

// Run lists the migrations. A schema that is behind is an exit 1, so that a
// script can ask.
func (c *migrateStatusCmd) Run(io streams) error {
	return c.with(func(ctx context.Context, pool *sql.DB, dialect string) error {
		all, err := migrations.Status(ctx, pool, dialect)
		if err != nil {
			return databaseError(err)
		}
		pending := 0
		rows := make([]migrationRow, len(all))
		for i, m := range all {
			rows[i] = migrationRow{Version: m.Version, Name: m.Name}
			if m.AppliedAt.IsZero() {
				pending++
			} else {
				rows[i].AppliedAt = &m.AppliedAt
			}
		}
		err = c.print(io, rows, func(w *tabwriter.Writer) {
			_, _ = fmt.Fprintln(w, "VERSION\tNAME\tAPPLIED")
			for _, r := range rows {
				at := "pending"
				if r.AppliedAt != nil {
					at = when(*r.AppliedAt)
				}
				_, _ = fmt.Fprintf(w, "%d\t%s\t%s\n", r.Version, r.Name, at)
			}
		})
		if err == nil && pending > 0 {
			err = fmt.Errorf("the schema is behind by %d; mend it with: pawl migrate up", pending)
		}
		return err
	})
}

// with runs f on the database of the setting.
func (c *databaseFlag) with(f func(ctx context.Context, pool *sql.DB, dialect string) error) error {
	if c.DatabaseURL == "" {
		return &settingError{"PAWL_DATABASE_URL", "must be set"}
	}
	ctx, stop := untilSignal()
	defer stop()
	db, err := openDatabase(ctx, secret.New(c.DatabaseURL))
	if err != nil {
		return err
	}
	defer func() { _ = database.Close(db) }()
	if err := database.Ping(ctx, db); err != nil {
		return &settingError{"PAWL_DATABASE_URL", "no good answer: " + plain(err)}
	}
	pool, err := db.DB()
	if err != nil {
		return err
	}
	return f(ctx, pool, database.Dialect(db))
}
