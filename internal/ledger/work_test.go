package ledger_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/pawlauth/pawl/internal/database"
	"github.com/pawlauth/pawl/internal/database/databasetest"
	"github.com/pawlauth/pawl/internal/ledger"
	"github.com/pawlauth/pawl/internal/session"
)

// What a request does reads the user's live sessions, however many of theirs have
// ended and however many others there are. The work is counted in rows, which no
// busy machine disturbs.
func TestWorkIsBoundedByLiveSessions(t *testing.T) {
	const live, ended, strangers = 5, 20_000, 5_000
	w := newWorld(t, databasetest.Postgres(t))
	u, other := w.user(), w.user()
	var sessions []session.State
	for range live {
		sessions = append(sessions, w.begin(u))
	}
	template := w.begin(other)
	grow := `INSERT INTO sessions (id, user_id, delivery, key_id, secret_hash, role, binding, credential_version, created_at, expires_at,
			revoked_at, reason, generation, attempt, held, last_used_at)
		SELECT gen_random_uuid(), ?, delivery, key_id, secret_hash, role, binding, credential_version, created_at, expires_at,
			?::timestamptz, ?::text, generation, attempt, held, last_used_at
		FROM sessions, generate_series(1, ?) WHERE id = ?`
	for _, err := range []error{
		w.db.Exec(grow, u.ID, database.At(w.now()), "logout", ended, template.ID).Error,
		w.db.Exec(grow, other.ID, nil, nil, strangers, template.ID).Error,
		w.db.Exec("ANALYZE sessions").Error,
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	w.pass(time.Minute)
	for name, operation := range map[string]func(l *ledger.Ledger) error{
		"a list": func(l *ledger.Ledger) error {
			entries, err := l.ListByUser(t.Context(), u.ID)
			if len(entries) != live {
				t.Errorf("sessions: got %d, want %d", len(entries), live)
			}
			return err
		},
		"a look": func(l *ledger.Ledger) error { _, err := l.Find(t.Context(), u.ID, sessions[0].ID); return err },
		"a login": func(l *ledger.Ledger) error {
			return l.Begin(t.Context(), w.state(u), keyID, u.CredentialVersion)
		},
		"the end of one": func(l *ledger.Ledger) error {
			_, err := l.Revoke(t.Context(), u.ID, []uuid.UUID{sessions[1].ID}, session.ReasonLogout)
			return err
		},
		"the end of all": func(l *ledger.Ledger) error {
			_, err := l.RevokeAll(t.Context(), u.ID, uuid.Nil, session.ReasonPassword)
			return err
		},
		"a checkpoint": func(l *ledger.Ledger) error {
			_, err := l.Checkpoint(t.Context(), []session.Checkpoint{sessions[0].Checkpoint()})
			return err
		},
	} {
		err := w.db.Transaction(func(tx *gorm.DB) error {
			before := rowsRead(t, tx)
			if err := operation(ledger.New(tx, w.now)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if rows := rowsRead(t, tx) - before; rows > 4*live {
				t.Errorf("%s: read %d rows of sessions, want no more than the live ones take", name, rows)
			}
			return gorm.ErrInvalidTransaction // undone
		})
		if err != gorm.ErrInvalidTransaction { //nolint:errorlint // the very value
			t.Fatal(err)
		}
	}
}

// rowsRead is how many rows of sessions this connection has read of late.
func rowsRead(t *testing.T, tx *gorm.DB) (rows int64) {
	t.Helper()
	err := tx.Raw(`SELECT seq_tup_read + COALESCE(idx_tup_fetch, 0) FROM pg_stat_xact_user_tables WHERE relname = 'sessions'`).Scan(&rows).Error
	if err != nil {
		t.Fatal(err)
	}
	return rows
}
