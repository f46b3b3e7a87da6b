// Package user owns accounts: who exists, with which email, role, status and
// stored password hash. It refuses to know how passwords are hashed or checked,
// what a session is worth, and who may change whom.
//
// Every change that must end a user's sessions raises the credential version of
// the account in the same statement. A session remembers the version it began
// with, so a change ends it even when nobody gets to say so.
package user

import (
	"errors"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/pawlauth/pawl/internal/secret"
)

// Errors of [Users]. Any other error means that the database did not answer.
var (
	ErrNotFound   = errors.New("user: no such user")
	ErrEmailTaken = errors.New("user: the email address belongs to another user")
	ErrChanged    = errors.New("user: the account changed in the meantime")
	ErrEmail      = errors.New("user: not an email address of at most 254 bytes")
)

// Status says whether an account can be used.
type Status string

// The statuses.
const (
	StatusActive   Status = "active"
	StatusDisabled Status = "disabled" // cannot log in; can be enabled again
	StatusDeleted  Status = "deleted"  // email and hash are gone; for good
)

// User is one account.
type User struct {
	ID                uuid.UUID
	Email             string // as it was given, trimmed
	Role              Role
	Status            Status
	CredentialVersion int64       // rises with every change that ends the user's sessions
	PasswordHash      secret.Text // PHC or bcrypt; empty when the user has no password
	CreatedAt         time.Time
}

// Users keeps accounts. It is safe for concurrent use.
type Users struct {
	db  *gorm.DB
	now func() time.Time
}

// New keeps accounts in db, whose schema is migrated.
func New(db *gorm.DB, now func() time.Time) *Users { return &Users{db: db, now: now} }
