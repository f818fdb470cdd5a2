package ledgertest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// PostgresServer is a private Postgres that can be killed and started again. What
// it acknowledged survives a kill of its processes, not one of the machine.
type PostgresServer struct {
	folder, server, dsn string
	args                []string
	attributes          *syscall.SysProcAttr
	run                 *exec.Cmd
	done                chan struct{}
}

// NewPostgresServer starts a Postgres in a temporary folder; it runs until the test
// ends. Where there is none, the test is skipped and says so.
func NewPostgresServer(t testing.TB) *PostgresServer { t.Helper(); return startServer(t) }

// DSN is the address of the server, on which databases may be made.
func (p *PostgresServer) DSN() string { return p.dsn }

// startServer makes a server with settings of its own and waits until it answers.
func startServer(t testing.TB, settings ...string) *PostgresServer {
	t.Helper()
	server, initdb := findPostgres()
	if server == "" {
		t.Skip("no Postgres here: set ACCORD_TEST_POSTGRES to a server's address, or install the postgresql package")
	}
	folder, err := os.MkdirTemp("", "accord-postgres-")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(folder) }) // a temporary folder, nothing rests on it
	attributes, err := unprivileged(folder)
	if err != nil {
		t.Skipf("Postgres does not run as root and there is no other user to run it as: %v", err)
	}
	data := filepath.Join(folder, "data")
	setup := exec.CommandContext(t.Context(), initdb, "-D", data, "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync")
	setup.Dir, setup.SysProcAttr = folder, attributes
	output, err := setup.CombinedOutput()
	require.NoError(t, err, "initdb: %s", output)
	port := freePort(t)
	p := &PostgresServer{
		folder: folder, server: server, attributes: attributes,
		dsn: fmt.Sprintf("postgres://postgres@127.0.0.1:%d/postgres?sslmode=disable", port),
		args: append([]string{"-D", data, "-h", "127.0.0.1", "-p", fmt.Sprint(port), "-k", folder,
			"-c", "fsync=off", "-c", "full_page_writes=off", "-c", "max_connections=200"}, settings...),
	}
	p.Start(t)
	t.Cleanup(p.stop)
	return p
}

// Start begins the server (again) and waits until it answers. The processes of a
// killed one may need a moment to go: it is tried for half a minute.
func (p *PostgresServer) Start(t testing.TB) {
	t.Helper()
	p.begin(t)
	require.Eventually(t, func() bool {
		if p.ended() {
			p.begin(t)
		}
		return answers(p.dsn)
	}, 30*time.Second, 100*time.Millisecond, "Postgres does not come up")
}

func (p *PostgresServer) begin(t testing.TB) {
	t.Helper()
	log, err := os.OpenFile(filepath.Join(p.folder, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(t, err)
	defer func() { _ = log.Close() }() // the server has its own handle
	// It outlives the test that started it, up to its clean-up.
	p.run = exec.CommandContext(context.WithoutCancel(t.Context()), p.server, p.args...)
	p.run.Dir, p.run.SysProcAttr = p.folder, p.attributes
	p.run.Stdout, p.run.Stderr = log, log
	require.NoError(t, p.run.Start())
	run, done := p.run, make(chan struct{})
	p.done = done
	go func() {
		_ = run.Wait() // how it ended does not matter
		close(done)
	}()
}

func (p *PostgresServer) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// Kill ends the server at once (SIGKILL): its helpers notice and end too.
func (p *PostgresServer) Kill() {
	_ = p.run.Process.Kill() // it may have ended meanwhile
	<-p.done
}

func (p *PostgresServer) stop() {
	_ = p.run.Process.Signal(os.Interrupt) // fast shutdown; if it is gone already, fine
	<-p.done
}
