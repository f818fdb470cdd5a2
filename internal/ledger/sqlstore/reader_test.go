package sqlstore

import (
	"bytes"
	"context"
	"testing"

	"github.com/stretchr/testify/require"
)

// A reader that is left in the middle of a transaction (a call that was given up while it
// began one) costs one call at most, and not each one that gets it.
func TestAReaderInTheMiddleOfATransactionIsGivenUp(t *testing.T) {
	store, err := Open(t.Context(), "sqlite::memory:", Options{Key: bytes.Repeat([]byte("k"), 32)})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	b, ok := store.backend.(*lite)
	require.True(t, ok)
	reader := <-b.readers
	_, err = reader.ExecContext(t.Context(), "BEGIN")
	require.NoError(t, err)
	b.readers <- reader
	failed := 0
	for range 4 * liteReaders {
		if err := b.read(t.Context(), func(*txn) error { return nil }); err != nil {
			failed++
		}
	}
	require.LessOrEqual(t, failed, 1)
}

// A call that is over before it begins leaves its reader as it was.
func TestACallThatIsOverTouchesNoReader(t *testing.T) {
	store, err := Open(t.Context(), "sqlite::memory:", Options{Key: bytes.Repeat([]byte("k"), 32)})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for range 4 * liteReaders {
		require.Error(t, store.backend.read(over, func(*txn) error { return nil }))
	}
	for range 4 * liteReaders {
		require.NoError(t, store.backend.read(t.Context(), func(*txn) error { return nil }))
	}
}
