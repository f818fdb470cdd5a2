//go:build e2e

package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// process is one program that can be killed and started again with the same settings.
type process struct {
	name, program string
	args, env     []string
	log           string

	mutex sync.Mutex
	cmd   *exec.Cmd
	done  chan struct{}
}

// start begins the program; its output is added to its log.
func (p *process) start(t testing.TB) {
	t.Helper()
	p.mutex.Lock()
	defer p.mutex.Unlock()
	out, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(t, err)
	cmd := exec.Command(filepath.Join(bin, p.program), p.args...)
	cmd.Env, cmd.Stdout, cmd.Stderr, cmd.Dir = p.env, out, out, filepath.Dir(p.log)
	require.NoError(t, cmd.Start(), "start %s", p.name)
	done := make(chan struct{})
	go func() {
		_ = cmd.Wait() // how it ended stands in ProcessState
		_ = out.Close()
		close(done)
	}()
	p.cmd, p.done = cmd, done
}

// running says whether the program was started and has not ended.
func (p *process) running() bool {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.cmd == nil {
		return false
	}
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// kill ends the program at once (SIGKILL).
func (p *process) kill(t testing.TB) {
	t.Helper()
	require.True(t, p.running(), "%s ended before it was killed:\n%s", p.name, p.tail())
	p.signal(syscall.SIGKILL)
	t.Logf("killed %s with SIGKILL", p.name)
}

// stop asks the program to end and kills it if it does not.
func (p *process) stop() (orderly bool) {
	if !p.running() {
		return false
	}
	return p.signal(syscall.SIGTERM)
}

func (p *process) signal(signal syscall.Signal) bool {
	p.mutex.Lock()
	cmd, done := p.cmd, p.done
	p.mutex.Unlock()
	_ = cmd.Process.Signal(signal) // it may have ended meanwhile
	select {
	case <-done:
		return true
	case <-time.After(30 * time.Second):
		_ = cmd.Process.Kill() // as above
		<-done
		return false
	}
}

// output is all that the program has logged.
func (p *process) output() []byte {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return nil
	}
	return text
}

// tail is what the log says about trouble, and its end, for people.
func (p *process) tail() string {
	lines := bytes.Split(bytes.TrimSpace(p.output()), []byte("\n"))
	var told [][]byte
	for n, line := range lines {
		trouble := bytes.Contains(line, []byte(`"level":"warning"`)) || bytes.Contains(line, []byte(`"level":"error"`))
		if n >= len(lines)-4 || trouble {
			told = append(told, line)
		}
	}
	return string(bytes.Join(told[max(0, len(told)-20):], []byte("\n")))
}
