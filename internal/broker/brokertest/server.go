// Package brokertest starts real brokers on this machine, each with a folder and a
// port of its own, for tests. Where a program is missing the test is skipped.
package brokertest

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/require"
)

// patience bounds the start of a server.
const patience = 2 * time.Minute

// Server is a broker that can be ended and started again with its data.
type Server struct {
	// URL is its address, Username and Password an account of it.
	URL, Username, Password string

	address string
	log     string
	ready   func(ctx context.Context) error
	command func() *exec.Cmd
	running *exec.Cmd
}

// NATS starts a NATS server with JetStream.
func NATS(t testing.TB) *Server {
	t.Helper()
	program := find(t, "nats-server", "nats-server")
	dir := t.TempDir()
	s := &Server{address: freeAddress(t), log: filepath.Join(dir, "nats.log"), Username: "accord", Password: "nats-test-password"}
	s.URL = "nats://" + s.address
	_, port, err := net.SplitHostPort(s.address)
	require.NoError(t, err)
	s.command = func() *exec.Cmd {
		return exec.CommandContext(context.Background(), program, "-js", "-sd", filepath.Join(dir, "data"), "-a", "127.0.0.1", "-p", port, "--user", s.Username, "--pass", s.Password)
	}
	s.ready = func(ctx context.Context) error {
		var dialer net.Dialer
		conn, err := dialer.DialContext(ctx, "tcp", s.address)
		if err != nil {
			return err
		}
		return conn.Close()
	}
	s.Start(t)
	t.Cleanup(s.Stop)
	return s
}

// RabbitMQ starts a RabbitMQ node. It takes several seconds.
func RabbitMQ(t testing.TB) *Server {
	t.Helper()
	program := find(t, "rabbitmq-server", "rabbitmq-server")
	// Debian's own command changes the user; the server itself lies here.
	if own := "/usr/lib/rabbitmq/bin/rabbitmq-server"; executable(own) {
		program = own
	}
	dir := t.TempDir()
	s := &Server{address: freeAddress(t), log: filepath.Join(dir, "rabbitmq.log"), Username: "accord", Password: "rabbit-test-password"}
	s.URL = "amqp://" + s.address
	_, port, err := net.SplitHostPort(s.address)
	require.NoError(t, err)
	_, distribution, err := net.SplitHostPort(freeAddress(t))
	require.NoError(t, err)
	_, names, err := net.SplitHostPort(freeAddress(t))
	require.NoError(t, err)
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	settings := write("rabbitmq.conf", "listeners.tcp.default = 127.0.0.1:"+port+"\ndefault_user = "+s.Username+"\ndefault_pass = "+s.Password+"\nlog.console = true\n")
	s.startNames(t, names, s.log)
	s.command = func() *exec.Cmd {
		command := exec.CommandContext(context.Background(), program)
		command.Env = []string{
			"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "LANG=C.UTF-8", "ERL_EPMD_PORT=" + names, "ERL_EPMD_ADDRESS=127.0.0.1",
			"RABBITMQ_NODENAME=accord" + port + "@localhost", "RABBITMQ_DIST_PORT=" + distribution, "RABBITMQ_CONFIG_FILE=" + settings,
			"RABBITMQ_MNESIA_BASE=" + filepath.Join(dir, "data"), "RABBITMQ_LOG_BASE=" + dir, "RABBITMQ_LOGS=-", "RABBITMQ_PID_FILE=" + filepath.Join(dir, "pid"),
			"RABBITMQ_ENABLED_PLUGINS_FILE=" + write("enabled_plugins", "[].\n"), "RABBITMQ_CONF_ENV_FILE=" + write("rabbitmq-env.conf", ""),
			"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=+S 1:1 +sbwt none",
		}
		return command
	}
	s.ready = func(context.Context) error {
		conn, err := amqp.DialConfig(s.URL, amqp.Config{SASL: []amqp.Authentication{&amqp.PlainAuth{Username: s.Username, Password: s.Password}}})
		if err != nil {
			return err
		}
		return conn.Close()
	}
	s.Start(t)
	t.Cleanup(s.Stop)
	return s
}

// startNames starts the name server of Erlang on a port of its own, which would else
// be started beside everything and stay.
func (s *Server) startNames(t testing.TB, port, log string) {
	t.Helper()
	program := find(t, "epmd", "erlang-base")
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(t, err)
	names := exec.CommandContext(context.Background(), program, "-port", port, "-address", "127.0.0.1")
	names.Stdout, names.Stderr = out, out
	require.NoError(t, names.Start())
	_ = out.Close() // the program has it
	t.Cleanup(func() {
		_ = names.Process.Kill() // it may have ended by itself
		_ = names.Wait()         // as above
	})
}

// find looks for a program, or skips the test.
func find(t testing.TB, program, packageName string) string {
	t.Helper()
	found, err := exec.LookPath(program)
	if err != nil {
		for _, folder := range []string{"/usr/sbin", "/usr/local/sbin"} {
			if path := filepath.Join(folder, program); executable(path) {
				return path
			}
		}
		t.Skipf("%s is not installed: apt-get install %s", program, packageName)
	}
	return found
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0
}

// Start starts the server, and waits until it answers.
func (s *Server) Start(t testing.TB) {
	t.Helper()
	log, err := os.OpenFile(s.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(t, err)
	s.running = s.command()
	s.running.Stdout, s.running.Stderr = log, log
	// A group of its own: what it starts ends with it.
	s.running.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	require.NoError(t, s.running.Start())
	_ = log.Close() // the server has it
	require.Eventually(t, func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		return s.ready(ctx) == nil
	}, patience, 50*time.Millisecond, "%s does not answer; its log is %s", s.URL, s.log)
}

// Stop kills the server; it may be started again.
func (s *Server) Stop() {
	if s.running == nil {
		return
	}
	_ = syscall.Kill(-s.running.Process.Pid, syscall.SIGKILL) // it may have ended by itself
	_ = s.running.Wait()                                      // as above
	s.running = nil
}

// freeAddress is a loopback address that nobody listens on now.
func freeAddress(t testing.TB) string {
	t.Helper()
	var listen net.ListenConfig
	listener, err := listen.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}
