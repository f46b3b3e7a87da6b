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
	// overlap is what is read again behind the cursor: entries that a failover
	// wrote below it.
	overlap = time.Minute
	// overlapEvery is how often that happens.
	overlapEvery = 3 * time.Second
	// block is how long a read waits for news; its end is the heartbeat.
	block = 250 * time.Millisecond
	// patience is what a read may take beyond that.
	patience   = 800 * time.Millisecond
	retryAfter = 100 * time.Millisecond
	pageSize   = 1000
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
	if len(ids) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, publishFor)
	defer cancel()
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = id.String()
	}
	err := f.publish.Run(ctx, f.publishing, []string{key}, strings.Join(names, ","), keep.Milliseconds()).Err()
	if err != nil {
		return fmt.Errorf("redisfeed: publishing: %w", err)
	}
	return nil
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
	r := &reader{Feed: f, deliver: deliver}
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
