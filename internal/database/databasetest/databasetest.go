// Package databasetest gives tests fresh databases of both dialects: a SQLite
// file in the test's own folder, and a database of its own on the PostgreSQL
// server of PAWL_TEST_POSTGRES_URL. It is for tests only.
package databasetest

import (
	"context"
	"crypto/rand"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"gorm.io/gorm"

	"github.com/pawlauth/pawl/internal/database"
	"github.com/pawlauth/pawl/internal/proctest"
	"github.com/pawlauth/pawl/migrations"
)

// Each runs test on a migrated, empty database of each dialect, as the subtests
// "sqlite" and "postgres".
func Each(t *testing.T, test func(t *testing.T, db *gorm.DB)) {
	t.Helper()
	t.Run(database.SQLite, func(t *testing.T) { test(t, SQLite(t)) })
	t.Run(database.PostgreSQL, func(t *testing.T) { test(t, Postgres(t)) })
}

// SQLite is a migrated, empty SQLite database.
func SQLite(t testing.TB) *gorm.DB {
	t.Helper()
	return migrated(t, SQLiteURL(t))
}

// Postgres is a migrated, empty PostgreSQL database.
func Postgres(t testing.TB) *gorm.DB {
	t.Helper()
	return migrated(t, PostgresURL(t))
}

// SQLiteURL is the URL of a SQLite database without any schema.
func SQLiteURL(t testing.TB) string {
	t.Helper()
	return "sqlite:" + filepath.Join(t.TempDir(), "pawl.db")
}

// PostgresURL is the URL of a PostgreSQL database without any schema, which is
// dropped when the test ends, whoever is connected. Without
// PAWL_TEST_POSTGRES_URL the test is skipped, or fails where
// PAWL_TEST_REQUIRE_SERVICES is 1.
func PostgresURL(t testing.TB) string {
	t.Helper()
	server := proctest.Service(t, "PAWL_TEST_POSTGRES_URL")
	parsed, err := url.Parse(server)
	if err != nil {
		t.Fatal("PAWL_TEST_POSTGRES_URL is no URL")
	}
	name := "pawl_test_" + strings.ToLower(rand.Text())
	onServer(t, server, "CREATE DATABASE "+name)
	t.Cleanup(func() { onServer(t, server, "DROP DATABASE "+name+" WITH (FORCE)") })
	parsed.Path = "/" + name
	return parsed.String()
}

// onServer runs one statement on a connection of its own.
func onServer(t testing.TB, server, statement string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		t.Fatalf("connecting to PAWL_TEST_POSTGRES_URL: %v", err)
	}
	defer func() { _ = conn.Close(ctx) }()
	if _, err := conn.Exec(ctx, statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// migrated opens url and brings its schema up. The handle is closed when the
// test ends.
func migrated(t testing.TB, url string) *gorm.DB {
	t.Helper()
	db, err := database.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = database.Close(db) })
	pool, err := db.DB()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := migrations.Up(t.Context(), pool, database.Dialect(db)); err != nil {
		t.Fatal(err)
	}
	return db
}
