package auth_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pawlauth/pawl/internal/audit"
	"github.com/pawlauth/pawl/internal/auth"
	"github.com/pawlauth/pawl/internal/secret"
	"github.com/pawlauth/pawl/internal/session"
)

const otherPassword = "wholly different sentence 7"

// announced is what the feed would have told other nodes since the last look.
func (w *world) announced() []uuid.UUID {
	w.Helper()
	var ids []uuid.UUID
	ctx, stop := context.WithCancel(w.Context())
	stop() // what waits is delivered all the same
	_ = w.feed.Run(ctx, func(_ time.Time, news ...uuid.UUID) { ids = append(ids, news...) })
	return ids
}

// wantsAnnounced demands that the feed told of these sessions, once each.
func (w *world) wantsAnnounced(clients ...*client) {
	w.Helper()
	got, want := w.announced(), []uuid.UUID(nil)
	for _, c := range clients {
		want = append(want, c.id)
	}
	byText := func(a, b uuid.UUID) int { return slices.Compare(a[:], b[:]) }
	slices.SortFunc(got, byText)
	slices.SortFunc(want, byText)
	if !slices.Equal(got, want) {
		w.Errorf("announced to other nodes: got %v, want %v", got, want)
	}
}

// events are the events of a name so far.
func (w *world) events(name audit.Name) []audit.Entry {
	w.Helper()
	w.must(w.audit.Flush(w.Context()))
	list, err := audit.List(w.Context(), w.db, audit.Filter{Name: name, Limit: 1000})
	w.must(err)
	return list
}

// unrevocable lets the ledger refuse to end sessions, and nothing else, until back
// is called.
func (w *world) unrevocable() (back func()) {
	w.Helper()
	w.must(w.db.Exec(`CREATE TRIGGER unrevocable BEFORE UPDATE OF revoked_at ON sessions
		BEGIN SELECT RAISE(ABORT, 'down on purpose'); END`).Error)
	return func() { w.Helper(); w.must(w.db.Exec("DROP TRIGGER unrevocable").Error) }
}

// steps are the targets of an end in the order in which they heard of it.
type steps struct {
	mu  sync.Mutex
	all []string
}

func (s *steps) note(step string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Contains(s.all, step) {
		s.all = append(s.all, step)
	}
}

// stepStore notes tombstones, and whether the ledger had the end by then.
type stepStore struct {
	session.Store
	before func(ends []session.End)
}

func (s stepStore) Revoke(ctx context.Context, userID uuid.UUID, ends []session.End) error {
	s.before(ends)
	return s.Store.Revoke(ctx, userID, ends)
}

// Ends that somebody asks for are in the ledger before there is a tombstone, and
// under a tombstone before the feed tells of them.
func TestEndsAreWrittenInOrder(t *testing.T) {
	for name, end := range map[string]func(w *world, c *client){
		"logout": func(w *world, c *client) { w.logout(c) },
		"revoke": func(w *world, c *client) {
			_, err := w.svc.RevokeSession(w.Context(), phone, w.claims(c), auth.RevokeSessionInput{SessionID: c.id.String()})
			w.must(err)
		},
		"revoke all": func(w *world, c *client) {
			_, err := w.svc.RevokeAllSessions(w.Context(), phone, w.claims(c), &auth.RevokeAllSessionsInput{IncludeCurrent: true})
			w.must(err)
		},
		"password":      func(w *world, c *client) { w.changePassword(c) },
		"wrong channel": func(_ *world, c *client) { c.onTheWrongChannel(auth.ErrRefreshBinding) },
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(w *world) {
				c := w.login(phone)
				seen := &steps{}
				inner := w.hot.Store
				w.hot.Store = stepStore{inner, func([]session.End) {
					if entry, err := w.ledger.Find(w.Context(), w.user.ID, c.id); err == nil && !entry.RevokedAt.IsZero() {
						seen.note("ledger")
					}
					seen.note("store")
				}}
				ready, done := make(chan struct{}), make(chan struct{})
				ctx, stop := context.WithCancel(w.Context())
				sentinel := uuid.New()
				w.must(w.feed.Publish(w.Context(), sentinel))
				go func() {
					defer close(done)
					_ = w.feed.Run(ctx, func(_ time.Time, ids ...uuid.UUID) {
						if slices.Contains(ids, sentinel) {
							close(ready)
						}
						if slices.Contains(ids, c.id) {
							if _, err := inner.Find(context.Background(), w.user.ID, c.id); !errors.Is(err, session.ErrEnded) {
								t.Errorf("when the feed told: hot state got %v, want a tombstone", err)
							}
							seen.note("feed")
						}
					})
				}()
				<-ready
				end(w, c)
				stop()
				<-done
				if want := []string{"ledger", "store", "feed"}; !slices.Equal(seen.all, want) {
					t.Errorf("order: got %v, want %v", seen.all, want)
				}
			})
		})
	}
}

// changePassword does it from the client's session.
func (w *world) changePassword(c *client) *auth.ChangePasswordPayload {
	w.Helper()
	result, err := w.svc.ChangePassword(w.Context(), phone, w.claims(c), auth.ChangePasswordInput{
		CurrentPassword: secret.New(goodPassword), NewPassword: secret.New(otherPassword),
	})
	w.must(err)
	payload, ok := result.(*auth.ChangePasswordPayload)
	if !ok {
		w.Fatalf("changePassword: got %T, want a new session", result)
	}
	return payload
}

// Where the ledger does not take the ends of a password change, the password has
// not changed, and no node is told that anything ended.
func TestPasswordChangeWithoutTheLedger(t *testing.T) {
	each(t, func(w *world) {
		c, other := w.login(phone), w.login(phone)
		w.announced()
		w.saw("login succeeded", "login succeeded")
		back := w.unrevocable()
		if result, err := c.changePassword(newPassword); !errors.Is(err, auth.ErrUnavailable) {
			t.Fatalf("changePassword: got %T (%v), want ErrUnavailable", result, err)
		}
		back()
		w.wantsAnnounced()
		w.saw()
		c.authenticates(nil)
		other.refresh()
		w.saw("refresh rotated")
		payload := w.changePassword(c)
		w.wantsAnnounced(c, other)
		w.saw("ended password", "ended password")
		if got := payload.RevokedSessionIDs; len(got) != 2 || !slices.Contains(got, c.id) || !slices.Contains(got, other.id) {
			t.Errorf("revoked: got %v, want %s and %s, once each", got, c.id, other.id)
		}
	})
}

// resent is a store of which the first reply to a theft was lost: the client
// sent the command again.
type resent struct{ session.Store }

func (r resent) Rotate(ctx context.Context, p session.Presented, policy session.Policy) (session.Verdict, error) {
	v, err := r.Store.Rotate(ctx, p, policy)
	if v.Outcome == session.Reuse {
		return r.Store.Rotate(ctx, p, policy)
	}
	return v, err
}

// spent is a client and the token that it turned away long ago.
func (w *world) spent() (*client, secret.Text) {
	c := w.login(phone)
	first := c.token
	c.refresh()
	c.turn()
	w.clock.step(time.Minute)
	w.announced()
	return c, first
}

// A theft is told of once, whoever finds it after the node that should have told
// got no reply, or died.
func TestTheftWithALostReplyIsTold(t *testing.T) {
	each(t, func(w *world) {
		c, first := w.spent()
		w.hot.Store = resent{w.hot.Store}
		c.wants(first, auth.ErrRefreshRevoked)
		w.wantsAnnounced(c)
		c.authenticates(auth.ErrSessionRevoked)
		w.svc.Settle(w.Context())
		c.inLedger(true, session.ReasonReuse)
		c.wants(first, auth.ErrRefreshRevoked)
		w.svc.Settle(w.Context())
		w.saw("login succeeded", "refresh rotated", "refresh rotated", "refresh tombstone", "ended reuse", "refresh tombstone")
		events := w.events(audit.SessionReuseDetected)

		w.restart() // another node, that heard nothing
		c.wants(c.token, auth.ErrRefreshRevoked)
		w.svc.Settle(w.Context())
		w.saw("refresh tombstone")
		if more := w.events(audit.SessionReuseDetected); len(events) != 1 || len(more) != 1 {
			t.Fatalf("events of the theft: got %d, and %d after another node met it, want 1", len(events), len(more))
		}
		if e := events[0]; e.UserID != w.user.ID || e.SessionID != c.id || e.Address != phone.Address.String() || e.UserAgent != phone.UserAgent {
			t.Errorf("event: got %+v, want user, session and who presented the token", e)
		}
	})
}

// The same while the ledger cannot say whether it knew: access tokens die at
// once, and the event is recorded when it is back.
func TestTheftWithALostReplyAndWithoutTheLedger(t *testing.T) {
	each(t, func(w *world) {
		c, first := w.spent()
		w.hot.Store = resent{w.hot.Store}
		w.dbDown.Store(true)
		c.wants(first, auth.ErrRefreshRevoked)
		w.wantsAnnounced(c)
		w.svc.Settle(w.Context())
		c.wants(c.token, auth.ErrRefreshRevoked)
		w.dbDown.Store(false)
		if got := w.events(audit.SessionReuseDetected); len(got) != 0 {
			t.Errorf("events with the ledger down: got %d, want none yet", len(got))
		}
		w.svc.Settle(w.Context())
		c.inLedger(true, session.ReasonReuse)
		if got := w.events(audit.SessionReuseDetected); len(got) != 1 {
			t.Errorf("events with the ledger back: got %d, want 1", len(got))
		}
	})
}

// A theft that was told of at once is not told of again.
func TestTheftIsToldOnce(t *testing.T) {
	each(t, func(w *world) {
		c, first := w.spent()
		w.dbDown.Store(true)
		c.wants(first, auth.ErrRefreshReused)
		w.wantsAnnounced(c)
		c.wants(c.token, auth.ErrRefreshRevoked)
		w.dbDown.Store(false)
		w.svc.Settle(w.Context())
		w.must(w.audit.Flush(w.Context()))
		w.restart()
		c.wants(c.token, auth.ErrRefreshRevoked)
		w.svc.Settle(w.Context())
		events := w.events(audit.SessionReuseDetected)
		if len(events) != 1 || events[0].Earlier.Address != phone.Address.String() || events[0].Earlier.At.IsZero() {
			t.Errorf("events: got %+v, want one, with who used the session before", events)
		}
		w.saw("login succeeded", "refresh rotated", "refresh rotated", "refresh reuse", "ended reuse", "refresh tombstone", "refresh tombstone")
	})
}

// onTheWrongChannel sends a phone's token as a cookie.
func (c *client) onTheWrongChannel(want error) {
	c.w.Helper()
	caller := browser
	caller.RefreshCookies = []secret.Text{c.token}
	if _, err := c.w.svc.Refresh(c.w.Context(), caller, nil); !errors.Is(err, want) {
		c.w.Fatalf("refresh on the wrong channel: got %v, want %v", err, want)
	}
}

// A logout ends a session whose row the ledger has lost, as a failover may do.
func TestLogoutWithoutARow(t *testing.T) {
	each(t, func(w *world) {
		c := w.login(phone)
		w.must(w.db.Exec("DELETE FROM sessions WHERE id = ?", c.id).Error)
		if _, err := w.svc.Logout(w.Context(), phone, &auth.LogoutInput{RefreshToken: &c.token}); err != nil {
			t.Fatal(err)
		}
		if !w.svc.Revoked.Contains(c.id) {
			t.Error("its access tokens live on")
		}
		if _, err := w.hot.Find(w.Context(), w.user.ID, c.id); !errors.Is(err, session.ErrEnded) {
			t.Errorf("hot state: got %v, want ErrEnded", err)
		}
	})
}
