package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"
	"gorm.io/gorm"

	"github.com/pawlauth/pawl/internal/audit"
	"github.com/pawlauth/pawl/internal/auth"
	"github.com/pawlauth/pawl/internal/database"
	"github.com/pawlauth/pawl/internal/ledger"
	"github.com/pawlauth/pawl/internal/secret"
	"github.com/pawlauth/pawl/internal/throttle"
	"github.com/pawlauth/pawl/internal/user"
	"github.com/pawlauth/pawl/migrations"
)

// operator is what commands about accounts and sessions work with.
type operator struct {
	*auth.Accounts
	db    *gorm.DB
	gates throttle.Store // nil where PAWL_REDIS_URL is not set
	err   streams
}

// operate opens the stores of the flags for f. Redis is optional: without it
// running servers follow the database.
func (f storeFlags) operate(io streams, work func(context.Context, *operator) error) error {
	if f.DatabaseURL == "" {
		return &settingError{"PAWL_DATABASE_URL", "must be set; sqlite:./.pawl/pawl.db is that of pawl dev"}
	}
	redis.SetLogger(quietRedis{slog.New(slog.DiscardHandler)})
	ctx, stop := untilSignal()
	defer stop()
	db, err := openDatabase(ctx, secret.New(f.DatabaseURL))
	if err != nil {
		return err
	}
	defer func() { _ = database.Close(db) }()
	if err := checkSchema(ctx, db); err != nil {
		return err
	}
	events := audit.New(audit.Config{DB: db, Log: slog.New(slog.DiscardHandler), Now: time.Now})
	op := &operator{db: db, err: io, Accounts: &auth.Accounts{
		Users: user.New(db, time.Now), Ledger: ledger.New(db, time.Now), Audit: events,
	}}
	if f.RedisURL != "" {
		hot, err := openHotState(secret.New(f.RedisURL), secret.New(f.RedisSentinelPassword), slog.New(slog.DiscardHandler), func() {})
		if err != nil {
			return err
		}
		defer func() { _ = hot.close() }()
		op.Store, op.Feed, op.gates = hot.store, hot.feed, hot.gates
	}
	err = work(ctx, op)
	if told := events.Flush(ctx); told != nil && err == nil {
		_, _ = fmt.Fprintln(io.err, "The change is made, but no event of it could be written: "+plain(told))
	}
	return err
}

// checkSchema refuses a database that does not answer or whose schema is behind.
func checkSchema(ctx context.Context, db *gorm.DB) error {
	pool, err := db.DB()
	if err != nil {
		return err
	}
	switch current, err := migrations.Current(ctx, pool, database.Dialect(db)); {
	case err != nil:
		return &settingError{"PAWL_DATABASE_URL", "the schema cannot be read: " + plain(err)}
	case !current:
		return &settingError{"PAWL_DATABASE_URL", "the database schema is behind this program; mend it with: pawl migrate up"}
	}
	return nil
}

// byEmail is the account of an email.
func (o *operator) byEmail(ctx context.Context, email string) (user.User, error) {
	u, err := o.Users.ByEmail(ctx, email)
	switch {
	case errors.Is(err, user.ErrNotFound):
		return u, errors.New("there is no account with this email")
	case errors.Is(err, user.ErrEmail):
		return u, errors.New("this is not an email address")
	}
	return u, databaseError(err)
}

// databaseError is what the database said to a command, in words for the
// operator; nil stays nil.
func databaseError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, user.ErrNotFound):
		return errors.New("the account was deleted meanwhile")
	case errors.Is(err, auth.ErrSessionsLive):
		return fmt.Errorf("%w (PAWL_DATABASE_URL: %s)", auth.ErrSessionsLive, plain(err))
	}
	return &settingError{"PAWL_DATABASE_URL", "no good answer: " + plain(err)}
}

// say tells what became of sessions, and how soon running servers know.
func (o *operator) say(what string, effect auth.Effect) {
	_, _ = fmt.Fprintf(o.err.out, "%s; sessions ended: %d\n", what, len(effect.Ended))
	follow := fmt.Sprintf("within %s (pawl dev: %s)", short(followServe), short(followDev))
	switch {
	case len(effect.Ended) == 0:
	case effect.AtOnce:
		_, _ = fmt.Fprintln(o.err.err, "Running servers refuse their tokens at once.")
	case effect.Delay != nil:
		_, _ = fmt.Fprintf(o.err.err, "PAWL_REDIS_URL: %s; running servers follow the database %s.\n", plain(effect.Delay), follow)
	default:
		_, _ = fmt.Fprintf(o.err.err, "PAWL_REDIS_URL is not set; running servers follow the database %s.\n", follow)
	}
}
