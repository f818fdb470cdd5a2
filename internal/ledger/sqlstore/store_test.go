package sqlstore_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/ledger/ledgertest"
	"github.com/accord-sync/accord/internal/ledger/sqlstore"
)

func testKey() []byte { return bytes.Repeat([]byte{7}, 32) }

func open(t testing.TB, dsn string, clock *ledgertest.Clock) *sqlstore.Store {
	t.Helper()
	store, err := sqlstore.Open(context.Background(), dsn, sqlstore.Options{Key: testKey(), ClockOffset: clock.Offset, Now: clock.Machine})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	return store
}

// sqliteDatabase is a new file.
func sqliteDatabase(t *testing.T) ledgertest.Database {
	// The folder's name has what a URL would trip over.
	folder := filepath.Join(t.TempDir(), "data 100%? #1")
	require.NoError(t, os.Mkdir(folder, 0o700))
	file := filepath.Join(folder, "ledger.db")
	return ledgertest.Database{
		Open: func(t *testing.T, clock *ledgertest.Clock) ledger.Store { return open(t, "sqlite:"+file, clock) },
		Raw: func(t *testing.T) []byte {
			var all []byte
			for _, suffix := range []string{"", "-wal"} {
				content, err := os.ReadFile(file + suffix)
				require.NoError(t, err)
				all = append(all, content...)
			}
			return all
		},
	}
}

func postgresDatabase(t *testing.T, server string) ledgertest.Database {
	dsn := ledgertest.NewPostgresDatabase(t, server)
	return ledgertest.Database{
		Open: func(t *testing.T, clock *ledgertest.Clock) ledger.Store { return open(t, dsn, clock) },
		Raw:  func(t *testing.T) []byte { return dumpPostgres(t, dsn) },
	}
}

// dumpPostgres prints every row of every table.
func dumpPostgres(t *testing.T, dsn string) []byte {
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, dsn)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(ctx)) }()
	rows, err := conn.Query(ctx, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
	require.NoError(t, err)
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	var all []byte
	for _, table := range tables {
		rows, err := conn.Query(ctx, "SELECT CAST(t AS text) FROM "+table+" t")
		require.NoError(t, err)
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)
		for _, line := range lines {
			all = append(append(all, line...), '\n')
		}
	}
	return all
}

func TestSQLite(t *testing.T) {
	ledgertest.Run(t, sqliteDatabase)
	t.Run("migrate an empty one at once", func(t *testing.T) { ledgertest.MigrateRace(t, sqliteDatabase(t)) })
}

func TestPostgres(t *testing.T) {
	server := ledgertest.StartPostgres(t)
	fresh := func(t *testing.T) ledgertest.Database { return postgresDatabase(t, server) }
	ledgertest.Run(t, fresh)
	t.Run("migrate an empty one at once", func(t *testing.T) { ledgertest.MigrateRace(t, fresh(t)) })
}

func TestWrongKeyIsToldAtTheStart(t *testing.T) {
	ctx := context.Background()
	dsn := "sqlite:" + filepath.Join(t.TempDir(), "ledger.db")
	require.NoError(t, open(t, dsn, &ledgertest.Clock{}).Migrate(ctx))
	other, err := sqlstore.Open(ctx, dsn, sqlstore.Options{Key: bytes.Repeat([]byte{8}, 32)})
	require.NoError(t, err)
	err = other.Migrate(ctx)
	require.Equal(t, fault.Usage, fault.CodeOf(err))
	require.ErrorContains(t, err, "another key")
	require.NoError(t, other.Close())
}

func TestOpenRefuses(t *testing.T) {
	folder := t.TempDir()
	for name, test := range map[string]struct {
		dsn  string
		key  []byte
		code fault.Code
		says string
	}{
		"no key":            {"sqlite:x.db", nil, fault.Usage, "32 bytes"},
		"short key":         {"sqlite:x.db", []byte("short"), fault.Usage, "32 bytes"},
		"unknown kind":      {"mysql://u:hunter2@h/d", testKey(), fault.Usage, "sqlite:FILE"},
		"no file":           {"sqlite:", testKey(), fault.Usage, "names no file"},
		"folder is missing": {"sqlite:" + filepath.Join(folder, "no", "x.db"), testKey(), fault.Unavailable, filepath.Join("no", "x.db")},
		"not a database":    {"sqlite:" + notADatabase(t), testKey(), fault.Unavailable, "notes.txt"},
		"bad address":       {"postgres://u:hunter2@h:port/d", testKey(), fault.Usage, "address"},
		"nobody listens":    {"postgres://u:hunter2@127.0.0.1:1/d", testKey(), fault.Unavailable, "127.0.0.1/d"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := sqlstore.Open(context.Background(), test.dsn, sqlstore.Options{Key: test.key})
			require.Equal(t, test.code, fault.CodeOf(err), "%v", err)
			require.ErrorContains(t, err, test.says)
			require.NotContains(t, err.Error(), "hunter2")
		})
	}
}

func notADatabase(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "notes.txt")
	require.NoError(t, os.WriteFile(path, bytes.Repeat([]byte("not a database\n"), 100), 0o600))
	return path
}

func TestWithoutSchemaSaysSo(t *testing.T) {
	_, err := open(t, "sqlite:"+filepath.Join(t.TempDir(), "x.db"), &ledgertest.Clock{}).FindConnection(context.Background(), "c")
	require.Equal(t, fault.Unavailable, fault.CodeOf(err))
	require.ErrorContains(t, err, "accord migrate")
}

func TestMemoryLeavesNothingBehind(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	store, err := sqlstore.Open(context.Background(), "sqlite::memory:", sqlstore.Options{Key: testKey()})
	require.NoError(t, err)
	require.NoError(t, store.Migrate(context.Background()))
	require.NoError(t, store.Close())
	left, err := os.ReadDir(os.Getenv("TMPDIR"))
	require.NoError(t, err)
	require.Empty(t, left)
	require.Equal(t, fault.Unavailable, fault.CodeOf(store.Ping(context.Background())))
}
