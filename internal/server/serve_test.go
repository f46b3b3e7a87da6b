package server_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pawlauth/pawl/internal/logtest"
	"github.com/pawlauth/pawl/internal/server"
)

// serving runs a server on both loopback addresses; stop ends it as a signal
// does, and done has what Serve returned.
func serving(t *testing.T, h http.HandlerFunc) (url string, stop func(), done <-chan error) {
	t.Helper()
	return servingAs(t, config(t), h)
}

// servingWith is a server of another configuration, at its address.
func servingWith(t *testing.T, cfg server.Config, h http.HandlerFunc) (address string) {
	t.Helper()
	url, _, _ := servingAs(t, cfg, h)
	return strings.TrimPrefix(url, "http://")
}

func servingAs(t *testing.T, cfg server.Config, h http.HandlerFunc) (url string, stop func(), done <-chan error) {
	t.Helper()
	listeners, err := server.Listen(t.Context(), "localhost:0")
	if err != nil {
		t.Fatalf("Listen: %v", err)
	}
	s := open(t, cfg, h)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, listeners) }()
	t.Cleanup(cancel)
	return fmt.Sprintf("http://127.0.0.1:%d", listeners.Port()), cancel, ended
}

func TestLocalhostIsBothLoopbacks(t *testing.T) {
	listeners, err := server.Listen(t.Context(), "localhost:0")
	if err != nil {
		t.Fatalf("Listen: %v", err)
	}
	defer func() { _ = listeners.Close() }()
	for _, l := range listeners {
		addr := l.Addr().(*net.TCPAddr)
		if !addr.IP.IsLoopback() || addr.Port != listeners.Port() {
			t.Errorf("listens on %s, want loopback and port %d", addr, listeners.Port())
		}
	}
	if probe, err := net.Listen("tcp6", "[::1]:0"); err == nil {
		_ = probe.Close()
		if len(listeners) != 2 {
			t.Errorf("got %d listeners, want both loopback addresses", len(listeners))
		}
	}
	if _, err := server.Listen(t.Context(), fmt.Sprintf("localhost:%d", listeners.Port())); err == nil {
		t.Error("a busy port was opened a second time")
	}
	if _, err := server.Listen(t.Context(), "localhost"); err == nil {
		t.Error("an address without port was accepted")
	}
}

func TestDrain(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	url, stop, done := serving(t, func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-release
		if r.Context().Err() != nil {
			t.Error("the request was cancelled by the stop")
		}
		_, _ = io.WriteString(w, "finished")
	})
	answer := make(chan string, 1)
	go func() {
		res, err := http.Post(url+"/graphql", "application/json", strings.NewReader("{}"))
		if err != nil {
			answer <- err.Error()
			return
		}
		defer func() { _ = res.Body.Close() }()
		body, _ := io.ReadAll(res.Body)
		answer <- string(body)
	}()
	<-arrived
	stop()
	deadline := time.Now().Add(5 * time.Second)
	for { // nothing new is accepted
		conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		if err != nil {
			break
		}
		_ = conn.Close()
		if time.Now().After(deadline) {
			t.Fatal("connections are still accepted")
		}
	}
	select {
	case err := <-done:
		t.Fatalf("Serve returned %v while a request was in flight", err)
	default:
	}
	close(release)
	if got := <-answer; got != "finished" {
		t.Errorf("the request in flight got %q, want its answer", got)
	}
	if err := <-done; err != nil {
		t.Errorf("Serve: got %v, want nil", err)
	}
}

func TestUnreadyWhileDraining(t *testing.T) {
	s := open(t, config(t), func(http.ResponseWriter, *http.Request) {})
	listeners, err := server.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Serve(ctx, listeners); err != nil {
		t.Fatalf("Serve: %v", err)
	}
	if got := do(s, "GET", "/readyz").StatusCode; got != 503 {
		t.Errorf("readyz after the stop: got %d, want 503", got)
	}
	if got := do(s, "GET", "/livez").StatusCode; got != 200 {
		t.Errorf("livez after the stop: got %d, want 200", got)
	}
}

func TestHeaderLimit(t *testing.T) {
	url, _, _ := serving(t, func(http.ResponseWriter, *http.Request) {})
	for _, tt := range []struct{ size, status int }{{12 << 10, 200}, {17 << 10, 431}} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = fmt.Fprintf(conn, "GET /livez HTTP/1.1\r\nHost: x\r\nX-Pad: %s\r\n\r\n", strings.Repeat("a", tt.size))
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("%d bytes of header: %v", tt.size, err)
		}
		if res.StatusCode != tt.status {
			t.Errorf("%d bytes of header: got %d, want %d", tt.size, res.StatusCode, tt.status)
		}
		_ = conn.Close()
	}
}

func TestHalfAnswerIsCutOff(t *testing.T) {
	url, _, _ := serving(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "half")
		_ = http.NewResponseController(w).Flush()
		panic("x")
	})
	res, err := http.Post(url+"/graphql", "application/json", nil)
	if err != nil {
		return
	}
	defer func() { _ = res.Body.Close() }()
	if body, err := io.ReadAll(res.Body); err == nil {
		t.Errorf("got the whole answer %q, want a broken one", body)
	}
}

func TestAdmin(t *testing.T) {
	listeners, err := server.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	metrics := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	log := logtest.New(t)
	go func() { done <- server.ServeAdmin(ctx, listeners, metrics, log) }()
	for path, want := range map[string]int{"/metrics": 418, "/debug/pprof/": 200, "/debug/pprof/heap": 200, "/debug/pprof/cmdline": 404, "/graphql": 404} {
		res, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d%s", listeners.Port(), path))
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("%s: got %d, want %d", path, res.StatusCode, want)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("ServeAdmin: %v", err)
	}
}

// A request that never arrives whole is answered or closed in time, wherever it
// goes: what refuses a request early must not wait for its body for ever.
func TestRequestsMustArrive(t *testing.T) {
	t.Parallel()
	url, stop, done := serving(t, func(w http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(io.Discard, r.Body)
		if err == nil {
			t.Error("a body that never came was read")
		}
		w.WriteHeader(http.StatusBadRequest)
	})
	var all sync.WaitGroup
	for _, request := range []string{
		"GET /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n",
		"GET /.well-known/jwks.json HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n",
		"POST /nope HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
		"POST /graphql HTTP/1.1\r\nHost: x\r\nOrigin: https://evil.example\r\nContent-Length: 10\r\n\r\n",
		"OPTIONS /graphql HTTP/1.1\r\nHost: x\r\nOrigin: https://evil.example\r\nContent-Length: 10\r\n\r\n",
		"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{",
		"POST /graphql HTTP/1.1\r\nHost: x\r\nX-Half: ",
	} {
		all.Go(func() {
			conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = conn.Close() }()
			_, _ = io.WriteString(conn, request)
			_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
			if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%q: the connection is still open after 20 s, want it closed after 10 s", request)
			}
		})
	}
	all.Wait()
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
