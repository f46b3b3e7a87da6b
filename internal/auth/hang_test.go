package auth_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/pawlauth/pawl/internal/auth"
	"github.com/pawlauth/pawl/internal/secret"
	"github.com/pawlauth/pawl/internal/session"
)

// hanging is a store that never answers.
type hanging struct{ session.Store }

func (hanging) Create(ctx context.Context, _ session.State, _ int) ([]session.End, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (hanging) Rotate(ctx context.Context, _ session.Presented, _ session.Policy) (session.Verdict, error) {
	<-ctx.Done()
	return session.Verdict{}, ctx.Err()
}

func (hanging) Restore(ctx context.Context, _ session.State, _ uint64, _ session.Policy) (session.State, error) {
	<-ctx.Done()
	return session.State{}, ctx.Err()
}

func (hanging) Revoke(ctx context.Context, _ uuid.UUID, _ []session.End) error {
	<-ctx.Done()
	return ctx.Err()
}

func (hanging) Find(ctx context.Context, _, _ uuid.UUID) (session.State, error) {
	<-ctx.Done()
	return session.State{}, ctx.Err()
}

func (hanging) List(ctx context.Context, _ uuid.UUID) ([]session.State, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// TestHangingStores: with stores that never answer every verb says so within
// three seconds, whoever waits.
func TestHangingStores(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		c := w.login(phone)
		claims := w.claims(c)
		lost := phone
		lost.AccessToken = c.access
		w.hot.Store = hanging{w.hot.Store}
		held := w.db.Begin() // of SQLite's one connection
		w.must(held.Error)
		defer held.Rollback()
		for name, verb := range map[string]func() error{
			"login": func() error {
				return second(w.svc.Login(t.Context(), phone, auth.LoginInput{
					Email: secret.New("ada@example.com"), Password: secret.New(goodPassword), RefreshTokenDelivery: session.DeliveryBody,
				}))
			},
			"refresh": func() error {
				return second(w.svc.Refresh(t.Context(), phone, &auth.RefreshTokenInput{RefreshToken: &c.token}))
			},
			"logout": func() error {
				return second(w.svc.Logout(t.Context(), phone, &auth.LogoutInput{RefreshToken: &c.token}))
			},
			"logout, access token": func() error { return second(w.svc.Logout(t.Context(), lost, nil)) },
			"my sessions":          func() error { return second(w.svc.MySessions(t.Context(), claims)) },
			"sessions of a user":   func() error { return second(w.svc.UserSessions(t.Context(), claims, w.user.ID.String())) },
			"the user":             func() error { return second(w.svc.User(t.Context(), w.user.ID)) },
			"revoke all":           func() error { return second(w.svc.RevokeAllSessions(t.Context(), phone, claims, nil)) },
			"revoke one": func() error {
				return second(w.svc.RevokeSession(t.Context(), phone, claims, auth.RevokeSessionInput{SessionID: c.id.String()}))
			},
			"revoke another user's": func() error {
				return second(w.svc.RevokeUserSessions(t.Context(), phone, claims, auth.RevokeUserSessionsInput{UserID: w.user.ID.String()}))
			},
			"change the password": func() error {
				return second(w.svc.ChangePassword(t.Context(), phone, claims, auth.ChangePasswordInput{
					CurrentPassword: secret.New(goodPassword), NewPassword: secret.New("an even better sentence of words"),
				}))
			},
		} {
			began := time.Now()
			if err := verb(); !errors.Is(err, auth.ErrUnavailable) {
				t.Errorf("%s: got %v, want ErrUnavailable", name, err)
			}
			if took := time.Since(began); took > 3*time.Second {
				t.Errorf("%s took %s, want at most 3 s", name, took)
			}
		}
	})
}
