package auth_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gorm.io/gorm"
)

// A checkpoint that the ledger refused is due again the next second, also where
// its session was used while it was refused.
func TestRefusedCheckpointIsRepeated(t *testing.T) {
	each(t, func(w *world) {
		c := w.login(phone)
		c.refresh()
		refused := false
		w.must(w.db.Callback().Row().Before("gorm:row").Register("refuse", func(db *gorm.DB) {
			if !refused && strings.Contains(db.Statement.SQL.String(), "UPDATE sessions SET") {
				refused = true
				c.refresh() // notes the session anew; no SQL
				_ = db.AddError(errDown)
			}
		}))
		w.svc.FlushDue(w.Context())
		if !refused {
			t.Fatal("the checkpoint was not met on its way")
		}
		if got := c.inLedger(false, "").State.Generation; got != 1 {
			t.Fatalf("checkpoint that was refused: got generation %d, want 1", got)
		}
		w.clock.step(time.Second)
		w.svc.FlushDue(w.Context())
		if got := c.inLedger(false, "").State.Generation; got != 2 {
			t.Errorf("checkpoint a second later: got generation %d, want 2", got)
		}
	})
}

// Stopping waits for checkpoints, and not for ever.
func TestStopWithManyCheckpointsIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.svc.BatchCheckpoints(1)
		for range 20 {
			w.login(phone).refresh()
		}
		w.must(w.db.Callback().Row().Before("gorm:row").Register("slow", func(db *gorm.DB) {
			if strings.Contains(db.Statement.SQL.String(), "UPDATE sessions SET") {
				time.Sleep(time.Second)
			}
		}))
		ctx, stop := context.WithCancel(t.Context())
		stop()
		began := time.Now()
		w.must(w.svc.Run(ctx))
		if took := time.Since(began); took < 4*time.Second || took > 6*time.Second {
			t.Errorf("stopping with 20 s of checkpoints: took %s, want five seconds", took)
		}
		if got := w.svc.Stats().CheckpointsWaiting; got < 14 || got > 16 {
			t.Errorf("left undone: got %d checkpoints, want the 15 or so that had no time", got)
		}
	})
}
