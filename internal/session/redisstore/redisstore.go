// Package redisstore keeps the hot state of sessions in Redis: one hash per
// user, one script per operation, one round trip per refresh. The scripts
// (*.lua) are the only writers; each documents its arguments and replies. The
// package refuses to know what is remembered elsewhere.
package redisstore

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"github.com/pawlauth/pawl/internal/session"
)

//go:embed state.lua
var stateLua string

//go:embed create.lua
var createLua string

//go:embed rotate.lua
var rotateLua string

//go:embed restore.lua
var restoreLua string

//go:embed revoke.lua
var revokeLua string

//go:embed time.lua
var timeLua string

// opTimeout bounds an operation whose context has no earlier deadline.
const opTimeout = 2 * time.Second

// Options are what a test may change.
type Options struct {
	// Now replaces the Redis server's clock.
	Now func() time.Time
}

// Store implements [session.Store] on Redis 6.2 or later. Times are kept to the
// millisecond, on the server's clock. It is safe for concurrent use and by any
// number of processes.
type Store struct {
	client redis.UniversalClient
	now    func() time.Time // nil: the server's clock
	create *redis.Script
	rotate *redis.Script
	lift   *redis.Script
	revoke *redis.Script
	time   *redis.Script

	offsets []offset // one per clock there may be: see clockOf
}

// New returns a store that talks through client. The client must send writes
// and reads to masters, honour context deadlines, and not be shared with
// anything that blocks.
func New(client redis.UniversalClient, options Options) *Store {
	return &Store{
		client:  client,
		now:     options.Now,
		offsets: make([]offset, clocks(client)),
		create:  redis.NewScript(stateLua + createLua),
		rotate:  redis.NewScript(stateLua + rotateLua),
		lift:    redis.NewScript(stateLua + restoreLua),
		revoke:  redis.NewScript(stateLua + revokeLua),
		time:    redis.NewScript(timeLua),
	}
}

// Create implements [session.Store].
func (s *Store) Create(ctx context.Context, state session.State, limit int) ([]session.End, error) {
	reply, err := s.run(ctx, s.create, state.UserID, state.ID.String(), encode(state), limit)
	if err != nil {
		return nil, err
	}
	if reply.word == "ended" {
		return nil, session.ErrEnded
	}
	var evicted []session.End
	for i := 0; i+1 < len(reply.rest); i += 2 {
		id, err := uuid.Parse(reply.rest[i])
		if err != nil {
			continue // a field whose name is no session id ends nobody's session
		}
		expires, err := parseMillis(reply.rest[i+1])
		if err != nil {
			return nil, err
		}
		evicted = append(evicted, session.End{SessionID: id, ExpiresAt: expires, Reason: session.ReasonEvicted})
	}
	return evicted, nil
}

// Rotate implements [session.Store].
func (s *Store) Rotate(ctx context.Context, p session.Presented, policy session.Policy) (session.Verdict, error) {
	reply, err := s.run(ctx, s.rotate, p.UserID,
		p.SessionID.String(), p.Generation, encodeHash(p.SecretHash), string(p.Attempt), p.Binding,
		policy.Grace.Milliseconds(), policy.Retry.Milliseconds(), policy.Idle.Milliseconds(),
		clean(p.IPAddress), clean(p.UserAgent))
	if err != nil {
		return session.Verdict{}, err
	}
	verdict := session.Verdict{Outcome: session.Outcome(reply.word)}
	switch verdict.Outcome {
	case session.Missing:
	case session.Tombstone:
		verdict.Reason = session.Reason(reply.first())
	default:
		verdict.State, err = decode(p.UserID, p.SessionID, reply.first())
	}
	return verdict, err
}

// Restore implements [session.Store].
func (s *Store) Restore(ctx context.Context, known session.State, adopt uint64, policy session.Policy) (session.State, error) {
	reply, err := s.run(ctx, s.lift, known.UserID,
		known.ID.String(), encode(known), adopt, policy.Idle.Milliseconds())
	if err != nil {
		return session.State{}, err
	}
	if reply.word == "ended" {
		return session.State{}, session.ErrEnded
	}
	return decode(known.UserID, known.ID, reply.first())
}

// Revoke implements [session.Store].
func (s *Store) Revoke(ctx context.Context, userID uuid.UUID, ends []session.End) error {
	if len(ends) == 0 {
		return nil
	}
	args := make([]any, 0, 3*len(ends))
	for _, end := range ends {
		args = append(args, end.SessionID.String(), string(end.Reason), millis(end.ExpiresAt))
	}
	_, err := s.run(ctx, s.revoke, userID, args...)
	return err
}

// Find implements [session.Store].
func (s *Store) Find(ctx context.Context, userID, sessionID uuid.UUID) (session.State, error) {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	field, err := s.client.HGet(ctx, key(userID), sessionID.String()).Result()
	switch {
	case errors.Is(err, redis.Nil):
		return session.State{}, session.ErrMissing
	case err != nil:
		return session.State{}, fmt.Errorf("redisstore: %w", err)
	case isTombstone(field):
		return session.State{}, session.ErrEnded
	}
	state, err := decode(userID, sessionID, field)
	if err != nil {
		return session.State{}, session.ErrMissing
	}
	return state, nil
}

// List implements [session.Store].
func (s *Store) List(ctx context.Context, userID uuid.UUID) ([]session.State, error) {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	now, err := s.serverNow(ctx, key(userID))
	if err != nil {
		return nil, err
	}
	fields, err := s.client.HGetAll(ctx, key(userID)).Result()
	if err != nil {
		return nil, fmt.Errorf("redisstore: %w", err)
	}
	var live []session.State
	for field, value := range fields {
		id, err := uuid.Parse(field)
		if err != nil {
			continue
		}
		if state, err := decode(userID, id, value); err == nil && millis(state.ExpiresAt) > now {
			live = append(live, state)
		}
	}
	return live, nil
}

// Ping implements [session.Store].
func (s *Store) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	if err := s.client.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("redisstore: %w", err)
	}
	return nil
}

// key is the one key of a user. The braces keep it on one shard of a Cluster.
func key(userID uuid.UUID) string { return "pawl:{" + userID.String() + "}:sessions" }

// reply is what every script answers: a word, the server's time, and the rest.
type reply struct {
	word string
	now  int64
	rest []string
}

func (r reply) first() string {
	if len(r.rest) == 0 {
		return ""
	}
	return r.rest[0]
}

// run calls a script with a deadline on the server's clock. A call that the
// server found late was not carried out; when there is still time, the clocks
// were simply further apart than believed, and it is sent once more.
func (s *Store) run(ctx context.Context, script *redis.Script, userID uuid.UUID, args ...any) (reply, error) {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	k := key(userID)
	for range 2 {
		now, err := s.serverNow(ctx, k)
		if err != nil {
			return reply{}, err
		}
		deadline, _ := ctx.Deadline()
		all := append([]any{s.testClock(), now + time.Until(deadline).Milliseconds()}, args...)
		sent := time.Now()
		raw, err := script.Run(ctx, s.client, []string{k}, all...).StringSlice()
		if err != nil {
			return reply{}, fmt.Errorf("redisstore: %w", err)
		}
		r, err := parseReply(raw)
		if err != nil {
			return reply{}, err
		}
		s.learn(k, sent, time.Now(), r.now, r.word == "late")
		if r.word != "late" {
			return r, nil
		}
	}
	return reply{}, errors.New("redisstore: the call reached the server too late and was not carried out")
}

func parseReply(raw []string) (reply, error) {
	if len(raw) < 2 {
		return reply{}, errors.New("redisstore: a script's reply is too short")
	}
	now, err := strconv.ParseInt(raw[1], 10, 64)
	if err != nil {
		return reply{}, fmt.Errorf("redisstore: a script's clock: %w", err)
	}
	return reply{word: raw[0], now: now, rest: raw[2:]}, nil
}
