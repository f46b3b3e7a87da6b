package main_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// bombs are small requests that ask for much, and the status of their answers.
func bombs() map[string]int {
	login := `login(input:{email:\"demo@example.com\",password:\"hunter2\"}){__typename} `
	bomb, aliases, wide := "{me{...F0}}", "", strings.Repeat("__typename ", 900)
	for i := range 20 {
		bomb += fmt.Sprintf(" fragment F%d on User{...F%d ...F%d}", i, i+1, i+1)
		aliases += fmt.Sprintf("a%d:", i) + login
	}
	query := func(text string) string { return `{"query":"` + text + `"}` }
	return map[string]int{
		query("mutation{" + aliases + "}"):                                     400,
		query(bomb + " fragment F20 on User{id}"):                              400,
		query("{" + wide + "}"):                                                400,
		query("{...F} fragment F on Query{...F}"):                              400,
		query(strings.Repeat("{a", 300) + strings.Repeat("}", 300)):            400,
		query("{me{" + strings.Repeat("id ", 480) + "}}"):                      200,
		query(`{__type(name:\"` + strings.Repeat("a", 60000) + `\"){name}}`):   200,
		`{"query":"{__typename}","variables":` + strings.Repeat(`{"a":`, 9000): 400,
		"[" + strings.Repeat(query("{__typename}")+",", 1000) + "1]":           400,
		strings.Repeat("x", 70000):                                             413,
	}
}

// TestUnderFire: a server that is sent thousands of bombs over eight
// connections, while a hundred others hold half requests open, neither grows nor
// stops to answer.
func TestUnderFire(t *testing.T) {
	dir, env := environment(t)
	delete(env, "PAWL_REDIS_URL")
	env["PAWL_SESSION_STORE"], env["PAWL_LOG_LEVEL"] = "memory", "debug"
	operate(t, dir, env, "", "migrate", "up")
	operate(t, dir, env, demoPassword, "user", "add", "demo@example.com")
	p, url := serveOne(t, dir, env)
	login, err := query(url, loginBody)
	if err != nil || login.text("login", "refreshToken") == "" {
		t.Fatalf("login: got %s (%v)", login.body, err)
	}
	held := make([]net.Conn, 100)
	for i := range held {
		if held[i], err = net.Dial("tcp", strings.TrimPrefix(url, "http://")); err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(held[i], "POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n\r\n{")
	}
	before := p.memory("VmRSS")
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 25 {
				for body, want := range bombs() {
					if got, answer, err := send(url, body); err != nil || got != want || strings.Contains(answer, "hunter2") {
						t.Errorf("%.60s: got %d %.200s (%v), want %d", body, got, answer, err, want)
						return
					}
				}
			}
		})
	}
	all.Wait()
	// The collector lets the heap grow to five times what is live.
	if peak := p.memory("VmHWM"); peak-before > 300<<20 {
		t.Errorf("memory grew from %d MiB to %d MiB, want at most 300 MiB more", before>>20, peak>>20)
	} else {
		t.Logf("memory: %d MiB before, at most %d MiB", before>>20, peak>>20)
	}
	began := time.Now()
	if a, err := query(url, refreshBody(login.text("login", "refreshToken"))); err != nil || len(a.Errors) > 0 || time.Since(began) > 10*time.Second {
		t.Errorf("an honest refresh afterwards: got %d %s (%v) after %s, want tokens", a.status, a.body, err, time.Since(began))
	}
	for _, conn := range held {
		_ = conn.Close()
	}
	p.stop()
	if strings.Contains(p.all.String(), "hunter2") {
		t.Errorf("the log repeats what was sent:\n%.2000s", p.all)
	}
}

// send sends a body and returns the status and the answer.
func send(url, body string) (status int, answer string, err error) {
	request, err := http.NewRequest(http.MethodPost, url+"/graphql", strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/graphql-response+json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err == nil && !json.Valid(text) {
		err = fmt.Errorf("the answer is not JSON")
	}
	return response.StatusCode, string(text), err
}

// memory is a line of the process's status in bytes.
func (p *process) memory(field string) int64 {
	p.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		p.t.Skipf("the system does not tell the memory of a process: %v", err)
	}
	_, rest, _ := strings.Cut(string(text), field+":")
	digits, _, ok := strings.Cut(strings.TrimSpace(rest), " kB")
	n, err := strconv.ParseInt(digits, 10, 64)
	if !ok || err != nil {
		p.t.Fatalf("%s: not in %s", field, text)
	}
	return n << 10
}

// TestProgramGivesNothingAway: what every path of the real program answers, and
// what it does not say of itself.
func TestProgramGivesNothingAway(t *testing.T) {
	p := start(t, t.TempDir(), list(map[string]string{"PAWL_ADDR": "127.0.0.1:0"}), "dev")
	url := "http://" + p.await(`msg=listening address=(\S+)`)
	p.await("msg=server.ready")
	plain := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, Timeout: patience}
	for _, tt := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/", 307}, {"GET", "/graphql", 405}, {"POST", "/graphql", 415}, {"OPTIONS", "/graphql", 204}, {"GET", "/.well-known/jwks.json", 200},
		{"PUT", "/.well-known/jwks.json", 405}, {"GET", "/livez", 200}, {"POST", "/livez", 405}, {"GET", "/readyz", 200},
		{"GET", "/explorer", 200}, {"GET", "/explorer/licenses.md", 200}, {"GET", "/explorer/none", 404}, {"POST", "/explorer", 405},
		{"GET", "/metrics", 404}, {"GET", "/debug/pprof/", 404}, {"GET", "/.env", 404}, {"TRACE", "/", 405},
	} {
		request, err := http.NewRequest(tt.method, url+tt.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := plain.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		_ = response.Body.Close()
		header := response.Header
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer",
			"Cross-Origin-Resource-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin",
			"Server": "", "X-Powered-By": "", "Strict-Transport-Security": "", "Set-Cookie": "",
		} {
			if got := header.Get(name); got != want {
				t.Errorf("%s %s: got %s %q, want %q", tt.method, tt.path, name, got, want)
			}
		}
		policy := header.Get("Content-Security-Policy")
		if !strings.HasPrefix(policy, "default-src 'none'; ") || !strings.Contains(policy, "frame-ancestors 'none'") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s %s: got policy %q, want nothing but what is listed, and no frames", tt.method, tt.path, policy)
		}
		if response.StatusCode != tt.status || strings.Contains(strings.ToLower(string(body)), "go1.") {
			t.Errorf("%s %s: got %d %.100s, want %d and no version", tt.method, tt.path, response.StatusCode, body, tt.status)
		}
	}
}
