package redisfeed

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
)

// reader is one Run and how far it has come in the stream.
type reader struct {
	*Feed
	deliver func(at time.Time, ids ...uuid.UUID)
	cursor  entryID // the newest entry that was delivered
	failing bool
}

// follow delivers all news until a read fails.
func (r *reader) follow(ctx context.Context) error {
	for {
		if err := r.catchUp(ctx); err != nil {
			return err
		}
		for next := r.now().Add(overlapEvery); r.now().Before(next); {
			if err := r.wait(ctx); err != nil {
				return err
			}
		}
	}
}

// catchUp delivers everything after the cursor and, once more, what lies up to a
// minute before it. A cursor ahead of the stream is one of a server that lost
// its newest entries: ids begin anew below it, so it is forgotten and the whole
// window is read.
func (r *reader) catchUp(ctx context.Context) error {
	newest, err := r.newest(ctx)
	if err != nil {
		return err
	}
	if newest.before(r.cursor) {
		r.log.Warn("the revocation feed went back; all of it is read again", "cursor", r.cursor.String(), "newest", newest.String())
		r.Reset()
		r.cursor = entryID{}
	}
	from := entryID{ms: max(0, r.cursor.ms-overlap.Milliseconds())}.String()
	for {
		entries, err := r.page(ctx, from)
		if err != nil {
			return err
		}
		if err := r.take(entries); err != nil {
			return err
		}
		if len(entries) < pageSize {
			r.heard()
			return nil
		}
		from = "(" + entries[len(entries)-1].ID
	}
}

// wait delivers what comes within a moment. That nothing came is news too: the
// stream was read to its end.
func (r *reader) wait(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, block+patience)
	defer cancel()
	streams, err := r.reading.XRead(ctx, &redis.XReadArgs{
		Streams: []string{key, r.cursor.String()}, Count: pageSize, Block: block,
	}).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return fmt.Errorf("redisfeed: waiting: %w", err)
	}
	read := 0
	for _, stream := range streams {
		read += len(stream.Messages)
		if err := r.take(stream.Messages); err != nil {
			return err
		}
	}
	if read < pageSize {
		r.heard()
	}
	return nil
}

// heard notes that everything published so far was delivered.
func (r *reader) heard() {
	r.current.Store(r.now().UnixNano())
	if r.failing {
		r.log.Info("the revocation feed answers again")
		r.failing = false
	}
}

// take delivers entries and moves the cursor. Times are this node's own, so
// that clocks which differ make a session listed longer, never shorter.
func (r *reader) take(entries []redis.XMessage) error {
	now := r.now()
	for _, entry := range entries {
		at, err := parseID(entry.ID)
		if err != nil {
			return err
		}
		names, _ := entry.Values["ids"].(string)
		for name := range strings.SplitSeq(names, ",") {
			id, err := uuid.Parse(name)
			if err != nil {
				r.log.Error("an entry of the revocation feed names no session", "entry", entry.ID)
				continue
			}
			r.deliver(now, id)
		}
		if r.cursor.before(at) {
			r.cursor = at
		}
	}
	return nil
}

func (r *reader) page(ctx context.Context, from string) ([]redis.XMessage, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	entries, err := r.reading.XRangeN(ctx, key, from, "+", pageSize).Result()
	if err != nil {
		return nil, fmt.Errorf("redisfeed: reading: %w", err)
	}
	return entries, nil
}

// newest is the id of the stream's last entry; zero when there is none.
func (r *reader) newest(ctx context.Context) (entryID, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	entries, err := r.reading.XRevRangeN(ctx, key, "+", "-", 1).Result()
	if err != nil {
		return entryID{}, fmt.Errorf("redisfeed: reading: %w", err)
	}
	if len(entries) == 0 {
		return entryID{}, nil
	}
	return parseID(entries[0].ID)
}

// entryID is the id of a stream's entry: milliseconds of the server's clock and
// a number within them.
type entryID struct{ ms, seq int64 }

func parseID(text string) (entryID, error) {
	ms, seq, _ := strings.Cut(text, "-")
	a, err1 := strconv.ParseInt(ms, 10, 64)
	b, err2 := strconv.ParseInt(seq, 10, 64)
	if err := errors.Join(err1, err2); err != nil {
		return entryID{}, fmt.Errorf("redisfeed: an entry's id: %w", err)
	}
	return entryID{a, b}, nil
}

func (id entryID) String() string {
	return strconv.FormatInt(id.ms, 10) + "-" + strconv.FormatInt(id.seq, 10)
}

func (id entryID) before(other entryID) bool {
	return id.ms < other.ms || id.ms == other.ms && id.seq < other.seq
}
