// Package bench_test measures the program as its users run it: the binary with real
// stores, over HTTP, from 64 connections. The rate that Redis itself reaches
// with a script of one write is measured in the same run, because only ratios
// of one run mean something.
package bench_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pawlauth/pawl/internal/database/databasetest"
)

const (
	connections = 64
	email       = "bench@example.com"
	password    = "four words measured often"
)

// BenchmarkHTTP is one whole request, answered by one server: a refresh that
// turns (no grace, so each one does), and a protected read that needs no row.
func BenchmarkHTTP(b *testing.B) {
	p := prepare(b, "PAWL_REUSE_GRACE=0s").serve(b)
	b.Run("refresh", func(b *testing.B) {
		p.run(b, func(c *client) error {
			body := c.post("", `{"query":"mutation($t:String!){refreshToken(input:{refreshToken:$t}){refreshToken accessToken{token}}}","variables":{"t":"`+c.refresh+`"}}`)
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
	url := os.Getenv("PAWL_TEST_REDIS_URL")
	tool, err := exec.LookPath("redis-benchmark")
	if url == "" || err != nil {
		b.Skip("needs PAWL_TEST_REDIS_URL and redis-benchmark")
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
	rig := prepare(b)
	here, there := rig.serve(b), rig.serve(b)
	var took []time.Duration
	for b.Loop() {
		c := here.login(b)
		at := there.connect(b)
		if body := at.post(c.access, me); !strings.Contains(body, `"role":"USER"`) {
			b.Fatalf("before the logout: %s", body)
		}
		began := time.Now()
		if body := c.post("", `{"query":"mutation($t:String!){logout(input:{refreshToken:$t}){sessionId}}","variables":{"t":"`+c.refresh+`"}}`); strings.Contains(body, "null") {
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

const me = `{"query":"{me{id role}}"}`

// rig is the built binary and stores of its own.
type rig struct {
	binary string
	env    []string
}

// program is a running server.
type program struct{ address string }

func (r *rig) command(b *testing.B, stdin string, args ...string) *exec.Cmd {
	c := exec.CommandContext(b.Context(), args[0], args[1:]...)
	c.Env, c.Stdin = r.env, strings.NewReader(stdin)
	return c
}

// prepare builds the binary and sets up stores with one user.
func prepare(b *testing.B, settings ...string) *rig {
	b.Helper()
	redis := os.Getenv("PAWL_TEST_REDIS_URL")
	if redis == "" {
		b.Skip("PAWL_TEST_REDIS_URL is not set")
	}
	dir := b.TempDir()
	binary := filepath.Join(dir, "pawl")
	r := &rig{binary: binary, env: append(os.Environ(), append([]string{
		"PAWL_DATABASE_URL=" + databasetest.PostgresURL(b), "PAWL_REDIS_URL=" + redis,
		"PAWL_KEYS_DIR=" + filepath.Join(dir, "keys"), "PAWL_ISSUER=bench", "PAWL_AUDIENCE=bench",
		"PAWL_ADDR=127.0.0.1:0", "PAWL_ADMIN_ADDR=off", "PAWL_LOGIN_MIN_DURATION=0s", "PAWL_SESSION_CAP=1000",
	}, settings...)...)}
	for _, step := range [][]string{
		{"go", "build", "-o", binary, "../cmd/pawl"},
		{binary, "keys", "init"}, {binary, "migrate", "up"}, {binary, "user", "add", email},
	} {
		if out, err := r.command(b, password+"\n", step...).CombinedOutput(); err != nil {
			b.Fatalf("%v: %v\n%s", step[1:], err, out)
		}
	}
	return r
}

// serve runs a server until the benchmark ends.
func (r *rig) serve(b *testing.B) *program {
	b.Helper()
	began := time.Now()
	server := r.command(b, "", r.binary, "serve")
	logs, err := server.StderrPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := server.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = server.Process.Kill(); _ = server.Wait() })
	p := &program{}
	lines := bufio.NewScanner(logs)
	for lines.Scan() {
		var line struct{ Msg, Address string }
		_ = json.Unmarshal(lines.Bytes(), &line)
		switch line.Msg {
		case "listening":
			p.address = line.Address
		case "ready":
			b.Logf("ready after %s, %s resident", time.Since(began).Round(time.Millisecond), resident(server.Process.Pid))
			go func() { _, _ = io.Copy(io.Discard, logs) }()
			return p
		}
	}
	b.Fatal("the server did not become ready")
	return nil
}

// resident is the memory of a process, where the system tells.
func resident(pid int) string {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	return between(string(status), "VmRSS:\t", "\n")
}

// run performs b.N operations from all connections, each with its own session.
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

// client is one connection that speaks just enough HTTP.
type client struct {
	b               *testing.B
	conn            net.Conn
	in              *bufio.Reader
	out             bytes.Buffer
	access, refresh string
}

func (p *program) connect(b *testing.B) *client {
	b.Helper()
	conn, err := net.Dial("tcp", p.address)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = conn.Close() })
	return &client{b: b, conn: conn, in: bufio.NewReader(conn)}
}

func (p *program) login(b *testing.B) *client {
	b.Helper()
	c := p.connect(b)
	body := c.post("", `{"query":"mutation($e:String!,$p:String!){login(input:{email:$e,password:$p,refreshTokenDelivery:BODY}){...on LoginPayload{refreshToken accessToken{token}}}}","variables":{"e":"`+email+`","p":"`+password+`"}}`)
	c.refresh, c.access = between(body, `"refreshToken":"`, `"`), between(body, `"token":"`, `"`)
	if c.refresh == "" || c.access == "" {
		b.Fatalf("login: %s", body)
	}
	return c
}

// post sends one request and returns the body of the answer.
func (c *client) post(access, body string) string {
	c.out.Reset()
	c.out.WriteString("POST /graphql HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n")
	if access != "" {
		c.out.WriteString("Authorization: Bearer " + access + "\r\n")
	}
	fmt.Fprintf(&c.out, "Content-Length: %d\r\n\r\n%s", len(body), body)
	if _, err := c.conn.Write(c.out.Bytes()); err != nil {
		c.b.Error(err)
		return ""
	}
	length := 0
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			c.b.Error(err)
			return ""
		}
		if len(line) <= 2 {
			break
		}
		if value, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			length, _ = strconv.Atoi(string(bytes.TrimSpace(value)))
		}
	}
	answer := make([]byte, length)
	if _, err := io.ReadFull(c.in, answer); err != nil {
		c.b.Error(err)
		return ""
	}
	return string(answer)
}

func between(s, before, after string) string {
	_, s, _ = strings.Cut(s, before)
	s, _, _ = strings.Cut(s, after)
	return s
}
