package ledgertest_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/ledger/ledgertest"
)

// TestKilledServerKeepsWhatItAcknowledged kills a Postgres right after a commit.
func TestKilledServerKeepsWhatItAcknowledged(t *testing.T) {
	server := ledgertest.NewPostgresServer(t)
	run := func(statement string) (count int) {
		conn, err := pgx.Connect(t.Context(), server.DSN())
		require.NoError(t, err)
		defer func() { _ = conn.Close(t.Context()) }()
		if statement != "" {
			_, err = conn.Exec(t.Context(), statement)
			require.NoError(t, err)
			return 0
		}
		require.NoError(t, conn.QueryRow(t.Context(), "SELECT count(*) FROM kept").Scan(&count))
		return count
	}
	run("CREATE TABLE kept (n int)")
	for n := range 3 {
		run("INSERT INTO kept VALUES (1)")
		server.Kill()
		server.Start(t)
		require.Equal(t, n+1, run(""))
	}
}
