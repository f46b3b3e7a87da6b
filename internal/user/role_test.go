package user_test

import (
	"bytes"
	"testing"

	"github.com/pawlauth/pawl/internal/user"
)

func TestRoles(t *testing.T) {
	for _, c := range []struct {
		held, required user.Role
		want           bool
	}{
		{user.RoleUser, user.RoleUser, true}, {user.RoleAdmin, user.RoleUser, true},
		{user.RoleAdmin, user.RoleAdmin, true}, {user.RoleUser, user.RoleAdmin, false},
		{"", user.RoleUser, false}, {user.RoleAdmin, "", false}, {"", "", false}, {"ROOT", "ROOT", false},
	} {
		if got := c.held.Allows(c.required); got != c.want {
			t.Errorf("%q allows %q: got %v, want %v", c.held, c.required, got, c.want)
		}
	}
	for text, want := range map[string]user.Role{"ADMIN": user.RoleAdmin, "user": user.RoleUser, "root": "", "": ""} {
		if got, err := user.ParseRole(text); got != want || (err == nil) != (want != "") {
			t.Errorf("ParseRole(%q): got %q, %v, want %q", text, got, err, want)
		}
	}
	for _, bad := range []any{nil, 1, "", "admin", "ROOT"} {
		role := user.RoleUser
		if err := role.UnmarshalGQL(bad); err == nil || role != user.RoleUser {
			t.Errorf("UnmarshalGQL(%v): got %q, %v, want an error", bad, role, err)
		}
	}
	var role user.Role
	var out bytes.Buffer
	if err := role.UnmarshalGQL("ADMIN"); err != nil {
		t.Error(err)
	}
	if role.MarshalGQL(&out); out.String() != `"ADMIN"` {
		t.Errorf("MarshalGQL: got %s, want \"ADMIN\"", &out)
	}
}
