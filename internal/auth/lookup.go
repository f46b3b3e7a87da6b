package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/sync/singleflight"

	"github.com/pawlauth/pawl/internal/audit"
	"github.com/pawlauth/pawl/internal/ledger"
	"github.com/pawlauth/pawl/internal/session"
	"github.com/pawlauth/pawl/internal/token"
)

const (
	lookupLife = time.Second // how long an answer counts
	maxLookups = 16_384      // answers that are kept
)

// feedStale reports whether ends on other nodes may have gone unheard for too long.
func (s *Service) feedStale() bool {
	return s.StaleAfter > 0 && s.Now().Sub(s.Feed.Current()) > s.StaleAfter
}

// lookups asks the stores for single sessions while the revocation feed is
// stale: hot state first, then the ledger. An answer counts for a second, and
// one question per session is under way at a time.
type lookups struct {
	store    session.Store
	ledger   *ledger.Ledger
	failOpen bool
	log      *slog.Logger
	audit    *audit.Log
	now      func() time.Time

	answers *lru.Cache[uuid.UUID, lookup]
	asking  singleflight.Group
	asked   atomic.Uint64
}

// lookup is what was said of a session: nil, ErrSessionRevoked or ErrUnavailable.
type lookup struct {
	at  time.Time
	err error
}

func newLookups(c Config) *lookups {
	answers, err := lru.New[uuid.UUID, lookup](maxLookups)
	if err != nil {
		panic(err) // only a size that is not positive is refused
	}
	return &lookups{store: c.Store, ledger: c.Ledger, failOpen: c.FailOpen, log: c.Log, audit: c.Audit, now: c.Now, answers: answers}
}

// check reports ErrSessionRevoked for a session that ended, and ErrUnavailable
// when nobody can tell and tokens are not accepted then.
func (l *lookups) check(ctx context.Context, claims *token.Claims) error {
	if known, ok := l.answers.Get(claims.SessionID); ok && l.now().Sub(known.at) < lookupLife {
		return known.err
	}
	_, err, _ := l.asking.Do(claims.SessionID.String(), func() (any, error) {
		ctx, cancel := detach(ctx)
		defer cancel()
		err := l.ask(ctx, claims)
		l.answers.Add(claims.SessionID, lookup{l.now(), err})
		return nil, err
	})
	return err
}

func (l *lookups) ask(ctx context.Context, claims *token.Claims) error {
	l.asked.Add(1)
	hot, cancel := context.WithTimeout(ctx, storeTimeout/2) // the ledger must get its turn
	_, err := l.store.Find(hot, claims.UserID, claims.SessionID)
	cancel()
	switch {
	case err == nil:
		return nil
	case errors.Is(err, session.ErrEnded):
		return ErrSessionRevoked
	}
	entry, err := l.ledger.Find(ctx, claims.UserID, claims.SessionID)
	switch {
	case err == nil && !entry.Ended():
		return nil
	case err == nil, errors.Is(err, ledger.ErrNotFound):
		return ErrSessionRevoked
	case l.failOpen:
		l.log.Warn("an access token was accepted although nobody can tell whether its session ended", "session", claims.SessionID.String(), "error", err)
		l.audit.Record(audit.Event{Name: audit.AccessFailOpen, UserID: claims.UserID, SessionID: claims.SessionID})
		return nil
	}
	l.log.Warn("store unavailable", "operation", "looking up a session", "error", err)
	return fmt.Errorf("%w: looking up a session", ErrUnavailable)
}
