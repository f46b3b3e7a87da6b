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
	"testing"
	"testing/synctest"
	"time"

	"github.com/pawlauth/pawl/internal/logtest"
	"github.com/pawlauth/pawl/internal/server"
)

// pipes is a listener whose connections have no buffers and tell the bubble's
// time.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.conns:
		return conn, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	select {
	case <-p.closed:
	default:
		close(p.closed)
	}
	return nil
}

func (*pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

func (p *pipes) dial() net.Conn {
	client, srv := net.Pipe()
	p.conns <- srv
	return client
}

// inBubble runs a real server in a synctest bubble.
func inBubble(t *testing.T, h http.HandlerFunc, attack func(t *testing.T, dial func() net.Conn)) {
	inBubbleWith(t, config(t), h, attack)
}

func inBubbleWith(t *testing.T, cfg server.Config, h http.HandlerFunc, attack func(t *testing.T, dial func() net.Conn)) {
	synctest.Test(t, func(t *testing.T) {
		p := &pipes{make(chan net.Conn), make(chan struct{})}
		s := open(t, cfg, h)
		ctx, stop := context.WithCancel(context.Background())
		done := make(chan error)
		go func() { done <- s.Serve(ctx, server.Listeners{p}) }()
		attack(t, p.dial)
		stop()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
}

// cutOff is how long the server holds on to a connection to which somebody
// sends first and then one byte of drip each second, reading nothing or all.
func cutOff(conn net.Conn, first, drip string, read bool) (held time.Duration, answer string) {
	began := time.Now()
	answers := make(chan string, 1)
	if read {
		go func() {
			all, _ := io.ReadAll(conn)
			answers <- string(all)
		}()
	}
	_, err := io.WriteString(conn, first)
	for i := 0; err == nil; i++ {
		time.Sleep(time.Second)
		if drip != "" {
			_, err = io.WriteString(conn, drip[i%len(drip):][:1])
		} else if !read {
			_ = conn.SetReadDeadline(time.Now().Add(time.Millisecond))
			if _, err = conn.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
				err = nil
			}
		} else if len(answers) > 0 {
			break
		}
		if time.Since(began) > 10*time.Minute {
			break
		}
	}
	held = time.Since(began)
	_ = conn.Close()
	if read {
		answer = <-answers
	}
	return held, answer
}

// Whoever sends slowly, or nothing, is cut off.
func TestSlowSenders(t *testing.T) {
	body := "POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n"
	for _, tt := range []struct {
		name, first, drip string
		least, most       time.Duration
	}{
		{"nothing at all", "", "", 9 * time.Second, 12 * time.Second},
		{"half a request line", "POST /gra", "", 9 * time.Second, 12 * time.Second},
		{"headers, a byte a second", "POST /graphql HTTP/1.1\r\nHost: x\r\nX-Slow: ", "a", 9 * time.Second, 12 * time.Second},
		{"body, a byte a second", body, "a", 9 * time.Second, 12 * time.Second},
		{"refused body, a byte a second", strings.Replace(body, "Host: x", "Host: x\r\nOrigin: https://evil.example", 1), "a", 0, 12 * time.Second},
		{"chunks, a byte a second", "POST /graphql HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\na\r\n", 9 * time.Second, 12 * time.Second},
		{"nothing after a request", "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n", "", 115 * time.Second, 125 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(w http.ResponseWriter, r *http.Request) {
				if _, err := io.Copy(io.Discard, r.Body); err == nil {
					t.Error("a body that never came was read")
				}
				w.WriteHeader(http.StatusBadRequest)
			}, func(t *testing.T, dial func() net.Conn) {
				held, answer := cutOff(dial(), tt.first, tt.drip, true)
				if held < tt.least || held > tt.most {
					t.Errorf("the connection was held for %s, want %s to %s (answer %.80q)", held, tt.least, tt.most, answer)
				}
			})
		})
	}
}

// The operator's listener has no more patience, and its answers carry the same
// headers.
func TestAdminIsGuarded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pipes{make(chan net.Conn), make(chan struct{})}
		ctx, stop := context.WithCancel(context.Background())
		done := make(chan error)
		metrics := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "pawl_x 1") })
		go func() { done <- server.ServeAdmin(ctx, server.Listeners{p}, metrics, logtest.New(t)) }()
		const get = "GET /metrics HTTP/1.1\r\nHost: x\r\n"
		if held, _ := cutOff(p.dial(), get+"X-Slow: ", "a", true); held < 9*time.Second || held > 12*time.Second {
			t.Errorf("headers, a byte a second: the connection was held for %s, want 10 s", held)
		}
		if held, _ := cutOff(p.dial(), get+"\r\n", "", true); held < 115*time.Second || held > 125*time.Second {
			t.Errorf("nothing after a request: the connection was held for %s, want 2 minutes", held)
		}
		for headers, want := range map[string]string{"": "200", "X-Pad: " + strings.Repeat("a", 17<<10) + "\r\n": "431"} {
			if _, answer := cutOff(p.dial(), get+"Connection: close\r\n"+headers+"\r\n", "", true); !strings.HasPrefix(answer, "HTTP/1.1 "+want) {
				t.Errorf("%d bytes of headers: got %.60q, want %s", len(headers), answer, want)
			}
		}
		_, answer := cutOff(p.dial(), get+"Connection: close\r\n\r\n", "", true)
		for name, value := range always {
			if !strings.Contains(answer, "\r\n"+name+": "+value+"\r\n") {
				t.Errorf("got %q, want %s: %s", answer, name, value)
			}
		}
		stop()
		if err := <-done; err != nil {
			t.Errorf("ServeAdmin: %v", err)
		}
	})
}

// Whoever does not read the answer is cut off too, and what answers is free.
func TestSlowReaders(t *testing.T) {
	for _, tt := range []struct {
		name string
		sip  time.Duration // one byte each; 0: nothing
	}{{"reads nothing", 0}, {"reads a byte a second", time.Second}} {
		t.Run(tt.name, func(t *testing.T) {
			freed := make(chan time.Duration, 1)
			inBubble(t, func(w http.ResponseWriter, _ *http.Request) {
				began := time.Now()
				_, _ = w.Write(make([]byte, 1<<20))
				freed <- time.Since(began)
			}, func(t *testing.T, dial func() net.Conn) {
				conn := dial()
				_, _ = io.WriteString(conn, "POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
				for range 60 {
					time.Sleep(time.Second)
					if tt.sip > 0 {
						_, _ = conn.Read(make([]byte, 1))
					}
				}
				select {
				case held := <-freed:
					if held > 31*time.Second {
						t.Errorf("the handler was held for %s, want 30s", held)
					}
				default:
					t.Error("the handler still waits after a minute, want it free after 30 s")
				}
				_ = conn.Close()
			})
		})
	}
}

// While five hundred hold their connections open, others are answered.
func TestIdleCrowd(t *testing.T) {
	url, _, _ := serving(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "{}") })
	for i := range 500 {
		conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		defer func() { _ = conn.Close() }()
		_, _ = io.WriteString(conn, "POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{")
	}
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	_, _ = fmt.Fprint(conn, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || res.StatusCode != 200 {
		t.Errorf("beside 500 half requests: got %v and error %v, want 200", res, err)
	}
}
