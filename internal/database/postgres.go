package database

import (
	"context"
	"database/sql/driver"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
)

const (
	// MaxConns is how many connections a handle to PostgreSQL opens at most. It is
	// the idle limit too: with fewer idle ones every burst reconnects.
	MaxConns = 16

	// connectTimeout bounds connections that the pool opens on its own, outside
	// any caller's context.
	connectTimeout = 3 * time.Second
	// listTimeout is shared by the hosts of a list, so that the last is reached
	// while a caller waits, although those before it are silent.
	listTimeout = 2 * time.Second
	// A connection that was not used for idleAfter must show within pingTimeout
	// that its server is there.
	idleAfter   = time.Second
	pingTimeout = 700 * time.Millisecond
	// connLifetime lets connections follow a server that moved.
	connLifetime = time.Hour
)

func openPostgres(url string) (gorm.Dialector, error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		// The parser's message repeats parts of the URL.
		return nil, errors.New("database: the PostgreSQL URL cannot be read; check its host, port and parameters, and escape special characters of the password")
	}
	if config.ConnectTimeout <= 0 || config.ConnectTimeout > connectTimeout {
		config.ConnectTimeout = hostTimeout(config)
	}
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "pawl"
	}
	pool := stdlib.OpenDB(*config, leaveLost(config)...)
	pool.SetMaxOpenConns(MaxConns)
	pool.SetMaxIdleConns(MaxConns)
	pool.SetConnMaxLifetime(connLifetime)
	return postgres.New(postgres.Config{Conn: pool}), nil
}

// hostTimeout is how long one host may take to let a connection in.
func hostTimeout(config *pgx.ConnConfig) time.Duration {
	type address struct {
		host string
		port uint16
	}
	hosts := map[address]bool{{config.Host, config.Port}: true}
	for _, f := range config.Fallbacks { // the same host with and without TLS, too
		hosts[address{f.Host, f.Port}] = true
	}
	if len(hosts) == 1 {
		return connectTimeout
	}
	return listTimeout / time.Duration(len(hosts))
}

// leaveLost lets a pool leave a server that is lost to it, all connections at
// once, and not one failed statement each.
//
// A server is chosen, and target_session_attrs judged, when a connection is
// opened. One that turns read-only later, because it was demoted or its disk is
// full, would be kept as long as it answers; one that vanished without a word
// would be waited for on every connection. So a write that is refused as
// read-only, a server that says that it ends, and an idle connection that is
// silent, end an era: connections that were opened before are not used again.
func leaveLost(config *pgx.ConnConfig) []stdlib.OptionOpenDB {
	// SQLSTATE read_only_sql_transaction, admin_shutdown, crash_shutdown
	lost := []string{"25006", "57P01", "57P02"}
	const openedIn = "pawl:era"
	var era atomic.Uint64
	report := config.OnPgError
	config.OnPgError = func(conn *pgconn.PgConn, err *pgconn.PgError) bool {
		if slices.Contains(lost, err.Code) {
			era.Add(1)
		}
		return report(conn, err)
	}
	current := func(conn *pgx.Conn) bool { return conn.PgConn().CustomData()[openedIn] == era.Load() }
	return []stdlib.OptionOpenDB{
		stdlib.OptionAfterConnect(func(_ context.Context, conn *pgx.Conn) error {
			conn.PgConn().CustomData()[openedIn] = era.Load()
			return nil
		}),
		stdlib.OptionShouldPing(func(ctx context.Context, p stdlib.ShouldPingParams) bool {
			if p.IdleDuration > idleAfter && current(p.Conn) && silent(ctx, p.Conn) {
				era.Add(1)
			}
			return false // done
		}),
		stdlib.OptionResetSession(func(_ context.Context, conn *pgx.Conn) error {
			if conn.IsClosed() || !current(conn) {
				return driver.ErrBadConn
			}
			return nil
		}),
	}
}

// silent reports whether a server does not answer, for which its caller is not
// to blame. The connection is closed then.
func silent(ctx context.Context, conn *pgx.Conn) bool {
	limited, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	return conn.Ping(limited) != nil && ctx.Err() == nil
}
