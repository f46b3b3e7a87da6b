// Package redistest gives tests Redis servers of their own: one, one with a
// replica watched by Sentinels, and a Cluster. They are real processes on
// loopback that can be stopped, killed and started again, and they end with the
// test. It is for tests only and knows nothing of what is kept in Redis.
package redistest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/pawlauth/pawl/internal/proctest"
)

const (
	host = "127.0.0.1"
	// patience is how long the kit waits for a server to do as it was told.
	patience = time.Minute
	poll     = 5 * time.Millisecond
	// busOffset is how far a Cluster's second port lies above the first.
	busOffset = 10000
)

// Proc is one redis-server process. Its methods may be called from any
// goroutine; those that fail end the test.
type Proc struct {
	t    testing.TB
	dir  string
	port int // where it listens
	door int // where others are told to find it
	args []string

	mu     sync.Mutex
	run    *proctest.Process // the one that runs, or ran last
	client *redis.Client
}

// Server starts a redis-server on a free port, without persistence unless the
// lines of conf say otherwise ("appendonly yes", "maxmemory 2mb"). Where
// redis-server is not installed the test is skipped, or fails where
// PAWL_TEST_REQUIRE_SERVICES is 1.
func Server(t testing.TB, conf ...string) *Proc {
	t.Helper()
	return start(t, append([]string{`save ""`}, conf...))
}

// start runs a server until the test ends. Another program may take the port
// first, so it tries several.
func start(t testing.TB, conf []string, args ...string) *Proc {
	t.Helper()
	program := proctest.Find(t, "redis-server")
	p := &Proc{t: t, dir: t.TempDir()}
	p.args = append([]string{program, p.file("redis.conf")}, args...)
	t.Cleanup(p.end)
	var err error
	for range 10 {
		p.port = proctest.FreePort(t, busOffset)
		p.door = p.port
		text := fmt.Sprintf("bind %s\nport %d\ndir %s\nlogfile %s\nrepl-diskless-sync-delay 0\n%s\n",
			host, p.port, p.dir, p.file("log"), strings.Join(conf, "\n"))
		if err := os.WriteFile(p.file("redis.conf"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err = p.begin(); err == nil {
			return p
		}
	}
	t.Fatalf("redis-server does not start: %v\n%s", err, p.tail())
	return nil
}

// Addr is the server's host:port; it never changes.
func (p *Proc) Addr() string { return net.JoinHostPort(host, strconv.Itoa(p.port)) }

// Port is the port of Addr.
func (p *Proc) Port() int { return p.port }

// URL is the server's address as PAWL_REDIS_URL spells it.
func (p *Proc) URL() string { return "redis://" + p.Addr() }

// PID is the id of the process that runs, or ran last.
func (p *Proc) PID() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.run.PID()
}

// Client is a client of this one server, with the timeouts that Pawl uses. It
// is closed when the test ends.
func (p *Proc) Client() *redis.Client {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.client == nil {
		p.client = redis.NewClient(options([]string{p.Addr()}).Simple())
	}
	return p.client
}

// announce makes others look for the server at another port: setting is the name
// of the configuration line that says so.
func (p *Proc) announce(setting string, port int) error {
	p.door = port
	ctx := context.Background()
	return errors.Join(
		p.Client().ConfigSet(ctx, setting, strconv.Itoa(port)).Err(),
		p.Client().ConfigRewrite(ctx).Err())
}

// Kill ends the process as kill -9 does, and returns when it is gone.
func (p *Proc) Kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.kill()
}

func (p *Proc) kill() {
	if p.run != nil {
		_ = p.run.End(syscall.SIGKILL)
	}
}

// Stop freezes the process (SIGSTOP): connections stay, nothing is answered.
func (p *Proc) Stop() { p.signal(syscall.SIGSTOP) }

// Cont lets a frozen process go on (SIGCONT).
func (p *Proc) Cont() { p.signal(syscall.SIGCONT) }

func (p *Proc) signal(s syscall.Signal) {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.run.Signal(s); err != nil {
		p.t.Errorf("signal %s to redis-server at %s: %v", s, p.Addr(), err)
	}
}

// Restart starts the server again on the same port, with the files it left
// behind, and returns when it answers. One that still runs is killed first.
// Lines of conf are added to its configuration for good.
func (p *Proc) Restart(conf ...string) {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.kill()
	if len(conf) > 0 {
		text, err := os.ReadFile(p.file("redis.conf"))
		if err == nil {
			text = append(text, "\n"+strings.Join(conf, "\n")+"\n"...)
			err = os.WriteFile(p.file("redis.conf"), text, 0o600) //nolint:gosec // in the test's own folder
		}
		if err != nil {
			p.t.Fatal(err)
		}
	}
	var err error
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(poll) {
		if err = p.begin(); err == nil {
			return
		}
	}
	p.t.Fatalf("redis-server at %s does not start again: %v\n%s", p.Addr(), err, p.tail())
}

// CutReplicas makes this master send its replicas nothing more until it is
// restarted, while it goes on to serve clients: what is written from now on is
// lost when a replica takes over.
func (p *Proc) CutReplicas() {
	p.t.Helper()
	ctx := context.Background()
	err := errors.Join(
		p.Client().Do(ctx, "acl", "setuser", "default", "-psync", "-sync").Err(),
		p.Client().Do(ctx, "client", "kill", "type", "replica").Err())
	if err != nil {
		p.t.Fatalf("cutting the replicas of %s: %v", p.Addr(), err)
	}
}

// begin starts the process and waits until it answers and has read its files.
func (p *Proc) begin() error {
	run, err := proctest.Start(exec.CommandContext(context.Background(), p.args[0], p.args[1:]...), syscall.SIGKILL) //nolint:gosec // redis-server
	if err != nil {
		return err
	}
	p.run = run
	client := redis.NewClient(options([]string{p.Addr()}).Simple())
	defer func() { _ = client.Close() }()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for ctx.Err() == nil {
		select {
		case <-run.Ended():
			return errors.New("it ended at once")
		case <-time.After(poll):
		}
		info, err := client.Info(ctx, "server").Result()
		switch {
		case err == nil && strings.Contains(info, fmt.Sprintf("process_id:%d\r", run.PID())):
			return nil
		case err == nil:
			p.kill()
			return errors.New("another server has the port")
		case closed(err):
			select {
			case <-run.Ended(): // another server has the port
				return errors.New("it ended at once")
			case <-time.After(100 * time.Millisecond):
				return nil
			}
		}
	}
	p.kill()
	return errors.New("it does not answer")
}

// closed reports whether a server answers, but not to the kit: its configuration
// wants a password, or lacks INFO.
func closed(err error) bool {
	return redis.IsAuthError(err) || redis.IsPermissionError(err) || strings.HasPrefix(err.Error(), "ERR unknown command")
}

// end is what happens when the test ends.
func (p *Proc) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.kill()
	if p.client != nil {
		_ = p.client.Close()
	}
	if p.t.Failed() {
		p.t.Logf("redis-server at %s:\n%s", p.Addr(), p.tail())
	}
}

func (p *Proc) file(name string) string { return filepath.Join(p.dir, name) }

// tail is the end of the server's log.
func (p *Proc) tail() string {
	text, _ := os.ReadFile(p.file("log"))
	return string(text[max(0, len(text)-2000):])
}

// until polls is until it holds.
func until(t testing.TB, what string, is func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		err := is(ctx)
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s: never came, last: %v", what, err)
		case <-time.After(poll):
		}
	}
}
