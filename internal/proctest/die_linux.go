package proctest

import (
	"os/exec"
	"syscall"
)

// dieWithUs ends a child when the tests are killed.
func dieWithUs(cmd *exec.Cmd, signal syscall.Signal) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = signal
}
