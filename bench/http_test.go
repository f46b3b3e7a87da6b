package bench_test

import (
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pawlauth/pawl/internal/proctest"
)

const connections = 64

// shared is the URL of the Redis that all benchmarks use.
func shared(b *testing.B) string {
	b.Helper()
	return proctest.Service(b, "PAWL_TEST_REDIS_URL")
}

// BenchmarkHTTP is one whole request, answered by one server: a refresh that
// turns (no grace, so each one does), and a protected read that needs no row.
func BenchmarkHTTP(b *testing.B) {
	p := prepare(b, shared(b), "PAWL_REUSE_GRACE=0s").serve(b)
	b.Run("refresh", func(b *testing.B) {
		p.run(b, func(c *client) error {
			body := c.turn(c.refresh, "")
			next := between(body, `"refreshToken":"`, `"`)
			if next == "" || next == c.refresh {
				return fmt.Errorf("no turn: %s", body)
			}
			c.refresh = next
			return nil
		})
	})
	b.Run("me", func(b *testing.B) {
		p.run(b, func(c *client) error {
			if body := c.post(c.access, me); !strings.Contains(body, `"role":"USER"`) {
				return fmt.Errorf("got %s", body)
			}
			return nil
		})
	})
}

// BenchmarkRedisScript is what redis-benchmark reports for one HSET in a script.
func BenchmarkRedisScript(b *testing.B) {
	url := shared(b)
	tool, err := exec.LookPath("redis-benchmark")
	if err != nil {
		b.Skip("redis-benchmark is not installed")
	}
	port := regexp.MustCompile(`:(\d+)`).FindStringSubmatch(strings.TrimPrefix(url, "redis:"))[1]
	for b.Loop() {
		out, err := exec.CommandContext(b.Context(), tool, "-p", port, "-c", strconv.Itoa(connections), "-n", "200000", "--csv",
			"EVAL", "return redis.call('HSET',KEYS[1],'field',ARGV[1])", "1", "bench", "value").Output()
		if err != nil {
			b.Fatal(err)
		}
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		cells := regexp.MustCompile(`"([0-9.]+)"`).FindAllStringSubmatch(lines[len(lines)-1], -1)
		rate, err := strconv.ParseFloat(cells[0][1], 64)
		if err != nil {
			b.Fatalf("%s: %v", out, err)
		}
		b.ReportMetric(rate, "calls/s")
	}
	b.ReportMetric(0, "ns/op")
}

// BenchmarkRevokeToReject is how long an access token lives on one server after
// its session was logged out on another.
func BenchmarkRevokeToReject(b *testing.B) {
	rig := prepare(b, shared(b))
	here, there := rig.serve(b), rig.serve(b)
	var took []time.Duration
	for b.Loop() {
		c := here.login(b)
		at := there.connect(b)
		if body := at.post(c.access, me); !strings.Contains(body, `"role":"USER"`) {
			b.Fatalf("before the logout: %s", body)
		}
		began := time.Now()
		if body := c.logout(); strings.Contains(body, "null") {
			b.Fatalf("logout: %s", body)
		}
		for !strings.Contains(at.post(c.access, me), "SESSION_REVOKED") {
			if time.Since(began) > 10*time.Second {
				b.Fatal("the access token lives on")
			}
		}
		took = append(took, time.Since(began))
		_, _ = c.conn.Close(), at.conn.Close()
	}
	slices.Sort(took)
	millis := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(millis(took[len(took)/2]), "ms-p50")
	b.ReportMetric(millis(took[len(took)*99/100]), "ms-p99")
	b.ReportMetric(millis(took[len(took)-1]), "ms-max")
}

// run performs b.N operations from 64 connections, each with its own session.
func (p *program) run(b *testing.B, operation func(*client) error) {
	clients := make([]*client, connections)
	for i := range clients {
		clients[i] = p.login(b)
	}
	var work sync.WaitGroup
	tickets := make(chan struct{}, b.N)
	for range b.N {
		tickets <- struct{}{}
	}
	close(tickets)
	b.ResetTimer()
	began := time.Now()
	for _, c := range clients {
		work.Go(func() {
			for range tickets {
				if err := operation(c); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	work.Wait()
	b.ReportMetric(float64(b.N)/time.Since(began).Seconds(), "req/s")
}
