package redisfeed_test

import (
	"io"
	"net"
	"sync"
	"testing"
)

// gate is a proxy that can cut its connections or swallow what they carry.
type gate struct {
	listener net.Listener
	target   string

	mu    sync.Mutex
	state string
	conns []net.Conn
}

func newGate(t *testing.T, target string) *gate {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{listener: l, target: target}
	t.Cleanup(func() { _ = l.Close(); g.set("cut") })
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", g.target)
			if err != nil {
				_ = in.Close()
				continue
			}
			g.mu.Lock()
			g.conns = append(g.conns, in, out)
			if g.state == "cut" {
				_, _ = in.Close(), out.Close()
			}
			g.mu.Unlock()
			go g.copy(out, in)
			go g.copy(in, out)
		}
	}()
	return g
}

func (g *gate) addr() string { return g.listener.Addr().String() }

// set changes what happens from now on; connections end with every change, but
// for those that begin to hang.
func (g *gate) set(state string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.state = state
	if state != "hang" {
		for _, c := range g.conns {
			_ = c.Close()
		}
		g.conns = nil
	}
}

func (g *gate) copy(to io.WriteCloser, from io.ReadCloser) {
	defer func() { _, _ = to.Close(), from.Close() }()
	buf := make([]byte, 16<<10)
	for {
		n, err := from.Read(buf)
		g.mu.Lock()
		hang := g.state == "hang"
		g.mu.Unlock()
		if n > 0 && !hang {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
