package devserver

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/log/tag"
	"go.temporal.io/server/common/metrics"
	"go.temporal.io/server/common/persistence/sql"
	"go.temporal.io/server/common/persistence/sql/sqlplugin"
	"go.temporal.io/server/common/resolver"
)

func TestRefusals(t *testing.T) {
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = taken.Close() }()
	notAFolder := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(notAFolder, []byte("x"), 0o600))
	folderForFile := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(folderForFile, DatabaseFile), 0o700))
	garbage := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(garbage, DatabaseFile), []byte("this is not a database, it is a line of text"), 0o600))

	tests := []struct {
		name string
		opts Options
		want []string
	}{
		{"port in use", Options{Listen: taken.Addr().String()}, []string{taken.Addr().String(), "in use", "choose another port"}},
		{"no port", Options{Listen: "localhost"}, []string{"localhost", "give host:port"}},
		{"foreign address", Options{Listen: "192.0.2.1:0"}, []string{"192.0.2.1:0", "choose an address of this machine"}},
		{"short retention", Options{Retention: time.Minute}, []string{"1m0s", "1h0m0s or more"}},
		{"file for a folder", Options{DataDir: notAFolder}, []string{notAFolder, "choose another folder"}},
		{"folder for a file", Options{DataDir: folderForFile}, []string{DatabaseFile, "choose another data folder"}},
		{"not a database", Options{DataDir: garbage}, []string{DatabaseFile, "restore it from a backup"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Start(t.Context(), tt.opts)
			require.Error(t, err)
			for _, want := range tt.want {
				require.ErrorContains(t, err, want)
			}
		})
	}
}

func TestCancelledStart(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := Start(ctx, Options{})
	require.ErrorIs(t, err, context.Canceled)
}

func TestUIPortInUseLeavesNothingBehind(t *testing.T) {
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = taken.Close() }()
	dir := t.TempDir()
	_, err = Start(t.Context(), Options{DataDir: dir, UIListen: taken.Addr().String()})
	require.ErrorContains(t, err, "the Temporal UI cannot listen on "+taken.Addr().String())
	lock, err := lockFolder(dir)
	require.NoError(t, err, "a failed start must give the folder up")
	lock.release()
}

func TestOneProcessPerFolder(t *testing.T) {
	dir := t.TempDir()
	lock, err := lockFolder(dir)
	require.NoError(t, err)
	defer lock.release()
	_, err = Start(t.Context(), Options{DataDir: dir})
	require.ErrorIs(t, err, errLocked)
	require.ErrorContains(t, err, dir)
	require.ErrorContains(t, err, "in use by process")
}

func openAdmin(t *testing.T, dir string) sqlplugin.AdminDB {
	t.Helper()
	cfg, err := sqliteConfig(dir)
	require.NoError(t, err)
	db, err := sql.NewSQLAdminDB(sqlplugin.DbKindUnknown, cfg, resolver.NewNoopResolver(), log.NewNoopLogger(), metrics.NoopMetricsHandler)
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func prepare(t *testing.T, dir string) error {
	t.Helper()
	opts, err := withDefaults(Options{DataDir: dir})
	require.NoError(t, err)
	cfg, err := sqliteConfig(dir)
	require.NoError(t, err)
	return prepareStore(cfg, opts)
}

func TestEmptyFileOfACrashedStartIsFilled(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, DatabaseFile), nil, 0o600))
	require.NoError(t, prepare(t, dir))
	require.NoError(t, prepare(t, dir), "a second start changes nothing")
	version, err := openAdmin(t, dir).ReadSchemaVersion(schemaOwner)
	require.NoError(t, err)
	require.Equal(t, schemaVersion, version)
}

func TestFailedSchemaLeavesNoTables(t *testing.T) {
	dir := t.TempDir()
	db := openAdmin(t, dir)
	// The last statement of the schema's transaction fails on this table.
	require.NoError(t, db.Exec("CREATE TABLE schema_version(x INT)"))
	require.ErrorContains(t, createSchema(db, "the file"), "create the Temporal schema")
	tables, err := db.ListTables("")
	require.NoError(t, err)
	require.Equal(t, []string{"schema_version"}, tables)
}

func TestForeignFilesAreRefused(t *testing.T) {
	t.Run("other content", func(t *testing.T) {
		dir := t.TempDir()
		require.NoError(t, openAdmin(t, dir).Exec("CREATE TABLE customers(id INT)"))
		require.ErrorContains(t, prepare(t, dir), "not a Temporal data file made by accord")
	})
	t.Run("other version", func(t *testing.T) {
		dir := t.TempDir()
		require.NoError(t, prepare(t, dir))
		require.NoError(t, openAdmin(t, dir).Exec("UPDATE schema_version SET curr_version = '0.1+0.1'"))
		require.ErrorContains(t, prepare(t, dir), "schema 0.1+0.1, this one needs "+schemaVersion)
	})
}

func TestMissingAttributes(t *testing.T) {
	present := map[string]enums.IndexedValueType{"A": enums.INDEXED_VALUE_TYPE_KEYWORD}
	missing, err := missingAttributes(keywords("A", "B"), present)
	require.NoError(t, err)
	require.Equal(t, keywords("B"), missing)
	_, err = missingAttributes(map[string]enums.IndexedValueType{"A": enums.INDEXED_VALUE_TYPE_INT}, present)
	require.ErrorContains(t, err, "A exists as Keyword but Int is needed")
}

func TestLogAdapter(t *testing.T) {
	logger, hook := logtest.NewNullLogger()
	logger.SetLevel(logrus.DebugLevel)
	adapter := newLogAdapter(logger)
	adapter.Error("early")
	adapter.setQuiet(false)
	adapter.Info("dropped")
	tagged := adapter.With(tag.NewStringTag("shard", "1"))
	tagged.Warn("slow", tag.NewInt("attempt", 2))
	adapter.setQuiet(true)
	tagged.Warn("late")

	type line struct {
		level   logrus.Level
		message string
	}
	var lines []line
	for _, entry := range hook.AllEntries() {
		lines = append(lines, line{entry.Level, entry.Message})
	}
	require.Equal(t, []line{{logrus.DebugLevel, "early"}, {logrus.WarnLevel, "slow"}, {logrus.DebugLevel, "late"}}, lines)
	require.Equal(t, logrus.Fields{"component": "temporal", "shard": "1", "attempt": int64(2)}, hook.AllEntries()[1].Data)
}

func TestReachable(t *testing.T) {
	require.Equal(t, "127.0.0.1:7233", reachable(&net.TCPAddr{IP: net.IPv4zero, Port: 7233}))
	require.Equal(t, "127.0.0.1:7233", reachable(&net.TCPAddr{IP: net.IPv6unspecified, Port: 7233}))
	require.Equal(t, "[::1]:7233", reachable(&net.TCPAddr{IP: net.IPv6loopback, Port: 7233}))
}
