package auth

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/pawlauth/pawl/internal/session"
)

const (
	// bulkAtOnce is how many operations of a bulk are under way at a time.
	bulkAtOnce = 16
	// bulkFailures is how many of them may fail while the store is thought to be
	// up.
	bulkFailures = 10
)

var errStoreDown = errors.New("auth: the store failed too often to be asked for the rest")

// bulk asks the store about many things, some at a time and each for
// storeTimeout at most. It returns those that failed, with the error of one of
// them. A store that fails too often is not asked for the rest.
func bulk[T any](ctx context.Context, things []T, ask func(context.Context, T) error) (failed []T, err error) {
	var mu sync.Mutex
	var work errgroup.Group
	work.SetLimit(bulkAtOnce)
	for _, thing := range things {
		work.Go(func() error {
			mu.Lock()
			down := len(failed) > bulkFailures
			mu.Unlock()
			err := errStoreDown
			if !down {
				limited, cancel := context.WithTimeout(ctx, storeTimeout)
				defer cancel()
				err = ask(limited, thing)
			}
			if err != nil {
				mu.Lock()
				defer mu.Unlock()
				failed = append(failed, thing)
			}
			return err
		})
	}
	err = work.Wait()
	return failed, err
}

// endsByUser are sessions that ended, of any number of users.
type endsByUser map[uuid.UUID][]session.End

// bulkRevoke writes the tombstones of many users. It returns the users of whom
// the store did not take them, with the error of one of them.
func bulkRevoke(ctx context.Context, store session.Store, ends endsByUser) (refused []uuid.UUID, err error) {
	return bulk(ctx, slices.Collect(maps.Keys(ends)), func(ctx context.Context, userID uuid.UUID) error {
		return store.Revoke(ctx, userID, ends[userID])
	})
}

// endAll makes known that sessions of many users ended, to the store and to
// every node. It returns the users of whom the store did not take it.
func (e *endings) endAll(ctx context.Context, ends endsByUser) (refused []uuid.UUID) {
	if len(ends) == 0 {
		return nil
	}
	refused, err := bulkRevoke(ctx, e.store, ends)
	if err != nil {
		e.log.Warn("store unavailable", "operation", "ending sessions in hot state", "users", len(refused), "error", err)
	}
	var all []session.End
	for _, list := range ends {
		all = append(all, list...)
	}
	e.announce(ctx, all)
	return refused
}
