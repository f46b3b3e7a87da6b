package redisfeed

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
)

// reader is one Run and how far it has come in the stream. What it keeps
// outlives a read that fails: the next one goes on from there.
type reader struct {
	*Feed
	deliver func(at time.Time, ids ...uuid.UUID)
	cursor  entryID // the newest entry that was delivered
	content string  // of that entry
	page    int     // entries of the next read
	failing bool
}

// follow delivers all news until a read fails.
func (r *reader) follow(ctx context.Context) error {
	for {
		if err := r.catchUp(ctx); err != nil {
			return err
		}
		news := false
		for next := r.now().Add(checkEvery); !news && r.now().Before(next); {
			var err error
			if news, err = r.wait(ctx); err != nil {
				return err
			}
		}
	}
}

// catchUp delivers everything after the cursor. It reads from the entry at the
// cursor on, which must still be there: a server writes entries in order, so
// nothing appears below an entry that it has, but one that took over without it
// may write below the cursor, where no read would look. So what it costs does
// not depend on how much there was before.
func (r *reader) catchUp(ctx context.Context) error {
	for {
		known := r.cursor != (entryID{})
		count := r.page
		if known {
			count++
		}
		entries, err := r.read(ctx, func(ctx context.Context) *redis.XMessageSliceCmd {
			return r.reading.XRangeN(ctx, key, r.cursor.String(), "+", int64(count))
		})
		if err != nil {
			return err
		}
		full := len(entries) == count
		if known && !r.begins(entries) {
			if err := r.startOver(ctx); err != nil {
				return err
			}
			continue
		}
		if known {
			entries = entries[1:]
		}
		if err := r.take(entries); err != nil {
			return err
		}
		if !full {
			r.heard()
			return nil
		}
	}
}

// begins reports whether the first entry is the one at the cursor.
func (r *reader) begins(entries []redis.XMessage) bool {
	return len(entries) > 0 && entries[0].ID == r.cursor.String() && content(entries[0]) == r.content
}

// startOver forgets the cursor, so that all of the stream is read again.
func (r *reader) startOver(ctx context.Context) error {
	newest, err := r.newest(ctx)
	if err != nil {
		return err
	}
	if !r.forgotten(newest) {
		r.log.Warn("the revocation feed went back; all of it is read again", "cursor", r.cursor.String(), "newest", newest.String())
		r.Reset()
	}
	r.cursor, r.content = entryID{}, ""
	return nil
}

// forgotten reports whether the entry at the cursor is missing for its age alone.
func (r *reader) forgotten(newest entryID) bool {
	if newest == (entryID{}) {
		return r.now().UnixMilli()-r.cursor.ms > 2*keep.Milliseconds()
	}
	return newest.ms-r.cursor.ms > keep.Milliseconds()
}

// wait delivers what comes first within a moment, and leaves the cursor to
// catchUp. That nothing came is news too: the stream was read to its end.
func (r *reader) wait(ctx context.Context) (news bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, block+replyTimeout)
	defer cancel()
	streams, err := r.reading.XRead(ctx, &redis.XReadArgs{
		Streams: []string{key, r.cursor.String()}, Count: minPage, Block: block,
	}).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return false, fmt.Errorf("redisfeed: waiting: %w", err)
	}
	for _, stream := range streams {
		news = news || len(stream.Messages) > 0
		for _, entry := range stream.Messages {
			r.tell(r.now(), entry)
		}
	}
	if !news {
		r.heard()
	}
	return news, nil
}

// heard notes that everything published so far was delivered.
func (r *reader) heard() {
	r.current.Store(r.now().UnixNano())
	if r.failing {
		r.log.Info("the revocation feed answers again")
		r.failing = false
	}
}

// take delivers entries and moves the cursor.
func (r *reader) take(entries []redis.XMessage) error {
	now := r.now()
	for _, entry := range entries {
		at, err := parseID(entry.ID)
		if err != nil {
			return err
		}
		r.tell(now, entry)
		r.cursor, r.content = at, content(entry)
	}
	return nil
}

// tell delivers an entry. Times are this node's own, so that clocks which differ
// make a session listed longer, never shorter.
func (r *reader) tell(now time.Time, entry redis.XMessage) {
	for name := range strings.SplitSeq(content(entry), ",") {
		id, err := uuid.Parse(name)
		if err != nil {
			r.log.Error("an entry of the revocation feed names no session", "entry", entry.ID)
			continue
		}
		r.deliver(now, id)
	}
}

// content is an entry's list of session ids.
func content(entry redis.XMessage) string {
	names, _ := entry.Values["ids"].(string)
	return names
}

func (r *reader) read(ctx context.Context, command func(context.Context) *redis.XMessageSliceCmd) ([]redis.XMessage, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	entries, err := command(ctx).Result()
	var network net.Error
	switch {
	case err == nil:
		r.page = min(r.page+r.page/8+1, maxPage)
	case errors.As(err, &network) && network.Timeout():
		r.page = max(r.page/4, minPage)
	}
	if err != nil {
		return nil, fmt.Errorf("redisfeed: reading: %w", err)
	}
	return entries, nil
}

// newest is the id of the stream's last entry; zero when there is none.
func (r *reader) newest(ctx context.Context) (entryID, error) {
	entries, err := r.read(ctx, func(ctx context.Context) *redis.XMessageSliceCmd { return r.reading.XRevRangeN(ctx, key, "+", "-", 1) })
	if err != nil || len(entries) == 0 {
		return entryID{}, err
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
