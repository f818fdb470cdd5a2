package ledgertest

import (
	"context"
	"crypto/rand"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// StartPostgres returns the address of a Postgres server on which databases may
// be made: that of ACCORD_TEST_POSTGRES if set, else a private one that runs in
// a temporary folder until the test ends. Where there is none, the test is
// skipped and says so.
func StartPostgres(t testing.TB) string {
	t.Helper()
	if dsn := os.Getenv("ACCORD_TEST_POSTGRES"); dsn != "" {
		return dsn
	}
	return startServer(t, "-c", "synchronous_commit=off").dsn
}

// NewPostgresDatabase makes an empty database on a server and returns its
// address; it is dropped when the test ends.
func NewPostgresDatabase(t testing.TB, server string) string {
	t.Helper()
	ctx := context.Background()
	name := "accord_test_" + strings.ToLower(rand.Text())
	admin := func(statement string) error {
		conn, err := pgx.Connect(ctx, server)
		if err != nil {
			return err
		}
		defer func() { _ = conn.Close(ctx) }() // the statement's error is the one that counts
		_, err = conn.Exec(ctx, statement)
		return err
	}
	require.NoError(t, admin("CREATE DATABASE "+name))
	t.Cleanup(func() {
		if err := admin("DROP DATABASE " + name + " WITH (FORCE)"); err != nil {
			t.Logf("the test database %s stays: %v", name, err)
		}
	})
	address, err := url.Parse(server)
	require.NoError(t, err)
	address.Path = "/" + name
	return address.String()
}

// findPostgres looks for the server and initdb beside it; the newest version
// that Debian or Ubuntu installed, else the path.
func findPostgres() (server, initdb string) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres") // the pattern is good
	slices.Sort(found)
	slices.Reverse(found)
	if onPath, err := exec.LookPath("postgres"); err == nil {
		found = append(found, onPath)
	}
	for _, candidate := range append(found, "/usr/local/bin/postgres") {
		beside := filepath.Join(filepath.Dir(candidate), "initdb")
		if isFile(candidate) && isFile(beside) {
			return candidate, beside
		}
	}
	return "", ""
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir()
}

func freePort(t testing.TB) int {
	t.Helper()
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = listener.Close() }()
	address, ok := listener.Addr().(*net.TCPAddr)
	require.True(t, ok)
	return address.Port
}

func answers(dsn string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return false
	}
	return conn.Close(ctx) == nil
}
