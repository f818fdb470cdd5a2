//go:build !windows

package demo

import (
	"os/exec"
	"syscall"
)

// apart puts a program into a group of its own: what it starts ends with it.
func apart(program *exec.Cmd) { program.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// end kills a program and what it started.
func end(program *exec.Cmd) {
	_ = syscall.Kill(-program.Process.Pid, syscall.SIGKILL) // it may have ended by itself
}
