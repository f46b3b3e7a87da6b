// Package redisthrottle keeps buckets and lanes in Redis, for all nodes
// together: one script per operation (*.lua; each documents its arguments and
// replies), one slot of a Cluster per call. The package refuses to know what is
// guarded.
//
// A server that evicts keys, or loses them, gives failures back: Redis must run
// with maxmemory-policy noeviction.
package redisthrottle

import (
	"cmp"
	"context"
	_ "embed"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/pawlauth/pawl/internal/throttle"
)

//go:embed clock.lua
var clockLua string

//go:embed bucket.lua
var bucketLua string

//go:embed spend.lua
var spendLua string

//go:embed return.lua
var returnLua string

//go:embed lane.lua
var laneLua string

//go:embed charge.lua
var chargeLua string

//go:embed uncharge.lua
var unchargeLua string

const (
	// opTimeout bounds an operation whose context has no earlier deadline.
	opTimeout = 2 * time.Second
	prefix    = "pawl:throttle:"
)

// Options are what a test may change.
type Options struct {
	// Now replaces the Redis server's clock.
	Now func() time.Time
	// Timeout replaces the bound of an operation, 2 s.
	Timeout time.Duration
}

// Store implements [throttle.Store] on Redis 6.2 or later, on the server's
// clock. It is safe for concurrent use and by any number of processes.
type Store struct {
	client   redis.UniversalClient
	now      func() time.Time // nil: the server's clock
	timeout  time.Duration
	spend    *redis.Script
	giveBack *redis.Script
	charge   *redis.Script
	uncharge *redis.Script
}

// New returns a store that talks through client. The client must send writes and
// reads to masters, honour context deadlines, and not be shared with anything
// that blocks.
func New(client redis.UniversalClient, options Options) *Store {
	return &Store{
		client:   client,
		now:      options.Now,
		timeout:  cmp.Or(options.Timeout, opTimeout),
		spend:    redis.NewScript(clockLua + bucketLua + spendLua),
		giveBack: redis.NewScript(clockLua + bucketLua + returnLua),
		charge:   redis.NewScript(clockLua + laneLua + chargeLua),
		uncharge: redis.NewScript(clockLua + laneLua + unchargeLua),
	}
}

// Spend implements [throttle.Store].
func (s *Store) Spend(ctx context.Context, buckets []throttle.Bucket) (throttle.Verdict, error) {
	return s.overBuckets(ctx, s.spend, buckets)
}

// Return implements [throttle.Store].
func (s *Store) Return(ctx context.Context, buckets []throttle.Bucket) error {
	_, err := s.overBuckets(ctx, s.giveBack, buckets)
	return err
}

func (s *Store) overBuckets(ctx context.Context, script *redis.Script, buckets []throttle.Bucket) (throttle.Verdict, error) {
	buckets, err := throttle.Charged(buckets)
	if err != nil || len(buckets) == 0 {
		return throttle.Verdict{}, err
	}
	keys := make([]string, len(buckets))
	args := make([]any, 0, 2*len(buckets))
	for i, b := range buckets {
		keys[i] = prefix + b.Key
		args = append(args, b.Rate.Burst, b.Rate.Every.Microseconds())
	}
	return s.run(ctx, script, keys, args...)
}

// Charge implements [throttle.Store].
func (s *Store) Charge(ctx context.Context, lane throttle.Lane, schedule throttle.Schedule) (throttle.Verdict, error) {
	return s.overLane(ctx, s.charge, lane, schedule)
}

// Uncharge implements [throttle.Store].
func (s *Store) Uncharge(ctx context.Context, lane throttle.Lane, schedule throttle.Schedule) error {
	_, err := s.overLane(ctx, s.uncharge, lane, schedule)
	return err
}

func (s *Store) overLane(ctx context.Context, script *redis.Script, lane throttle.Lane, schedule throttle.Schedule) (throttle.Verdict, error) {
	if schedule.Off() {
		return throttle.Verdict{}, nil
	}
	if err := throttle.CheckCharge(lane, schedule); err != nil {
		return throttle.Verdict{}, err
	}
	args := make([]any, 0, 1+2*len(schedule))
	args = append(args, field(lane))
	for _, step := range schedule {
		args = append(args, step.Failures, step.Pause.Microseconds())
	}
	return s.run(ctx, script, []string{key(lane.Account)}, args...)
}

// Reset implements [throttle.Store].
func (s *Store) Reset(ctx context.Context, lane throttle.Lane) error {
	if err := throttle.CheckAccount(lane.Account); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	return wrap(s.client.HDel(ctx, key(lane.Account), field(lane)).Err())
}

// Clear implements [throttle.Store].
func (s *Store) Clear(ctx context.Context, account string) error {
	if err := throttle.CheckAccount(account); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	return wrap(s.client.Del(ctx, key(account)).Err())
}

// key is the one key of an account. The braces keep it on one shard of a Cluster.
func key(account string) string { return prefix + "{" + account + "}:lanes" }

func field(lane throttle.Lane) string {
	if lane.Device == "" {
		return "unknown"
	}
	return "device:" + lane.Device
}

// run calls a script once. It replies the wait; -1 where a device was counted as
// an unknown one.
func (s *Store) run(ctx context.Context, script *redis.Script, keys []string, args ...any) (throttle.Verdict, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	var clock any = ""
	if s.now != nil {
		clock = s.now().UnixMicro()
	}
	args = append([]any{clock}, args...)
	wait, err := script.Run(ctx, once{s.client}, keys, args...).Int64()
	if err != nil {
		return throttle.Verdict{}, wrap(err)
	}
	return throttle.Verdict{RetryAfter: time.Duration(max(wait, 0)) * time.Microsecond, Unknown: wait < 0}, nil
}

func wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("redisthrottle: %w", err)
}
