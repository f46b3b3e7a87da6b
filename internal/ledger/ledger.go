// Package ledger owns the durable row of every session: what a login decided,
// whether and why the session ended, and a checkpoint of its hot state. It
// refuses to judge refresh tokens and to know the hot state's store.
package ledger

import (
	"context"
	"errors"
	"time"

	"gorm.io/gorm"

	"github.com/pawlauth/pawl/internal/database"
	"github.com/pawlauth/pawl/internal/session"
)

// Errors of the ledger. Any other error means that the database did not
// answer: nothing is known then, neither that the operation happened nor that
// it did not.
var (
	ErrNotFound    = errors.New("ledger: no such session")
	ErrUserChanged = errors.New("ledger: the user was disabled or changed credentials in the meantime")
	ErrLeased      = errors.New("ledger: another server holds the lease on this database")
)

// Ledger keeps sessions. It is safe for concurrent use.
type Ledger struct {
	db  *gorm.DB
	now func() time.Time
}

// New keeps sessions in db, whose schema is migrated.
func New(db *gorm.DB, now func() time.Time) *Ledger { return &Ledger{db: db, now: now} }

// Entry is one session as the ledger knows it.
type Entry struct {
	State             session.State // IdleExpiresAt and Current are zero: the ledger does not know them
	KeyID             session.KeyID
	CredentialVersion int64          // of the user at login
	RevokedAt         time.Time      // zero while nobody ended it
	Reason            session.Reason // why it ended; of a UserGone session that nobody revoked, what became of the user
	UserGone          bool           // the user is missing, disabled or deleted, or changed credentials since the login
}

// Ended reports whether the session was revoked or lost its user. It says
// nothing about expiry.
func (e Entry) Ended() bool { return !e.RevokedAt.IsZero() || e.UserGone }

// byIndex does work that pages through a table in the order of an index.
// PostgreSQL may take reading everything behind the place, and sorting it, for
// cheaper than following the index, above all where its statistics are older
// than what just happened to a million rows; each page would cost as much as all
// of them then. It is left no other way here.
func (l *Ledger) byIndex(ctx context.Context, work func(db *gorm.DB) error) error {
	db := l.db.WithContext(ctx)
	if database.Dialect(db) != database.PostgreSQL {
		return work(db)
	}
	return db.Transaction(func(tx *gorm.DB) error {
		err := tx.Exec(`SELECT set_config(name, 'off', true)
			FROM unnest(ARRAY['enable_bitmapscan', 'enable_seqscan', 'enable_hashjoin', 'enable_mergejoin']) AS name`).Error
		if err != nil {
			return err
		}
		return work(tx)
	})
}
