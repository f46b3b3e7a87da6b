package main_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	pawl "github.com/pawlauth/pawl/cmd/pawl"
	"github.com/pawlauth/pawl/internal/secret"
)

const redisPassword = "p@ss:w/rd?"

// redisServer runs a Redis of the test's own and returns its address. conf is
// its configuration but for the port.
func redisServer(t *testing.T, conf string, args ...string) string {
	t.Helper()
	program, err := exec.LookPath("redis-server")
	if err != nil && os.Getenv("PAWL_TEST_REQUIRE_SERVICES") == "1" {
		t.Fatal("redis-server is not installed, and PAWL_TEST_REQUIRE_SERVICES=1 asks for it")
	} else if err != nil {
		t.Skip("redis-server is not installed")
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "redis.conf")
	for range 10 {
		port := freePort(t)
		text := fmt.Sprintf("bind 127.0.0.1\nport %d\ndir %s\n%s", port, dir, conf)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(program, append([]string{file}, args...)...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = cmd.Wait()
		}()
		addr := fmt.Sprintf("127.0.0.1:%d", port)
		if listens(addr, ended) {
			t.Cleanup(func() {
				_ = cmd.Process.Kill()
				<-ended
			})
			return addr
		}
		_ = cmd.Process.Kill()
	}
	t.Fatal("redis-server found no free port")
	return ""
}

// listens reports whether addr accepts connections before the program ends.
func listens(addr string, ended <-chan struct{}) bool {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		select {
		case <-ended:
			return false
		case <-time.After(5 * time.Millisecond):
		}
		if conn, err := net.Dial("tcp", addr); err == nil {
			_ = conn.Close()
			return true
		}
	}
	return false
}

// freePort is a port that was free a moment ago, with room for a cluster's
// second port above it.
func freePort(t *testing.T) int {
	t.Helper()
	for {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		_ = l.Close()
		if port < 55000 {
			return port
		}
	}
}

// TestRedisForms: each form of URL reaches a data node with its own user,
// password and database.
func TestRedisForms(t *testing.T) {
	acl := fmt.Sprintf("save \"\"\nuser default off\nuser pawl on \">%s\" ~* &* +@all\n", redisPassword)
	const credentials = "pawl:p%40ss%3Aw%2Frd%3F@"
	node := redisServer(t, acl)
	sentinel := redisServer(t, fmt.Sprintf("requirepass s3ntinel\nsentinel monitor main %s 1\nsentinel auth-user main pawl\nsentinel auth-pass main %s\n",
		spaced(node), redisPassword), "--sentinel")
	cluster := redisServer(t, acl+"cluster-enabled yes\n")
	direct := func(addr string, db int) *redis.Client {
		client := redis.NewClient(&redis.Options{Addr: addr, DB: db, Username: "pawl", Password: redisPassword})
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
		{"single", "redis://" + credentials + node + "/3", direct(node, 3)},
		{"sentinel", "redis+sentinel://" + credentials + "127.0.0.1:1," + sentinel + "/main/5", direct(node, 5)},
		{"cluster", "redis+cluster://" + credentials + cluster, direct(cluster, 0)},
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

// spaced is an address as the Sentinel's configuration has it.
func spaced(addr string) string {
	host, port, _ := net.SplitHostPort(addr)
	return host + " " + port
}

// TestRedisThatHangs is given up when the caller's time is over.
func TestRedisThatHangs(t *testing.T) {
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
