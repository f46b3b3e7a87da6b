package auth_test

import (
	"sync"
	"sync/atomic"
	"testing"

	"gorm.io/gorm"

	"github.com/pawlauth/pawl/internal/auth"
)

// Fields of one request that ask for the same read it once, and two requests read
// it twice.
func TestFieldsOfARequestShareTheirReads(t *testing.T) {
	w := newWorld(t)
	c := w.login(phone)
	claims := w.claims(c)
	var statements atomic.Int64
	count := func(*gorm.DB) { statements.Add(1) }
	w.must(w.db.Callback().Row().After("gorm:row").Register("count", count))
	w.must(w.db.Callback().Query().After("gorm:query").Register("count", count))
	request := func() (lists, rows int64) {
		ctx := auth.WithCaller(t.Context(), c.caller)
		lists, rows = w.hot.lists.Load(), statements.Load()
		var fields sync.WaitGroup
		for range 15 {
			fields.Go(func() {
				if list, err := w.svc.MySessions(ctx, claims); err != nil || len(list) != 1 || !list[0].Current {
					t.Errorf("MySessions: got %v and error %v, want the session", list, err)
				}
			})
			fields.Go(func() {
				if u, err := w.svc.User(ctx, w.user.ID); err != nil || u.ID != w.user.ID {
					t.Errorf("User: got %s and error %v, want %s", u.ID, err, w.user.ID)
				}
			})
		}
		fields.Wait()
		return w.hot.lists.Load() - lists, statements.Load() - rows
	}
	for range 2 {
		if lists, rows := request(); lists != 1 || rows != 2 {
			t.Errorf("a request: got %d lists of the hot state and %d statements, want 1 and 2", lists, rows)
		}
	}
}
