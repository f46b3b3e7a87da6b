package chaos_test

import (
	"bytes"
	"net"
	"sync"
	"testing"
	"time"
)

// weather is what a proxy does to what passes.
type weather struct {
	cut   bool          // connections end, new ones too
	hang  bool          // bytes are swallowed, connections stay
	delay time.Duration // each chunk waits, in both directions
}

// proxy stands between one server and one store.
type proxy struct {
	listener net.Listener
	target   string

	mu    sync.Mutex
	now   weather
	drop  int    // replies still to swallow
	drops string // only those that contain this
	sever bool   // and end their connection
	conns map[net.Conn]bool
}

func newProxy(t *testing.T, target string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: l, target: target, conns: map[net.Conn]bool{}}
	t.Cleanup(func() { _ = l.Close(); p.set(weather{cut: true}) })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go p.carry(conn)
		}
	}()
	return p
}

func (p *proxy) addr() string { return p.listener.Addr().String() }

// set changes the weather. What hung is not delivered late: a cut follows.
func (p *proxy) set(w weather) {
	p.mu.Lock()
	defer p.mu.Unlock()
	hung := p.now.hang
	p.now = w
	if w.cut || hung {
		for conn := range p.conns {
			_ = conn.Close()
		}
		clear(p.conns)
	}
}

// swallow drops the next n replies that contain text.
func (p *proxy) swallow(n int, text string, sever bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drop, p.drops, p.sever = n, text, sever
}

func (p *proxy) keep(conn net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.now.cut {
		_ = conn.Close()
		return false
	}
	p.conns[conn] = true
	return true
}

func (p *proxy) forget(conn net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, conn)
}

func (p *proxy) carry(in net.Conn) {
	if !p.keep(in) {
		return
	}
	defer p.forget(in)
	out, err := net.DialTimeout("tcp", p.target, time.Second)
	if err != nil {
		_ = in.Close()
		return
	}
	if !p.keep(out) {
		_ = in.Close()
		return
	}
	defer p.forget(out)
	done := make(chan struct{})
	go func() { p.copy(out, in, false); close(done) }()
	p.copy(in, out, true)
	<-done
}

func (p *proxy) copy(to, from net.Conn, replies bool) {
	defer func() { _ = to.Close(); _ = from.Close() }()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			pass, stop := p.judge(buf[:n], replies)
			if stop {
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

// judge decides about one chunk, and delays it.
func (p *proxy) judge(chunk []byte, reply bool) (pass, stop bool) {
	p.mu.Lock()
	now := p.now
	if reply && p.drop > 0 && bytes.Contains(chunk, []byte(p.drops)) {
		p.drop--
		pass, stop = false, p.sever
		p.mu.Unlock()
		return pass, stop
	}
	p.mu.Unlock()
	if now.delay > 0 {
		time.Sleep(now.delay)
	}
	return !now.hang, false
}
