// Package bench_test measures the program as its users run it: the binary with
// real stores, over HTTP. Benchmarks say how much it does; the rate that Redis
// itself reaches with a script of one write is measured in the same run, because
// only ratios of one run mean something. TestLoadHeld holds that an hour of
// traffic leaves nothing behind that grows.
package bench_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pawlauth/pawl/internal/database/databasetest"
	"github.com/pawlauth/pawl/internal/pawltest"
)

const (
	email    = "bench@example.com"
	password = "four words measured often"

	me = `{"query":"{me{id role}}"}`
)

// rig is the built binary and a database of its own, with one user.
type rig struct {
	pawltest.Program
	database string // its URL
}

// program is a running server.
type program struct {
	address, admin string
	pid            int
}

// prepare sets up stores with one user.
func prepare(tb testing.TB, redis string, settings ...string) *rig {
	tb.Helper()
	r := &rig{database: databasetest.PostgresURL(tb)}
	r.Path = pawltest.Build(tb)
	r.Env = append(os.Environ(), append([]string{
		"PAWL_DATABASE_URL=" + r.database, "PAWL_REDIS_URL=" + redis,
		"PAWL_KEYS_DIR=" + filepath.Join(tb.TempDir(), "keys"), "PAWL_ISSUER=bench", "PAWL_AUDIENCE=bench",
		"PAWL_ADDR=127.0.0.1:0", "PAWL_ADMIN_ADDR=off", "PAWL_LOGIN_MIN_DURATION=0s", "PAWL_LOGIN_NETWORK_RATE=off", "PAWL_LOGIN_SUCCESS_RATE=off", "PAWL_SESSION_CAP=1000",
	}, settings...)...)
	if logDir() != "" {
		r.Env = append(r.Env, "PAWL_LOG_LEVEL=debug")
	}
	r.Prepare(tb, email, password)
	return r
}

// logDir is the folder in which tests leave what the programs printed that they
// started; scripts/no-secrets reads it. Empty for none.
func logDir() string { return os.Getenv("PAWL_TEST_LOG_DIR") }

// kept is a file in logDir, or nothing where there is none.
func kept(tb testing.TB) io.Writer {
	tb.Helper()
	if logDir() == "" {
		return io.Discard
	}
	file, err := os.CreateTemp(logDir(), "bench-*.log")
	if err != nil {
		tb.Fatal(err)
	}
	return file
}

// serve runs a server until the test ends.
func (r *rig) serve(tb testing.TB) *program {
	tb.Helper()
	began := time.Now()
	server := r.Command(tb.Context(), "serve")
	stderr, err := server.StderrPipe()
	if err != nil {
		tb.Fatal(err)
	}
	logs := io.TeeReader(stderr, kept(tb))
	if err := server.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = server.Process.Kill(); _ = server.Wait() })
	p := &program{pid: server.Process.Pid}
	lines := bufio.NewScanner(logs)
	for lines.Scan() {
		var line struct{ Msg, Address string }
		_ = json.Unmarshal(lines.Bytes(), &line)
		switch line.Msg {
		case "listening for operators":
			p.admin = line.Address
		case "listening":
			p.address = line.Address
		case "server.ready":
			tb.Logf("ready after %s, %s resident", time.Since(began).Round(time.Millisecond), resident(server.Process.Pid))
			go func() { _, _ = io.Copy(io.Discard, logs) }()
			return p
		}
	}
	tb.Fatal("the server did not become ready")
	return nil
}

// resident is the memory of a process, where the system tells.
func resident(pid int) string { return memory(pid, "VmRSS") }

// memory is a line of a process's status.
func memory(pid int, name string) string {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	return strings.TrimSpace(between(string(status), name+":\t", "\n"))
}

// client is one connection that speaks just enough HTTP.
type client struct {
	tb              testing.TB
	conn            net.Conn
	in              *bufio.Reader
	out             bytes.Buffer
	access, refresh string
	forwarded       string // the client's address, where the server believes it
}

func (p *program) connect(tb testing.TB) *client {
	tb.Helper()
	conn, err := net.Dial("tcp", p.address)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = conn.Close() })
	return &client{tb: tb, conn: conn, in: bufio.NewReader(conn)}
}

// login is a new connection with a session.
func (p *program) login(tb testing.TB) *client {
	tb.Helper()
	c := p.connect(tb)
	if body := c.login(email, password); c.refresh == "" || c.access == "" {
		tb.Fatalf("login: %s", body)
	}
	return c
}

// login takes over the tokens of the answer, none where it has none.
func (c *client) login(email, password string) (body string) {
	body = c.post("", `{"query":"mutation($e:String!,$p:String!){login(input:{email:$e,password:$p,refreshTokenDelivery:BODY}){...on LoginPayload{refreshToken accessToken{token}} ...on UserError{message}}}","variables":{"e":"`+email+`","p":"`+password+`"}}`)
	c.refresh, c.access = between(body, `"refreshToken":"`, `"`), between(body, `"token":"`, `"`)
	return body
}

// logout ends the session.
func (c *client) logout() (body string) {
	return c.post("", `{"query":"mutation($t:String!){logout(input:{refreshToken:$t}){sessionId}}","variables":{"t":"`+c.refresh+`"}}`)
}

// turn refreshes; without an attempt id where attempt is empty.
func (c *client) turn(token, attempt string) (body string) {
	if attempt != "" {
		attempt = `,"a":"` + attempt + `"`
	}
	return c.post("", `{"query":"mutation($t:String!,$a:ID){refreshToken(input:{refreshToken:$t,attemptId:$a}){refreshToken accessToken{token}}}","variables":{"t":"`+token+`"`+attempt+`}}`)
}

// post sends one request and returns the body of the answer.
func (c *client) post(access, body string) string {
	c.out.Reset()
	c.out.WriteString("POST /graphql HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n")
	if access != "" {
		c.out.WriteString("Authorization: Bearer " + access + "\r\n")
	}
	if c.forwarded != "" {
		c.out.WriteString("X-Forwarded-For: " + c.forwarded + "\r\n")
	}
	fmt.Fprintf(&c.out, "Content-Length: %d\r\n\r\n%s", len(body), body)
	if _, err := c.conn.Write(c.out.Bytes()); err != nil {
		c.tb.Error(err)
		return ""
	}
	length := 0
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			c.tb.Error(err)
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
		c.tb.Error(err)
		return ""
	}
	return string(answer)
}

// between is what stands between two texts; empty where the first does not.
func between(s, before, after string) string {
	_, s, _ = strings.Cut(s, before)
	s, _, _ = strings.Cut(s, after)
	return s
}
