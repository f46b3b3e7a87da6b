package ledger_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pawlauth/pawl/internal/database/databasetest"
	"github.com/pawlauth/pawl/internal/ledger"
	"github.com/pawlauth/pawl/internal/secret"
	"github.com/pawlauth/pawl/internal/session"
	"github.com/pawlauth/pawl/internal/user"
)

// BenchmarkCheckpoint is how many rows PostgreSQL takes in batches of 500, of a
// table of 200,000 sessions: from one server, and from four at once.
func BenchmarkCheckpoint(b *testing.B) {
	const sessions, batch = 200_000, 500
	db := databasetest.Postgres(b)
	sessionsOf := ledger.New(db, time.Now)
	u, err := user.New(db, time.Now).Add(b.Context(), "ann@example.com", secret.New("hash"), user.RoleUser)
	if err != nil {
		b.Fatal(err)
	}
	one := (&world{at: time.Now()}).state(u)
	if err := sessionsOf.Begin(b.Context(), one, keyID, u.CredentialVersion); err != nil {
		b.Fatal(err)
	}
	err = db.Exec(`INSERT INTO sessions
		SELECT (jsonb_populate_record(s, jsonb_build_object('id', gen_random_uuid()))).*
		FROM sessions s, generate_series(2, ?)`, sessions).Error
	if err != nil {
		b.Fatal(err)
	}
	var ids []uuid.UUID
	if err := db.Raw(`SELECT id FROM sessions`).Scan(&ids).Error; err != nil || len(ids) != sessions {
		b.Fatalf("sessions: got %d, %v, want %d", len(ids), err, sessions)
	}
	if err := db.Exec(`VACUUM ANALYZE sessions`).Error; err != nil {
		b.Fatal(err)
	}
	generation := uint64(1)
	for _, writers := range []int{1, 4} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			for b.Loop() {
				generation++
				cp := one.Checkpoint()
				cp.Generation, cp.TurnedAt, cp.LastUsedAt = generation, time.Now(), time.Now()
				cp.Attempt = session.Attempt("s5OgrDzq9eJ6JfQ1ZbGqgX3mG0lN3sR0wB5dC9eF1aHk")
				var work sync.WaitGroup
				for range writers {
					rows := make([]session.Checkpoint, batch)
					for i := range rows {
						rows[i] = cp
						rows[i].SessionID = ids[rand.IntN(len(ids))]
					}
					work.Go(func() {
						if got, err := sessionsOf.Checkpoint(b.Context(), rows); err != nil || len(got) == 0 {
							b.Errorf("Checkpoint: got %d answers, %v", len(got), err)
						}
					})
				}
				work.Wait()
			}
			b.ReportMetric(float64(b.N*writers*batch)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

// BenchmarkEnded is how fast a server that starts reads what ended within the
// hour: a million sessions, by pages of 10,000.
func BenchmarkEnded(b *testing.B) {
	const sessions, page = 1_000_000, 10_000
	db := databasetest.Postgres(b)
	rows := ledger.New(db, time.Now)
	u, err := user.New(db, time.Now).Add(b.Context(), "ann@example.com", secret.New("hash"), user.RoleUser)
	if err != nil {
		b.Fatal(err)
	}
	if err := rows.Begin(b.Context(), (&world{at: time.Now()}).state(u), keyID, u.CredentialVersion); err != nil {
		b.Fatal(err)
	}
	for _, statement := range []string{`INSERT INTO sessions
		SELECT r.* FROM sessions s, generate_series(2, 1000000) n, LATERAL jsonb_populate_record(s, jsonb_build_object(
			'id', gen_random_uuid(), 'device_name', n, 'revoked_at', now() - random() * interval '50 minutes', 'reason', 'revoked')) r`,
		`VACUUM ANALYZE sessions`} {
		if err := db.Exec(statement).Error; err != nil {
			b.Fatal(err)
		}
	}
	var began ledger.Cursor
	for b.Loop() {
		began = ledger.EndedSince(time.Now().Add(-time.Hour))
		for more, n := true, 0; more; {
			list, next, again, err := rows.EndedIDs(b.Context(), began, page)
			if err != nil {
				b.Fatal(err)
			}
			n += len(list)
			began, more = next, again
			if !more && n != sessions-1 {
				b.Fatalf("got %d ends, want %d", n, sessions-1)
			}
		}
	}
	b.ReportMetric(float64(b.N*sessions)/b.Elapsed().Seconds(), "rows/s")
}
