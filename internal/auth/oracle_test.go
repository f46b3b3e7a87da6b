package auth_test

import (
	"runtime"
	"strings"
	"testing"

	"github.com/pawlauth/pawl/internal/auth"
	"github.com/pawlauth/pawl/internal/password"
	"github.com/pawlauth/pawl/internal/secret"
	"github.com/pawlauth/pawl/internal/user"
)

// Whatever is wrong with a login, one hash is computed for it, and so it is where
// nothing is wrong. The work is measured in the memory that Argon2 fills, which
// no busy machine disturbs, and no floor hides.
func TestEveryLoginTakesOneHash(t *testing.T) {
	const memoryKiB = 16 << 10
	w := newWorld(t)
	hasher, err := password.New(password.Params{MemoryKiB: memoryKiB, Time: 1, Parallelism: 1}, 1)
	w.must(err)
	w.svc.Hasher = hasher
	hash, err := hasher.Hash(t.Context(), "", secret.New(goodPassword))
	w.must(err)
	add := func(email string, hash secret.Text) user.User {
		u, err := w.users.Add(t.Context(), email, hash, user.RoleUser)
		w.must(err)
		return u
	}
	add("good@example.com", hash)
	w.must(w.users.SetStatus(t.Context(), add("disabled@example.com", hash).ID, user.StatusDisabled))
	w.must(w.users.Delete(t.Context(), add("deleted@example.com", hash).ID))
	add("nopassword@example.com", secret.Text{})
	add("unreadable@example.com", secret.New("$argon2id$v=19$m=999999999,t=1,p=1$c2FsdHNhbHQ$aGFzaA"))
	for _, c := range []struct{ name, email, password, want string }{
		{"nothing", "good@example.com", goodPassword, "session"},
		{"wrong password", "good@example.com", "wrong horse battery staple", "invalid"},
		{"unknown user", "nobody@example.com", goodPassword, "invalid"},
		{"disabled", "disabled@example.com", goodPassword, "invalid"},
		{"disabled, wrong password", "disabled@example.com", "not the password", "invalid"},
		{"deleted", "deleted@example.com", goodPassword, "invalid"},
		{"no password", "nopassword@example.com", "", "invalid"},
		{"unreadable hash", "unreadable@example.com", goodPassword, "invalid"},
		{"over-long", "good@example.com", strings.Repeat("x", 5000), "invalid"},
		{"NUL", "good@example.com", goodPassword + "\x00", "invalid"},
		{"empty email", "", goodPassword, "invalid"},
		{"no email at all", strings.Repeat("x", 500), goodPassword, "invalid"},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		result, err := w.guess(host(1), c.email, c.password, nil)
		runtime.ReadMemStats(&after)
		w.Log(c.name)
		w.wantsLogin(result, err, c.want)
		if got := (after.TotalAlloc - before.TotalAlloc) / (memoryKiB << 10); got != 1 {
			t.Errorf("%s: computed %d hashes, want 1", c.name, got)
		}
	}
}

// A failed login changes nothing of its account: the row stays as it is, and the
// sessions live.
func TestFailuresChangeNothing(t *testing.T) {
	each(t, func(w *world) {
		c := w.login(phone)
		row := func() (all map[string]any) {
			w.must(w.db.Table("users").Where("id = ?", w.user.ID).Take(&all).Error)
			return all
		}
		before := row()
		for range 120 {
			if got, ok := w.tryLogin(phone, "not the password").(auth.InvalidCredentialsError); !ok {
				t.Fatalf("a wrong password: got %T, want InvalidCredentialsError", got)
			}
		}
		for column, was := range before {
			if now := row()[column]; now != was {
				t.Errorf("%s: got another value after failed logins, want the same", column)
			}
		}
		c.authenticates(nil)
		c.refresh()
	})
}
