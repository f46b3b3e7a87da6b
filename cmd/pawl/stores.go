package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"gorm.io/gorm"

	"github.com/pawlauth/pawl/internal/database"
	"github.com/pawlauth/pawl/internal/ledger"
	"github.com/pawlauth/pawl/internal/session"
)

const (
	storePatience = 30 * time.Second       // for stores that do not answer yet
	storeRetry    = 250 * time.Millisecond // between two looks
	// storeAnswer is for one look. It has room for opening a connection to a
	// distant store, which takes several replies: a look that gave up halfway
	// would leave none behind for the next.
	storeAnswer = 5 * time.Second
)

// waitForStores returns when both stores answered once, or names the setting of
// the one that did not within storePatience.
func waitForStores(ctx context.Context, log *slog.Logger, db *gorm.DB, store session.Store) error {
	ctx, cancel := context.WithTimeout(ctx, storePatience)
	defer cancel()
	err := waitFor(ctx, log, "PAWL_DATABASE_URL", func(ctx context.Context) error { return database.Ping(ctx, db) })
	if err != nil {
		return err
	}
	return waitFor(ctx, log, "PAWL_REDIS_URL", store.Ping)
}

func waitFor(ctx context.Context, log *slog.Logger, setting string, ping func(context.Context) error) error {
	problem := "no answer in time"
	for told := false; ; told = true {
		look, cancel := context.WithTimeout(ctx, storeAnswer)
		err := ping(look)
		cancel()
		if err == nil {
			return nil
		}
		if ctx.Err() == nil { // otherwise the look was cut short and says nothing new
			problem = plain(err)
		}
		if !told {
			log.Warn("waiting for a store", "setting", setting, "problem", problem)
		}
		select {
		case <-ctx.Done():
			return &settingError{setting, "no good answer within " + short(storePatience) + ": " + problem}
		case <-time.After(storeRetry):
		}
	}
}

// lease takes the exclusive right to keep the database's sessions in memory,
// where that is where they are kept. From then on requests are answered only
// while it is certain that no other server has it.
func (n *node) lease(ctx context.Context, db *gorm.DB) (lost <-chan struct{}, release func(), err error) {
	if !n.redisURL.IsEmpty() {
		return nil, func() {}, nil
	}
	if n.held != nil {
		return n.held.Lost(), func() {}, nil
	}
	lease, err := ledger.AcquireLease(ctx, db, time.Now, func() {
		n.log.Info("waiting for the lease on the database: a server with sessions in memory had it, and runs or died within the last 15s")
	})
	switch {
	case errors.Is(err, ledger.ErrLeased):
		return nil, nil, &settingError{"PAWL_SESSION_STORE", "another server with sessions in memory runs on this database; there can be one"}
	case err != nil:
		return nil, nil, &settingError{"PAWL_DATABASE_URL", "the lease for a server with sessions in memory could not be taken: " + plain(err)}
	}
	n.leased.Store(lease)
	release = func() {
		if err := lease.Release(); err != nil {
			n.log.Warn("the lease on the database was not given back; the next server waits for it, for 15s at most", "problem", plain(err))
		}
	}
	return lease.Lost(), release, nil
}

// halted reports whether another server may have the lease by now. It says so
// once for each time.
func (n *node) halted() bool {
	lease := n.leased.Load()
	halted := lease != nil && !lease.Valid()
	if n.wasHalted.Swap(halted) != halted {
		if halted {
			n.log.Error("the lease on the database could not be renewed for 10s: no request is answered until it is, because another server may take it")
		} else {
			n.log.Info("the lease on the database is renewed: requests are answered again")
		}
	}
	return halted
}

// checkDatabase prepares the database, where this command does so, and refuses
// a schema that is behind.
func (n *node) checkDatabase(ctx context.Context, db *gorm.DB) error {
	if n.prepare != nil {
		if err := n.prepare(ctx, db, n.hasher); err != nil {
			return err
		}
	}
	return checkSchema(ctx, db)
}

// ended is nil instead of err when the program was told to stop meanwhile.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil //nolint:nilerr // an orderly stop
	}
	return err
}
