package faultproxy_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pawlauth/pawl/internal/faultproxy"
)

// echo answers every line with itself.
func echo(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(conn, conn); _ = conn.Close() }()
		}
	}()
	return l.Addr().String()
}

type client struct {
	net.Conn
	lines *bufio.Reader
}

func dial(t *testing.T, p *faultproxy.Proxy) client {
	t.Helper()
	conn, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return client{conn, bufio.NewReader(conn)}
}

// says sends a line and returns what comes back: the line, "nothing" for a
// while, or "end" of the connection.
func (c client) says(line string, patience time.Duration) string {
	_, _ = io.WriteString(c, line+"\n")
	_ = c.SetReadDeadline(time.Now().Add(patience))
	got, err := c.lines.ReadString('\n')
	switch {
	case err == nil:
		return strings.TrimSpace(got)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "nothing"
	}
	return "end"
}

const (
	long  = 30 * time.Second       // for what comes
	brief = 100 * time.Millisecond // for what must not
)

func (c client) want(t *testing.T, line, want string, patience time.Duration) {
	t.Helper()
	if got := c.says(line, patience); got != want {
		t.Errorf("%q: got %q, want %q", line, got, want)
	}
}

func TestWeather(t *testing.T) {
	t.Parallel()
	p := faultproxy.New(t, echo(t))
	c := dial(t, p)
	c.want(t, "one", "one", long)

	p.Set(faultproxy.Weather{Hang: true})
	c.want(t, "two", "nothing", brief)
	p.Set(faultproxy.Weather{}) // what hung is gone with its connection
	c.want(t, "three", "end", long)

	c = dial(t, p)
	c.want(t, "four", "four", long)
	p.Set(faultproxy.Weather{Delay: brief})
	began := time.Now()
	c.want(t, "five", "five", long)
	if took := time.Since(began); took < 2*brief {
		t.Errorf("got an answer after %s, want one after %s in each direction", took, brief)
	}
	p.Set(faultproxy.Weather{Late: brief})
	began = time.Now()
	c.want(t, "late", "late", long)
	if took := time.Since(began); took < brief {
		t.Errorf("got an answer after %s, want one that is late by %s", took, brief)
	}
	p.Set(faultproxy.Weather{})
	c.want(t, "six", "six", long)

	p.Set(faultproxy.Weather{Cut: true})
	c.want(t, "seven", "end", long)
	dial(t, p).want(t, "eight", "end", long)
	p.Set(faultproxy.Weather{})
	c = dial(t, p)
	c.want(t, "nine", "nine", long)

	p.Set(faultproxy.Weather{Lossy: true})
	c.want(t, "ten", "nothing", brief)
	p.Set(faultproxy.Weather{}) // the connection lives on without it
	c.want(t, "eleven", "eleven", long)
}

func TestAccepted(t *testing.T) {
	t.Parallel()
	p := faultproxy.New(t, echo(t))
	for want := range 3 {
		if got := p.Accepted(); got != want {
			t.Errorf("got %d connections, want %d", got, want)
		}
		dial(t, p).want(t, "line", "line", long)
	}
	if got, want := net.JoinHostPort("127.0.0.1", strconv.Itoa(p.Port())), p.Addr(); got != want {
		t.Errorf("got %q of Port, want %q of Addr", got, want)
	}
}

func TestSwallow(t *testing.T) {
	t.Parallel()
	p := faultproxy.New(t, echo(t))
	c := dial(t, p)
	p.Swallow(2, "turn", false)
	c.want(t, "other", "other", long)
	c.want(t, "a turn", "nothing", brief)
	c.want(t, "other again", "other again", long)
	if left := p.Left(); left != 1 {
		t.Errorf("got %d replies left to lose, want 1", left)
	}
	p.Swallow(1, "turn", true)
	c.want(t, "a turn", "end", long)
	c = dial(t, p)
	c.want(t, "a turn", "a turn", long)
	if left := p.Left(); left != 0 {
		t.Errorf("got %d replies left to lose, want none", left)
	}
}

func TestThrough(t *testing.T) {
	t.Parallel()
	p := faultproxy.New(t, "127.0.0.1:1")
	got := p.Through("postgres://u:p%40ss@127.0.0.1:5432/db?sslmode=disable")
	if want := "postgres://u:p%40ss@" + p.Addr() + "/db?sslmode=disable"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	dial(t, p).want(t, "to nobody", "end", long)
}
