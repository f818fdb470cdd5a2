package sqlstore

import (
	"context"
	"fmt"
	"time"

	"github.com/accord-sync/accord/internal/ledger"
)

// lapsedLease is how long a lapsed lease is kept: while it lies there untaken,
// a late worker may still commit under it.
const lapsedLease = 24 * time.Hour

// purgeRule says what of a table is too old.
type purgeRule struct {
	table, key, condition string
	// after is the retention; zero keeps for good.
	after time.Duration
}

func purgeRules(r ledger.Retention) []purgeRule {
	const row = "tenant_id, connection_id, id"
	return []purgeRule{
		{"history", row, "at < $1", r.History},
		{"conflicts", row, "state = 'closed' AND closed_at < $1", r.ClosedConflicts},
		{"dead_letters", row, "state <> 'open' AND updated_at < $1", r.ClosedDeadLetters},
		// A held operation that is over says no more than the history does.
		{"held", row, "state IN ('done', 'rejected') AND updated_at < $1", r.History},
		{"firings", row, "state IN ('done', 'cancelled') AND updated_at < $1", r.History},
		{"runs", row, "ended_at > 0 AND ended_at < $1", r.EndedRuns},
		{"links", row, "state = 'tombstone' AND updated_at < $1", r.Tombstones},
		{"requests", "tenant_id, idempotency_key", "begun_at < $1", r.Requests},
		{"leases", "tenant_id, connection_id, lease_key", "expires_at < $1", lapsedLease},
	}
}

// Purge implements ledger.Store. It also finishes removals of connections that a
// dead process left half done.
func (s *Store) Purge(ctx context.Context, retention ledger.Retention) (int, error) {
	var now int64
	var removals []ledger.Key
	err := s.read(ctx, func(t *txn) error {
		now, removals = t.now, nil
		return t.rows("SELECT tenant_id, connection_id FROM removals", nil, func(scan func(...any) error) error {
			var key ledger.Key
			err := scan(&key.Tenant, &key.Connection)
			removals = append(removals, key)
			return err
		})
	})
	if err != nil {
		return 0, err
	}
	total := 0
	for _, key := range removals {
		count, err := s.finishRemoval(ctx, key)
		total += count
		if err != nil {
			return total, err
		}
	}
	for _, rule := range purgeRules(retention) {
		if rule.after <= 0 {
			continue
		}
		query := fmt.Sprintf("DELETE FROM %[1]s WHERE (%[2]s) IN (SELECT %[2]s FROM %[1]s WHERE %[3]s LIMIT $2)", rule.table, rule.key, rule.condition)
		count, err := s.inBatches(ctx, query, now-rule.after.Microseconds(), removalBatch)
		total += count
		if err != nil {
			return total, err
		}
	}
	return total, nil
}
