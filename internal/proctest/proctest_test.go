package proctest_test

import (
	"fmt"
	"net"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/pawlauth/pawl/internal/proctest"
)

func TestProcess(t *testing.T) {
	t.Parallel()
	p, err := proctest.Start(exec.Command(proctest.Find(t, "sleep"), "600"), syscall.SIGKILL)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Signal(0); err != nil || !p.Running() || p.PID() <= 0 {
		t.Errorf("after the start: got running %t, process %d (%v), want one that runs", p.Running(), p.PID(), err)
	}
	for range 2 { // it may have ended before
		if err := p.End(syscall.SIGTERM); err != nil || p.Running() {
			t.Errorf("End: got %v and running %t, want none", err, p.Running())
		}
	}
	if err := p.Signal(syscall.SIGTERM); err == nil {
		t.Error("Signal after the end: got no error, want one")
	}
}

// TestOutputIsComplete: what a program wrote last is there when it has ended.
func TestOutputIsComplete(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	cmd := exec.Command(proctest.Find(t, "sh"), "-c", "echo first; echo last")
	cmd.Stdout = &out
	p, err := proctest.Start(cmd, syscall.SIGKILL)
	if err != nil {
		t.Fatal(err)
	}
	<-p.Ended()
	if got := out.String(); got != "first\nlast\n" {
		t.Errorf("got %q, want both lines", got)
	}
}

func TestStartFails(t *testing.T) {
	t.Parallel()
	if p, err := proctest.Start(exec.Command("/nonexistent/program"), syscall.SIGKILL); err == nil {
		t.Errorf("got process %d, want an error", p.PID())
	}
}

// TestFreePort: others may take a port between the answer and this test, but
// seldom.
func TestFreePort(t *testing.T) {
	t.Parallel()
	const tries = 50
	taken := 0
	for range tries {
		port := proctest.FreePort(t, 10000)
		if port < 10000 || port >= 22000 {
			t.Errorf("got port %d, want one from 10000 to 21999", port)
		}
		for _, at := range []int{port, port + 10000} {
			l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", at))
			if err != nil {
				taken++
				continue
			}
			_ = l.Close()
		}
	}
	if taken > tries/5 {
		t.Errorf("%d ports of %d were taken, want free ones", taken, 2*tries)
	}
}
