//go:build !linux

package proctest

import (
	"os/exec"
	"syscall"
)

// dieWithUs needs Linux; elsewhere children outlive tests that are killed.
func dieWithUs(*exec.Cmd, syscall.Signal) {}
