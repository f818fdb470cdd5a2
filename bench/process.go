package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// patience bounds every wait for a condition; it is no claim about speed.
const patience = 10 * time.Minute

// process is a program in a process of its own.
type process struct {
	name string
	args []string
	env  []string
	log  string
	// dir is where it runs (the folder of the log if empty), remove a folder that
	// goes when it has ended, as the user it runs as if that is another one.
	dir, remove string
	as          *syscall.SysProcAttr

	cmd  *exec.Cmd
	done chan struct{}
	// before is the CPU time of its earlier lives.
	before time.Duration
}

// start begins it; what it says is added to its log. It is killed when ctx ends.
func (p *process) start(ctx context.Context) error {
	out, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open the log of %s: %w", p.name, err)
	}
	cmd := exec.CommandContext(ctx, p.args[0], p.args[1:]...)
	cmd.Env, cmd.Stdout, cmd.Stderr, cmd.Dir, cmd.SysProcAttr = p.env, out, out, filepath.Dir(p.log), p.as
	if p.dir != "" {
		cmd.Dir = p.dir
	}
	if err := cmd.Start(); err != nil {
		return errors.Join(fmt.Errorf("start %s: %w", p.name, err), out.Close())
	}
	done := make(chan struct{})
	go func() {
		_ = cmd.Wait() // how it ended stands in ProcessState
		_ = out.Close()
		close(done)
	}()
	p.cmd, p.done = cmd, done
	return nil
}

// end sends a signal and waits until it has ended; one that does not is killed.
func (p *process) end(signal syscall.Signal) {
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Signal(signal) // it may have ended
	select {
	case <-p.done:
	case <-time.After(30 * time.Second):
		_ = p.cmd.Process.Kill() // as above
		<-p.done
	}
	p.before += p.cmd.ProcessState.UserTime() + p.cmd.ProcessState.SystemTime()
	p.cmd = nil
	if p.remove != "" {
		_ = os.RemoveAll(p.remove) // a temporary folder
	}
}

// tail is the end of its log.
func (p *process) tail() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	return string(bytes.Join(lines[max(0, len(lines)-8):], []byte("\n")))
}

// cpu is the processor time used so far, in steps of 10 ms.
func (p *process) cpu() time.Duration {
	if p.cmd == nil {
		return p.before
	}
	return p.before + cpuOf(p.cmd.Process.Pid)
}

// cpuOf reads user and system time of a process; 0 when it has ended.
func cpuOf(pid int) time.Duration { return ticksOf(pid, 2) }

// ticksOf adds the first n of a process's times: user, system, and those of its
// ended children.
func ticksOf(pid, n int) time.Duration {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	// The name in brackets may hold spaces; utime is the 12th field behind it (man 5 proc).
	fields := strings.Fields(string(raw[bytes.LastIndexByte(raw, ')')+1:]))
	if len(fields) < 11+n {
		return 0
	}
	var ticks int64
	for _, field := range fields[11 : 11+n] {
		one, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0
		}
		ticks += one
	}
	// Linux counts in USER_HZ, which is 100 everywhere Go runs.
	return time.Duration(ticks) * 10 * time.Millisecond
}

// peak is the most memory it ever held in RAM, in bytes.
func (p *process) peak() int64 {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(raw)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			if err == nil {
				return kb << 10
			}
		}
	}
	return 0
}

// freeAddress is a loopback address that nobody listens on now.
func freeAddress(ctx context.Context) (string, error) {
	var listening net.ListenConfig
	listener, err := listening.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}

// eventually looks every 100 ms until look is satisfied; what it saw last is
// told if it never is.
func eventually(ctx context.Context, what string, look func(context.Context) (bool, string)) error {
	deadline := time.Now().Add(patience)
	for {
		once, cancel := context.WithTimeout(ctx, 30*time.Second)
		ok, seen := look(once)
		cancel()
		if ok {
			return nil
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			return fmt.Errorf("waited in vain until %s; seen last: %s", what, seen)
		}
		if err := sleep(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
