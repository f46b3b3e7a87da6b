// Package proctest runs the programs that tests need beside them: it finds them
// and those that run already, gives them ports, signals them, and sees that they
// end. It is for tests only
// and refuses to know what the programs do.
package proctest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"
)

const (
	host = "127.0.0.1"
	// patience is how long a program may take to end.
	patience = 3 * time.Minute
	// Ports come from below those that systems give to outgoing connections, so
	// that a server finds its port again, and leave room for a second one above.
	lowestPort, ports = 10000, 12000
)

// Find is the path of a program on the PATH. Where it is not installed the test
// is skipped, or fails where PAWL_TEST_REQUIRE_SERVICES is 1.
func Find(t testing.TB, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		missing(t, program+" is not installed")
	}
	return path
}

// Service is the URL of a server that the tests share: that of the variable name,
// PAWL_TEST_REDIS_URL or PAWL_TEST_POSTGRES_URL. Where it is not set the test is
// skipped, or fails where PAWL_TEST_REQUIRE_SERVICES is 1.
func Service(t testing.TB, name string) string {
	t.Helper()
	url := os.Getenv(name)
	if url == "" {
		missing(t, name+" is not set")
	}
	return url
}

// missing skips the test for want of something, or fails it.
func missing(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("PAWL_TEST_REQUIRE_SERVICES") == "1" {
		t.Fatalf("%s, and PAWL_TEST_REQUIRE_SERVICES=1 asks for it", what)
	}
	t.Skip(what)
}

// FreePort is a port of 127.0.0.1 from 10000 to 21999 that nobody listens on, nor
// on those that lie above it by the given numbers. Another program may take it
// before the caller does.
func FreePort(t testing.TB, above ...int) int {
	t.Helper()
next:
	for range 1000 {
		port := lowestPort + rand.IntN(ports) //nolint:gosec // any will do
		for _, distance := range append([]int{0}, above...) {
			if !free(port + distance) {
				continue next
			}
		}
		return port
	}
	t.Fatal("no free port")
	return 0
}

func free(port int) bool {
	var config net.ListenConfig
	l, err := config.Listen(context.Background(), "tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil {
		return false
	}
	return l.Close() == nil
}

// Process is one run of a program. Its methods may be called from any goroutine.
type Process struct {
	cmd   *exec.Cmd
	ended chan struct{}
}

// Start starts cmd, which must not have been started. When the tests are killed,
// it gets the signal dies where the system can send it (Linux).
func Start(cmd *exec.Cmd, dies syscall.Signal) (*Process, error) {
	dieWithUs(cmd, dies)
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &Process{cmd: cmd, ended: make(chan struct{})}
	go func() {
		defer close(p.ended)
		_ = cmd.Wait()
	}()
	return p, nil
}

// PID is the id of the process, also after its end.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Ended is closed when the process has ended and its output is complete.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Running reports whether the process has not ended.
func (p *Process) Running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// Signal sends a signal; to a process that has ended that is an error.
func (p *Process) Signal(s syscall.Signal) error { return p.cmd.Process.Signal(s) }

// End sends a signal and returns when the process has ended. One that does not
// end within three minutes is killed, which is an error.
func (p *Process) End(s syscall.Signal) error {
	_ = p.Signal(s) // it may have ended
	select {
	case <-p.ended:
		return nil
	case <-time.After(patience):
	}
	_ = p.cmd.Process.Kill()
	<-p.ended
	return fmt.Errorf("%s did not end within %s of %s", p.cmd.Path, patience, s)
}
