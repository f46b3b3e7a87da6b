package throttle

import (
	"context"
	"errors"
	"hash/maphash"
	"sync"
	"time"
)

const (
	// maxEntries bounds the buckets, and likewise the lanes, that live at once:
	// lanes take about 100 MB then.
	maxEntries = 500_000
	// shards is in how many parts the memory has a lock each, so that looking
	// through one for dead entries keeps few waiting. A network, like an account,
	// is in one of them.
	shards     = 64
	sweepEvery = time.Minute
	// sweepAgain is how soon a full shard looks for dead entries again.
	sweepAgain = time.Second
)

// ErrFull means that more buckets live than the memory may hold, or more lanes
// whose pause is running. Nothing was counted; those that it knows already go on.
var ErrFull = errors.New("throttle: too many networks and accounts at once")

// Memory implements [Store] in the memory of one process, which loses everything
// at a restart. It is safe for concurrent use. The zero value is not ready: see
// [NewMemory].
type Memory struct {
	now    func() time.Time
	began  time.Time
	seed   maphash.Seed
	shards []shard
}

// shard is a part of the memory.
type shard struct {
	mu       sync.Mutex
	buckets  map[string]int64 // when the bucket is full again
	accounts map[string]*account
	lanes    int // of all accounts
	limit    int
	swept    int64
}

// NewMemory returns an empty store that reads the time from now. Where its times
// have a monotonic reading (as those of [time.Now] do), the system's clock may
// step without effect.
func NewMemory(now func() time.Time) *Memory { return newMemory(now, shards, maxEntries/shards) }

func newMemory(now func() time.Time, shards, limit int) *Memory {
	m := &Memory{now: now, began: now(), seed: maphash.MakeSeed(), shards: make([]shard, shards)}
	for i := range m.shards {
		s := &m.shards[i]
		s.buckets, s.accounts, s.limit = make(map[string]int64), make(map[string]*account), limit
	}
	return m
}

// lock enters the shard of a network or an account unless ctx is over. It returns
// the microseconds since the store began; the caller unlocks the shard.
func (m *Memory) lock(ctx context.Context, name string) (*shard, int64, error) {
	s := &m.shards[maphash.String(m.seed, name)%uint64(len(m.shards))]
	s.mu.Lock()
	if err := ctx.Err(); err != nil {
		s.mu.Unlock()
		return nil, 0, err
	}
	now := m.now().Sub(m.began).Microseconds()
	s.sweep(now, sweepEvery)
	return s, now, nil
}

// sweep forgets what no longer matters, unless it did so within the last while.
func (s *shard) sweep(now int64, every time.Duration) {
	if since := now - s.swept; since >= 0 && since < every.Microseconds() {
		return
	}
	s.swept = now
	for key, full := range s.buckets {
		if full <= now {
			delete(s.buckets, key)
		}
	}
	for name, l := range s.all() {
		if l.until <= now {
			s.forget(s.accounts[name.Account], name)
		}
	}
}

// roomForBuckets fails when n more buckets are too many.
func (s *shard) roomForBuckets(now int64, n int) error {
	if len(s.buckets)+n > s.limit {
		s.sweep(now, sweepAgain)
	}
	if len(s.buckets)+n > s.limit {
		return ErrFull
	}
	return nil
}

// Spend implements [Store].
func (m *Memory) Spend(ctx context.Context, buckets []Bucket) (Verdict, error) {
	buckets, err := Charged(buckets)
	if err != nil || len(buckets) == 0 {
		return Verdict{}, err
	}
	s, now, err := m.lock(ctx, buckets[0].network())
	if err != nil {
		return Verdict{}, err
	}
	defer s.mu.Unlock()
	fresh := 0
	for _, b := range buckets {
		if _, known := s.buckets[b.Key]; !known {
			fresh++
		}
		s.settle(b, now)
	}
	if v := s.look(buckets, now); !v.Allowed() {
		return v, nil
	}
	if err := s.roomForBuckets(now, fresh); err != nil {
		return Verdict{}, err
	}
	for _, b := range buckets {
		s.buckets[b.Key] = max(s.buckets[b.Key], now) + b.Rate.Every.Microseconds()
	}
	return Verdict{}, nil
}

// Peek is what Spend would say, and takes nothing. Callers that spend only after
// a failure ask it first: what they let through at the same time may then fail
// once each beyond the rate.
func (m *Memory) Peek(ctx context.Context, buckets []Bucket) (Verdict, error) {
	buckets, err := Charged(buckets)
	if err != nil || len(buckets) == 0 {
		return Verdict{}, err
	}
	s, now, err := m.lock(ctx, buckets[0].network())
	if err != nil {
		return Verdict{}, err
	}
	defer s.mu.Unlock()
	for _, b := range buckets {
		s.settle(b, now)
	}
	return s.look(buckets, now), nil
}

// Return implements [Store].
func (m *Memory) Return(ctx context.Context, buckets []Bucket) error {
	buckets, err := Charged(buckets)
	if err != nil || len(buckets) == 0 {
		return err
	}
	s, now, err := m.lock(ctx, buckets[0].network())
	if err != nil {
		return err
	}
	defer s.mu.Unlock()
	for _, b := range buckets {
		full, known := s.settle(b, now)
		if full -= b.Rate.Every.Microseconds(); !known || full <= now {
			delete(s.buckets, b.Key)
			continue
		}
		s.buckets[b.Key] = full
	}
	return nil
}

// settle reads when a bucket is full. One that would take longer than from empty
// comes from a time before the clock ran backwards: it counts as empty now.
func (s *shard) settle(b Bucket, now int64) (full int64, known bool) {
	full, known = s.buckets[b.Key]
	if empty := now + int64(b.Rate.Burst)*b.Rate.Every.Microseconds(); known && full > empty {
		full = empty
		s.buckets[b.Key] = full
	}
	return full, known
}

// look is the longest wait until each bucket has a unit.
func (s *shard) look(buckets []Bucket, now int64) Verdict {
	wait := int64(0)
	for _, b := range buckets {
		every := b.Rate.Every.Microseconds()
		wait = max(wait, max(s.buckets[b.Key], now)+every-(now+int64(b.Rate.Burst)*every))
	}
	return Verdict{RetryAfter: time.Duration(wait) * time.Microsecond}
}
