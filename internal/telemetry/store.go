package telemetry

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/pawlauth/pawl/internal/session"
)

func storeOperations() []string {
	return []string{"create", "rotate", "restore", "revoke", "find", "list", "ping"}
}

// Store is next, measured. That a session ended or has no hot state is an
// answer; every other error is counted as one.
func (m *Metrics) Store(next session.Store) session.Store {
	return &store{next: next, metrics: m}
}

// store names every operation instead of embedding the next one, so that none
// goes unmeasured.
type store struct {
	next    session.Store
	metrics *Metrics
}

// measure counts an operation that began at a time and came to err.
func (s *store) measure(operation string, started time.Time, err error) {
	took := s.metrics.now().Sub(started)
	if errors.Is(err, session.ErrEnded) || errors.Is(err, session.ErrMissing) {
		err = nil
	}
	s.metrics.store.observe(operation, took, err)
}

func (s *store) Create(ctx context.Context, state session.State, limit int) ([]session.End, error) {
	started := s.metrics.now()
	evicted, err := s.next.Create(ctx, state, limit)
	s.measure("create", started, err)
	return evicted, err
}

func (s *store) Rotate(ctx context.Context, p session.Presented, policy session.Policy) (session.Verdict, error) {
	started := s.metrics.now()
	verdict, err := s.next.Rotate(ctx, p, policy)
	s.measure("rotate", started, err)
	return verdict, err
}

func (s *store) Restore(ctx context.Context, state session.State, adopt uint64, policy session.Policy) (session.State, error) {
	started := s.metrics.now()
	after, err := s.next.Restore(ctx, state, adopt, policy)
	s.measure("restore", started, err)
	return after, err
}

func (s *store) Revoke(ctx context.Context, userID uuid.UUID, ends []session.End) error {
	started := s.metrics.now()
	err := s.next.Revoke(ctx, userID, ends)
	s.measure("revoke", started, err)
	return err
}

func (s *store) Find(ctx context.Context, userID, sessionID uuid.UUID) (session.State, error) {
	started := s.metrics.now()
	state, err := s.next.Find(ctx, userID, sessionID)
	s.measure("find", started, err)
	return state, err
}

func (s *store) List(ctx context.Context, userID uuid.UUID) ([]session.State, error) {
	started := s.metrics.now()
	states, err := s.next.List(ctx, userID)
	s.measure("list", started, err)
	return states, err
}

func (s *store) Ping(ctx context.Context) error {
	started := s.metrics.now()
	err := s.next.Ping(ctx)
	s.measure("ping", started, err)
	return err
}
