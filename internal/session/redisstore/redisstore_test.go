package redisstore_test

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"maps"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"github.com/pawlauth/pawl/internal/proctest"
	"github.com/pawlauth/pawl/internal/secret"
	"github.com/pawlauth/pawl/internal/session"
	"github.com/pawlauth/pawl/internal/session/redisstore"
	"github.com/pawlauth/pawl/internal/session/sessiontest"
)

// dialMini starts an in-process Redis for one test.
func dialMini(t *testing.T) (*miniredis.Miniredis, redis.UniversalClient) {
	t.Helper()
	server := miniredis.RunT(t)
	return server, connect(t, &redis.Options{Addr: server.Addr()})
}

// dialReal connects to the real Redis of PAWL_TEST_REDIS_URL.
func dialReal(t *testing.T) redis.UniversalClient {
	t.Helper()
	options, err := redis.ParseURL(proctest.Service(t, "PAWL_TEST_REDIS_URL"))
	if err != nil {
		t.Fatalf("PAWL_TEST_REDIS_URL: %v", err)
	}
	return connect(t, options)
}

func connect(t *testing.T, options *redis.Options) redis.UniversalClient {
	t.Helper()
	options.ContextTimeoutEnabled = true
	client := redis.NewClient(options)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func opener(client redis.UniversalClient) func(*testing.T, func() time.Time) session.Store {
	return func(_ *testing.T, now func() time.Time) session.Store {
		return redisstore.New(client, redisstore.Options{Now: now})
	}
}

func TestStore(t *testing.T) {
	both(t, func(t *testing.T, client redis.UniversalClient) { sessiontest.Run(t, opener(client)) })
}

func TestProperty(t *testing.T) {
	both(t, func(t *testing.T, client redis.UniversalClient) {
		sessiontest.Property(t, opener(client), func(store session.Store, _ func() time.Time, user uuid.UUID) session.Store {
			ctx := context.WithoutCancel(t.Context())
			keys, err := client.Keys(ctx, "pawl:{"+user.String()+"}:*").Result()
			if err == nil && len(keys) > 0 {
				err = client.Del(ctx, keys...).Err()
			}
			if err != nil {
				t.Errorf("forgetting a user: %v", err)
			}
			return store
		})
	})
}

// login is a session that began now.
func login(user uuid.UUID, now time.Time, s session.Secret) session.State {
	return session.State{
		Session: session.Session{
			ID: uuid.New(), UserID: user, Delivery: session.DeliveryBody, CreatedAt: now, LastUsedAt: now,
			IdleExpiresAt: now.Add(policy.Idle), ExpiresAt: now.Add(policy.Absolute),
		},
		Role: "USER", SecretHash: s.Hash(), Generation: 1, Grace: policy.Grace, Retry: policy.Retry,
	}
}

var policy = session.Policy{
	Idle: time.Hour, Absolute: 24 * time.Hour, Grace: 10 * time.Second, Retry: time.Hour, Cap: 5,
}

func presented(s session.State, g uint64, by session.Attempt) session.Presented {
	return session.Presented{
		UserID: s.UserID, SessionID: s.ID, SecretHash: s.SecretHash, Generation: g, Attempt: by,
		IPAddress: "192.0.2.1", UserAgent: "agent/1",
	}
}

func create(t *testing.T, store session.Store, s session.State) {
	t.Helper()
	if _, err := store.Create(t.Context(), s, policy.Cap); err != nil {
		t.Fatalf("Create: %v", err)
	}
}

func expect(t *testing.T, store session.Store, p session.Presented, want session.Outcome) session.Verdict {
	t.Helper()
	v, err := store.Rotate(t.Context(), p, policy)
	if err != nil || v.Outcome != want {
		t.Fatalf("Rotate: got %q and error %v, want %q", v.Outcome, err, want)
	}
	return v
}

// both runs a test on the in-process server and on a real one.
func both(t *testing.T, run func(t *testing.T, client redis.UniversalClient)) {
	t.Helper()
	t.Run("in process", func(t *testing.T) {
		_, client := dialMini(t)
		run(t, client)
	})
	t.Run("real", func(t *testing.T) { run(t, dialReal(t)) })
}

func TestServerClock(t *testing.T) {
	both(t, func(t *testing.T, client redis.UniversalClient) {
		store := redisstore.New(client, redisstore.Options{})
		s := login(uuid.New(), time.Now(), session.NewSecret())
		create(t, store, s)
		v := expect(t, store, presented(s, 1, "s1"), session.Rotated)
		if off := time.Since(v.State.TurnedAt); off < -time.Minute || off > time.Minute {
			t.Errorf("time of the turn: got %s, want the server's present", v.State.TurnedAt)
		}
		expect(t, store, presented(s, 2, "s2"), session.Unchanged)
	})
}

func TestScriptFlush(t *testing.T) {
	both(t, func(t *testing.T, client redis.UniversalClient) {
		store := redisstore.New(client, redisstore.Options{})
		s := login(uuid.New(), time.Now(), session.NewSecret())
		flush := func() {
			t.Helper()
			if err := client.ScriptFlush(t.Context()).Err(); err != nil {
				t.Fatalf("SCRIPT FLUSH: %v", err)
			}
		}
		flush()
		create(t, store, s)
		flush()
		expect(t, store, presented(s, 1, "s1"), session.Rotated)
		flush()
		if _, err := store.Restore(t.Context(), s, 5, policy); err != nil {
			t.Fatalf("Restore: %v", err)
		}
		flush()
		end := session.End{SessionID: s.ID, ExpiresAt: s.ExpiresAt, Reason: session.ReasonLogout}
		if err := store.Revoke(t.Context(), s.UserID, []session.End{end}); err != nil {
			t.Fatalf("Revoke: %v", err)
		}
		flush()
		expect(t, store, presented(s, 5, "s1"), session.Tombstone)
	})
}

func TestFlushAll(t *testing.T) {
	server, client := dialMini(t)
	store := redisstore.New(client, redisstore.Options{})
	s := login(uuid.New(), time.Now(), session.NewSecret())
	create(t, store, s)
	server.FlushAll()
	expect(t, store, presented(s, 1, "s1"), session.Missing)
	if _, err := store.Restore(t.Context(), s, 1, policy); err != nil {
		t.Fatalf("Restore: %v", err)
	}
	expect(t, store, presented(s, 1, "s1"), session.Rotated)
}

// A user has one key for the live sessions, which ends an hour after the longest
// of them, and one for each that ended, which ends likewise, or after a day where
// the ledger has it.
func TestKeys(t *testing.T) {
	type want struct{ hash, tombstone time.Duration } // times to live; 0: no such key
	long := want{hash: policy.Absolute + time.Hour}
	ended := want{tombstone: policy.Absolute + time.Hour}
	inLedger := func(t *testing.T, store session.Store, s session.State) {
		end := session.End{SessionID: s.ID, ExpiresAt: s.ExpiresAt, Reason: session.ReasonLogout, InLedger: true}
		if err := store.Revoke(t.Context(), s.UserID, []session.End{end}); err != nil {
			t.Fatalf("Revoke: %v", err)
		}
	}
	for name, c := range map[string]struct {
		do   func(*testing.T, session.Store, session.State)
		want want
	}{
		"create": {create, long},
		"rotate": {func(t *testing.T, store session.Store, s session.State) {
			create(t, store, s)
			expect(t, store, presented(s, 1, "s1"), session.Rotated)
		}, long},
		"reuse": {func(t *testing.T, store session.Store, s session.State) {
			s.Generation = 5
			create(t, store, s)
			expect(t, store, presented(s, 1, "s1"), session.Reuse)
		}, ended},
		"restore": {func(t *testing.T, store session.Store, s session.State) {
			if _, err := store.Restore(t.Context(), s, 3, policy); err != nil {
				t.Fatalf("Restore: %v", err)
			}
		}, long},
		"revoke": {func(t *testing.T, store session.Store, s session.State) {
			create(t, store, s)
			revoke(t, store, s)
		}, ended},
		"revoke of what is not there":   {revoke, ended},
		"revoke of what the ledger has": {inLedger, want{tombstone: 24 * time.Hour}},
		"revoke of what the ledger learns": {func(t *testing.T, store session.Store, s session.State) {
			revoke(t, store, s)
			inLedger(t, store, s)
			revoke(t, store, s)
		}, want{tombstone: 24 * time.Hour}},
		"revoke shortly before the end": {func(t *testing.T, store session.Store, s session.State) {
			s.ExpiresAt = s.CreatedAt.Add(time.Minute)
			revoke(t, store, s)
		}, want{tombstone: time.Hour + time.Minute}},
		"revoke after the end": {func(t *testing.T, store session.Store, s session.State) {
			s.ExpiresAt = s.CreatedAt.Add(-time.Minute)
			revoke(t, store, s)
		}, want{tombstone: time.Hour}},
		"rotate of nothing": {func(t *testing.T, store session.Store, s session.State) {
			expect(t, store, presented(s, 1, "s1"), session.Missing)
		}, want{}},
		"the longest counts": {func(t *testing.T, store session.Store, s session.State) {
			create(t, store, s)
			short := login(s.UserID, s.CreatedAt, session.NewSecret())
			short.ExpiresAt = s.CreatedAt.Add(time.Minute)
			create(t, store, short)
		}, long},
	} {
		t.Run(name, func(t *testing.T) {
			server, client := dialMini(t)
			clock := sessiontest.NewClock()
			s := login(uuid.New(), clock.Now(), session.NewSecret())
			c.do(t, redisstore.New(client, redisstore.Options{Now: clock.Now}), s)
			got := map[string]time.Duration{}
			for _, key := range server.Keys() {
				got[key] = server.TTL(key)
			}
			wanted := map[string]time.Duration{}
			if c.want.hash != 0 {
				wanted[hash(s)] = c.want.hash
			}
			if c.want.tombstone != 0 {
				wanted[tombstone(s)] = c.want.tombstone
			}
			if !maps.Equal(got, wanted) {
				t.Errorf("keys and their times to live: got %v, want %v", got, wanted)
			}
		})
	}
	t.Run("a real server forgets", func(t *testing.T) {
		client := dialReal(t)
		store := redisstore.New(client, redisstore.Options{})
		s, dead := login(uuid.New(), time.Now(), session.NewSecret()), login(uuid.New(), time.Now(), session.NewSecret())
		create(t, store, s)
		revoke(t, store, dead)
		for key, want := range map[string]time.Duration{hash(s): policy.Absolute + time.Hour, tombstone(dead): policy.Absolute + time.Hour} {
			ttl, err := client.PTTL(t.Context(), key).Result()
			if err != nil || ttl < want-time.Minute || ttl > want {
				t.Errorf("time to live of %s: got %s and error %v, want about %s", key, ttl, err, want)
			}
		}
	})
}

func hash(s session.State) string { return "pawl:{" + s.UserID.String() + "}:sessions" }

func tombstone(s session.State) string {
	return "pawl:{" + s.UserID.String() + "}:ended:" + s.ID.String()
}

func revoke(t *testing.T, store session.Store, s session.State) {
	t.Helper()
	end := session.End{SessionID: s.ID, ExpiresAt: s.ExpiresAt, Reason: session.ReasonLogout}
	if err := store.Revoke(t.Context(), s.UserID, []session.End{end}); err != nil {
		t.Fatalf("Revoke: %v", err)
	}
}

// What the server holds signs nobody in, in no spelling.
func TestDumpHoldsNoSecret(t *testing.T) {
	server, client := dialMini(t)
	store := redisstore.New(client, redisstore.Options{})
	ring, err := session.NewKeyring(session.Key{Material: []byte(strings.Repeat("k", 32))})
	if err != nil {
		t.Fatal(err)
	}
	drawn := session.NewSecret()
	s := login(uuid.New(), time.Now(), drawn)
	token := session.Token{KeyID: ring.Newest(), Delivery: s.Delivery, UserID: s.UserID, SessionID: s.ID, Secret: drawn, Generation: 1}
	create(t, store, s)
	const attempt = "attempt-id-that-a-client-chose"
	g := uint64(1)
	var forbidden []string
	for range 3 {
		text, err := ring.Mint(token.Next(g))
		if err != nil {
			t.Fatal(err)
		}
		forbidden = append(forbidden, text.Reveal(), text.Reveal()[len(text.Reveal())-43:])
		by := ring.ClientAttempt(token, secret.New(attempt))
		if v, err := store.Rotate(t.Context(), presented(s, g, by), policy); err != nil || v.State.Generation != 2 {
			t.Fatalf("Rotate: got %q and error %v, want generation 2", v.Outcome, err)
		}
		g = 2
	}
	revealed := drawn.Reveal()
	for _, raw := range [][]byte{revealed[:], []byte(attempt)} {
		forbidden = append(forbidden,
			string(raw), hex.EncodeToString(raw),
			strings.TrimRight(base64.StdEncoding.EncodeToString(raw), "="), base64.RawURLEncoding.EncodeToString(raw))
	}
	dump := strings.ToLower(server.Dump())
	for _, key := range server.Keys() {
		fields, _ := server.HKeys(key)
		for _, field := range fields {
			dump += "\n" + strings.ToLower(server.HGet(key, field))
		}
	}
	if !strings.Contains(dump, s.ID.String()) {
		t.Fatalf("dump: got %q, want the session in it", dump)
	}
	for _, text := range forbidden {
		if strings.Contains(dump, strings.ToLower(text)) {
			t.Errorf("dump: got %q in it, want no token, secret or attempt id", text)
		}
	}
}

// However many sessions of a user ended, and in whichever way, the hash that
// scripts read has the live ones only.
func TestEndsDoNotGrowTheHash(t *testing.T) {
	both(t, func(t *testing.T, client redis.UniversalClient) {
		store := redisstore.New(client, redisstore.Options{})
		user := uuid.New()
		begin := func() session.State {
			s := login(user, time.Now(), session.NewSecret())
			s.Generation = 5
			create(t, store, s)
			return s
		}
		length := func() int64 {
			n, err := client.HLen(t.Context(), hash(session.State{Session: session.Session{UserID: user}})).Result()
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		for range 300 {
			begin() // beyond the cap: evicted
			expect(t, store, presented(begin(), 1, "s1"), session.Reuse)
			revoke(t, store, begin())
			if n := length(); n > int64(policy.Cap) {
				t.Fatalf("fields: got %d, want at most the cap of %d", n, policy.Cap)
			}
		}
		if states, err := store.List(t.Context(), user); err != nil || len(states) != int(length()) {
			t.Errorf("List: got %d sessions and error %v, want each field", len(states), err)
		}
	})
}

// A command that sat in the queue of a server that did not get to it changes
// nothing once its caller has given up.
func TestLateCommandChangesNothing(t *testing.T) {
	// The store's connection is there when the server stops listening; others
	// find out that it does.
	store, client := redisstore.New(dialReal(t), redisstore.Options{}), dialReal(t)
	s := login(uuid.New(), time.Now(), session.NewSecret())
	create(t, store, s)
	for loops := 1 << 20; ; loops *= 2 {
		if loops > 1<<30 {
			t.Fatal("Rotate on a busy server: got no error, want one")
		}
		begin := time.Now()
		busy := make(chan error, 1)
		go func() {
			busy <- client.Eval(t.Context(), "for i = 1, tonumber(ARGV[1]) do end return 0", nil, loops).Err()
		}()
		for time.Since(begin) < 50*time.Millisecond { // until the server hears nothing, or next round
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
			err := client.Ping(ctx).Err()
			cancel()
			if err != nil {
				break
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		_, rotateErr := store.Rotate(ctx, presented(s, 1, "s1"), policy)
		cancel()
		if err := <-busy; err != nil {
			t.Fatalf("keeping the server busy: %v", err)
		}
		if rotateErr == nil || time.Since(begin) < 400*time.Millisecond {
			s = login(uuid.New(), time.Now(), session.NewSecret())
			create(t, store, s)
			continue // it was not busy for long enough past the deadline
		}
		break
	}
	states, err := store.List(t.Context(), s.UserID)
	if err != nil || len(states) != 1 || states[0].Generation != 1 {
		t.Errorf("afterwards: got %v and error %v, want generation 1", states, err)
	}
}

func TestServerDown(t *testing.T) {
	server, client := dialMini(t)
	store := redisstore.New(client, redisstore.Options{})
	s := login(uuid.New(), time.Now(), session.NewSecret())
	create(t, store, s)
	server.SetError("LOADING Redis is loading the dataset in memory")
	v, err := store.Rotate(t.Context(), presented(s, 1, "s1"), policy)
	if err == nil || v != (session.Verdict{}) {
		t.Errorf("Rotate: got %+v and error %v, want only an error", v, err)
	}
	server.SetError("")
	expect(t, store, presented(s, 1, "s1"), session.Rotated)
}

// counter counts commands on their way to the server.
type counter struct{ commands atomic.Int64 }

func (*counter) DialHook(next redis.DialHook) redis.DialHook { return next }

func (c *counter) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		c.commands.Add(1)
		return next(ctx, cmd)
	}
}

func (c *counter) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		c.commands.Add(int64(len(cmds)))
		return next(ctx, cmds)
	}
}

// A refresh that ends nothing is one command, whatever it comes to.
func TestRefreshIsOneCommand(t *testing.T) {
	client, count := dialReal(t), &counter{}
	client.AddHook(count)
	store := redisstore.New(client, redisstore.Options{})
	s := login(uuid.New(), time.Now(), session.NewSecret())
	create(t, store, s) // it learns the clock, and the server the scripts
	expect(t, store, presented(s, 1, "s0"), session.Rotated)
	only := presented(s, 2, "s3")
	only.AccessOnly = true
	for want, p := range map[session.Outcome]session.Presented{
		session.Unchanged: presented(s, 2, "s1"), session.Replayed: presented(s, 1, "s2"),
		session.AccessOnly: only, session.Ahead: presented(s, 9, "s4"),
	} {
		before := count.commands.Load()
		expect(t, store, p, want)
		if got := count.commands.Load() - before; got != 1 {
			t.Errorf("%s: got %d commands, want 1", want, got)
		}
	}
}
