package auth

import (
	"context"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/pawlauth/pawl/internal/ledger"
	"github.com/pawlauth/pawl/internal/revocation"
)

const (
	// reconcileOverlap is for clocks that differ, by the longest leeway that can
	// be set and some more, and for transactions that were slow.
	reconcileOverlap = 90 * time.Second
	// reconcileRetry is how soon a look that failed goes on.
	reconcileRetry = time.Second

	listPage      = 10_000 // ends of one read that fills the list
	tombstonePage = 1000   // ends of one read that writes tombstones
	// pageTimeout bounds the read of one page.
	pageTimeout = 10 * storeTimeout
)

// ledgerReader reads what ended from the ledger: in the last hour at first, then
// since the last look, with an overlap. It remembers how far it has come, so
// that a look that fails goes on from there.
type ledgerReader struct {
	read  func(ctx context.Context, after ledger.Cursor, limit int) (page []ledger.Revocation, next ledger.Cursor, more bool, err error)
	now   func() time.Time
	limit int // of a page

	began  time.Time // of the wall clock, when the last look began; zero: none yet
	cursor ledger.Cursor
	inside bool // that look has not come to its end
}

// look hands over what ended, page by page. A page that is not taken is handed
// over again by the next look.
func (r *ledgerReader) look(ctx context.Context, take func(context.Context, []ledger.Revocation) error) error {
	now := r.now().Round(0) // without the monotonic clock, which hides that time was set back
	if !r.inside || now.Before(r.began) {
		r.cursor, r.began, r.inside = ledger.EndedSince(r.since(now)), now, true
	}
	for r.inside {
		limited, cancel := context.WithTimeout(ctx, pageTimeout)
		page, next, more, err := r.read(limited, r.cursor, r.limit)
		cancel()
		if err == nil {
			err = take(ctx, page)
		}
		if err != nil {
			return err
		}
		r.cursor, r.inside = next, more
	}
	return nil
}

// since is the time from which on a new look must read. While this node's clock
// was ahead, it forgot ends as old and took others for past: when it was set
// back, everything is read anew.
func (r *ledgerReader) since(now time.Time) time.Time {
	if r.began.IsZero() || now.Before(r.began) {
		return now.Add(-revocation.Window)
	}
	return r.began.Add(-reconcileOverlap)
}

// reconcile lists what ended by the ledger's word. Ready waits for its first
// look, and for nothing that comes of it.
func (s *Service) reconcile(ctx context.Context) {
	caughtUp := sync.OnceFunc(func() { close(s.caughtUp) })
	s.follow(ctx, "reading revocations from the ledger", s.listReader(), s.list, func() {
		caughtUp()
		s.Revoked.Sweep()
	})
}

func (s *Service) list(_ context.Context, page []ledger.Revocation) error {
	for _, r := range page {
		s.Revoked.Add(r.RevokedAt, r.SessionID)
	}
	return nil
}

// repeatTombstones writes into hot state what ended by the ledger's word: ends
// that only the ledger took reach the store so, and a store that lost some has
// them again.
func (s *Service) repeatTombstones(ctx context.Context) {
	t := newTombstones(s.endings, s.tombstoneReader())
	s.follow(ctx, "repeating revocations", t.reader, t.write, t.forget)
}

func (s *Service) listReader() *ledgerReader {
	return &ledgerReader{read: s.Ledger.EndedIDs, now: s.Now, limit: s.listPage}
}

func (s *Service) tombstoneReader() *ledgerReader {
	return &ledgerReader{read: s.Ledger.Ended, now: s.Now, limit: s.tombstonePage}
}

// follow looks at the ledger until ctx ends. done is called after each look that
// came to its end.
func (s *Service) follow(ctx context.Context, what string, r *ledgerReader, take func(context.Context, []ledger.Revocation) error, done func()) {
	for failing := false; ; {
		pause := s.ReconcileEvery
		if err := r.look(ctx, take); err == nil {
			failing = false
			done()
		} else {
			if !failing && ctx.Err() == nil {
				s.Log.Warn("store unavailable", "operation", what, "error", err)
			}
			failing = true
			pause = min(pause, reconcileRetry)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
	}
}

// tombstones writes the ledger's ends into the store, each once although looks
// overlap.
type tombstones struct {
	endings *endings
	reader  *ledgerReader
	known   map[uuid.UUID]struct{} // what the last look wrote and this one may find again
	written map[uuid.UUID]struct{} // what this one wrote and the next may find again
}

func newTombstones(e *endings, r *ledgerReader) *tombstones {
	return &tombstones{endings: e, reader: r, written: make(map[uuid.UUID]struct{})}
}

// write takes a page. A store that is down leaves it to the next try, since the
// ledger has it; what it does not take of a few users alone, it is owed.
func (t *tombstones) write(ctx context.Context, page []ledger.Revocation) error {
	fresh := make(endsByUser)
	for _, r := range page {
		if _, known := t.known[r.SessionID]; !known {
			fresh[r.UserID] = append(fresh[r.UserID], r.End)
		}
	}
	refused, err := bulkRevoke(ctx, t.endings.store, fresh)
	if len(refused) > bulkFailures {
		return err
	}
	for _, userID := range refused {
		t.endings.owe(toStore, userID, fresh[userID])
	}
	next := t.reader.began.Add(-reconcileOverlap)
	for _, r := range page {
		if !r.RevokedAt.Before(next) {
			t.written[r.SessionID] = struct{}{}
		}
	}
	return nil
}

// forget ends a look: only what the next one may find again is remembered.
func (t *tombstones) forget() {
	t.known, t.written = t.written, make(map[uuid.UUID]struct{})
}
