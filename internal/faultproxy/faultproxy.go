// Package faultproxy owns the bad network of the tests: a TCP proxy on loopback
// that cuts, hangs, delays, and loses bytes or single replies. It is for tests only and
// refuses to know any protocol; replies are told apart by a text they contain.
package faultproxy

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// dialTimeout bounds the way to the target, which may be frozen.
const dialTimeout = time.Second

// Weather is what a proxy does to what passes. The zero Weather is fair.
type Weather struct {
	Cut   bool          // connections end, new ones at once
	Hang  bool          // connections stay, and bytes are swallowed in both directions
	Lossy bool          // the same, but connections outlive it and lack what was swallowed
	Delay time.Duration // every chunk waits, in both directions
	Late  time.Duration // every chunk of the target's waits
}

// String is a word for failure texts.
func (w Weather) String() string {
	switch {
	case w.Cut:
		return "cut"
	case w.Hang:
		return "hung"
	case w.Lossy:
		return "lossy"
	case w.Delay > 0:
		return fmt.Sprintf("delayed by %s", w.Delay)
	case w.Late > 0:
		return fmt.Sprintf("late by %s", w.Late)
	}
	return "fair"
}

// Proxy stands between clients and one target. Its methods may be called from
// any goroutine.
type Proxy struct {
	t        testing.TB
	listener net.Listener
	target   string
	accepted atomic.Int64

	mu    sync.Mutex
	now   Weather
	lose  int    // replies still to lose
	marks []byte // only those that contain this
	cut   bool   // and end their connection
	conns map[net.Conn]bool
}

// New starts a proxy to the host:port target in fair weather. It is gone when
// the test ends. The target need not be there yet.
func New(t testing.TB, target string) *Proxy {
	t.Helper()
	var config net.ListenConfig
	l, err := config.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{t: t, listener: l, target: target, conns: map[net.Conn]bool{}}
	t.Cleanup(func() { _ = l.Close(); p.Set(Weather{Cut: true}) })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			p.accepted.Add(1)
			go p.carry(conn)
		}
	}()
	return p
}

// Addr is the proxy's host:port.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Port is the port of Addr.
func (p *Proxy) Port() int { return p.listener.Addr().(*net.TCPAddr).Port }

// Accepted is how many connections clients opened so far.
func (p *Proxy) Accepted() int { return int(p.accepted.Load()) }

// Through is a URL of the target with the proxy in its place.
func (p *Proxy) Through(target string) string {
	p.t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		p.t.Fatalf("faultproxy: the target's URL: %v", err)
	}
	u.Host = p.Addr()
	return u.String()
}

// Set changes the weather. What hung is never delivered late: connections end
// when a hang does.
func (p *Proxy) Set(w Weather) {
	p.mu.Lock()
	defer p.mu.Unlock()
	hung := p.now.Hang && !w.Hang
	p.now = w
	if w.Cut || hung {
		for conn := range p.conns {
			_ = conn.Close()
		}
		clear(p.conns)
	}
}

// Swallow loses the next n replies of the target that contain text, and with cut
// ends their connections too. It replaces what was asked for before; 0 asks for
// nothing. A reply is what one read returns: a short answer to one request is
// whole, and answers that were sent together are lost together.
func (p *Proxy) Swallow(n int, text string, cut bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lose, p.marks, p.cut = n, []byte(text), cut
}

// Left is how many replies of the last Swallow are still to be lost.
func (p *Proxy) Left() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lose
}

// keep registers a connection; false when the weather ended it.
func (p *Proxy) keep(conn net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.now.Cut {
		_ = conn.Close()
		return false
	}
	p.conns[conn] = true
	return true
}

func (p *Proxy) forget(conn net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, conn)
}

func (p *Proxy) carry(in net.Conn) {
	defer func() { _ = in.Close() }()
	if !p.keep(in) {
		return
	}
	defer p.forget(in)
	dialer := net.Dialer{Timeout: dialTimeout}
	out, err := dialer.DialContext(context.Background(), "tcp", p.target)
	if err != nil || !p.keep(out) {
		return
	}
	defer p.forget(out)
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.copy(out, in, false)
	}()
	p.copy(in, out, true)
	<-done
}

// copy carries bytes until either end is closed, and closes both.
func (p *Proxy) copy(to, from net.Conn, replies bool) {
	defer func() { _ = to.Close(); _ = from.Close() }()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			pass, end := p.judge(buf[:n], replies)
			if end {
				return
			}
			if pass {
				if _, err := to.Write(buf[:n]); err != nil {
					return
				}
			}
		}
		if err != nil {
			return
		}
	}
}

// judge decides about one chunk, after its delay.
func (p *Proxy) judge(chunk []byte, reply bool) (pass, end bool) {
	p.mu.Lock()
	w := p.now
	lost := reply && p.lose > 0 && bytes.Contains(chunk, p.marks)
	if lost {
		p.lose--
		end = p.cut
	}
	p.mu.Unlock()
	if lost {
		return false, end
	}
	if reply {
		w.Delay += w.Late
	}
	time.Sleep(w.Delay)
	return !w.Hang && !w.Lossy, false
}
