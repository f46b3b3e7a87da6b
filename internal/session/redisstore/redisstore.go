// Package redisstore keeps the hot state of sessions in Redis: one hash per user
// and a key for each recent tombstone, one script per operation, one round trip
// per refresh. The scripts
// (*.lua) are the only writers; each documents its arguments and replies. The
// package refuses to know what is remembered elsewhere.
package redisstore

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"slices"
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

// maxRevoke is how many tombstones one call of a script writes.
const maxRevoke = 100

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
	reply, err := s.run(ctx, s.create, keys(state.UserID, state.ID), state.ID.String(), encode(state), limit)
	if err != nil {
		return nil, err
	}
	if reply.word == "ended" {
		return nil, session.ErrEnded
	}
	count, err := parseNumber(reply.first())
	if err != nil {
		return nil, err
	}
	var evicted, ended []session.End
	for i := 1; i+1 < len(reply.rest); i += 2 {
		id, err := uuid.Parse(reply.rest[i])
		if err != nil {
			continue // a field whose name is no session id ends nobody's session
		}
		expires, err := parseMillis(reply.rest[i+1])
		if err != nil {
			return nil, err
		}
		ended = append(ended, session.End{SessionID: id, ExpiresAt: expires, Reason: session.ReasonEvicted})
		if uint64(i) < 2*count {
			evicted = ended
		}
	}
	s.moveTombstones(ctx, state.UserID, ended)
	return evicted, nil
}

// Rotate implements [session.Store].
func (s *Store) Rotate(ctx context.Context, p session.Presented, policy session.Policy) (session.Verdict, error) {
	reply, err := s.run(ctx, s.rotate, []string{key(p.UserID)},
		p.SessionID.String(), p.Generation, encodeHash(p.SecretHash), string(p.Attempt), p.Network,
		policy.Grace.Milliseconds(), policy.Retry.Milliseconds(), policy.Idle.Milliseconds(),
		clean(p.IPAddress), clean(p.UserAgent), p.Mark(),
		flag(p.AccessOnly), flag(policy.RequireAttempt), flag(policy.EndShared))
	if err != nil {
		return session.Verdict{}, err
	}
	verdict := session.Verdict{Outcome: session.Outcome(reply.word)}
	switch verdict.Outcome {
	case session.Missing:
		return s.missing(ctx, p)
	case session.Tombstone:
		verdict.Reason = session.Reason(reply.first())
		return verdict, nil
	}
	if verdict.State, err = decode(p.UserID, p.SessionID, reply.first()); err != nil {
		return session.Verdict{}, err
	}
	verdict.Shared = len(reply.rest) > 1 && reply.rest[1] == "1"
	if reason, ended := verdict.Outcome.Ends(); ended {
		s.moveTombstones(ctx, p.UserID, []session.End{{SessionID: p.SessionID, ExpiresAt: verdict.State.ExpiresAt, Reason: reason}})
	}
	return verdict, nil
}

// missing is the verdict on a session that is not in the hash: its tombstone, or
// that there is none.
func (s *Store) missing(ctx context.Context, p session.Presented) (session.Verdict, error) {
	reason, err := s.tombstone(ctx, p.UserID, p.SessionID)
	switch {
	case err != nil:
		return session.Verdict{}, err
	case reason != "":
		return session.Verdict{Outcome: session.Tombstone, Reason: reason}, nil
	}
	return session.Verdict{Outcome: session.Missing}, nil
}

// tombstone is the reason for which a session that is not in the hash ended;
// empty where there is no tombstone.
func (s *Store) tombstone(ctx context.Context, userID, sessionID uuid.UUID) (session.Reason, error) {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	reason, err := s.client.Get(ctx, endedKey(userID, sessionID)).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return "", fmt.Errorf("redisstore: %w", err)
	}
	return session.Reason(reason), nil
}

// moveTombstones takes out of the hash what a script ended there. Where it fails
// the tombstone holds where it is, and the user's next login moves it.
func (s *Store) moveTombstones(ctx context.Context, userID uuid.UUID, ends []session.End) {
	_ = s.Revoke(ctx, userID, ends)
}

// Restore implements [session.Store].
func (s *Store) Restore(ctx context.Context, known session.State, adopt uint64, policy session.Policy) (session.State, error) {
	reply, err := s.run(ctx, s.lift, keys(known.UserID, known.ID),
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
	for chunk := range slices.Chunk(ends, maxRevoke) {
		ids, args := make([]uuid.UUID, 0, len(chunk)), make([]any, 0, 4*len(chunk))
		for _, end := range chunk {
			ids = append(ids, end.SessionID)
			args = append(args, end.SessionID.String(), string(end.Reason), millis(end.ExpiresAt), flag(end.InLedger))
		}
		if _, err := s.run(ctx, s.revoke, keys(userID, ids...), args...); err != nil {
			return err
		}
	}
	return nil
}

// Find implements [session.Store].
func (s *Store) Find(ctx context.Context, userID, sessionID uuid.UUID) (session.State, error) {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	field, err := s.client.HGet(ctx, key(userID), sessionID.String()).Result()
	switch {
	case errors.Is(err, redis.Nil):
		return session.State{}, s.absent(ctx, userID, sessionID)
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

// absent is why a session is not in the hash.
func (s *Store) absent(ctx context.Context, userID, sessionID uuid.UUID) error {
	reason, err := s.tombstone(ctx, userID, sessionID)
	switch {
	case err != nil:
		return err
	case reason != "":
		return session.ErrEnded
	}
	return session.ErrMissing
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

// key is the hash of a user. The braces keep all keys of a user on one shard of a
// Cluster.
func key(userID uuid.UUID) string { return "pawl:{" + userID.String() + "}:sessions" }

// endedKey is the tombstone of a session.
func endedKey(userID, sessionID uuid.UUID) string {
	return "pawl:{" + userID.String() + "}:ended:" + sessionID.String()
}

// keys are the hash of a user and the tombstones of some of their sessions.
func keys(userID uuid.UUID, sessionIDs ...uuid.UUID) []string {
	all := make([]string, 1, 1+len(sessionIDs))
	all[0] = key(userID)
	for _, id := range sessionIDs {
		all = append(all, endedKey(userID, id))
	}
	return all
}

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
func (s *Store) run(ctx context.Context, script *redis.Script, keys []string, args ...any) (reply, error) {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	k := keys[0]
	for range 2 {
		now, err := s.serverNow(ctx, k)
		if err != nil {
			return reply{}, err
		}
		deadline, _ := ctx.Deadline()
		all := append([]any{s.testClock(), now + time.Until(deadline).Milliseconds()}, args...)
		sent := time.Now()
		raw, err := script.Run(ctx, s.client, keys, all...).StringSlice()
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
