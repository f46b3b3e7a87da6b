package model_test

import (
	"testing"

	"github.com/pawlauth/pawl/internal/session/model"
)

// One session more than the cap ends the user's least recently used one, and
// nothing that a user does touches the sessions of another.
func TestAccounts(t *testing.T) {
	const (
		signOut   = "honest sign-out"
		elsewhere = "a session of somebody else ends"
	)
	for _, c := range []struct {
		name     string
		accounts model.Accounts
		want     string
	}{
		{"two users", model.Accounts{Cap: 2, Losses: 1}, ""},
		{"a cap of one", model.Accounts{Cap: 1, Losses: 1}, ""},
		{"the most recently used session ends", model.Accounts{Cap: 2, EvictRecent: true}, signOut},
		{"the cap counts everybody's sessions", model.Accounts{Cap: 2, CapForAll: true}, elsewhere},
		{"a session is named without its user", model.Accounts{Cap: 2, AnyUser: true}, elsewhere},
	} {
		t.Run(c.name, func(t *testing.T) {
			result := model.SearchAccounts(c.accounts)
			t.Log(result)
			if result.Violation != c.want {
				t.Errorf("found %q, want %q", result.Violation, c.want)
			}
		})
	}
}
