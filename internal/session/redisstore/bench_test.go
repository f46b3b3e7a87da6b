package redisstore_test

import (
	"crypto/rand"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"github.com/pawlauth/pawl/internal/proctest"
	"github.com/pawlauth/pawl/internal/session"
	"github.com/pawlauth/pawl/internal/session/redisstore"
)

// BenchmarkRotate is one refresh as the store sees it, 64 callers at a time,
// each with a session of its own and no grace, so that every call turns.
func BenchmarkRotate(b *testing.B) {
	options, err := redis.ParseURL(proctest.Service(b, "PAWL_TEST_REDIS_URL"))
	if err != nil {
		b.Fatal(err)
	}
	options.PoolSize = 64
	client := redis.NewClient(options)
	defer client.Close()
	store := redisstore.New(client, redisstore.Options{})
	policy := session.Policy{Idle: time.Hour, Absolute: time.Hour, Cap: 20}
	b.SetParallelism(32)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		now := time.Now()
		s := session.State{
			Session: session.Session{
				ID: uuid.New(), UserID: uuid.New(), Delivery: session.DeliveryBody,
				CreatedAt: now, LastUsedAt: now, IdleExpiresAt: now.Add(time.Hour), ExpiresAt: now.Add(time.Hour),
				UserAgent: "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36", IPAddress: "192.0.2.1",
			},
			Role: "USER", Generation: 1,
		}
		if _, err := store.Create(b.Context(), s, 20); err != nil {
			b.Fatal(err)
		}
		p := session.Presented{UserID: s.UserID, SessionID: s.ID, Generation: 1, IPAddress: "192.0.2.1", UserAgent: s.UserAgent}
		for pb.Next() {
			p.Attempt = session.Attempt("s" + rand.Text())
			v, err := store.Rotate(b.Context(), p, policy)
			if err != nil || v.Outcome != session.Rotated {
				b.Fatalf("got %v, %v", v.Outcome, err)
			}
			p.Generation = v.State.Generation
		}
	})
}
