package migrations_test

import (
	"database/sql"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"gorm.io/gorm"

	"github.com/pawlauth/pawl/internal/database"
	"github.com/pawlauth/pawl/internal/database/databasetest"
	"github.com/pawlauth/pawl/migrations"
)

// each runs test on a database without schema, of each dialect.
func each(t *testing.T, test func(t *testing.T, pool *sql.DB, dialect string)) {
	t.Helper()
	urls := map[string]func(testing.TB) string{
		database.SQLite:     databasetest.SQLiteURL,
		database.PostgreSQL: databasetest.PostgresURL,
	}
	for dialect, url := range urls {
		t.Run(dialect, func(t *testing.T) { test(t, open(t, url(t)), dialect) })
	}
}

func open(t *testing.T, url string) *sql.DB {
	t.Helper()
	db, err := database.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = database.Close(db) })
	return pool(t, db)
}

func pool(t *testing.T, db *gorm.DB) *sql.DB {
	t.Helper()
	pool, err := db.DB()
	if err != nil {
		t.Fatal(err)
	}
	return pool
}

func current(t *testing.T, db *sql.DB, dialect string, want bool) {
	t.Helper()
	got, err := migrations.Current(t.Context(), db, dialect)
	if err != nil || got != want {
		t.Fatalf("Current: got %v, %v, want %v", got, err, want)
	}
}

func TestUpDownUp(t *testing.T) {
	each(t, func(t *testing.T, db *sql.DB, dialect string) {
		empty := schema(t, db, dialect)
		current(t, db, dialect, false)
		if got := schema(t, db, dialect); len(got) != 0 {
			t.Fatalf("Current changed the database: it has %v", got)
		}
		var first []string
		for round := range 2 {
			applied, err := migrations.Up(t.Context(), db, dialect)
			if err != nil {
				t.Fatal(err)
			}
			all, err := migrations.Status(t.Context(), db, dialect)
			if err != nil || len(all) == 0 || len(applied) != len(all) {
				t.Fatalf("round %d: got %d applied of %d, %v, want all", round, len(applied), len(all), err)
			}
			current(t, db, dialect, true)
			if again, err := migrations.Up(t.Context(), db, dialect); err != nil || len(again) != 0 {
				t.Fatalf("round %d: a second Up got %v, %v, want nothing to do", round, again, err)
			}
			got := schema(t, db, dialect)
			if round == 0 {
				first = got
			} else if !slices.Equal(got, first) {
				t.Errorf("schema after up, down, up: got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(first, "\n"))
			}
			for i := range all {
				if all[i].AppliedAt.IsZero() || applied[i] != all[i] {
					t.Errorf("Up and Status disagree: %v, %v", applied[i], all[i])
				}
				if err := migrations.Down(t.Context(), db, dialect); err != nil {
					t.Fatal(err)
				}
				current(t, db, dialect, false)
			}
			if got := schema(t, db, dialect); !slices.Equal(got, empty) {
				t.Errorf("after all steps down: got %v, want nothing", got)
			}
		}
	})
}

// TestTogether: several programs bring one fresh database up at once.
func TestTogether(t *testing.T) {
	url := databasetest.PostgresURL(t)
	var wg sync.WaitGroup
	errs := make([]error, 4)
	for i := range errs {
		db := open(t, url)
		wg.Go(func() { _, errs[i] = migrations.Up(t.Context(), db, database.PostgreSQL) })
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			t.Errorf("Up beside another Up: got %v, want none", err)
		}
	}
}

func TestNoDialect(t *testing.T) {
	if _, err := migrations.Current(t.Context(), nil, "mysql"); err == nil {
		t.Error("dialect mysql: got no error")
	}
	if _, err := migrations.Up(t.Context(), open(t, databasetest.SQLiteURL(t)), "mysql"); err == nil {
		t.Error("dialect mysql: got no error")
	}
}

// TestParityOfFiles: the dialects have the same numbers and names, without gaps.
func TestParityOfFiles(t *testing.T) {
	names := map[string][]string{}
	for _, dialect := range []string{"postgres", "sqlite"} {
		files, err := filepath.Glob(dialect + "/*")
		if err != nil {
			t.Fatal(err)
		}
		for i, file := range files {
			name := filepath.Base(file)
			names[dialect] = append(names[dialect], name)
			if want := fmt.Sprintf("%05d_", i+1); !strings.HasPrefix(name, want) {
				t.Errorf("%s: got %s, want it to begin with %s", dialect, name, want)
			}
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, part := range []string{"-- +goose Up\n", "-- +goose Down\n"} {
				if strings.Count(string(text), part) != 1 {
					t.Errorf("%s: want %q once", file, part)
				}
			}
		}
	}
	if len(names["sqlite"]) == 0 || !slices.Equal(names["sqlite"], names["postgres"]) {
		t.Errorf("got for sqlite %v, want those of postgres %v", names["sqlite"], names["postgres"])
	}
}

// TestParityOfSchema: after all migrations both dialects have the same tables,
// columns, nullability, primary keys and indexes.
func TestParityOfSchema(t *testing.T) {
	lite := schema(t, pool(t, databasetest.SQLite(t)), database.SQLite)
	post := schema(t, pool(t, databasetest.Postgres(t)), database.PostgreSQL)
	if len(lite) < 10 || !slices.Equal(lite, post) {
		t.Errorf("sqlite got\n%s\nwant that of postgres\n%s", strings.Join(lite, "\n"), strings.Join(post, "\n"))
	}
}

// schema describes every column and index but those of goose's own table.
func schema(t *testing.T, db *sql.DB, dialect string) []string {
	t.Helper()
	queries := map[string][]string{
		database.SQLite: {
			`SELECT 'column ' || m.name || '.' || c.name || ' null=' || (NOT c."notnull") || ' key=' || (c.pk > 0)
			 FROM sqlite_master m, pragma_table_info(m.name) c
			 WHERE m.type = 'table' AND m.name NOT IN ('pawl_migrations', 'sqlite_sequence')`,
			`SELECT 'index ' || i.name || ' on ' || m.name || ' (' ||
			   (SELECT group_concat(c.name, ',') FROM pragma_index_info(i.name) c) ||
			   ') unique=' || i."unique" || ' partial=' || i.partial
			 FROM sqlite_master m, pragma_index_list(m.name) i
			 WHERE m.type = 'table' AND m.name <> 'pawl_migrations' AND i.origin <> 'pk'`,
			`SELECT 'reference ' || m.name || '.' || f."from" || ' to ' || f."table" || '.' || f."to"
			 FROM sqlite_master m, pragma_foreign_key_list(m.name) f WHERE m.type = 'table'`,
		},
		database.PostgreSQL: {
			`SELECT 'column ' || c.table_name || '.' || c.column_name || ' null=' || (c.is_nullable = 'YES')::int ||
			   ' key=' || EXISTS (SELECT 1 FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
			     WHERE i.indisprimary AND i.indrelid = c.table_name::regclass AND a.attname = c.column_name)::int
			 FROM information_schema.columns c WHERE c.table_schema = 'public' AND c.table_name <> 'pawl_migrations'`,
			`SELECT 'index ' || x.relname || ' on ' || r.relname || ' (' ||
			   (SELECT string_agg(a.attname, ',' ORDER BY k.n) FROM unnest(i.indkey) WITH ORDINALITY k(num, n)
			     JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.num) ||
			   ') unique=' || i.indisunique::int || ' partial=' || (i.indpred IS NOT NULL)::int
			 FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_class r ON r.oid = i.indrelid
			 WHERE r.relnamespace = 'public'::regnamespace AND NOT i.indisprimary`,
			`SELECT 'reference ' || r.relname || '.' || a.attname || ' to ' || f.relname || '.' || b.attname
			 FROM pg_constraint k JOIN pg_class r ON r.oid = k.conrelid JOIN pg_class f ON f.oid = k.confrelid
			   JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = k.conkey[1]
			   JOIN pg_attribute b ON b.attrelid = k.confrelid AND b.attnum = k.confkey[1]
			 WHERE k.contype = 'f'`,
		},
	}
	lines := map[string]bool{}
	for _, query := range queries[dialect] {
		rows, err := db.QueryContext(t.Context(), query)
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			var line string
			if err := rows.Scan(&line); err != nil {
				t.Fatal(err)
			}
			lines[line] = true
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
	}
	return slices.Sorted(maps.Keys(lines))
}
