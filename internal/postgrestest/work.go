package postgrestest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Clone starts a standby that streams from s, on the port of old, which must have
// ended, or on a free one where old is nil. s must have been started with
// wal_level=replica or more.
func (s *Server) Clone(old *Server) *Server {
	s.t.Helper()
	standby := &Server{t: s.t, bin: s.bin, as: s.as, conf: s.conf}
	standby.folder()
	s.tool("pg_basebackup", "-D", standby.dir, "-h", "127.0.0.1", "-p", strconv.Itoa(s.port), "-U", "root", "-R", "-X", "stream", "-c", "fast", "--no-sync")
	if old != nil {
		standby.port = old.port
	}
	standby.Up()
	return standby
}

// CaughtUp returns when the one standby of s has all that s has.
func (s *Server) CaughtUp() {
	s.t.Helper()
	s.Until("the standby has everything", "SELECT count(*) = 1 FROM pg_stat_replication WHERE replay_lsn >= pg_current_wal_lsn()")
}

// Promote makes a standby the primary, and returns when it takes writes.
func (s *Server) Promote() {
	s.t.Helper()
	s.Exec("SELECT pg_promote(true, 60)")
}

// Until waits for a query of the database pawl to say true. what is for the
// failure's text.
func (s *Server) Until(what, query string, args ...any) {
	s.t.Helper()
	var is bool
	var err error
	for deadline := time.Now().Add(patience); !is; time.Sleep(poll) {
		err = s.With("pawl", func(ctx context.Context, conn *pgx.Conn) error {
			return conn.QueryRow(ctx, query, args...).Scan(&is)
		})
		if time.Now().After(deadline) {
			s.t.Fatalf("never: %s (%v)", what, err)
		}
	}
}

// Exec runs statements one by one as superuser, past all proxies.
func (s *Server) Exec(statements ...string) {
	s.t.Helper()
	err := s.With("postgres", func(ctx context.Context, conn *pgx.Conn) error {
		for _, statement := range statements {
			if _, err := conn.Exec(ctx, statement); err != nil {
				return fmt.Errorf("%s: %w", statement, err)
			}
		}
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// With does something as superuser on a connection of its own, within half a
// minute.
func (s *Server) With(database string, do func(context.Context, *pgx.Conn) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	url := "postgres://root@" + s.Addr() + "/" + database + "?sslmode=disable"
	conn, err := pgx.Connect(ctx, url)
	for isFull(err) && ctx.Err() == nil { // connections that were closed may not have ended yet
		time.Sleep(poll)
		conn, err = pgx.Connect(ctx, url)
	}
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	return do(ctx, conn)
}

// isFull reports whether a server has no connection left, not even for its owner.
func isFull(err error) bool {
	full := (*pgconn.PgError)(nil)
	return errors.As(err, &full) && full.Code == "53300"
}
