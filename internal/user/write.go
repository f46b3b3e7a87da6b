package user

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/pawlauth/pawl/internal/database"
	"github.com/pawlauth/pawl/internal/secret"
)

// Add makes an active account. An empty hash makes one without password.
// ErrEmail, ErrEmailTaken.
func (u *Users) Add(ctx context.Context, email string, passwordHash secret.Text, role Role) (User, error) {
	normalized, err := Normalize(email)
	if err != nil {
		return User{}, err
	}
	if !role.Allows(RoleUser) {
		return User{}, errRole
	}
	typed, now := strings.TrimSpace(email), database.At(u.now())
	r := row{
		ID: uuid.New(), Email: &typed, NormalizedEmail: &normalized, PasswordHash: column(passwordHash),
		Role: role, Status: StatusActive, CredentialVersion: 1, CreatedAt: now, UpdatedAt: now,
	}
	taken := clause.OnConflict{Columns: []clause.Column{{Name: "normalized_email"}}, DoNothing: true}
	result := u.table(ctx).Clauses(taken).Create(&r)
	switch {
	case result.Error != nil:
		return User{}, fmt.Errorf("user: adding an account: %w", result.Error)
	case result.RowsAffected == 0:
		return User{}, ErrEmailTaken
	}
	return r.user(), nil
}

// UpgradeHash stores newHash for the same password, if oldHash is still what is
// stored; it reports whether. No session ends.
func (u *Users) UpgradeHash(ctx context.Context, id uuid.UUID, oldHash, newHash secret.Text) (bool, error) {
	if oldHash.IsEmpty() || newHash.IsEmpty() {
		return false, nil
	}
	result := u.table(ctx).Where("id = ? AND password_hash = ?", id, oldHash.Reveal()).
		Update("password_hash", newHash.Reveal())
	if result.Error != nil {
		return false, fmt.Errorf("user: upgrading a password hash: %w", result.Error)
	}
	return result.RowsAffected == 1, nil
}

// SetPassword stores the hash of a new password and ends the user's sessions,
// if the account is active and its credential version is still the given one;
// otherwise it is ErrChanged. then, unless it is nil, is called in the same
// transaction with the new version, so that both are carried out or neither is.
func (u *Users) SetPassword(ctx context.Context, id uuid.UUID, credentialVersion int64, newHash secret.Text, then func(tx *gorm.DB, version int64) error) error {
	err := u.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		inside := &Users{db: tx, now: u.now}
		query := inside.table(ctx).Where("id = ? AND status = ? AND credential_version = ?", id, StatusActive, credentialVersion)
		if err := inside.end(query, map[string]any{"password_hash": column(newHash)}, ErrChanged); err != nil {
			return err
		}
		if then == nil {
			return nil
		}
		return then(tx, credentialVersion+1)
	})
	if err != nil && !errors.Is(err, ErrChanged) {
		return fmt.Errorf("user: replacing a hash: %w", err)
	}
	return err
}

// ResetPassword stores the hash of a new password and ends the user's sessions,
// whatever the account was. ErrNotFound.
func (u *Users) ResetPassword(ctx context.Context, id uuid.UUID, newHash secret.Text) error {
	return u.end(u.living(ctx, id), map[string]any{"password_hash": column(newHash)}, ErrNotFound)
}

// SetRole stores the role and ends the user's sessions, also when it is the
// role that the user has. ErrNotFound.
func (u *Users) SetRole(ctx context.Context, id uuid.UUID, role Role) error {
	if !role.Allows(RoleUser) {
		return errRole
	}
	return u.end(u.living(ctx, id), map[string]any{"role": role}, ErrNotFound)
}

// SetStatus disables an account, which ends the user's sessions, or makes it
// active. ErrNotFound. An account is deleted with [Users.Delete].
func (u *Users) SetStatus(ctx context.Context, id uuid.UUID, status Status) error {
	switch status {
	case StatusActive:
		changes := map[string]any{"status": status, "updated_at": database.At(u.now())}
		return changed(u.living(ctx, id).Updates(changes), ErrNotFound)
	case StatusDisabled:
		return u.end(u.living(ctx, id), map[string]any{"status": status}, ErrNotFound)
	}
	return errors.New("user: a status is set to active or disabled")
}

// Delete removes what is personal in an account and in its sessions, and ends
// the sessions. Id and history stay; the address may be used again. An account
// that was deleted before is deleted once more, for what went wrong after the
// first time. ErrNotFound.
func (u *Users) Delete(ctx context.Context, id uuid.UUID) error {
	err := u.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		inside := &Users{db: tx, now: u.now}
		err := inside.end(inside.table(ctx).Where("id = ?", id), map[string]any{
			"status": StatusDeleted, "email": nil, "normalized_email": nil, "password_hash": nil,
		}, ErrNotFound)
		if err != nil {
			return err
		}
		// Rows are locked by id, as everywhere: two statements that meet never
		// wait for each other.
		return tx.Exec(`UPDATE sessions SET device_name = NULL, user_agent = NULL, ip_address = NULL, binding = ''
			WHERE id IN (SELECT id FROM sessions WHERE user_id = ? ORDER BY id `+database.RowLock(tx, "FOR UPDATE")+`)`,
			id).Error
	})
	if err != nil && !errors.Is(err, ErrNotFound) {
		return fmt.Errorf("user: deleting an account: %w", err)
	}
	return err
}

// living is the account with the id, unless it was deleted.
func (u *Users) living(ctx context.Context, id uuid.UUID) *gorm.DB {
	return u.table(ctx).Where("id = ? AND status <> ?", id, StatusDeleted)
}

// end makes changes that end the sessions of the one user whom query finds;
// without such a user it is none.
func (u *Users) end(query *gorm.DB, changes map[string]any, none error) error {
	changes["credential_version"] = gorm.Expr("credential_version + 1")
	changes["updated_at"] = database.At(u.now())
	return changed(query.Updates(changes), none)
}

// changed is the error of an UPDATE of one account, or none where it met no row.
func changed(result *gorm.DB, none error) error {
	switch {
	case result.Error != nil:
		return fmt.Errorf("user: changing an account: %w", result.Error)
	case result.RowsAffected == 0:
		return none
	}
	return nil
}

// column is a hash as it is stored: NULL for no password.
func column(hash secret.Text) *string {
	if hash.IsEmpty() {
		return nil
	}
	value := hash.Reveal()
	return &value
}
