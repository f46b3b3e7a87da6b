package ledger_test

import (
	"bytes"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/pawlauth/pawl/internal/database/databasetest"
	"github.com/pawlauth/pawl/internal/ledger"
	"github.com/pawlauth/pawl/internal/secret"
	"github.com/pawlauth/pawl/internal/session"
	"github.com/pawlauth/pawl/internal/user"
)

// TestLoginRacesChange: however a login and a change of its user fall, either
// the login is refused, or its session is there when the change's own
// revocation looks, and ended. Nothing lives on with the current version.
func TestLoginRacesChange(t *testing.T) {
	changes := map[string]func(w *world, u user.User) error{
		"disable": func(w *world, u user.User) error { return w.users.SetStatus(w.t.Context(), u.ID, user.StatusDisabled) },
		"role":    func(w *world, u user.User) error { return w.users.SetRole(w.t.Context(), u.ID, user.RoleAdmin) },
		"delete":  func(w *world, u user.User) error { return w.users.Delete(w.t.Context(), u.ID) },
		"password": func(w *world, u user.User) error {
			return w.users.SetPassword(w.t.Context(), u.ID, u.CredentialVersion, secret.New("new"), nil)
		},
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, w *world) {
				began, refused := 0, 0
				for round := range 30 {
					u := w.user()
					const logins = 4
					states, errs := make([]session.State, logins), make([]error, logins)
					var ends []session.End
					var wg sync.WaitGroup
					gate := make(chan struct{})
					for i := range logins {
						states[i] = w.state(u)
						wg.Go(func() {
							<-gate
							for range (i + round) % 3 { // spread over the moment of the change
								_, _ = w.users.ByID(t.Context(), u.ID)
							}
							errs[i] = w.ledger.Begin(t.Context(), states[i], keyID, u.CredentialVersion)
						})
					}
					wg.Go(func() {
						<-gate
						if err := change(w, u); err != nil {
							t.Error(err)
						}
						var err error
						if ends, err = w.ledger.RevokeAll(t.Context(), u.ID, uuid.Nil, session.ReasonRevoked); err != nil {
							t.Error(err)
						}
					})
					close(gate)
					wg.Wait()
					revoked := map[uuid.UUID]bool{}
					for _, e := range ends {
						revoked[e.SessionID] = true
					}
					for i, err := range errs {
						switch {
						case errors.Is(err, ledger.ErrUserChanged):
							refused++
						case err != nil:
							t.Fatalf("Begin beside a change: got %v", err)
						default:
							began++
							if !w.find(states[i]).Ended() || !revoked[states[i].ID] {
								t.Fatalf("a login before the change lives on: got %+v", w.find(states[i]))
							}
						}
					}
				}
				t.Logf("%d logins came before the change, %d after", began, refused)
			})
		})
	}
}

// TestLocksInOrder: every statement of several rows locks them by id, whatever
// their order in the table, so that two never hold what the other waits for.
// Somebody holds the lowest; the statement must wait there with empty hands.
func TestLocksInOrder(t *testing.T) {
	for name, do := range map[string]func(w *world, u user.User, states []session.State) error{
		"RevokeAll": func(w *world, u user.User, _ []session.State) error {
			_, err := w.ledger.RevokeAll(w.t.Context(), u.ID, uuid.Nil, session.ReasonRevoked)
			return err
		},
		"Revoke": func(w *world, u user.User, states []session.State) error {
			_, err := w.ledger.Revoke(w.t.Context(), u.ID, []uuid.UUID{states[0].ID, states[1].ID, states[2].ID}, session.ReasonRevoked)
			return err
		},
		"Checkpoint": func(w *world, _ user.User, states []session.State) error {
			_, err := w.ledger.Checkpoint(w.t.Context(), []session.Checkpoint{states[0].Checkpoint(), states[1].Checkpoint(), states[2].Checkpoint()})
			return err
		},
		"Delete": func(w *world, u user.User, _ []session.State) error { return w.users.Delete(w.t.Context(), u.ID) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, databasetest.Postgres(t))
			u := w.user()
			states := []session.State{w.state(u), w.state(u), w.state(u)}
			slices.SortFunc(states, func(a, b session.State) int { return bytes.Compare(b.ID[:], a.ID[:]) })
			for _, s := range states { // the highest id first
				if err := w.ledger.Begin(t.Context(), s, keyID, u.CredentialVersion); err != nil {
					t.Fatal(err)
				}
			}
			holder := w.db.WithContext(t.Context()).Begin()
			defer holder.Rollback()
			const lock = "SELECT 1 FROM sessions WHERE id = ? FOR UPDATE"
			if err := holder.Exec(lock, states[2].ID).Error; err != nil {
				t.Fatal(err)
			}
			result := make(chan error, 1)
			go func() { result <- do(w, u, states) }()
			soon(t, "a statement that waits", func() bool {
				var waiting int
				err := w.db.Raw("SELECT count(*) FROM pg_locks WHERE NOT granted").Scan(&waiting).Error
				return err == nil && waiting > 0
			})
			if err := holder.Exec(lock+" NOWAIT", states[0].ID).Error; err != nil {
				t.Errorf("the highest row: got %v, want it free while the lowest is waited for", err)
			}
			if err := holder.Rollback().Error; err != nil {
				t.Error(err)
			}
			if err := <-result; err != nil {
				t.Errorf("after the wait: got %v", err)
			}
		})
	}
}
