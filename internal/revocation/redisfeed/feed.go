// Package redisfeed carries the news of ended sessions between nodes over one
// Redis stream. Every node reads all of it, with a cursor of its own: unlike a
// subscription, a cursor notices what it missed. The package refuses to know
// what a session is.
package redisfeed

import (
	"context"
	_ "embed"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"github.com/pawlauth/pawl/internal/revocation"
)

//go:embed publish.lua
var publishLua string

const (
	key = "pawl:revocations"
	// keep is how long entries stay: the window, and what clocks may differ by.
	keep = revocation.Window + 5*time.Minute
	// checkEvery is how often the stream is checked for still having the entry
	// at the cursor when no news come.
	checkEvery = 3 * time.Second
	// block is how long a read waits for news; its end is the heartbeat.
	block = 250 * time.Millisecond
	// replyTimeout is what the reply of a blocking read may take beyond that, on
	// a connection that is there: the client bounds every other reply itself.
	replyTimeout = 800 * time.Millisecond
	// readTimeout bounds any other read. It has room for opening a connection to
	// a distant server, which takes several replies: a try that gave up halfway
	// would leave no connection behind, and so would every try after it.
	readTimeout = 10 * time.Second
	retryAfter  = 100 * time.Millisecond
	// maxPage is how many entries a read asks for at most, and minPage at least.
	// After a read that was not answered in time the next asks for fewer: on a
	// slow line a full page may never arrive.
	maxPage = 1000
	minPage = 10
	// entryIDs is how many sessions one entry names, which bounds the size of a
	// page, and callIDs how many one call of the script publishes.
	entryIDs   = 50
	callIDs    = 1000
	publishFor = time.Second
)

// Feed implements [revocation.Feed] on a Redis stream. It is safe for
// concurrent use and by any number of processes.
type Feed struct {
	// Reset hears when the stream went back and all of it is read again. Optional;
	// set before Run.
	Reset func()

	publishing redis.UniversalClient
	reading    redis.UniversalClient
	publish    *redis.Script
	log        *slog.Logger
	now        func() time.Time
	current    atomic.Int64 // unix nanoseconds; 0 before the first catch-up
}

// New returns a feed. Reads block, so they have a client of their own.
func New(publishing, reading redis.UniversalClient, log *slog.Logger, now func() time.Time) *Feed {
	return &Feed{Reset: func() {}, publishing: publishing, reading: reading, publish: redis.NewScript(publishLua), log: log, now: now}
}

// Publish implements [revocation.Feed].
func (f *Feed) Publish(ctx context.Context, ids ...uuid.UUID) error {
	for call := range slices.Chunk(ids, callIDs) {
		if err := f.publishOnce(ctx, call); err != nil {
			return fmt.Errorf("redisfeed: publishing: %w", err)
		}
	}
	return nil
}

func (f *Feed) publishOnce(ctx context.Context, ids []uuid.UUID) error {
	ctx, cancel := context.WithTimeout(ctx, publishFor)
	defer cancel()
	args := []any{keep.Milliseconds()}
	for entry := range slices.Chunk(ids, entryIDs) {
		names := make([]string, len(entry))
		for i, id := range entry {
			names[i] = id.String()
		}
		args = append(args, strings.Join(names, ","))
	}
	return f.publish.Run(ctx, f.publishing, []string{key}, args...).Err()
}

// Current implements [revocation.Feed].
func (f *Feed) Current() time.Time {
	if at := f.current.Load(); at != 0 {
		return time.Unix(0, at)
	}
	return time.Time{}
}

// Run implements [revocation.Feed]. What it cannot read now it reads later; it
// ends with ctx alone.
func (f *Feed) Run(ctx context.Context, deliver func(at time.Time, ids ...uuid.UUID)) error {
	r := &reader{Feed: f, deliver: deliver, page: maxPage}
	for {
		err := r.follow(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !r.failing {
			f.log.Warn("the revocation feed does not answer", "error", err)
		}
		r.failing = true
		select {
		case <-time.After(retryAfter):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
