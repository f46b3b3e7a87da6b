package model

import "github.com/pawlauth/pawl/internal/session"

// Words of the contract that are younger than this package's copy of it.
const (
	AccessOnly  session.Outcome = "access_only"
	AttemptUsed session.Outcome = "attempt_used"
	Shared      session.Outcome = "shared"
)
