// Package revocation owns the list of sessions that ended lately, which lets a
// node refuse their access tokens without asking a store, and the feeds that
// carry the news between nodes. It knows session ids and times, and nothing else
// about sessions: not whose they are nor why they ended.
package revocation

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
)

// Window is how long an ended session is listed: longer than any access token
// of it can be accepted, whatever the settings were when it was issued.
const Window = 61 * time.Minute

const shards = 256

// Set lists the sessions that ended within the last [Window], to the second. It is safe for
// concurrent use: a look-up shares a lock with one in 256 others, and writers
// hold one for a single entry. The list has no bound but the window: leaving an
// entry out would let a revoked token in.
type Set struct {
	now    func() time.Time
	count  atomic.Int64
	shards [shards]shard
}

type shard struct {
	mu    sync.RWMutex
	ended map[uuid.UUID]seconds
	most  int      // entries that the map has had at a time
	_     [32]byte // neighbours' locks on a cache line of their own
}

// seconds are those of Unix time, until 2106, which take a sixth of the room of a
// time.
type seconds uint32

// NewSet makes an empty set.
func NewSet(now func() time.Time) *Set {
	s := &Set{now: now}
	for i := range s.shards {
		s.shards[i].ended = make(map[uuid.UUID]seconds)
	}
	return s
}

// shard picks by the last byte, which is random in UUIDs of version 4 and 7.
func (s *Set) shard(id uuid.UUID) *shard { return &s.shards[id[len(id)-1]] }

// Add lists the sessions that ended at a time. Older news than [Window] is left
// out; a time in the future counts as now; of two times for one session the
// later counts.
func (s *Set) Add(at time.Time, ids ...uuid.UUID) {
	now := s.now()
	if at.After(now) {
		at = now
	}
	if passed(at, now) {
		return
	}
	rounded := seconds(at.Add(time.Second - 1).Unix()) // up: listed longer, never shorter
	for _, id := range ids {
		s.shard(id).add(id, rounded, &s.count)
	}
}

func (s *shard) add(id uuid.UUID, at seconds, count *atomic.Int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old, listed := s.ended[id]
	if !listed {
		count.Add(1)
	}
	if !listed || at > old {
		s.ended[id] = at
	}
	s.most = max(s.most, len(s.ended))
}

// Contains reports whether a session is listed. A session stays listed until
// the first [Set.Sweep] after its window: it ended, and nothing undoes that.
func (s *Set) Contains(id uuid.UUID) bool {
	if s.count.Load() == 0 {
		return false
	}
	shard := s.shard(id)
	shard.mu.RLock()
	defer shard.mu.RUnlock()
	_, listed := shard.ended[id]
	return listed
}

// Sweep drops what is older than [Window]. Call it every minute or so.
func (s *Set) Sweep() {
	oldest := seconds(s.now().Add(-Window).Unix())
	for i := range s.shards {
		s.shards[i].sweep(oldest, &s.count)
	}
}

// sweep drops what is older than a time. A map keeps the room that it once
// needed: one that has become much smaller is made anew.
func (s *shard) sweep(oldest seconds, count *atomic.Int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, at := range s.ended {
		if at < oldest {
			delete(s.ended, id)
			count.Add(-1)
		}
	}
	if s.most > 64 && len(s.ended) < s.most/4 {
		kept := make(map[uuid.UUID]seconds, len(s.ended))
		maps.Copy(kept, s.ended)
		s.ended, s.most = kept, len(kept)
	}
}

// Len is the number of listed sessions.
func (s *Set) Len() int { return int(s.count.Load()) }

// passed reports whether at is older than the window, which is inclusive.
func passed(at, now time.Time) bool { return now.Sub(at) > Window }
