package bench_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"github.com/pawlauth/pawl/internal/redistest"
)

// What the design lets a user and the stream take in Redis.
const (
	nodeEntries    = 100       // the stream is cut by whole nodes
	tellings       = 3         // of one end: by who ended it, and by checkpoints that find it ended
	liveBytes      = 700       // of a session in its user's hash
	tombstoneBytes = 260       // of an ended one, which has a key of its own
	hashBytes      = 2 << 10   // of the hash itself
	keyLife        = time.Hour // beyond the longest session
	streamLife     = 132 * time.Minute
	setEntryBytes  = 100 // of an ended session in the server's list
	stream         = "pawl:revocations"
	olderEntries   = 6000 // in the stream before the test
)

// sample is what everything takes while all clients are at rest.
type sample struct {
	goroutines, fds, heap, resident float64 // of the server; fds without those to its stores
	keys, largest, used, stream     float64 // of Redis; keys without tombstones, largest is the largest user
	redis, postgres                 float64 // connections
}

// measure asks everybody.
func (g *growth) measure() (s sample) {
	g.t.Helper()
	for range 2 { // what the first collection leaves in pools, the second takes
		g.get("/debug/pprof/heap?gc=1")
	}
	m := metrics(g.get("/metrics"))
	g.ends = m.sum("pawl_sessions_ended_total")
	s.goroutines, s.resident = m["go_goroutines"], m["process_resident_memory_bytes"]
	// The list of ended sessions grows for an hour by design.
	s.heap = m["go_memstats_heap_inuse_bytes"] - setEntryBytes*m["pawl_revocation_set_sessions"]
	ctx, client := g.t.Context(), g.redis.Client()
	s.stream = float64(client.XLen(ctx, stream).Val())
	info := client.InfoMap(ctx, "clients", "memory")
	s.redis, _ = strconv.ParseFloat(info.Item("Clients", "connected_clients"), 64)
	s.redis-- // this test's own
	s.used, _ = strconv.ParseFloat(info.Item("Memory", "used_memory"), 64)
	s.keys, s.largest = g.hold(ctx, client)
	g.database(func(ctx context.Context, conn *pgx.Conn) error {
		return conn.QueryRow(ctx, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`).Scan(&s.postgres)
	})
	s.fds = m["process_open_fds"] - s.redis - s.postgres
	return s
}

// hold holds every key of Redis to its bounds, and returns the number of those
// that are no tombstones, and the largest user's size.
func (g *growth) hold(ctx context.Context, client *redis.Client) (keys, largest float64) {
	g.t.Helper()
	for _, key := range client.Keys(ctx, "*").Val() {
		ttl, longest := client.PTTL(ctx, key).Val(), 10*time.Minute+keyLife
		if key == stream {
			longest = streamLife
		}
		if ttl <= 0 || ttl > longest {
			g.t.Errorf("life of %s: got %s, want one, of at most %s", key, ttl, longest)
		}
		limit := int64(tombstoneBytes)
		if !strings.Contains(key, ":ended:") {
			keys++
			limit = hashBytes + liveBytes*loadCap
		}
		if key == stream {
			continue
		}
		size := client.MemoryUsage(ctx, key, 0).Val()
		if size > limit { // 0: it is over by now
			g.t.Errorf("%s takes %d bytes, want at most %d", key, size, limit)
		}
		if strings.HasSuffix(key, ":sessions") {
			if fields := client.HLen(ctx, key).Val(); fields > loadCap {
				g.t.Errorf("%s has %d sessions, want at most %d, and no tombstones", key, fields, loadCap)
			}
			largest = max(largest, float64(size))
		}
	}
	return keys, largest
}

// get asks the operator's listener, on a connection of its own.
func (g *growth) get(path string) string {
	g.t.Helper()
	request, err := http.NewRequestWithContext(g.t.Context(), http.MethodGet, "http://"+g.server.admin+path, nil)
	if err != nil {
		g.t.Fatal(err)
	}
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		g.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		g.t.Fatalf("GET %s: status %d, %v", path, response.StatusCode, err)
	}
	return string(text)
}

// values are the lines of /metrics: name with labels, and value.
type values map[string]float64

func metrics(text string) values {
	m := values{}
	for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), " ")
		if number, err := strconv.ParseFloat(value, 64); err == nil {
			m[name] = number
		}
	}
	return m
}

// sum adds up all labels of a metric.
func (m values) sum(name string) (all float64) {
	for line, value := range m {
		if strings.HasPrefix(line, name+"{") {
			all += value
		}
	}
	return all
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

// seedStream fills the stream with entries that are older than anybody needs.
func seedStream(t *testing.T, server *redistest.Proc) {
	t.Helper()
	pipe := server.Client().Pipeline()
	old := time.Now().Add(-2 * time.Hour).UnixMilli()
	for i := range olderEntries {
		pipe.XAdd(t.Context(), &redis.XAddArgs{Stream: stream, ID: fmt.Sprintf("%d-%d", old, i), Values: []string{"ids", uuid.NewString()}})
	}
	pipe.PExpire(t.Context(), stream, time.Hour)
	if _, err := pipe.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
}
