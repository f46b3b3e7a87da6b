package chaos_test

import (
	"fmt"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"github.com/pawlauth/pawl/internal/proctest"
)

// patience is how long anything may take that is done in a moment on an idle
// machine.
const patience = 3 * time.Minute

// process is a program that can be ended and started again.
type process struct {
	make func() *exec.Cmd // a fresh command each time

	mu  sync.Mutex
	run *proctest.Process // the one that runs, or ran last
}

func (p *process) start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	run, err := proctest.Start(p.make(), syscall.SIGKILL)
	if err == nil {
		p.run = run
	}
	return err
}

// now is the run that runs, or ran last; nil before the first.
func (p *process) now() *proctest.Process {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.run
}

// end sends a signal and waits for the process to be gone.
func (p *process) end(s syscall.Signal) error {
	if run := p.now(); run != nil {
		return run.End(s)
	}
	return nil
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
