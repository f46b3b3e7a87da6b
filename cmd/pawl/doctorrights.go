package main

import (
	"context"
	"crypto/rand"
	"errors"
	"regexp"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"github.com/pawlauth/pawl/internal/session"
	"github.com/pawlauth/pawl/internal/session/redisstore"
	"github.com/pawlauth/pawl/internal/throttle"
	"github.com/pawlauth/pawl/internal/throttle/redisthrottle"
)

// rightsLife is how long the trial's keys live where they cannot be deleted.
const rightsLife = time.Minute

// rights tries what a server does, with a session, a bucket and a stream of
// nobody's, and deletes them.
func (e *redisExam) rights(ctx context.Context) (finding, error) {
	nobody, found := e.ownKey(ctx)
	if !found {
		return finding{}, nil // no slot of a Cluster is here
	}
	trial := &redisTrial{server: e.server, user: nobody, id: uuid.New(), stream: "pawl:{" + nobody.String() + "}:doctor"}
	defer trial.clean(context.WithoutCancel(ctx))
	err := errors.Join(trial.session(ctx), trial.bucket(ctx), trial.feed(ctx))
	switch {
	case err == nil:
		return finding{fine, "", "the scripts of sessions, gates and feed run", ""}, nil
	case !replied(err):
		return finding{}, err
	}
	return finding{problem, "", "a script or command of a server's was refused: " + refusedCommand(err),
		"allow the user of PAWL_REDIS_URL the commands that docs/operations.md lists, on the keys pawl:*"}, nil
}

// ownKey draws an id whose keys this server has.
func (e *redisExam) ownKey(ctx context.Context) (uuid.UUID, bool) {
	cluster, several := e.client.(*redis.ClusterClient)
	if !several {
		return uuid.New(), true
	}
	for range 10_000 {
		id := uuid.New()
		at, err := cluster.MasterForKey(ctx, "{"+id.String()+"}")
		if err != nil {
			break
		}
		if at.Options().Addr == e.server.Options().Addr {
			return id, true
		}
	}
	return uuid.Nil, false
}

// refusedCommand is what Redis did not allow, without the user's name.
func refusedCommand(err error) string {
	text := err.Error()
	if command := regexp.MustCompile(`'([a-z|]+)' command`).FindStringSubmatch(text); command != nil {
		return "no right to " + command[1]
	}
	if regexp.MustCompile(`(?i)\bkeys?\b`).MatchString(text) && regexp.MustCompile(`NOPERM|permission`).MatchString(text) {
		return "no right to the keys"
	}
	if regexp.MustCompile(`can't run this command`).MatchString(text) { // Redis does not say which
		return "no right to a command that a script uses"
	}
	return plain(err)
}

// redisTrial is what a server does, done to nobody.
type redisTrial struct {
	server *redis.Client
	user   uuid.UUID
	id     uuid.UUID // of the session
	stream string
}

func (t *redisTrial) session(ctx context.Context) error {
	store, now := redisstore.New(t.server, redisstore.Options{}), time.Now()
	until := now.Add(rightsLife)
	state := session.State{Role: "USER", Generation: 1, Session: session.Session{
		ID: t.id, UserID: t.user, Delivery: session.DeliveryBody,
		CreatedAt: now, LastUsedAt: now, IdleExpiresAt: until, ExpiresAt: until,
	}}
	if _, err := store.Create(ctx, state, 1); err != nil {
		return err
	}
	turn := session.Presented{UserID: t.user, SessionID: state.ID, Generation: 1, Attempt: session.Attempt("s" + rand.Text())}
	if _, err := store.Rotate(ctx, turn, session.Policy{Idle: rightsLife, Absolute: rightsLife}); err != nil {
		return err
	}
	if _, err := store.List(ctx, t.user); err != nil {
		return err
	}
	if _, err := store.Find(ctx, t.user, state.ID); err != nil && replied(err) {
		return err
	}
	return store.Revoke(ctx, t.user, []session.End{{SessionID: state.ID, ExpiresAt: until, Reason: session.ReasonRevoked}})
}

func (t *redisTrial) bucket(ctx context.Context) error {
	gates := redisthrottle.New(t.server, redisthrottle.Options{})
	buckets := []throttle.Bucket{{Key: t.bucketKey(), Rate: throttle.Rate{Burst: 2, Every: rightsLife / 2}}}
	if _, err := gates.Spend(ctx, buckets); err != nil {
		return err
	}
	return gates.Return(ctx, buckets)
}

func (t *redisTrial) bucketKey() string { return "doctor:{" + t.user.String() + "}" }

// feed does to a stream of its own what servers do to theirs.
func (t *redisTrial) feed(ctx context.Context) error {
	if err := t.server.XAdd(ctx, &redis.XAddArgs{Stream: t.stream, Values: []string{"ids", t.user.String()}}).Err(); err != nil {
		return err
	}
	return errors.Join(
		t.server.PExpire(ctx, t.stream, rightsLife).Err(),
		t.server.XTrimMinIDApprox(ctx, t.stream, "0", 0).Err(),
		t.server.XRangeN(ctx, t.stream, "-", "+", 1).Err(),
		t.server.XRevRangeN(ctx, t.stream, "+", "-", 1).Err(),
		t.server.XRead(ctx, &redis.XReadArgs{Streams: []string{t.stream, "0"}, Count: 1, Block: -1}).Err(),
	)
}

// clean deletes what the trial made.
func (t *redisTrial) clean(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	own := "pawl:{" + t.user.String() + "}:"
	_ = t.server.Del(ctx, own+"sessions", own+"ended:"+t.id.String(), "pawl:throttle:"+t.bucketKey(), t.stream).Err()
}
