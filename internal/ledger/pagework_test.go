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

// A page costs its own rows, however many there are behind it, at one time or
// spread, and although PostgreSQL's statistics are of before they ended. The work
// is counted in rows, which no busy machine disturbs.
func TestPagesCostTheirOwnRows(t *testing.T) {
	const many, page = 20_000, 100
	w := newWorld(t, databasetest.Postgres(t))
	template := w.begin(w.user())
	grow := `INSERT INTO sessions SELECT r.* FROM sessions s, generate_series(1, ?) n, LATERAL jsonb_populate_record(s,
		jsonb_build_object('id', gen_random_uuid(), 'device_name', n)) r WHERE s.id = ?`
	some := "UPDATE sessions SET revoked_at = ?::timestamptz + random() * interval '30 minutes', reason = 'revoked' WHERE device_name::int % 250 = 0"
	spread := "UPDATE sessions SET revoked_at = ?::timestamptz + random() * interval '30 minutes', reason = 'revoked' WHERE revoked_at IS NULL AND device_name::int % 2 = 0"
	alike := "UPDATE sessions SET revoked_at = ?, reason = 'revoked' WHERE revoked_at IS NULL"
	at := w.now().Add(time.Hour)
	for _, err := range []error{
		w.db.Exec("ALTER TABLE sessions SET (autovacuum_enabled = off)").Error,
		w.db.Exec(grow, many, template.ID).Error,
		w.db.Exec("UPDATE sessions SET device_name = '1' WHERE device_name !~ '^[0-9]+$'").Error,
		w.db.Exec(some, database.At(at)).Error,
		w.db.Exec("ANALYZE sessions").Error, // 80 have ended
		w.db.Exec(spread, database.At(at)).Error,
		w.db.Exec(alike, database.At(at)).Error,
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	w.pass(4 * time.Hour)
	cursor := ledger.EndedSince(at)
	ids := func(l *ledger.Ledger) reader { return l.EndedIDs }
	ends := func(l *ledger.Ledger) reader { return l.Ended }
	read := func(from func(*ledger.Ledger) reader) func() error {
		return func() error {
			list, next, more, err := from(w.ledger)(t.Context(), cursor, page)
			if err == nil && (len(list) != page || !more) {
				t.Errorf("got %d ends, more: %t, want %d and more", len(list), more, page)
			}
			cursor = next
			return err
		}
	}
	deleted := func() error {
		n, err := w.ledger.DeleteEnded(t.Context(), page)
		if err == nil && n != page {
			t.Errorf("got %d rows deleted, want %d", n, page)
		}
		return err
	}
	revoked := func() error {
		_, _, err := w.ledger.RevokeByKey(t.Context(), session.KeyID{7}, uuid.Max, page, session.ReasonRevoked)
		return err
	}
	for _, operation := range []struct {
		name string
		do   func() error
	}{{"ids", read(ids)}, {"ends", read(ends)}, {"more ends", read(ends)}, {"deletion", deleted}, {"key", revoked}} {
		err := w.db.Transaction(func(tx *gorm.DB) error {
			plain := w.ledger
			defer func() { w.ledger = plain }()
			w.ledger = ledger.New(tx, w.now)
			before := touched(t, tx)
			if err := operation.do(); err != nil {
				return err
			}
			if rows := touched(t, tx) - before; rows > 10*page {
				t.Errorf("%s: touched %d rows for a page of %d", operation.name, rows, page)
			}
			return nil
		})
		if err != nil {
			t.Fatalf("%s: %v", operation.name, err)
		}
	}
}

// touched is how many rows of sessions, and entries of its indexes, this
// transaction has read.
func touched(t *testing.T, tx *gorm.DB) (n int64) {
	t.Helper()
	err := tx.Raw(`SELECT rowsread + entries FROM
		(SELECT seq_tup_read + COALESCE(idx_tup_fetch, 0) AS rowsread FROM pg_stat_xact_user_tables WHERE relname = 'sessions') a,
		(SELECT COALESCE(sum(pg_stat_get_xact_tuples_returned(indexrelid)), 0) AS entries FROM pg_index WHERE indrelid = 'sessions'::regclass) b`).Scan(&n).Error
	if err != nil {
		t.Fatal(err)
	}
	return n
}
