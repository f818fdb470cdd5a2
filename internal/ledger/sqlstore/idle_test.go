package sqlstore

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/ledger/ledgertest"
)

// A worker that falls asleep inside a transaction must not keep its locks: the
// others go on, and what it does when it wakes is refused and done again.
func TestPostgresEndsTransactionsOfSleepers(t *testing.T) {
	dsn := ledgertest.NewPostgresDatabase(t, ledgertest.StartPostgres(t))
	store, err := Open(t.Context(), dsn, Options{Key: make([]byte, 32)})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	_, err = store.admin.ExecContext(t.Context(), "CREATE TABLE sleepers (n INT)")
	require.NoError(t, err)
	_, err = store.admin.ExecContext(t.Context(), "INSERT INTO sleepers VALUES (0)")
	require.NoError(t, err)
	const update = "UPDATE sleepers SET n = n + $1"

	asleep, wake, slept := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		first := true
		slept <- store.write(context.WithoutCancel(t.Context()), func(tx *txn) error {
			if _, err := tx.exec(update, 1); err != nil || !first {
				return err
			}
			first = false
			close(asleep)
			<-wake
			return nil
		})
	}()
	<-asleep
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	require.NoError(t, store.write(ctx, func(tx *txn) error {
		_, err := tx.exec(update, 10)
		return err
	}), "the sleeper's lock is never given up")
	close(wake)
	require.Error(t, <-slept, "what the sleeper did was undone, so it must not be told that it is done")
	var sum int
	require.NoError(t, store.admin.QueryRowContext(t.Context(), "SELECT n FROM sleepers").Scan(&sum))
	require.Equal(t, 10, sum)
}
