package main_test

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	pawl "github.com/pawlauth/pawl/cmd/pawl"
	"github.com/pawlauth/pawl/internal/redistest"
	"github.com/pawlauth/pawl/internal/secret"
)

const redisPassword = "p@ss:w/rd?"

// TestRedisForms: each form of URL reaches a data node with its own user,
// password and database.
func TestRedisForms(t *testing.T) {
	const credentials = "pawl:p%40ss%3Aw%2Frd%3F@"
	acl := []string{"user default off", `user pawl on ">` + redisPassword + `" ~* &* +@all`}
	node, cluster := redistest.Server(t, acl...), redistest.Server(t, append(acl, "cluster-enabled yes")...)
	sentinel := redistest.Sentinel(t, "requirepass s3ntinel", fmt.Sprintf("sentinel monitor main 127.0.0.1 %d 1", node.Port()),
		"sentinel auth-user main pawl", "sentinel auth-pass main "+redisPassword)
	direct := func(server *redistest.Proc, db int) *redis.Client {
		client := redis.NewClient(&redis.Options{Addr: server.Addr(), DB: db, Username: "pawl", Password: redisPassword})
		t.Cleanup(func() { _ = client.Close() })
		return client
	}
	if err := direct(cluster, 0).ClusterAddSlotsRange(t.Context(), 0, 16383).Err(); err != nil {
		t.Fatalf("making the cluster: %v", err)
	}
	for _, tt := range []struct {
		form, url string
		at        *redis.Client
	}{
		{"single", "redis://" + credentials + node.Addr() + "/3", direct(node, 3)},
		{"sentinel", "redis+sentinel://" + credentials + "127.0.0.1:1," + sentinel.Addr() + "/main/5", direct(node, 5)},
		{"cluster", "redis+cluster://" + credentials + cluster.Addr(), direct(cluster, 0)},
	} {
		t.Run(tt.form, func(t *testing.T) {
			client, err := pawl.RedisClient(secret.New(tt.url), secret.New("s3ntinel"))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = client.Close() })
			set := func() error {
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
				defer cancel()
				return client.Set(ctx, "form", tt.form, 0).Err()
			}
			for deadline := time.Now().Add(patience); ; { // a new cluster takes a second
				if err = set(); err == nil || time.Now().After(deadline) {
					break
				}
			}
			got, getErr := tt.at.Get(t.Context(), "form").Result()
			if err != nil || getErr != nil || got != tt.form {
				t.Errorf("got %q (%v, %v), want %q in the database of the URL", got, err, getErr, tt.form)
			}
		})
	}
}

// TestRedisThatHangs is given up when the caller's time is over.
func TestRedisThatHangs(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0") // accepts, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	for _, form := range []string{"redis://%s", "redis+cluster://%s", "redis+sentinel://%s/main"} {
		client, err := pawl.RedisClient(secret.New(fmt.Sprintf(form, l.Addr())), secret.Text{})
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		err = client.Ping(ctx).Err()
		cancel()
		if took := time.Since(began); err == nil || took > 2500*time.Millisecond {
			t.Errorf("%s: got %v after %s, want an error after a second", form, err, took)
		}
		_ = client.Close()
	}
}
