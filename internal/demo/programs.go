package demo

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// programPatience is how long a program may take until it answers on its port.
const programPatience = 2 * time.Minute

// program is a real server on this machine, with a folder and a port of its own.
type program struct {
	address, dir string
	// env is its environment; nil: that of this process.
	env     []string
	running *exec.Cmd
}

// installed finds a program, or says what is needed.
func installed(name, what string) (string, error) {
	if found, err := exec.LookPath(name); err == nil {
		return found, nil
	}
	for _, folder := range []string{"/usr/sbin", "/usr/local/sbin"} {
		path := filepath.Join(folder, name)
		if executable(path) {
			return path, nil
		}
	}
	return "", needs{what}
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0
}

// startProgram starts a server; prepare gives its arguments.
func (p *Play) startProgram(ctx context.Context, path string, prepare func(started *program) ([]string, error)) (*program, error) {
	listener, err := listen(ctx, "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("find a free port: %w", err)
	}
	started := &program{address: listener.Addr().String()}
	_ = listener.Close() // it was held to find a free port
	if started.dir, err = os.MkdirTemp("", "accord-tour-*"); err != nil {
		return nil, fmt.Errorf("make a folder: %w", err)
	}
	args, err := prepare(started)
	if err != nil {
		started.stop()
		return nil, err
	}
	started.running = exec.CommandContext(context.WithoutCancel(ctx), path, args...) //nolint:gosec // a program of this machine, by its name
	started.running.Env = started.env
	apart(started.running)
	if err := started.running.Start(); err != nil {
		started.running = nil
		started.stop()
		return nil, fmt.Errorf("start %s: %w", filepath.Base(path), err)
	}
	_, err = p.await(ctx, filepath.Base(path)+" to answer", programPatience, func(ctx context.Context) (bool, string, error) {
		var dialer net.Dialer
		conn, err := dialer.DialContext(ctx, "tcp", started.address)
		if err != nil {
			return false, err.Error(), ctx.Err()
		}
		return true, "it answers", conn.Close()
	})
	if err != nil {
		started.stop()
		return nil, err
	}
	return started, nil
}

// stop ends the program and removes its folder.
func (s *program) stop() {
	if s.running != nil {
		end(s.running)
		_ = s.running.Wait() // killed: that it did not end well is no news
	}
	_ = os.RemoveAll(s.dir) // a temporary folder
}

// file writes a file into the program's folder.
func (s *program) file(name, content string) (string, error) {
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		return "", fmt.Errorf("write a setting: %w", err)
	}
	return path, nil
}

// natsStream has a NATS server keep the messages of some subjects, in the server's own
// line protocol (docs.nats.io, client protocol and JetStream API).
func natsStream(ctx context.Context, address, user, password, stream, subjects string) error {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("call NATS: %w", err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(programPatience)); err != nil {
		return fmt.Errorf("call NATS: %w", err)
	}
	body := fmt.Sprintf(`{"name":%q,"subjects":[%q],"storage":"file"}`, stream, subjects)
	_, err = fmt.Fprintf(conn, "CONNECT {\"verbose\":false,\"user\":%q,\"pass\":%q}\r\nSUB answers 1\r\nPUB $JS.API.STREAM.CREATE.%s answers %d\r\n%s\r\n",
		user, password, stream, len(body), body)
	if err != nil {
		return fmt.Errorf("call NATS: %w", err)
	}
	lines := bufio.NewReader(conn)
	for {
		line, err := lines.ReadString('\n')
		switch {
		case err != nil:
			return fmt.Errorf("read the answer of NATS: %w", err)
		case strings.HasPrefix(line, "-ERR"):
			return fmt.Errorf("NATS refuses: %s", strings.TrimSpace(line))
		case strings.HasPrefix(line, "MSG answers"):
			answer, err := lines.ReadString('\n')
			if err == nil && strings.Contains(answer, `"error"`) {
				err = fmt.Errorf("NATS refuses the stream: %s", strings.TrimSpace(answer))
			}
			return err
		}
	}
}
