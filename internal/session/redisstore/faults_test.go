package redisstore_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"github.com/pawlauth/pawl/internal/redistest"
	"github.com/pawlauth/pawl/internal/session"
	"github.com/pawlauth/pawl/internal/session/redisstore"
	"github.com/pawlauth/pawl/internal/session/sessiontest"
)

// TestCluster holds the contract on a Cluster of three masters, and what honest
// clients see when one is killed and when slots move.
func TestCluster(t *testing.T) {
	t.Parallel()
	cluster := redistest.Cluster(t)
	store := redisstore.New(cluster.Client(), redisstore.Options{})
	t.Run("slots", func(t *testing.T) {
		for range 20 {
			key := hash(login(uuid.New(), time.Now(), session.NewSecret()))
			want, err := cluster.Client().ClusterKeySlot(t.Context(), key).Result()
			if got := redisstore.Slot(key); err != nil || int64(got) != want {
				t.Errorf("slot of %s: got %d, want %d (%v)", key, got, want, err)
			}
		}
	})
	t.Run("contract", func(t *testing.T) { sessiontest.Run(t, opener(cluster.Client())) })
	t.Run("slots move", func(t *testing.T) {
		got := underLoad(t, store, func() {
			cluster.MoveSlots(0, 1, 40)
			cluster.MoveSlots(1, 2, 40)
			cluster.MoveSlots(2, 0, 40)
		})
		if got.lost() != 0 {
			t.Errorf("verdicts that something is lost: got %d, want none", got.lost())
		}
	})
	t.Run("a master dies", func(t *testing.T) {
		var dead *redistest.Proc
		got := underLoad(t, store, func() {
			busy(t)
			cluster.Masters()[0].CutReplicas()
			busy(t)
			dead = cluster.KillMaster(0)
			cluster.Settle()
		})
		dead.Restart()
		cluster.Settle()
		if got.errors == 0 || got.outcomes[session.Ahead] == 0 {
			t.Error("errors and losses: got none of the one, want both: a shard had no master, and then one that lacked writes")
		}
		if got.longest > 15*time.Second {
			t.Errorf("longest without an answer: got %s, want a few seconds: nobody but the client finds out who took over", got.longest)
		}
	})
	t.Run("scripts are flushed", func(t *testing.T) {
		var masters []redis.UniversalClient
		for _, master := range cluster.Masters() {
			masters = append(masters, master.Client())
		}
		flushScripts(t, store, masters...)
	})
}

// TestSentinel: what honest clients see when the master is killed and a replica
// that lacks the last writes takes over.
func TestSentinel(t *testing.T) {
	t.Parallel()
	pair := redistest.Replicated(t)
	store := redisstore.New(pair.Client(), redisstore.Options{})
	got := underLoad(t, store, func() {
		busy(t)
		pair.Master().CutReplicas()
		busy(t)
		dead := pair.Failover()
		dead.Restart() // a master without anything, until it is told otherwise
		busy(t)
	})
	if got.errors == 0 || got.outcomes[session.Ahead] == 0 {
		t.Error("errors and losses: got none of the one, want both: there was no master for a second, and then one that lacked writes")
	}
}

func TestScriptFlushUnderLoad(t *testing.T) {
	t.Parallel()
	client := redistest.Server(t).Client()
	flushScripts(t, redisstore.New(client, redisstore.Options{}), client)
}

// flushScripts: nobody notices.
func flushScripts(t *testing.T, store session.Store, servers ...redis.UniversalClient) {
	t.Helper()
	got := underLoad(t, store, func() {
		for begin := time.Now(); time.Since(begin) < time.Second; {
			for _, server := range servers {
				if err := server.ScriptFlush(t.Context()).Err(); err != nil {
					t.Errorf("SCRIPT FLUSH: %v", err)
				}
			}
		}
	})
	if got.errors != 0 || got.lost() != 0 {
		t.Errorf("errors and losses: got %d (%v) and %d, want neither", got.errors, got.sample, got.lost())
	}
}

// A server that is killed and comes back has everything that it answered for
// when it syncs each write, and nothing when it keeps no file. One that syncs
// once a second may lack the last second or two (a write waits for the sync
// before it), which accuses nobody either.
func TestRestart(t *testing.T) {
	t.Parallel()
	const sessions, some = 50, -1
	for name, c := range map[string]struct {
		conf    []string
		missing int
		ended   session.Outcome
	}{
		"every write synced":   {[]string{"appendonly yes", "appendfsync always"}, 0, session.Tombstone},
		"synced once a second": {[]string{"appendonly yes"}, some, ""},
		"no file":              {nil, sessions, session.Missing},
	} {
		t.Run(name, func(t *testing.T) {
			server := redistest.Server(t, c.conf...)
			store := redisstore.New(server.Client(), redisstore.Options{})
			ended := login(uuid.New(), time.Now(), session.NewSecret())
			create(t, store, ended)
			end := session.End{SessionID: ended.ID, ExpiresAt: ended.ExpiresAt, Reason: session.ReasonLogout}
			if err := store.Revoke(t.Context(), ended.UserID, []session.End{end}); err != nil {
				t.Fatal(err)
			}
			got := underLoad(t, store, func() {
				busy(t)
				server.Restart()
			})
			if c.missing == some {
				return
			}
			if missing, ahead := got.outcomes[session.Missing], got.outcomes[session.Ahead]; missing < c.missing || c.missing == 0 && missing > 0 || ahead != 0 {
				t.Errorf("losses: got %d missing and %d ahead, want %d and none", missing, ahead, c.missing)
			}
			expect(t, store, presented(ended, 1, "s1"), c.ended)
		})
	}
}

// A server that is full and may not evict takes no writes: that is an error,
// which says nothing of the session. But an end takes effect at once.
func TestFullServer(t *testing.T) {
	t.Parallel()
	server := redistest.Server(t, "maxmemory-policy noeviction")
	store := redisstore.New(server.Client(), redisstore.Options{})
	begin := func(generation uint64) session.State {
		s := login(uuid.New(), time.Now(), session.NewSecret())
		s.Generation = generation
		create(t, store, s)
		return s
	}
	fresh, stale, ended, revoked := begin(1), begin(5), begin(1), begin(1)
	missing := login(uuid.New(), time.Now(), session.NewSecret())
	end := func(s session.State) []session.End {
		return []session.End{{SessionID: s.ID, ExpiresAt: s.ExpiresAt, Reason: session.ReasonLogout}}
	}
	if err := store.Revoke(t.Context(), ended.UserID, end(ended)); err != nil {
		t.Fatal(err)
	}
	maxmemory(t, server, "1mb") // less than an empty server needs
	unknown := login(uuid.New(), time.Now(), session.NewSecret())
	_, createErr := store.Create(t.Context(), unknown, policy.Cap)
	_, turnErr := store.Rotate(t.Context(), presented(fresh, 1, "s1"), policy)
	_, restoreErr := store.Restore(t.Context(), unknown, 2, policy)
	for what, err := range map[string]error{
		"Create": createErr, "Rotate that turns": turnErr, "Restore": restoreErr,
	} {
		if err == nil || errors.Is(err, session.ErrEnded) || !strings.Contains(err.Error(), "OOM") {
			t.Errorf("%s on a full server: got error %v, want the server's own", what, err)
		}
	}
	// what needs no write is answered as ever
	expect(t, store, presented(unknown, 1, "s1"), session.Missing)
	expect(t, store, presented(ended, 1, "s1"), session.Tombstone)
	expect(t, store, presented(fresh, 2, "s1"), session.Ahead)
	for _, s := range []session.State{revoked, missing} {
		if err := store.Revoke(t.Context(), s.UserID, end(s)); err != nil {
			t.Errorf("Revoke on a full server: %v", err)
		}
		expect(t, store, presented(s, 1, "s1"), session.Tombstone)
	}
	expect(t, store, presented(stale, 1, "s1"), session.Reuse)
	expect(t, store, presented(stale, 5, "s1"), session.Tombstone)

	maxmemory(t, server, "0")
	expect(t, store, presented(fresh, 1, "s1"), session.Rotated)
	expect(t, store, presented(stale, 5, "s1"), session.Tombstone)
}

func maxmemory(t *testing.T, server *redistest.Proc, size string) {
	t.Helper()
	if err := server.Client().ConfigSet(t.Context(), "maxmemory", size).Err(); err != nil {
		t.Fatal(err)
	}
}
