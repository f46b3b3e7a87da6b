package chaos_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long anything may take that is done in a moment on an idle
// machine.
const patience = 3 * time.Minute

// process is a child that can be killed, paused and started again.
type process struct {
	make   func() *exec.Cmd // a fresh command each time
	dies   syscall.Signal   // what it gets when the tests are killed
	mu     sync.Mutex
	cmd    *exec.Cmd
	exited chan struct{}
}

func (p *process) start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	cmd := p.make()
	dieWithUs(cmd, p.dies)
	if err := cmd.Start(); err != nil {
		return err
	}
	exited := make(chan struct{})
	p.cmd, p.exited = cmd, exited
	go func() { _ = cmd.Wait(); close(exited) }()
	return nil
}

func (p *process) signal(s syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd != nil {
		_ = p.cmd.Process.Signal(s)
	}
}

// end sends a signal and waits for the process to be gone.
func (p *process) end(s syscall.Signal) error {
	p.signal(s)
	p.mu.Lock()
	exited := p.exited
	p.mu.Unlock()
	if exited == nil {
		return nil
	}
	select {
	case <-exited:
		return nil
	case <-time.After(patience):
		p.signal(syscall.SIGKILL)
		return fmt.Errorf("the process did not end after %s", s)
	}
}

func (p *process) pid() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cmd.Process.Pid
}

// running reports whether the process has not ended.
func (p *process) running() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.exited:
		return false
	default:
		return p.cmd != nil
	}
}

// await polls until done, and fails with what after patience.
func await(what string, done func() error) error {
	var err error
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if err = done(); err == nil {
			return nil
		}
	}
	return fmt.Errorf("%s: %w", what, err)
}

// freePort is a port that was free a moment ago, below those that the system
// gives to clients.
func freePort(t *testing.T) int {
	t.Helper()
	for range 1000 {
		port := 10000 + int(time.Now().UnixNano()/1000)%20000
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		_ = l.Close()
		return port
	}
	t.Fatal("no free port")
	return 0
}

// program finds a program on the PATH; the tests need it where services are
// required, and are skipped without it elsewhere.
func program(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	if os.Getenv("PAWL_TEST_REQUIRE_SERVICES") == "1" {
		t.Fatalf("%s is not installed, and PAWL_TEST_REQUIRE_SERVICES=1 asks for it", name)
	}
	t.Skipf("%s is not installed", name)
	return ""
}
