package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"gorm.io/gorm"

	"github.com/pawlauth/pawl/internal/database"
	"github.com/pawlauth/pawl/internal/secret"
)

// testedPostgres is the oldest major version that Pawl is tested with.
const testedPostgres = 15

// examineDatabase looks at the database of a PAWL_DATABASE_URL; leased says that
// one server has it for itself.
func examineDatabase(ctx context.Context, url secret.Text, leased bool) []finding {
	const check = "database.reach"
	if path, isFile := strings.CutPrefix(url.Reveal(), "sqlite:"); isFile {
		if _, err := os.Stat(filepath.Clean(path)); errors.Is(err, fs.ErrNotExist) { // opening would make it
			return []finding{{problem, check, "the database file is not there", "make it with: pawl migrate up"}}
		}
	}
	limited, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	db, err := openDatabase(limited, url)
	if err != nil {
		refused := (*settingError)(nil)
		if errors.As(err, &refused) {
			err = errors.New(refused.problem)
		}
		return []finding{{problem, "PAWL_DATABASE_URL", err.Error(), ""}}
	}
	defer func() { _ = database.Close(db) }()
	exam := &databaseExam{db: db, tables: map[string]string{"users": "updated_at", "sessions": "last_used_at", "audit_events": "details"}}
	if leased {
		exam.tables["leases"] = "owner"
	}
	looks := []look{{check, exam.reach}}
	var found []finding
	if database.Dialect(db) == database.PostgreSQL {
		found = append(found, postgresTLS(url.Reveal()))
		looks = append(looks, look{"database.version", exam.version}, look{"database.primary", exam.primary})
	}
	looks = append(looks, look{"database.schema", exam.schema}, look{"database.rights", exam.rights})
	if database.Dialect(db) == database.PostgreSQL {
		looks = append(looks,
			look{"database.connections", exam.connections}, look{"database.clock", exam.clock}, look{"database.commits", exam.commits})
	}
	return append(found, examine(ctx, looks)...)
}

// databaseExam is what is known of a database so far.
type databaseExam struct {
	db       *gorm.DB
	tables   map[string]string // that a server writes, with a column of each
	readOnly bool              // a standby
	behind   bool              // the schema
}

func (e *databaseExam) reach(ctx context.Context) (finding, error) {
	if err := database.Ping(ctx, e.db); err != nil {
		return finding{}, err
	}
	if database.Dialect(e.db) == database.SQLite {
		return finding{fine, "", "SQLite answers; one server at most can use it", ""}, nil
	}
	return finding{fine, "", "PostgreSQL answers", ""}, nil
}

// ask reads one row.
func (e *databaseExam) ask(ctx context.Context, query string, into ...any) error {
	pool, err := e.db.DB()
	if err != nil {
		return err
	}
	return pool.QueryRowContext(ctx, query).Scan(into...)
}

func (e *databaseExam) version(ctx context.Context) (finding, error) {
	var name string
	var major int
	if err := e.ask(ctx, "SELECT current_setting('server_version'), current_setting('server_version_num')::int / 10000", &name, &major); err != nil {
		return finding{}, err
	}
	release, _, _ := strings.Cut(name, " ")
	if major < testedPostgres {
		return finding{warning, "", "PostgreSQL " + release + " is older than what Pawl is tested with", fmt.Sprintf("take %d or later", testedPostgres)}, nil
	}
	return finding{fine, "", "PostgreSQL " + release, ""}, nil
}

func (e *databaseExam) primary(ctx context.Context) (finding, error) {
	if err := e.ask(ctx, "SELECT pg_is_in_recovery()", &e.readOnly); err != nil {
		return finding{}, err
	}
	if e.readOnly {
		return finding{problem, "", "this server is a standby and takes no writes",
			"name the primary in PAWL_DATABASE_URL, or list all servers and add target_session_attrs=read-write"}, nil
	}
	return finding{fine, "", "this server is no standby", ""}, nil
}

func (e *databaseExam) schema(ctx context.Context) (finding, error) {
	refused := (*settingError)(nil)
	if err := checkSchema(ctx, e.db); errors.As(err, &refused) {
		e.behind = true
		return finding{problem, "", refused.problem, ""}, nil
	} else if err != nil {
		return finding{}, err
	}
	return finding{fine, "", "the schema is current", ""}, nil
}

// rights tries every kind of statement on every table, on no row, and takes it
// back. The server judges rights before it looks for rows.
func (e *databaseExam) rights(ctx context.Context) (finding, error) {
	if e.readOnly || e.behind {
		return finding{}, nil // said already
	}
	taken := errors.New("taken back")
	err := e.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		for table, column := range e.tables {
			for _, statement := range []string{
				"INSERT INTO " + table + " SELECT * FROM " + table + " WHERE 1 = 0",
				"UPDATE " + table + " SET " + column + " = " + column + " WHERE 1 = 0",
				"DELETE FROM " + table + " WHERE 1 = 0",
			} {
				if err := tx.Exec(statement).Error; err != nil {
					return err
				}
			}
		}
		return taken
	})
	switch {
	case errors.Is(err, taken):
		return finding{fine, "", "the tables can be written", ""}, nil
	case !replied(err) && ctx.Err() != nil:
		return finding{}, err
	}
	return finding{problem, "", "the tables cannot be written: " + plain(err),
		"let the user of PAWL_DATABASE_URL read, insert, update and delete in " + strings.Join(slices.Sorted(maps.Keys(e.tables)), ", ") + ", and the database take writes"}, nil
}

// connections looks whether the pool of a server finds room.
func (e *databaseExam) connections(ctx context.Context) (finding, error) {
	var room, used int
	err := e.ask(ctx, `SELECT least(
			current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int,
			nullif(rolconnlimit, -1), nullif(datconnlimit, -1)),
			(SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')
		FROM pg_roles, pg_database WHERE rolname = current_user AND datname = current_database()`, &room, &used)
	if err != nil {
		return finding{}, err
	}
	seen := fmt.Sprintf("PostgreSQL lets %d connections in, %d are open, and a server of Pawl opens %d at most", room, used, database.MaxConns)
	switch {
	case room < database.MaxConns:
		return finding{problem, "", seen, "raise max_connections, or the limit of the role or database"}, nil
	case used > room*9/10:
		return finding{warning, "", seen, "raise max_connections, or close what is not needed"}, nil
	}
	return finding{fine, "", seen, ""}, nil
}

func (e *databaseExam) clock(ctx context.Context) (finding, error) {
	var theirs time.Time
	asked := time.Now()
	if err := e.ask(ctx, "SELECT clock_timestamp()", &theirs); err != nil {
		return finding{}, err
	}
	return clocks("PostgreSQL", theirs, asked, time.Since(asked), warning), nil // Pawl does not use it
}

func (e *databaseExam) commits(ctx context.Context) (finding, error) {
	var how string
	if err := e.ask(ctx, "SELECT current_setting('synchronous_commit')", &how); err != nil {
		return finding{}, err
	}
	return unless(how == "off", "", "what PostgreSQL confirmed is on disk",
		"PostgreSQL confirms what is not on disk yet: a crash brings ended sessions and old passwords back", "set synchronous_commit to on"), nil
}

// postgresTLS looks whether connections to other machines are encrypted, and to
// the right one.
func postgresTLS(url string) finding {
	const check = "database.tls"
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return finding{} // openDatabase said so
	}
	remote, open, anybody := false, false, false
	look := func(host string, secure *tls.Config) {
		if strings.HasPrefix(host, "/") || loopback(net.JoinHostPort(host, "0")) {
			return
		}
		remote, open, anybody = true, open || secure == nil, anybody || secure != nil && secure.InsecureSkipVerify && secure.VerifyPeerCertificate == nil
	}
	look(config.Host, config.TLSConfig)
	for _, f := range config.Fallbacks {
		look(f.Host, f.TLSConfig)
	}
	const do = "add sslmode=verify-full to PAWL_DATABASE_URL, and sslrootcert where the authority is your own"
	switch {
	case !remote:
		return finding{fine, check, "PostgreSQL is on this machine", ""}
	case open:
		return finding{warning, check, "PostgreSQL is on another machine, and connections to it may be unencrypted", do}
	case anybody:
		return finding{warning, check, "connections to PostgreSQL are encrypted, and nobody looks who answers", do}
	}
	return finding{fine, check, "connections to PostgreSQL are encrypted and its certificate is checked", ""}
}
