package sessiontest

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pawlauth/pawl/internal/session"
)

const crowd = 100

// together runs n calls at once and waits for all.
func together(n int, call func(i int)) {
	var ready, done sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		ready.Add(1)
		done.Go(func() {
			ready.Done()
			<-start
			call(i)
		})
	}
	ready.Wait()
	close(start)
	done.Wait()
}

func testRaces(t *testing.T, open Open) {
	for _, c := range []struct {
		name  string
		given func(*session.State)
		by    func(i int) session.Attempt
		rest  session.Outcome // of all but the one that turns
	}{
		{"one token, no attempt ids", nil, serial("s"), session.Replayed},
		{"one token, one client attempt", nil, func(int) session.Attempt { return clientB }, session.Retried},
		{"one token, an attempt id each", nil, serial("c"), session.Contended},
		{"a first refresh", func(s *session.State) { s.Generation = 1 }, serial("s"), session.Replayed},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t, open)
			s := f.turned()
			if c.given != nil {
				c.given(&s)
			}
			f.create(s)
			f.clock.Step(f.policy.Grace + ms)
			verdicts := make([]session.Verdict, crowd)
			errs := make([]error, crowd)
			together(crowd, func(i int) {
				verdicts[i], errs[i] = f.store.Rotate(f.ctx, present(s, s.Generation, c.by(i)), f.policy)
			})
			count := map[session.Outcome]int{}
			for i, v := range verdicts {
				if errs[i] != nil {
					t.Fatalf("Rotate: %v", errs[i])
				}
				count[v.Outcome]++
				if v.State.Generation != s.Generation+1 {
					t.Errorf("generation of %q: got %d, want %d", v.Outcome, v.State.Generation, s.Generation+1)
				}
			}
			if count[session.Rotated] != 1 || count[c.rest] != crowd-1 {
				t.Errorf("outcomes: got %v, want 1 rotated and %d %s", count, crowd-1, c.rest)
			}
		})
	}
	t.Run("logins and the cap", func(t *testing.T) { raceCap(t, open) })
	t.Run("one login many times", func(t *testing.T) {
		f := newFixture(t, open)
		s := f.state()
		together(crowd, func(int) {
			if evicted, err := f.store.Create(f.ctx, s, 1); err != nil || len(evicted) != 0 {
				t.Errorf("Create: got evicted %v and error %v, want neither", evicted, err)
			}
		})
		f.wantStored(s)
	})
	t.Run("revoke and rotate", func(t *testing.T) { raceRevoke(t, open) })
	t.Run("revoke and restore", func(t *testing.T) {
		f := newFixture(t, open)
		for range 20 {
			s := f.turned()
			together(4, func(i int) {
				if i == 0 {
					f.revoke(s, session.ReasonLogout)
					return
				}
				if _, err := f.store.Restore(f.ctx, s, 9, f.policy); err != nil && !errors.Is(err, session.ErrEnded) {
					t.Errorf("Restore: got %v, want no error or ErrEnded", err)
				}
			})
			f.wantEnded(s, session.ReasonLogout)
		}
	})
	t.Run("restore and rotate", func(t *testing.T) {
		f := newFixture(t, open)
		c := f.checkpoint(f.turned(), 4, serverA, 30*time.Minute, 30*time.Minute)
		together(crowd, func(i int) {
			if _, err := f.store.Restore(f.ctx, c, 6, f.policy); err != nil {
				t.Errorf("Restore: %v", err)
			}
			v, err := f.store.Rotate(f.ctx, present(c, 6, serial("s")(i)), f.policy)
			if err != nil || v.State.Generation < 6 || v.State.Generation > 7 {
				t.Errorf("Rotate: got %q at generation %d and error %v, want generation 6 or 7", v.Outcome, v.State.Generation, err)
			}
		})
	})
}

// serial makes attempts that differ.
func serial(kind string) func(i int) session.Attempt {
	return func(int) session.Attempt { return session.Attempt(kind + uuid.NewString()) }
}

func raceCap(t *testing.T, open Open) {
	f := newFixture(t, open)
	const limit = 5
	var mu sync.Mutex
	ended := map[uuid.UUID]int{}
	begun := map[uuid.UUID]bool{}
	together(crowd, func(int) {
		s := f.state()
		evicted, err := f.store.Create(f.ctx, s, limit)
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			t.Errorf("Create: %v", err)
		}
		begun[s.ID] = true
		for _, end := range evicted {
			ended[end.SessionID]++
		}
	})
	live := f.list()
	if len(live) != limit || len(ended) != crowd-limit {
		t.Errorf("after %d logins: got %d live and %d evicted, want %d and %d", crowd, len(live), len(ended), limit, crowd-limit)
	}
	for id, times := range ended {
		if times != 1 || !begun[id] {
			t.Errorf("evicted %s: got it %d times (a session of ours: %t), want once", id, times, begun[id])
		}
	}
	for _, s := range live {
		if ended[s.ID] != 0 {
			t.Errorf("session %s: got it live and evicted, want one of them", s.ID)
		}
	}
}

func raceRevoke(t *testing.T, open Open) {
	f := newFixture(t, open)
	f.policy.Grace = 0 // every good use turns
	for range 20 {
		s := f.turned()
		f.create(s)
		revoked := make(chan struct{})
		together(8, func(i int) {
			if i == 0 {
				f.revoke(s, session.ReasonRevoked)
				close(revoked)
				return
			}
			after := false
			for range 4 {
				select {
				case <-revoked:
					after = true
				default:
				}
				v, err := f.store.Rotate(f.ctx, present(s, 5, clientA), f.policy)
				if err != nil {
					t.Errorf("Rotate: %v", err)
				}
				if after && v.Outcome != session.Tombstone {
					t.Errorf("Rotate after Revoke had returned: got %q, want tombstone", v.Outcome)
				}
			}
		})
		f.wantEnded(s, session.ReasonRevoked)
		f.policy.Cap++
	}
}
