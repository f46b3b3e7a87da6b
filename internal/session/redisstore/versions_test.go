package redisstore_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"github.com/pawlauth/pawl/internal/session"
	"github.com/pawlauth/pawl/internal/session/redisstore"
)

// Programs of two versions work on one hash while servers are replaced.

// field is what the hash has of a session.
func field(t *testing.T, client redis.UniversalClient, s session.State) string {
	t.Helper()
	value, err := client.HGet(t.Context(), hash(s), s.ID.String()).Result()
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func write(t *testing.T, client redis.UniversalClient, s session.State, value string) {
	t.Helper()
	if err := client.HSet(t.Context(), hash(s), s.ID.String(), value).Err(); err != nil {
		t.Fatal(err)
	}
}

// What an older program wrote is judged by this server's grace, and keeps it.
func TestFieldOfAnOlderProgram(t *testing.T) {
	both(t, func(t *testing.T, client redis.UniversalClient) {
		store := redisstore.New(client, redisstore.Options{})
		s := login(uuid.New(), time.Now(), session.NewSecret())
		s.DeviceName = "phone"
		create(t, store, s)
		old, _, _ := strings.Cut(field(t, client, s), "\x1e")
		write(t, client, s, old)
		if got, err := store.Find(t.Context(), s.UserID, s.ID); err != nil || got.DeviceName != "phone" {
			t.Errorf("Find: got device %q and error %v, want the session", got.DeviceName, err)
		}
		v := expect(t, store, presented(s, 1, "s1"), session.Rotated)
		if v.State.Grace != policy.Grace || v.State.DeviceName != "phone" {
			t.Errorf("after a refresh: got grace %s of %q, want %s of the phone", v.State.Grace, v.State.DeviceName, policy.Grace)
		}
		write(t, client, s, old)
		if got, err := store.Restore(t.Context(), s, 3, policy); err != nil || got.Grace != s.Grace {
			t.Errorf("Restore: got grace %s and error %v, want that of the ledger", got.Grace, err)
		}
	})
}

// What a newer program wrote behind all that is known stays there.
func TestFieldOfANewerProgram(t *testing.T) {
	both(t, func(t *testing.T, client redis.UniversalClient) {
		store := redisstore.New(client, redisstore.Options{})
		s := login(uuid.New(), time.Now(), session.NewSecret())
		create(t, store, s)
		const more = "\x1ewhat comes\x1enext"
		write(t, client, s, field(t, client, s)+more)
		want := func(operation string) {
			t.Helper()
			if got := field(t, client, s); !strings.HasSuffix(got, more) {
				t.Errorf("after %s: got %q, want %q at its end", operation, got, more)
			}
			if got, err := store.Find(t.Context(), s.UserID, s.ID); err != nil || got.Grace != s.Grace || got.DeviceName != s.DeviceName {
				t.Errorf("after %s: got %+v and error %v, want the session", operation, got, err)
			}
		}
		want("nothing")
		expect(t, store, presented(s, 1, "s1"), session.Rotated)
		want("a turn")
		expect(t, store, presented(s, 1, "s2"), session.Replayed)
		want("a replay")
		if _, err := store.Restore(t.Context(), s, 7, policy); err != nil {
			t.Fatal(err)
		}
		want("a recovery")
	})
}

// An older program wrote tombstones into the hash, and a crash may leave one
// there: they hold, are never written over, and logins move them.
func TestTombstonesInTheHash(t *testing.T) {
	both(t, func(t *testing.T, client redis.UniversalClient) {
		store := redisstore.New(client, redisstore.Options{})
		user := uuid.New()
		leave := func(ago time.Duration) session.State {
			s := login(user, time.Now(), session.NewSecret())
			millis := func(at time.Time) string { return strconv.FormatInt(at.UnixMilli(), 10) }
			write(t, client, s, strings.Join([]string{"T", "reuse", millis(time.Now().Add(-ago)), millis(s.ExpiresAt)}, "\x1f"))
			return s
		}
		newer := leave(0)
		write(t, client, newer, field(t, client, newer)+"\x1ewhat comes next")
		if v := expect(t, store, presented(newer, 1, "s1"), session.Tombstone); v.Reason != session.ReasonReuse {
			t.Errorf("reason that a newer program wrote: got %q, want reuse", v.Reason)
		}
		if _, err := store.Find(t.Context(), user, newer.ID); !errors.Is(err, session.ErrEnded) {
			t.Errorf("Find of what a newer program ended: got %v, want ErrEnded", err)
		}
		revoke(t, store, newer)
		dead := leave(2 * time.Minute)
		ended := func() {
			t.Helper()
			if v := expect(t, store, presented(dead, 1, "s1"), session.Tombstone); v.Reason != session.ReasonReuse {
				t.Errorf("reason: got %q, want reuse", v.Reason)
			}
			if _, err := store.Restore(t.Context(), dead, 3, policy); err == nil {
				t.Error("Restore: got no error, want ErrEnded")
			}
			if _, err := store.Create(t.Context(), dead, policy.Cap); err == nil {
				t.Error("Create: got no error, want ErrEnded")
			}
		}
		ended()
		young := leave(0)
		for range 150 {
			leave(2 * time.Minute)
		}
		for range 2 {
			create(t, store, login(user, time.Now(), session.NewSecret()))
		}
		ended()
		n, err := client.HLen(t.Context(), hash(dead)).Result()
		if err != nil || n != 3 {
			t.Errorf("fields after two logins: got %d (%v), want both sessions and the young tombstone", n, err)
		}
		revoke(t, store, young)
		if v := expect(t, store, presented(young, 1, "s1"), session.Tombstone); v.Reason != session.ReasonReuse {
			t.Errorf("reason after it was moved: got %q, want reuse, which came first", v.Reason)
		}
		if reason, err := client.Get(t.Context(), tombstone(young)).Result(); err != nil || reason != "reuse" {
			t.Errorf("tombstone: got %q and error %v, want it moved", reason, err)
		}
	})
}

// cutter lets so many commands through and loses the others.
type cutter struct{ left atomic.Int64 }

func (*cutter) DialHook(next redis.DialHook) redis.DialHook { return next }

func (c *cutter) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if c.left.Add(-1) < 0 {
			cmd.SetErr(errors.New("cut off"))
			return cmd.Err()
		}
		return next(ctx, cmd)
	}
}

func (c *cutter) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// An end that a script finds is one by that script alone: a server that dies
// before it moves the tombstone leaves the session dead.
func TestEndsHoldWhereTheyWereFound(t *testing.T) {
	_, client := dialMini(t)
	cut := &cutter{}
	client.AddHook(cut)
	store := redisstore.New(client, redisstore.Options{})
	cut.left.Store(1000)
	begin := func() session.State {
		s := login(uuid.New(), time.Now(), session.NewSecret())
		s.Generation, s.Binding = 5, "192.0.2.1"
		create(t, store, s)
		return s
	}
	reused, elsewhere, evicted := begin(), begin(), begin()
	warm := presented(begin(), 5, "s1")
	warm.Network = "192.0.2.1"
	expect(t, store, warm, session.Rotated)
	revoke(t, store, begin()) // the server has all scripts now
	ended := func(s session.State, want session.Reason, end func()) {
		t.Helper()
		cut.left.Store(1)
		end()
		cut.left.Store(1000)
		if v := expect(t, store, presented(s, 5, "s1"), session.Tombstone); v.Reason != want {
			t.Errorf("reason: got %q, want %q", v.Reason, want)
		}
		if n, err := client.Exists(t.Context(), tombstone(s)).Result(); err != nil || n != 0 {
			t.Fatalf("the tombstone was moved (%v): this test cuts nothing off", err)
		}
	}
	p := presented(reused, 1, "s1")
	ended(reused, session.ReasonReuse, func() { expect(t, store, p, session.Reuse) })
	q := presented(elsewhere, 5, "s1")
	q.Network = "198.51.100.7"
	ended(elsewhere, session.ReasonBinding, func() { expect(t, store, q, session.BindingMiss) })
	more := login(evicted.UserID, time.Now(), session.NewSecret())
	ended(evicted, session.ReasonEvicted, func() {
		if ends, err := store.Create(t.Context(), more, 1); err != nil || len(ends) != 1 {
			t.Errorf("Create: got %v and error %v, want one evicted", ends, err)
		}
	})
}
