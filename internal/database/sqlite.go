package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"strings"
	"time"

	"gorm.io/gorm"
	"modernc.org/sqlite" // the driver "sqlite", without cgo
	sqlite3 "modernc.org/sqlite/lib"
)

// busyTimeout is how long, in milliseconds, a statement waits for another
// process's write, if its context does not end before: below the 3 s within
// which every request is answered.
const busyTimeout = 2000

// openSQLite opens the file through one connection: SQLite lets one write at a
// time anyway, and callers that queue for a connection are served in turn where
// those that poll for its lock are not. Other processes are waited for.
func openSQLite(ctx context.Context, path string) (gorm.Dialector, error) {
	if path == "" || strings.HasPrefix(path, ":memory:") {
		return nil, errors.New("database: sqlite: needs the path of a file, as in sqlite:pawl.db")
	}
	pool, err := openFile(path, url.Values{
		"_busy_timeout": {fmt.Sprint(busyTimeout)},
		"_pragma":       {"journal_mode(WAL)", "foreign_keys(1)"},
	})
	if err != nil {
		return nil, err
	}
	if err := firstPing(ctx, pool); err != nil {
		_ = pool.Close()
		return nil, fmt.Errorf("database: opening the SQLite file %s: %w", path, err)
	}
	return &sqliteDialector{pool: pool, path: path}, nil
}

// firstPing connects. SQLite does not wait by itself where several processes turn
// a new file to write-ahead logging at once: all but one of them are told that it
// is busy.
func firstPing(ctx context.Context, pool *sql.DB) error {
	const tries = 200 // of which each may take as long as the disk does
	for try := 1; ; try++ {
		err := pool.PingContext(ctx)
		busy := (*sqlite.Error)(nil)
		if !errors.As(err, &busy) || busy.Code()&0xff != sqlite3.SQLITE_BUSY || try == tries || ctx.Err() != nil {
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// openFile makes a pool of one connection to the SQLite file at path.
func openFile(path string, params url.Values) (*sql.DB, error) {
	// SQLite itself would create the file readable for everybody.
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	switch {
	case err == nil:
		err = file.Close()
	case errors.Is(err, fs.ErrExist):
		err = nil
	}
	if err != nil {
		return nil, fmt.Errorf("database: creating the SQLite file: %w", err)
	}
	params.Set("_txlock", "immediate")               // a transaction that reads first must not fail when it writes
	params.Set("_time_integer_format", "unix_milli") // see [Time]
	params.Set("_dqs", "0")                          // a mis-spelled column is an error, not a string
	params.Set("_error_rc", "1")                     // no stale text in errors
	dsn := "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + params.Encode()
	pool, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, fmt.Errorf("database: opening the SQLite file %s: %w", path, err)
	}
	pool.SetMaxOpenConns(1)
	pool.SetMaxIdleConns(1)
	return pool, nil
}

// OpenLeaseFile opens the file beside the SQLite database of db whose lock
// stands for the right to serve that database. The file stays empty, and nothing
// waits for its lock.
func OpenLeaseFile(db *gorm.DB) (*sql.DB, error) {
	d, ok := db.Dialector.(*sqliteDialector)
	if !ok {
		return nil, errors.New("database: only a SQLite database has a lease file")
	}
	return openFile(d.path+".lease", url.Values{"_busy_timeout": {"0"}})
}
