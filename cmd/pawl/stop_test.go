package main_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

func status(t *testing.T, url string) int {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatalf("GET %s: %v", url, err)
	}
	_ = response.Body.Close()
	return response.StatusCode
}

// TestStopWithRequestsInFlight: on SIGTERM nothing new is accepted, what began
// is answered, what was answered is written, and the exit code is 0.
func TestStopWithRequestsInFlight(t *testing.T) {
	dir := t.TempDir()
	env := list(map[string]string{"PAWL_ADDR": "127.0.0.1:0"})
	p := start(t, dir, env, "dev")
	addr := p.await(`address=(\S+)`)
	p.await("msg=server.ready")

	var began []*pending
	for range 4 {
		began = append(began, begin(t, addr, loginBody))
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(patience); ; {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			break
		}
		_ = conn.Close()
		if time.Now().After(deadline) {
			t.Fatal("connections are accepted after SIGTERM")
		}
	}
	var tokens []string
	for _, request := range began {
		a := request.finish(t)
		token := a.text("login", "refreshToken")
		if token == "" {
			t.Fatalf("a login in flight got %s, want a session", a.body)
		}
		tokens = append(tokens, token)
	}
	if code, log := p.end(); code != 0 {
		t.Fatalf("got exit %d, want 0; log:\n%s", code, log)
	}

	again := start(t, dir, env, "dev")
	url := "http://" + again.await(`address=(\S+)`)
	again.await("msg=server.ready")
	for _, token := range tokens {
		a, err := query(url, refreshBody(token))
		if err != nil || a.text("refreshToken", "refreshToken") == "" {
			t.Errorf("refresh of a session that began during the stop: got %s (%v), want a token", a.body, err)
		}
	}
}

// TestSecondSignal ends the program although a request hangs.
func TestSecondSignal(t *testing.T) {
	p := start(t, t.TempDir(), list(map[string]string{"PAWL_ADDR": "127.0.0.1:0"}), "dev")
	addr := p.await(`address=(\S+)`)
	p.await("msg=server.ready")
	begin(t, addr, loginBody)
	began, ended := time.Now(), make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = p.end()
	}()
	for again := true; again; {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
			again = false
		case <-time.After(20 * time.Millisecond):
		}
	}
	if took := time.Since(began); took > 8*time.Second {
		t.Errorf("it took %s to end, want less than requests in flight are given", took)
	}
}

// pending is a request whose headers the server has and whose body it waits for.
type pending struct {
	conn   net.Conn
	reader *bufio.Reader
	body   string
}

func begin(t *testing.T, addr, text string) *pending {
	t.Helper()
	body, err := json.Marshal(map[string]string{"query": text})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	r := &pending{conn, bufio.NewReader(conn), string(body)}
	_, _ = fmt.Fprintf(conn, "POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", len(body))
	// The server asks for the body when the request has reached its handler.
	if line, err := r.reader.ReadString('\n'); err != nil || !strings.Contains(line, "100 Continue") {
		t.Fatalf("got %q (%v), want 100 Continue", line, err)
	}
	if _, err := r.reader.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *pending) finish(t *testing.T) (a answer) {
	t.Helper()
	_, _ = io.WriteString(r.conn, r.body)
	response, err := http.ReadResponse(r.reader, nil)
	if err != nil {
		t.Fatalf("a request in flight: %v", err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err == nil {
		err = json.Unmarshal(text, &a)
	}
	if err != nil {
		t.Fatalf("a request in flight: %v", err)
	}
	a.body = string(text)
	return a
}
