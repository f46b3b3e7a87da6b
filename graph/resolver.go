package graph

import (
	"time"

	"github.com/pawlauth/pawl/internal/auth"
	"github.com/pawlauth/pawl/internal/refreshcookie"
)

// Resolver holds what the resolvers need.
type Resolver struct {
	auth   *auth.Service
	cookie *refreshcookie.Cookie
	device *refreshcookie.Cookie
	now    func() time.Time
}
