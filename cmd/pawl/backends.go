package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/redis/go-redis/v9"
	"gorm.io/gorm"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/pawlauth/pawl/internal/database"
	"github.com/pawlauth/pawl/internal/revocation"
	"github.com/pawlauth/pawl/internal/revocation/redisfeed"
	"github.com/pawlauth/pawl/internal/secret"
	"github.com/pawlauth/pawl/internal/session"
	"github.com/pawlauth/pawl/internal/session/memstore"
	"github.com/pawlauth/pawl/internal/session/redisstore"
	"github.com/pawlauth/pawl/internal/throttle"
	"github.com/pawlauth/pawl/internal/throttle/redisthrottle"
)

// openDatabase opens the database that a PAWL_DATABASE_URL names.
func openDatabase(ctx context.Context, url secret.Text) (*gorm.DB, error) {
	backends := map[string]func(context.Context, string) (*gorm.DB, error){
		"postgres":   database.Open,
		"postgresql": database.Open,
		"sqlite":     database.Open,
	}
	scheme, _, _ := strings.Cut(url.Reveal(), ":")
	open, ok := backends[scheme]
	if !ok {
		return nil, &settingError{"PAWL_DATABASE_URL", "must begin with postgres:// or sqlite:"}
	}
	db, err := open(ctx, url.Reveal())
	if err != nil {
		return nil, &settingError{"PAWL_DATABASE_URL", "cannot be used: " + plain(err)}
	}
	return db, nil
}

// redisClient makes the client that a PAWL_REDIS_URL names. It connects when it
// is first used.
func redisClient(url, sentinelPassword secret.Text) (redis.UniversalClient, error) {
	where, err := parseRedisURL(url.Reveal())
	if err != nil {
		return nil, &settingError{"PAWL_REDIS_URL", err.Error()}
	}
	backends := map[string]func(redis.UniversalOptions) redis.UniversalClient{
		"redis": func(o redis.UniversalOptions) redis.UniversalClient { return redis.NewClient(o.Simple()) },
		"redis+sentinel": func(o redis.UniversalOptions) redis.UniversalClient {
			return redis.NewFailoverClient(o.Failover())
		},
		"redis+cluster": func(o redis.UniversalOptions) redis.UniversalClient {
			cluster := o.Cluster()
			cluster.ClusterStateReloadInterval = clusterLook
			return redis.NewClusterClient(cluster)
		},
	}
	options := redis.UniversalOptions{
		Addrs: where.hosts, MasterName: where.master, DB: where.db, TLSConfig: where.tls(),
		Username: where.user, Password: where.password.Reveal(), SentinelPassword: sentinelPassword.Reveal(),

		// A store that hangs must be an answer within 3 s: the caller's deadline
		// counts everywhere, and no single attempt may use it up. Everything goes
		// to masters, which is what UniversalOptions does unless told otherwise.
		ContextTimeoutEnabled: true,
		DialTimeout:           redisTimeout, ReadTimeout: redisTimeout, WriteTimeout: redisTimeout,
		DialerRetries: 1, // commands are repeated, which is enough
		// A new connection costs its first caller a round trip less.
		DisableIdentity: true,

		// One short command per request: few connections carry many requests,
		// and small buffers hold any reply but the longest list.
		PoolSize: max(32, 16*runtime.GOMAXPROCS(0)), PoolTimeout: redisTimeout,
		ReadBufferSize: 8 << 10, WriteBufferSize: 8 << 10,
		MaintNotificationsConfig: noMaintenance(), // it would stretch the timeouts above
	}
	return backends[where.kind](options), nil
}

// clusterLook is how old the client's map of a Cluster may be. Nothing tells it
// that a master died: this is the longest that a failover goes unnoticed.
const clusterLook = time.Second

// redisTimeout bounds one attempt at one Redis command.
const redisTimeout = 800 * time.Millisecond

// hotState is where live sessions are kept, how nodes hear of their ends, and
// where they count who tries to log in.
type hotState struct {
	store session.Store
	feed  revocation.Feed
	gates throttle.Store
	close func() error
}

// openHotState makes the hot state of a Redis, or of this process alone where
// there is no URL. The feed's reads block, so they get connections of their own.
func openHotState(url, sentinelPassword secret.Text, log *slog.Logger, feedReset func()) (hotState, error) {
	if url.IsEmpty() {
		return hotState{memstore.New(time.Now), revocation.NewLocal(time.Now), throttle.NewMemory(time.Now), func() error { return nil }}, nil
	}
	client, err := redisClient(url, sentinelPassword)
	if err != nil {
		return hotState{}, err
	}
	reading, err := redisClient(url, sentinelPassword)
	if err != nil {
		return hotState{}, err
	}
	feed := redisfeed.New(client, reading, log, time.Now)
	feed.Reset = feedReset
	return hotState{
		store: redisstore.New(client, redisstore.Options{}),
		feed:  feed,
		gates: redisthrottle.New(client, redisthrottle.Options{}),
		close: func() error { return errors.Join(client.Close(), reading.Close()) },
	}, nil
}

// plain is an error of a store in words that repeat nothing of the URL: drivers
// put hosts, users and whole connection strings into theirs.
func plain(err error) string {
	var pg *pgconn.PgError
	var lite *sqlite.Error
	var reply redis.Error
	var errno syscall.Errno
	var dns *net.DNSError
	var network net.Error
	switch {
	case errors.As(err, &pg):
		return fmt.Sprintf("the database refused (SQLSTATE %s)", pg.Code)
	case errors.As(err, &lite):
		return plainSQLite(lite.Code())
	case errors.As(err, &reply):
		word, _, _ := strings.Cut(reply.Error(), " ")
		return "Redis refused (" + word + ")"
	case errors.As(err, &errno):
		return errno.Error()
	case errors.As(err, &dns):
		return "the host name cannot be resolved"
	case errors.Is(err, context.Canceled):
		return "stopped before it was done"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return "no answer in time"
	case strings.HasPrefix(err.Error(), "database: "): // written by this program, without the URL
		return strings.TrimPrefix(err.Error(), "database: ")
	}
	return "it does not answer as expected"
}

// plainSQLite is a SQLite result code in words.
func plainSQLite(code int) string {
	switch code & 0xff { // the rest says more than anybody needs
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return "the database file is damaged, or is none of SQLite"
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM:
		return "the database file cannot be written"
	case sqlite3.SQLITE_CANTOPEN:
		return "the database file cannot be opened, or its folder not be written"
	case sqlite3.SQLITE_FULL:
		return "the disk is full"
	case sqlite3.SQLITE_IOERR:
		return "reading or writing the database file failed"
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return "the database file is locked by another program"
	}
	return fmt.Sprintf("the database refused (SQLite result code %d)", code)
}

// quietRedis sends what the Redis client says by itself to the debug log.
type quietRedis struct{ log *slog.Logger }

// Printf implements the Redis client's logging interface.
func (q quietRedis) Printf(ctx context.Context, format string, args ...any) {
	q.log.DebugContext(ctx, "redis client", "says", fmt.Sprintf(format, args...))
}
