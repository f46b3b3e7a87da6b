package auth_test

import (
	"errors"
	"testing"
	"time"

	"github.com/pawlauth/pawl/internal/auth"
	"github.com/pawlauth/pawl/internal/revocation"
	"github.com/pawlauth/pawl/internal/secret"
	"github.com/pawlauth/pawl/internal/session"
	"github.com/pawlauth/pawl/internal/user"
)

func TestLostHotStateComesBack(t *testing.T) {
	each(t, func(w *world) {
		c, fresh := w.login(phone), w.login(phone)
		c.refresh()
		c.turn()
		c.turn() // generation 4; the ledger knows 1
		w.hot.flush()
		w.restart()
		before := c.token
		c.same(before, "", before) // ahead of the checkpoint: adopted, and turns a grace later
		c.turn()
		c.same(before, "", c.token)
		fresh.refresh() // at the checkpoint
		c.authenticates(nil)
	})
}

func TestLossAccusesNobody(t *testing.T) {
	each(t, func(w *world) {
		c := w.login(phone)
		c.refresh()
		old := c.token
		c.turn()
		c.turn()
		w.svc.Flush(w.Context())
		w.hot.flush()
		c.wants(old, auth.ErrUnavailable) // older than the checkpoint, just recovered
		w.clock.step(w.policy.Grace)
		c.wants(old, auth.ErrUnavailable)
		w.clock.step(time.Millisecond)
		c.wants(old, auth.ErrRefreshReused)
	})
}

// The store comes back with an old snapshot that does not know the last turns.
func TestRolledBackStoreIsLifted(t *testing.T) {
	each(t, func(w *world) {
		c := w.login(phone)
		c.refresh()
		stolen := c.token
		snapshot := w.snapshot(c)
		c.turn()
		c.turn()
		w.svc.FlushDue(w.Context())
		w.clock.step(w.policy.Grace + time.Second) // sooner than a checkpoint is due again
		w.rollBack(snapshot)

		thief := &client{w: w, caller: phone, token: stolen}
		thief.refresh() // the rolled-back state believes it: one turn at most
		w.svc.FlushDue(w.Context())
		_, err := thief.send(thief.token, "")
		if !errors.Is(err, auth.ErrUnavailable) && !errors.Is(err, auth.ErrRefreshReused) {
			t.Fatalf("thief after the ledger was asked: got %v, want no tokens", err)
		}
		c.refresh() // the holder goes on
	})
}

// snapshot keeps the hot state of a session as it is.
func (w *world) snapshot(c *client) session.State {
	w.Helper()
	states, err := w.hot.List(w.Context(), w.user.ID)
	w.must(err)
	for _, s := range states {
		if s.ID == c.id {
			return s
		}
	}
	w.Fatal("the session has no hot state")
	return session.State{}
}

// rollBack empties the store and puts a snapshot back.
func (w *world) rollBack(s session.State) {
	w.Helper()
	w.hot.flush()
	_, err := w.hot.Create(w.Context(), s, w.policy.Cap)
	w.must(err)
}

func TestRolledBackRevocationDiesWithTheFirstQuestion(t *testing.T) {
	for name, end := range map[string]func(w *world, c *client){
		"logout":  func(w *world, c *client) { w.logout(c) },
		"disable": func(w *world, _ *client) { w.must(w.users.SetStatus(w.Context(), w.user.ID, user.StatusDisabled)) },
		"delete":  func(w *world, _ *client) { w.must(w.users.Delete(w.Context(), w.user.ID)) },
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(w *world) {
				c := w.login(phone)
				c.refresh()
				snapshot := w.snapshot(c)
				end(w, c)
				w.rollBack(snapshot)
				w.restart() // the local set forgot too
				w.clock.step(w.policy.Grace + time.Second)
				c.refresh() // one turn at most
				w.svc.FlushDue(w.Context())
				c.wants(c.token, auth.ErrRefreshRevoked)
				c.authenticates(auth.ErrSessionRevoked)
			})
		})
	}
}

func (w *world) logout(c *client) {
	w.Helper()
	payload, err := w.svc.Logout(w.Context(), c.caller, &auth.LogoutInput{RefreshToken: &c.token})
	w.must(err)
	if payload.SessionID == nil || *payload.SessionID != c.id {
		w.Fatalf("logout: got %v, want %s", payload.SessionID, c.id)
	}
}

func TestLossNeverRevives(t *testing.T) {
	for name, end := range map[string]func(w *world, c *client){
		"logout":  func(w *world, c *client) { w.logout(c) },
		"disable": func(w *world, _ *client) { w.must(w.users.SetStatus(w.Context(), w.user.ID, user.StatusDisabled)) },
		"role":    func(w *world, _ *client) { w.must(w.users.SetRole(w.Context(), w.user.ID, user.RoleAdmin)) },
		"delete":  func(w *world, _ *client) { w.must(w.users.Delete(w.Context(), w.user.ID)) },
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(w *world) {
				c := w.login(phone)
				c.turn()
				end(w, c)
				w.hot.flush()
				w.restart()
				c.wants(c.token, auth.ErrRefreshRevoked)
				c.wants(c.token, auth.ErrRefreshRevoked)
			})
		})
	}
}

func TestCheckpointOncePerMinute(t *testing.T) {
	each(t, func(w *world) {
		c := w.login(phone)
		generation := func() uint64 { return c.inLedger(false, "").State.Generation }
		c.refresh()
		w.svc.FlushDue(w.Context())
		if got := generation(); got != 2 {
			t.Fatalf("checkpoint after the first use: got generation %d, want 2", got)
		}
		c.turn()
		w.svc.FlushDue(w.Context())
		if got := generation(); got != 2 {
			t.Fatalf("checkpoint within a minute: got generation %d, want 2 still", got)
		}
		w.clock.step(time.Minute)
		w.svc.FlushDue(w.Context())
		if got := generation(); got != 3 {
			t.Fatalf("checkpoint after a minute: got generation %d, want 3", got)
		}
		c.turn()
		w.svc.Flush(w.Context()) // at stop
		if got := generation(); got != 4 {
			t.Fatalf("checkpoint at stop: got generation %d, want 4", got)
		}
	})
}

func TestCheckpointsWaitForTheLedger(t *testing.T) {
	each(t, func(w *world) {
		c := w.login(phone)
		c.refresh()
		w.dbDown.Store(true)
		w.svc.FlushDue(w.Context())
		c.turn()
		w.dbDown.Store(false)
		w.svc.FlushDue(w.Context())
		if got := c.inLedger(false, "").State.Generation; got != 3 {
			t.Fatalf("checkpoint after an outage: got generation %d, want 3", got)
		}
	})
}

func TestIdleCountsFromTheCheckpoint(t *testing.T) {
	each(t, func(w *world) {
		c, ahead := w.login(phone), w.login(phone)
		c.refresh()
		w.svc.Flush(w.Context())
		ahead.refresh() // used after its checkpoint
		w.hot.flush()
		w.clock.step(w.policy.Idle)
		c.wants(c.token, auth.ErrRefreshExpired)
		ahead.refresh()
	})
}

func TestEndsReachTheStoreThatMissedThem(t *testing.T) {
	each(t, func(w *world) {
		c := w.login(phone)
		w.hot.down.Store(true)
		w.logout(c) // the ledger took it
		w.hot.down.Store(false)
		w.svc.Settle(w.Context())
		w.restart()
		w.dbDown.Store(true) // the store alone knows now
		c.wants(c.token, auth.ErrRefreshRevoked)
	})
}

func TestEndsReachTheLedgerThatMissedThem(t *testing.T) {
	each(t, func(w *world) {
		c := w.login(phone)
		w.dbDown.Store(true)
		w.logout(c) // the store took it
		c.authenticates(auth.ErrSessionRevoked)
		w.dbDown.Store(false)
		w.svc.Settle(w.Context())
		c.inLedger(true, session.ReasonLogout)

		d := w.login(phone)
		first := d.token
		d.refresh()
		d.turn()
		w.dbDown.Store(true)
		d.wants(first, auth.ErrRefreshReused)
		w.dbDown.Store(false)
		d.inLedger(false, "")
		w.svc.Settle(w.Context())
		d.inLedger(true, session.ReasonReuse)
	})
}

// A tombstone tells a ledger that never heard of the end.
func TestTombstoneIsRepeatedToTheLedger(t *testing.T) {
	each(t, func(w *world) {
		c := w.login(phone)
		w.must(w.hot.Revoke(w.Context(), w.user.ID, []session.End{{
			SessionID: c.id, ExpiresAt: w.clock.now().Add(time.Hour), Reason: session.ReasonReuse,
		}}))
		c.wants(c.token, auth.ErrRefreshRevoked)
		w.svc.Settle(w.Context())
		c.inLedger(true, session.ReasonReuse)
	})
}

func TestLogoutWithBothStoresDown(t *testing.T) {
	each(t, func(w *world) {
		c := w.login(phone)
		w.dbDown.Store(true)
		w.hot.down.Store(true)
		_, err := w.svc.Logout(w.Context(), phone, &auth.LogoutInput{RefreshToken: &c.token})
		if !errors.Is(err, auth.ErrUnavailable) {
			t.Fatalf("logout: got %v, want UNAVAILABLE", err)
		}
		w.dbDown.Store(false)
		w.hot.down.Store(false)
		c.refresh()
	})
}

// The same by access token, when nobody can say whether its session lives.
func TestLogoutByAccessTokenWithBothStoresDown(t *testing.T) {
	each(t, func(w *world) {
		c := w.login(phone)
		w.silence()
		w.hot.down.Store(true)
		w.dbDown.Store(true)
		caller := phone
		caller.AccessToken = c.access
		if payload, err := w.svc.Logout(w.Context(), caller, nil); !errors.Is(err, auth.ErrUnavailable) {
			t.Errorf("logout: got %+v and %v, want UNAVAILABLE", payload, err)
		}
		w.hot.down.Store(false)
		w.dbDown.Store(false)
		c.refresh()
		w.clock.step(2 * time.Second) // the answer counts for one
		payload, err := w.svc.Logout(w.Context(), caller, nil)
		w.must(err)
		if payload.SessionID == nil || *payload.SessionID != c.id {
			t.Errorf("logout with the stores back: got %v, want %s", payload.SessionID, c.id)
		}
		if again, err := w.svc.Logout(w.Context(), caller, nil); err != nil || again.SessionID != nil {
			t.Errorf("logout again: got %+v and %v, want nothing to end", again, err)
		}
	})
}

// What another program wrote into the ledger is taken over.
func TestReconcile(t *testing.T) {
	each(t, func(w *world) {
		c := w.login(phone)
		_, _, err := w.ledger.RevokeByID(w.Context(), c.id, session.ReasonRevoked)
		w.must(err)
		c.authenticates(nil)
		w.must(w.svc.TakeOver(w.Context()))
		c.authenticates(auth.ErrSessionRevoked)
		w.restart()
		w.dbDown.Store(true)
		c.wants(c.token, auth.ErrRefreshRevoked) // the store was told
	})
}

// The same before the newest progress was written at all.
func TestRolledBackStoreIsLiftedByUnwrittenProgress(t *testing.T) {
	each(t, func(w *world) {
		c := w.login(phone)
		c.refresh()
		stolen := c.token
		snapshot := w.snapshot(c)
		c.turn()
		c.turn()
		w.clock.step(w.policy.Grace + time.Second)
		w.rollBack(snapshot)
		thief := &client{w: w, caller: phone, token: stolen}
		thief.refresh()
		w.svc.FlushDue(w.Context())
		if _, err := thief.send(thief.token, ""); err == nil {
			t.Fatal("the thief goes on after the ledger was asked")
		}
		c.refresh()
	})
}

// A session whose row was written a moment ago is asked about all the same.
func TestRolledBackRevocationDiesWithinSecondsOfAWrite(t *testing.T) {
	each(t, func(w *world) {
		c := w.login(phone)
		c.refresh()
		w.svc.FlushDue(w.Context())
		snapshot := w.snapshot(c)
		w.logout(c)
		w.rollBack(snapshot)
		w.svc.Revoked = revocation.NewSet(w.clock.now) // the local set forgot too, the writer did not
		w.clock.step(w.policy.Grace + time.Second)
		c.refresh()
		w.svc.FlushDue(w.Context())
		if _, err := c.send(c.token, ""); !errors.Is(err, auth.ErrRefreshRevoked) {
			t.Fatalf("after the ledger was asked: got %v, want REVOKED", err)
		}
	})
}

// A refresh key alone ends nothing, without the ledger either.
func TestForgedTokenWithTheLedgerDown(t *testing.T) {
	each(t, func(w *world) {
		c := w.login(phone)
		tok, err := w.svc.Keys.Load().Refresh.Parse(c.token)
		w.must(err)
		tok.Secret = session.NewSecret()
		forged, err := w.svc.Keys.Load().Refresh.Mint(tok)
		w.must(err)
		w.dbDown.Store(true)
		payload, err := w.svc.Logout(w.Context(), phone, &auth.LogoutInput{RefreshToken: &forged})
		w.must(err)
		if payload.SessionID != nil {
			t.Error("a forged token ended the session")
		}
		c.refresh()
		w.hot.flush() // now nobody knows the secret
		if _, err := w.svc.Logout(w.Context(), phone, &auth.LogoutInput{RefreshToken: &forged}); !errors.Is(err, auth.ErrUnavailable) {
			t.Errorf("with nobody who knows: got %v, want UNAVAILABLE", err)
		}
		w.dbDown.Store(false)
		c.refresh()
	})
}

// A checkpoint that waited while the store lost its turn comes too late: the
// client of the lost answer goes on from where the recovery found it.
func TestLateCheckpointLiftsNothing(t *testing.T) {
	each(t, func(w *world) {
		c := w.login(phone)
		c.refresh()
		w.svc.FlushDue(w.Context()) // the next row has to wait a minute
		w.clock.step(w.policy.Grace + time.Second)
		if _, err := c.send(c.token, ""); err != nil { // turns; the answer is lost
			t.Fatal(err)
		}
		w.clock.step(time.Second)
		w.hot.flush()
		c.same(c.token, "", c.token) // recovered where the client stands
		w.clock.step(time.Minute)
		w.svc.FlushDue(w.Context()) // now the lost turn reaches the ledger
		w.svc.FlushDue(w.Context())
		if !c.refresh().Rotated {
			t.Fatal("after the late checkpoint: want a turn")
		}
		c.turn()
	})
}

// The row of a recovery does not wait for its minute, and what another server
// writes of a lost turn afterwards does not count: the next loss finds the
// client where it stands.
func TestLateCheckpointBeforeTheNextLoss(t *testing.T) {
	each(t, func(w *world) {
		c := w.login(phone)
		c.refresh()
		w.svc.FlushDue(w.Context())
		w.clock.step(w.policy.Grace + time.Second)
		if _, err := c.send(c.token, ""); err != nil { // turns; the answer is lost
			t.Fatal(err)
		}
		noted, err := w.hot.Find(w.Context(), w.user.ID, c.id) // by another server
		if err != nil {
			t.Fatal(err)
		}
		w.clock.step(time.Second)
		w.hot.flush()
		c.same(c.token, "", c.token)
		w.svc.FlushDue(w.Context())
		if got := c.inLedger(false, "").State.RecoveredAt; got.IsZero() {
			t.Error("row after the recovery: got no recovery, want it written at once")
		}
		if _, err := w.ledger.Checkpoint(w.Context(), []session.Checkpoint{noted.Checkpoint()}); err != nil {
			t.Fatal(err)
		}
		w.clock.step(time.Second)
		w.hot.flush()
		c.same(c.token, "", c.token)
		c.turn()
	})
}

// A login that the ledger took without saying so leaves no session behind.
func TestLoginWithLostAnswerIsEnded(t *testing.T) {
	each(t, func(w *world) {
		w.dbLost.Store(true)
		_, err := w.svc.Login(w.Context(), phone, auth.LoginInput{
			Email: secret.New("ada@example.com"), Password: secret.New(goodPassword), RefreshTokenDelivery: session.DeliveryBody,
		})
		if !errors.Is(err, auth.ErrUnavailable) {
			t.Fatalf("login: got %v, want UNAVAILABLE", err)
		}
		w.dbLost.Store(false)
		rows := func() int {
			entries, err := w.ledger.ListByUser(w.Context(), w.user.ID)
			w.must(err)
			return len(entries)
		}
		if got := rows(); got != 1 {
			t.Fatalf("rows: got %d, want the one that nobody holds", got)
		}
		w.svc.Settle(w.Context())
		if got := rows(); got != 0 {
			t.Errorf("rows after the repair: got %d, want none", got)
		}
	})
}

// Hot state that forgot an end does not count while this node knows better.
func TestRevokedSetGuardsRefreshes(t *testing.T) {
	each(t, func(w *world) {
		c := w.login(phone)
		c.refresh()
		snapshot := w.snapshot(c)
		w.logout(c)
		w.rollBack(snapshot)
		c.wants(c.token, auth.ErrRefreshRevoked)
	})
}

// A ledger that forgot an end, as a failover of the database may, hears of it again.
func TestForgetfulLedgerIsTold(t *testing.T) {
	each(t, func(w *world) {
		c := w.login(phone)
		w.logout(c)
		w.must(w.db.Exec("UPDATE sessions SET revoked_at = NULL, reason = NULL").Error)
		c.wants(c.token, auth.ErrRefreshRevoked)
		w.svc.Settle(w.Context())
		c.inLedger(true, session.ReasonRevoked)
	})
}

// A restart of the server is no amnesty for access tokens.
func TestRestartRemembersRevocations(t *testing.T) {
	each(t, func(w *world) {
		c := w.login(phone)
		w.logout(c)
		w.restart()
		w.must(w.svc.TakeOver(w.Context()))
		c.authenticates(auth.ErrSessionRevoked)
	})
}

// The cap counts what the hot state knows: after a loss there are more sessions,
// until the first login after they came back.
func TestCapAfterALoss(t *testing.T) {
	each(t, func(w *world) {
		w.policy.Cap = 2
		w.restart()
		all := []*client{w.login(phone), w.login(phone)}
		w.hot.flush()
		all = append(all, w.login(phone), w.login(phone))
		for _, c := range all {
			w.clock.step(time.Second)
			c.refresh()
		}
		last := w.login(phone)
		for _, c := range all[:3] {
			c.wants(c.token, auth.ErrRefreshRevoked)
			c.inLedger(true, session.ReasonEvicted)
		}
		all[3].refresh()
		last.refresh()
	})
}
