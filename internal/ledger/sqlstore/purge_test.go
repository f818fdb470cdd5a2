package sqlstore

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/ledger"
)

// What is too old is found by an index, however much is not.
func TestPurgeReadsNoWholeTable(t *testing.T) {
	store, err := Open(t.Context(), "sqlite::memory:", Options{Key: bytes.Repeat([]byte("k"), 32)})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	require.NoError(t, store.Migrate(t.Context()))
	for _, rule := range purgeRules(ledger.Retention{History: time.Hour}) {
		query := "EXPLAIN QUERY PLAN SELECT " + rule.key + " FROM " + rule.table + " WHERE " + strings.ReplaceAll(rule.condition, "$1", "1") + " LIMIT 2"
		var plan []string
		require.NoError(t, store.read(t.Context(), func(tx *txn) error {
			plan = nil
			return tx.rows(query, nil, func(scan func(...any) error) error {
				var id, parent, unused int
				var detail string
				err := scan(&id, &parent, &unused, &detail)
				plan = append(plan, detail)
				return err
			})
		}))
		require.Contains(t, strings.Join(plan, "\n"), "SEARCH "+rule.table+" USING", "%s: %v", rule.table, plan)
	}
}
