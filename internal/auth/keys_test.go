package auth_test

import (
	"context"
	"errors"
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pawlauth/pawl/internal/auth"
	"github.com/pawlauth/pawl/internal/session"
	"github.com/pawlauth/pawl/internal/token"
)

// keysWith are the keys of the world with another ring of refresh keys.
func (w *world) keysWith(refreshKeys ...session.Key) *auth.Keys {
	w.Helper()
	ring, err := session.NewKeyring(refreshKeys...)
	w.must(err)
	keys := *w.svc.Keys.Load()
	keys.Refresh = ring
	return &keys
}

// TestKeysAreReplaced: sessions of the old key go on, new ones use the new key,
// and a published key makes nothing.
func TestKeysAreReplaced(t *testing.T) {
	each(t, func(w *world) {
		first, second := refresh, session.Key{Material: []byte("another key of thirty-two bytes!")}
		c := w.login(phone)
		second.State = session.KeyPublished
		w.svc.Keys.Store(w.keysWith(first, second))
		old := w.login(phone)
		second.State = session.KeyActive
		w.svc.Keys.Store(w.keysWith(first, second))
		fresh := w.login(phone)
		for _, c := range []*client{c, old, fresh} {
			c.refresh()
			c.turn()
			c.authenticates(nil)
		}
		if got, want := fresh.inLedger(false, "").KeyID, w.svc.Keys.Load().Refresh.Newest(); got != want {
			t.Errorf("a new session: got key %s, want %s", got, want)
		}
		if got, want := old.inLedger(false, "").KeyID, w.keysWith(first).Refresh.Newest(); got != want {
			t.Errorf("a session from before the activation: got key %s, want %s", got, want)
		}
	})
}

// turning replaces keys while the store is at work, between the look at a token
// and the making of what answers it.
type turning struct {
	session.Store
	swap func()
}

func (s turning) Rotate(ctx context.Context, p session.Presented, policy session.Policy) (session.Verdict, error) {
	s.swap()
	return s.Store.Rotate(ctx, p, policy)
}

func (s turning) Create(ctx context.Context, state session.State, limit int) ([]session.End, error) {
	s.swap()
	return s.Store.Create(ctx, state, limit)
}

// TestKeysChangeDuringAnOperation: what judged a token makes its successor and
// its access token, although the keys are replaced in between and the new ones
// do not know the old. The other half of a pair that is made with two sets of
// keys would be refused by each.
func TestKeysChangeDuringAnOperation(t *testing.T) {
	each(t, func(w *world) {
		before, after := w.svc.Keys.Load(), w.strangeKeys()
		w.hot.Store = turning{w.hot.Store, func() { w.svc.Keys.Store(after) }}
		replaced := func(c *client) {
			w.Helper()
			if w.svc.Keys.Load() != after {
				w.Fatal("the keys were not replaced during the operation")
			}
			w.svc.Keys.Store(before)
			c.authenticates(nil)
			c.refresh()
			w.svc.Keys.Store(before)
		}
		c := w.login(phone)
		replaced(c)
		w.clock.step(w.policy.Grace + time.Second)
		c.refresh()
		replaced(c)
		payload := w.changePassword(c)
		replaced(&client{w: w, caller: phone, token: handed(payload.Credential), access: payload.AccessToken.Token, id: payload.Session.ID})
	})
}

// strangeKeys are keys that know nothing of what the world's made so far.
func (w *world) strangeKeys() *auth.Keys {
	w.Helper()
	key, err := token.GenerateKey(token.EdDSA)
	w.must(err)
	ring, err := token.NewKeyring(key)
	w.must(err)
	keys := w.keysWith(session.Key{Material: []byte("another key of thirty-two bytes!")})
	keys.Issuer, err = token.NewIssuer(ring, w.config(), w.clock.now)
	w.must(err)
	return keys
}

// TestKeysAreTakenOnce: no function takes the keys twice, because nothing can be
// put between two such calls to show that they may differ.
func TestKeysAreTakenOnce(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	taken := 0
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(gotoken.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range parsed.Decls {
			calls := 0
			ast.Inspect(decl, func(n ast.Node) bool {
				load, ok := n.(*ast.SelectorExpr)
				if !ok || load.Sel.Name != "Load" {
					return true
				}
				if keys, ok := load.X.(*ast.SelectorExpr); ok && keys.Sel.Name == "Keys" {
					calls++
				}
				return true
			})
			if f, ok := decl.(*ast.FuncDecl); ok && calls > 1 {
				t.Errorf("%s: %s takes the keys %d times, want once", file, f.Name.Name, calls)
			}
			taken += calls
		}
	}
	if taken == 0 {
		t.Error("nobody takes the keys")
	}
}

// TestWithdraw: the sessions of a revoked key end, and so do those that began
// while it was revoked; others go on.
func TestWithdraw(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	before := w.svc.Keys.Load()
	mine := w.login(phone)
	first, second := refresh, session.Key{Material: []byte("another key of thirty-two bytes!")}
	withdrawn := before.Refresh.Newest()
	first.State = session.KeyRetired
	after := w.keysWith(first, second)
	w.svc.Keys.Store(after)
	other := w.login(phone)

	w.dbDown.Store(true)
	brief, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
	w.svc.Withdraw(brief, withdrawn) // tries again until it is stopped
	stop()
	w.dbDown.Store(false)
	mine.inLedger(false, "")
	done := make(chan struct{})
	go func() {
		w.svc.Withdraw(t.Context(), withdrawn)
		close(done)
	}()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		if entry, err := w.ledger.Find(t.Context(), w.user.ID, mine.id); err == nil && entry.Ended() {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("got %+v (%v), want the session ended within a minute", entry, err)
		}
	}
	w.svc.Keys.Store(before) // of a login that took the keys before
	late := w.login(phone)
	w.svc.Keys.Store(after)
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatal("got no end of Withdraw within a minute")
	}
	for name, c := range map[string]*client{"the session of the key": mine, "the one that was beginning": late} {
		t.Run(name, func(*testing.T) {
			c.wants(c.token, auth.ErrRefreshRevoked)
			c.authenticates(auth.ErrSessionRevoked)
			c.inLedger(true, session.ReasonRevoked)
		})
	}
	other.refresh()
	other.authenticates(nil)
}

// TestRevokeKey: an operator ends the sessions of a key, of all users, by batches.
func TestRevokeKey(t *testing.T) {
	each(t, func(w *world) {
		accounts := &auth.Accounts{Users: w.users, Ledger: w.ledger, Store: w.hot, Feed: w.svc.Feed}
		a, b := w.login(phone), w.login(browser)
		key := w.svc.Keys.Load().Refresh.Newest()
		effect, err := accounts.RevokeKey(w.Context(), session.KeyID{1})
		if err != nil || len(effect.Ended) != 0 {
			t.Errorf("an unknown key: got %v (%v), want nothing ended", effect.Ended, err)
		}
		w.hot.down.Store(true)
		effect, err = accounts.RevokeKey(w.Context(), key)
		if err != nil || len(effect.Ended) != 2 || effect.AtOnce || effect.Delay == nil {
			t.Errorf("without a store: got %+v (%v), want both ended, later", effect, err)
		}
		w.hot.down.Store(false)
		c := w.login(phone)
		effect, err = accounts.RevokeKey(w.Context(), key)
		if err != nil || len(effect.Ended) != 1 || !effect.AtOnce || effect.Ended[0] != c.id {
			t.Errorf("got %+v (%v), want %v ended at once", effect, err, c.id)
		}
		c.wants(c.token, auth.ErrRefreshRevoked)
		w.must(w.svc.TakeOver(w.Context()))
		a.wants(a.token, auth.ErrRefreshRevoked)
		b.wants(b.token, auth.ErrRefreshRevoked)
		w.dbDown.Store(true)
		if _, err = accounts.RevokeKey(w.Context(), key); !errors.Is(err, errDown) {
			t.Errorf("without a ledger: got %v, want its error", err)
		}
		w.dbDown.Store(false)
	})
}

// TestRevokeKeyOfMany: all sessions of a key end, also where they are more than
// one statement takes.
func TestRevokeKeyOfMany(t *testing.T) {
	t.Parallel()
	const many = 501
	w := newWorld(t)
	key := w.svc.Keys.Load().Refresh.Newest()
	now := w.clock.now()
	for range many {
		state := session.State{
			Session: session.Session{
				ID: uuid.New(), UserID: w.user.ID, Delivery: session.DeliveryBody,
				CreatedAt: now, LastUsedAt: now, ExpiresAt: now.Add(time.Hour),
			},
			Role: "USER", SecretHash: session.NewSecret().Hash(), Generation: 1, TurnedAt: now,
		}
		w.must(w.ledger.Begin(t.Context(), state, key, w.user.CredentialVersion))
	}
	effect, err := (&auth.Accounts{Users: w.users, Ledger: w.ledger}).RevokeKey(t.Context(), key)
	if err != nil || len(effect.Ended) != many || effect.AtOnce {
		t.Errorf("got %d ended, at once: %t (%v), want %d, later", len(effect.Ended), effect.AtOnce, err, many)
	}
	left, err := w.ledger.ListByUser(t.Context(), w.user.ID)
	if err != nil || len(left) != 0 {
		t.Errorf("got %d left (%v), want none", len(left), err)
	}
}
