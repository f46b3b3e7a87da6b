package user

import (
	"errors"
	"io"
	"strconv"
	"strings"
)

// Role is what a user may do.
type Role string

// The roles, from little to much.
const (
	RoleUser  Role = "USER"
	RoleAdmin Role = "ADMIN"
)

var errRole = errors.New("user: a role is USER or ADMIN")

// ParseRole reads a role as a person types it: upper and lower case are one.
func ParseRole(s string) (Role, error) {
	switch role := Role(strings.ToUpper(s)); role {
	case RoleUser, RoleAdmin:
		return role, nil
	}
	return "", errRole
}

// Allows reports whether a holder of r may do what required asks for. ADMIN may
// do what USER may; a role that does not exist allows nothing and is never met.
func (r Role) Allows(required Role) bool {
	switch required {
	case RoleUser:
		return r == RoleUser || r == RoleAdmin
	case RoleAdmin:
		return r == RoleAdmin
	}
	return false
}

// MarshalGQL writes the GraphQL enum value.
func (r Role) MarshalGQL(w io.Writer) { _, _ = io.WriteString(w, strconv.Quote(string(r))) }

// UnmarshalGQL reads the GraphQL enum value: exactly USER or ADMIN.
func (r *Role) UnmarshalGQL(v any) error {
	s, _ := v.(string)
	switch role := Role(s); role {
	case RoleUser, RoleAdmin:
		*r = role
		return nil
	}
	return errRole
}
