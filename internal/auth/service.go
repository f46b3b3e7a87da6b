package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/pawlauth/pawl/internal/audit"
	"github.com/pawlauth/pawl/internal/ledger"
	"github.com/pawlauth/pawl/internal/password"
	"github.com/pawlauth/pawl/internal/revocation"
	"github.com/pawlauth/pawl/internal/session"
	"github.com/pawlauth/pawl/internal/throttle"
	"github.com/pawlauth/pawl/internal/user"
)

// storeTimeout bounds what one verb waits for the stores after it began: a
// store that hangs is ErrUnavailable before three seconds are over.
const storeTimeout = 2700 * time.Millisecond

// stopTimeout bounds what is written after the requests have ended, all of it:
// whoever stops the process waits no longer.
const stopTimeout = 5 * time.Second

// Config is what a [Service] is made of. All fields but the marked ones are needed.
type Config struct {
	Users  *user.Users
	Ledger *ledger.Ledger
	Store  session.Store
	// Keys may be replaced at any time: see [Keys].
	Keys    *atomic.Pointer[Keys]
	Hasher  *password.Hasher
	Feed    revocation.Feed
	Revoked *revocation.Set
	Policy  session.Policy
	Audit   *audit.Log

	// Throttle counts logins and password checks, at LoginRate by network and on
	// LoginSchedule by account, and right passwords at LoginSuccessRate by account.
	// Refreshes counts failed refreshes at RefreshRate by network, on this node
	// alone.
	Throttle         throttle.Store
	LoginRate        throttle.Rate
	LoginSchedule    throttle.Schedule
	LoginSuccessRate throttle.Rate
	Refreshes        *throttle.Memory
	RefreshRate      throttle.Rate

	// ReconcileEvery is how often revocations that others wrote into the ledger
	// are taken over.
	ReconcileEvery time.Duration
	// StaleAfter is how old the feed's news may be before sessions are looked up
	// one by one instead; 0 for never. FailOpen accepts access tokens until they
	// expire when the stores do not answer that either.
	StaleAfter time.Duration
	FailOpen   bool
	// LoginMinDuration is the least time a login takes, whatever it comes to. Optional.
	LoginMinDuration time.Duration
	// PasswordContext are words that no password may contain. Optional.
	PasswordContext []string
	// Observer is told what came of it. Optional.
	Observer Observer

	Log *slog.Logger
	Now func() time.Time
}

// Service carries out the verbs. It is safe for concurrent use.
type Service struct {
	Config
	endings     *endings
	checkpoints *checkpoints
	lookups     *lookups
	elsewheres  elsewheres
	caughtUp    chan struct{} // closed when what the ledger knows to have ended is listed
	cleanEvery  time.Duration

	listPage, tombstonePage int // ends of one read of the ledger
}

// New returns a service. [Service.Run] must run beside it.
func New(c Config) (*Service, error) {
	if err := c.Policy.Validate(); err != nil {
		return nil, err
	}
	if c.ReconcileEvery <= 0 {
		return nil, errors.New("auth: the reconcile interval must be positive")
	}
	c.Observer = c.Observer.complete()
	e := newEndings(c)
	return &Service{
		Config:      c,
		endings:     e,
		checkpoints: newCheckpoints(c.Ledger, c.Store, e, c.Policy, c.Log, c.Now),
		lookups:     newLookups(c),
		caughtUp:    make(chan struct{}),
		cleanEvery:  cleanEvery,

		listPage: listPage, tombstonePage: tombstonePage,
	}, nil
}

// Run does the work behind the requests until ctx ends: it writes checkpoints,
// repeats revocations that a store missed, takes over those of others, forgets
// what is over, and listens to the feed. What is pending when ctx ends is
// written before Run returns, for five seconds at most.
func (s *Service) Run(ctx context.Context) error {
	var work sync.WaitGroup
	work.Go(func() { s.checkpoints.run(ctx) })
	work.Go(func() { s.endings.repair(ctx) })
	work.Go(func() { s.reconcile(ctx) })
	work.Go(func() { s.repeatTombstones(ctx) })
	work.Go(func() { s.clean(ctx) })
	work.Go(func() { s.watchFeed(ctx) })
	err := s.Feed.Run(ctx, func(at time.Time, ids ...uuid.UUID) { s.Revoked.Add(at, ids...) })
	<-ctx.Done()
	work.Wait()
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("auth: revocation feed: %w", err)
	}
	return nil
}

// Ready reports whether the revocations of the last hour are known, from the
// ledger and from the feed.
func (s *Service) Ready() bool {
	select {
	case <-s.caughtUp:
		return !s.Feed.Current().IsZero()
	default:
		return false
	}
}

// User is a user's row. An unknown id is user.ErrNotFound.
func (s *Service) User(ctx context.Context, id uuid.UUID) (user.User, error) {
	type key struct{ id uuid.UUID }
	return once(ctx, key{id}, func() (user.User, error) { return s.readUser(ctx, id) })
}

func (s *Service) readUser(ctx context.Context, id uuid.UUID) (user.User, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	u, err := s.Users.ByID(ctx, id)
	if err != nil && !errors.Is(err, user.ErrNotFound) {
		return u, s.unavailable("user row", err)
	}
	return u, err
}

// detach keeps the verb going when the client hangs up, for as long as the
// stores may take.
func detach(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
}

// unavailable logs why a store did not answer and turns it into ErrUnavailable.
func (s *Service) unavailable(what string, err error) error {
	s.Log.Warn("store unavailable", "operation", what, "error", err)
	s.Audit.Record(audit.Event{Name: audit.StoreUnavailable, Details: map[string]string{"operation": what}})
	return fmt.Errorf("%w: %s", ErrUnavailable, what)
}
