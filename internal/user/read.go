package user

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/pawlauth/pawl/internal/database"
	"github.com/pawlauth/pawl/internal/secret"
)

// row is a line of the users table. Columns that a deleted user lacks are
// pointers.
type row struct {
	ID                uuid.UUID
	Email             *string
	NormalizedEmail   *string
	PasswordHash      *string
	Role              Role
	Status            Status
	CredentialVersion int64
	CreatedAt         database.Time
	UpdatedAt         database.Time
}

func (r row) user() User {
	u := User{
		ID: r.ID, Role: r.Role, Status: r.Status,
		CredentialVersion: r.CredentialVersion, CreatedAt: r.CreatedAt.Time,
	}
	if r.Email != nil {
		u.Email = *r.Email
	}
	if r.PasswordHash != nil {
		u.PasswordHash = secret.New(*r.PasswordHash)
	}
	return u
}

// table begins a query. Conditions are always written as text with a
// placeholder: gorm drops the zero-value fields of a struct condition, so that
// an empty email would find anybody.
func (u *Users) table(ctx context.Context) *gorm.DB { return u.db.WithContext(ctx).Table("users") }

// ByEmail is the user with the address, in any spelling that [Normalize] takes
// for the same; ErrNotFound where there is none or it is no address.
func (u *Users) ByEmail(ctx context.Context, email string) (User, error) {
	normalized, err := Normalize(email)
	if err != nil {
		return User{}, ErrNotFound
	}
	return u.one(u.table(ctx).Where("normalized_email = ?", normalized))
}

// ByID is the user with the id; ErrNotFound where there is none or it was
// deleted.
func (u *Users) ByID(ctx context.Context, id uuid.UUID) (User, error) {
	return u.one(u.table(ctx).Where("id = ? AND status <> ?", id, StatusDeleted))
}

func (u *Users) one(query *gorm.DB) (User, error) {
	var found row
	switch err := query.Take(&found).Error; {
	case errors.Is(err, gorm.ErrRecordNotFound):
		return User{}, ErrNotFound
	case err != nil:
		return User{}, fmt.Errorf("user: reading an account: %w", err)
	}
	return found.user(), nil
}

// List returns all users but deleted ones, by normalised email.
func (u *Users) List(ctx context.Context) ([]User, error) {
	var found []row
	err := u.table(ctx).Where("status <> ?", StatusDeleted).Order("normalized_email").Find(&found).Error
	if err != nil {
		return nil, fmt.Errorf("user: listing accounts: %w", err)
	}
	users := make([]User, 0, len(found))
	for _, r := range found {
		users = append(users, r.user())
	}
	return users, nil
}
