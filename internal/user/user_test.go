package user_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/pawlauth/pawl/internal/database/databasetest"
	"github.com/pawlauth/pawl/internal/secret"
	"github.com/pawlauth/pawl/internal/user"
)

var start = time.Date(2026, 5, 6, 7, 8, 9, 123_000_000, time.UTC)

func clock() time.Time { return start.Add(456 * time.Microsecond) }

// each runs test with accounts in each dialect.
func each(t *testing.T, test func(t *testing.T, users *user.Users, db *gorm.DB)) {
	t.Helper()
	databasetest.Each(t, func(t *testing.T, db *gorm.DB) { test(t, user.New(db, clock), db) })
}

func add(t *testing.T, users *user.Users, email string) user.User {
	t.Helper()
	added, err := users.Add(t.Context(), email, secret.New("hash of "+email), user.RoleUser)
	if err != nil {
		t.Fatal(err)
	}
	return added
}

func byID(t *testing.T, users *user.Users, id uuid.UUID) user.User {
	t.Helper()
	found, err := users.ByID(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func wantErr(t *testing.T, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// same compares what can be compared.
func same(a, b user.User) bool {
	return a.ID == b.ID && a.Email == b.Email && a.Role == b.Role && a.Status == b.Status &&
		a.CredentialVersion == b.CredentialVersion && a.CreatedAt.Equal(b.CreatedAt) && a.PasswordHash.Equal(b.PasswordHash)
}

func TestAddAndFind(t *testing.T) {
	each(t, func(t *testing.T, users *user.Users, _ *gorm.DB) {
		added, err := users.Add(t.Context(), "  Zoë@Example.COM ", secret.New("hash"), user.RoleAdmin)
		if err != nil {
			t.Fatal(err)
		}
		want := user.User{ID: added.ID, Email: "Zoë@Example.COM", Role: user.RoleAdmin, Status: user.StatusActive,
			CredentialVersion: 1, PasswordHash: secret.New("hash"), CreatedAt: start}
		if !same(added, want) || added.ID == uuid.Nil {
			t.Errorf("Add: got %+v, want %+v", added, want)
		}
		for _, spelling := range []string{"zoë@example.com", "ZOË@EXAMPLE.com\n", "zoë@example.com"} {
			if got, err := users.ByEmail(t.Context(), spelling); err != nil || !same(got, want) {
				t.Errorf("ByEmail(%q): got %+v, %v, want %+v", spelling, got, err, want)
			}
			_, err := users.Add(t.Context(), spelling, secret.Text{}, user.RoleUser)
			wantErr(t, "Add of a known address", err, user.ErrEmailTaken)
		}
		if got := byID(t, users, added.ID); !same(got, want) {
			t.Errorf("ByID: got %+v, want %+v", got, want)
		}
		if got := byID(t, users, added.ID).CreatedAt; got != start {
			t.Errorf("CreatedAt: got %v, want %v", got, start)
		}
		bare, err := users.Add(t.Context(), "bare@example.com", secret.Text{}, user.RoleUser)
		if err != nil || !byID(t, users, bare.ID).PasswordHash.IsEmpty() {
			t.Errorf("a user without password: got %v, %v, want an empty hash", bare.PasswordHash, err)
		}
		list, err := users.List(t.Context())
		if err != nil || len(list) != 2 || !same(list[0], bare) || !same(list[1], want) {
			t.Errorf("List: got %+v, %v, want both users by address", list, err)
		}
	})
}

// TestNothingFindsNobody: zero values never become "no condition".
func TestNothingFindsNobody(t *testing.T) {
	each(t, func(t *testing.T, users *user.Users, _ *gorm.DB) {
		before := add(t, users, "only@example.com")
		ctx := t.Context()
		for _, email := range []string{"", " ", "%", "%@%", "_nly@example.com", "' OR 1=1 --@x"} {
			_, err := users.ByEmail(ctx, email)
			wantErr(t, fmt.Sprintf("ByEmail(%q)", email), err, user.ErrNotFound)
		}
		_, err := users.ByID(ctx, uuid.Nil)
		wantErr(t, "ByID", err, user.ErrNotFound)
		err = users.SetPassword(ctx, uuid.Nil, 0, secret.New("x"), nil)
		wantErr(t, "SetPassword", err, user.ErrChanged)
		err = users.SetPassword(ctx, before.ID, 0, secret.New("x"), nil)
		wantErr(t, "SetPassword", err, user.ErrChanged)
		wantErr(t, "ResetPassword", users.ResetPassword(ctx, uuid.Nil, secret.New("x")), user.ErrNotFound)
		wantErr(t, "SetRole", users.SetRole(ctx, uuid.Nil, user.RoleAdmin), user.ErrNotFound)
		wantErr(t, "SetStatus", users.SetStatus(ctx, uuid.Nil, user.StatusDisabled), user.ErrNotFound)
		wantErr(t, "SetStatus", users.SetStatus(ctx, uuid.Nil, user.StatusActive), user.ErrNotFound)
		wantErr(t, "Delete", users.Delete(ctx, uuid.Nil), user.ErrNotFound)
		if done, err := users.UpgradeHash(ctx, before.ID, secret.Text{}, secret.New("x")); done || err != nil {
			t.Errorf("UpgradeHash of no hash: got %v, %v, want false", done, err)
		}
		if got := byID(t, users, before.ID); !same(got, before) {
			t.Errorf("got %+v, want it unchanged %+v", got, before)
		}
	})
}

func TestRefusedValues(t *testing.T) {
	each(t, func(t *testing.T, users *user.Users, _ *gorm.DB) {
		known := add(t, users, "a@example.com")
		_, err := users.Add(t.Context(), "nobody", secret.Text{}, user.RoleUser)
		wantErr(t, "Add without @", err, user.ErrEmail)
		if _, err := users.Add(t.Context(), "b@example.com", secret.Text{}, ""); err == nil {
			t.Error("Add without role: got no error")
		}
		if err := users.SetRole(t.Context(), known.ID, "ROOT"); err == nil {
			t.Error("SetRole ROOT: got no error")
		}
		for _, status := range []user.Status{"", user.StatusDeleted} {
			if err := users.SetStatus(t.Context(), known.ID, status); err == nil {
				t.Errorf("SetStatus %q: got no error", status)
			}
		}
	})
}

// TestChanges: what each change does to the account and whether it ends sessions.
func TestChanges(t *testing.T) {
	each(t, func(t *testing.T, users *user.Users, _ *gorm.DB) {
		type change struct {
			name string
			do   func(context.Context, user.User) error
			want func(*user.User)
			ends bool
		}
		hash := secret.New("new hash")
		for _, c := range []change{
			{"UpgradeHash", func(ctx context.Context, u user.User) error {
				done, err := users.UpgradeHash(ctx, u.ID, u.PasswordHash, hash)
				if !done {
					t.Error("UpgradeHash: got false, want true")
				}
				return err
			}, func(u *user.User) { u.PasswordHash = hash }, false},
			{"UpgradeHash of another", func(ctx context.Context, u user.User) error {
				done, err := users.UpgradeHash(ctx, u.ID, secret.New("old"), hash)
				if done {
					t.Error("UpgradeHash of another hash: got true, want false")
				}
				return err
			}, func(*user.User) {}, false},
			{"SetPassword", func(ctx context.Context, u user.User) error {
				return users.SetPassword(ctx, u.ID, u.CredentialVersion, hash, func(_ *gorm.DB, version int64) error {
					if want := u.CredentialVersion + 1; version != want {
						t.Errorf("SetPassword: got version %d, want %d", version, want)
					}
					return nil
				})
			}, func(u *user.User) { u.PasswordHash = hash }, true},
			{"ResetPassword", func(ctx context.Context, u user.User) error { return users.ResetPassword(ctx, u.ID, hash) },
				func(u *user.User) { u.PasswordHash = hash }, true},
			{"SetRole", func(ctx context.Context, u user.User) error { return users.SetRole(ctx, u.ID, user.RoleAdmin) },
				func(u *user.User) { u.Role = user.RoleAdmin }, true},
			{"disable", func(ctx context.Context, u user.User) error { return users.SetStatus(ctx, u.ID, user.StatusDisabled) },
				func(u *user.User) { u.Status = user.StatusDisabled }, true},
			{"enable", func(ctx context.Context, u user.User) error { return users.SetStatus(ctx, u.ID, user.StatusActive) },
				func(*user.User) {}, false},
		} {
			other := add(t, users, "other-"+uuid.NewString()+"@example.com")
			want := add(t, users, uuid.NewString()+"@example.com")
			if err := c.do(t.Context(), want); err != nil {
				t.Errorf("%s: got %v", c.name, err)
			}
			c.want(&want)
			if c.ends {
				want.CredentialVersion++
			}
			if got := byID(t, users, want.ID); !same(got, want) {
				t.Errorf("%s: got %+v, want %+v", c.name, got, want)
			}
			if got := byID(t, users, other.ID); !same(got, other) {
				t.Errorf("%s: another user became %+v, want %+v", c.name, got, other)
			}
		}
	})
}

func TestSetPasswordIsCompareAndSet(t *testing.T) {
	each(t, func(t *testing.T, users *user.Users, _ *gorm.DB) {
		added := add(t, users, "a@example.com")
		var won atomic.Int32
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				err := users.SetPassword(t.Context(), added.ID, added.CredentialVersion, secret.New(fmt.Sprint(i)), nil)
				if err == nil {
					won.Add(1)
				} else if !errors.Is(err, user.ErrChanged) {
					t.Errorf("got %v, want %v", err, user.ErrChanged)
				}
			})
		}
		wg.Wait()
		if got := won.Load(); got != 1 {
			t.Errorf("got %d changes from one version, want 1", got)
		}
		disabled := add(t, users, "b@example.com")
		if err := users.SetStatus(t.Context(), disabled.ID, user.StatusDisabled); err != nil {
			t.Fatal(err)
		}
		err := users.SetPassword(t.Context(), disabled.ID, disabled.CredentialVersion+1, secret.New("x"), nil)
		wantErr(t, "SetPassword of a disabled user", err, user.ErrChanged)
	})
}

func TestConcurrentAdd(t *testing.T) {
	each(t, func(t *testing.T, users *user.Users, _ *gorm.DB) {
		var won atomic.Int32
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				_, err := users.Add(t.Context(), "a@example.com", secret.Text{}, user.RoleUser)
				if err == nil {
					won.Add(1)
				} else if !errors.Is(err, user.ErrEmailTaken) {
					t.Errorf("got %v, want %v", err, user.ErrEmailTaken)
				}
			})
		}
		wg.Wait()
		if got := won.Load(); got != 1 {
			t.Errorf("got %d users of one address, want 1", got)
		}
	})
}

func TestDelete(t *testing.T) {
	each(t, func(t *testing.T, users *user.Users, db *gorm.DB) {
		gone := add(t, users, "gone@example.com")
		ctx := t.Context()
		if err := users.Delete(ctx, gone.ID); err != nil {
			t.Fatal(err)
		}
		_, err := users.ByID(ctx, gone.ID)
		wantErr(t, "ByID", err, user.ErrNotFound)
		_, err = users.ByEmail(ctx, gone.Email)
		wantErr(t, "ByEmail", err, user.ErrNotFound)
		wantErr(t, "enable", users.SetStatus(ctx, gone.ID, user.StatusActive), user.ErrNotFound)
		wantErr(t, "ResetPassword", users.ResetPassword(ctx, gone.ID, secret.New("x")), user.ErrNotFound)
		var row map[string]any
		if err := db.Raw("SELECT * FROM users WHERE id = ?", gone.ID).Scan(&row).Error; err != nil {
			t.Fatal(err)
		}
		if row["email"] != nil || row["normalized_email"] != nil || row["password_hash"] != nil || fmt.Sprint(row["credential_version"]) != "2" {
			t.Errorf("got %v, want nothing personal and version 2", row)
		}
		if err := users.Delete(ctx, gone.ID); err != nil {
			t.Errorf("Delete again: got %v, want none", err)
		}
		again := add(t, users, "gone@example.com")
		if list, err := users.List(ctx); err != nil || len(list) != 1 || !same(list[0], again) {
			t.Errorf("List: got %+v, %v, want the new user of the address alone", list, err)
		}
		if err := users.Delete(ctx, again.ID); err != nil {
			t.Errorf("a second deleted user: got %v", err)
		}
	})
}

// TestNoAnswer: an error that is none of the package's own says that nothing is
// known, and nothing else.
func TestNoAnswer(t *testing.T) {
	each(t, func(t *testing.T, users *user.Users, _ *gorm.DB) {
		known := add(t, users, "a@example.com")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		hash := secret.New("hunter2")
		_, err1 := users.ByEmail(ctx, known.Email)
		_, err2 := users.Add(ctx, "b@example.com", hash, user.RoleUser)
		err3 := users.SetPassword(ctx, known.ID, 1, hash, nil)
		_, err4 := users.UpgradeHash(ctx, known.ID, known.PasswordHash, hash)
		_, err5 := users.List(ctx)
		for i, err := range []error{err1, err2, err3, err4, err5, users.Delete(ctx, known.ID), users.SetRole(ctx, known.ID, user.RoleAdmin)} {
			if err == nil || !errors.Is(err, context.Canceled) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%d: got %v, want the context's error", i, err)
			}
			for _, own := range []error{user.ErrNotFound, user.ErrChanged, user.ErrEmailTaken} {
				if errors.Is(err, own) {
					t.Errorf("%d: got %v of a database that did not answer", i, err)
				}
			}
		}
		if got := byID(t, users, known.ID); !same(got, known) {
			t.Errorf("got %+v, want %+v", got, known)
		}
	})
}
