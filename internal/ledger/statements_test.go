package ledger_test

import (
	"testing"

	"github.com/google/uuid"

	"github.com/pawlauth/pawl/internal/audit"
	"github.com/pawlauth/pawl/internal/database/databasetest"
	"github.com/pawlauth/pawl/internal/ledger"
	"github.com/pawlauth/pawl/internal/logtest"
	"github.com/pawlauth/pawl/internal/session"
)

// However many sizes of batch there are, a connection prepares each statement
// once: PostgreSQL keeps all of them, a hundred kilobytes each.
func TestStatementsDoNotGrowWithSizes(t *testing.T) {
	w := newWorld(t, databasetest.Postgres(t))
	pool, err := w.db.DB()
	if err != nil {
		t.Fatal(err)
	}
	pool.SetMaxOpenConns(1)
	u := w.user()
	s := w.begin(u)
	log := audit.New(audit.Config{DB: w.db, Log: logtest.New(t), Now: w.now})
	prepared := func() (n int) {
		t.Helper()
		if err := w.db.Raw("SELECT count(*) FROM pg_prepared_statements").Scan(&n).Error; err != nil {
			t.Fatal(err)
		}
		return n
	}
	batch := func(size int) {
		t.Helper()
		ids := []uuid.UUID{s.ID}
		checkpoints := []session.Checkpoint{s.Checkpoint()}
		for len(ids) < size {
			ids = append(ids, uuid.New())
			c := s.Checkpoint()
			c.SessionID = ids[len(ids)-1]
			checkpoints = append(checkpoints, c)
			log.Record(audit.Event{Name: audit.SessionRevoked, UserID: u.ID, SessionID: c.SessionID})
		}
		found, err1 := w.ledger.FindAll(t.Context(), ids)
		answers, err2 := w.ledger.Checkpoint(t.Context(), checkpoints)
		ends, err3 := w.ledger.Revoke(t.Context(), u.ID, ids[1:], session.ReasonRevoked)
		_, _, err4 := w.ledger.RevokeByKey(t.Context(), session.KeyID{1}, uuid.Nil, size, session.ReasonRevoked)
		_, _, _, err5 := w.ledger.Ended(t.Context(), ledger.EndedSince(w.now()), size)
		_, err6 := w.ledger.DeleteEnded(t.Context(), size)
		err7 := log.Flush(t.Context())
		for i, err := range []error{err1, err2, err3, err4, err5, err6, err7} {
			if err != nil {
				t.Fatalf("%d of a batch of %d: %v", i+1, size, err)
			}
		}
		if len(found) != 1 || len(answers) != 1 || len(ends) != 0 {
			t.Fatalf("a batch of %d: got %d found, %d answers, %d ends, want one, one and none", size, len(found), len(answers), len(ends))
		}
	}
	batch(1)
	batch(2)
	before := prepared()
	for size := 3; size <= 40; size++ {
		batch(size)
	}
	if got := prepared(); got != before || got == 0 {
		t.Errorf("got %d prepared statements after 40 sizes of batch, want the %d of the first two", got, before)
	}
}
