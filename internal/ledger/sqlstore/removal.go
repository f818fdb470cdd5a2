package sqlstore

import (
	"context"
	"fmt"

	"github.com/accord-sync/accord/internal/ledger"
)

// removalBatch is how many rows one transaction of a clean-up deletes.
const removalBatch = 2000

// connectionTables lists the tables of a connection with their keys. Small ones
// come first: leases among them, so that workers still at it write nothing more.
func connectionTables() [][2]string {
	return [][2]string{
		{"leases", "lease_key"},
		{"sides", "side"},
		{"stream_states", "stream"},
		{"cursors", "stream, side, scope"},
		{"connection_versions", "version"},
		{"inbox", "side, object, record_id, stream"},
		{"intents", "id"},
		{"runs", "id"},
		{"guard_takes", "id"},
		{"held", "id"},
		{"conflicts", "id"},
		{"dead_letters", "id"},
		{"touch_points", "stream, side, record_id"},
		{"merges", "stream, side, record_id"},
		{"seen", "stream, side, record_id"},
		{"links", "id"},
		{"history", "id"},
		{"rule_events", "stream, side, object, record_id, event_id"},
		{"rule_counts", "rule, metric, labels"},
		{"firings", "id"},
		{"rule_matches", "rule, side, record_id"},
	}
}

// DeleteConnection implements ledger.Connections. The connection is gone with
// the first transaction; its rows follow in batches, so that a million of them
// hold nobody up. If the process dies meanwhile, Purge goes on.
func (s *Store) DeleteConnection(ctx context.Context, key ledger.Key) error {
	err := s.write(ctx, func(t *txn) error {
		gone, err := t.exec("DELETE FROM connections WHERE tenant_id = $1 AND connection_id = $2", key.Tenant, key.Connection)
		if err != nil {
			return err
		}
		if gone == 0 {
			return noConnection(key)
		}
		_, err = t.exec("INSERT INTO removals (tenant_id, connection_id, since) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
			key.Tenant, key.Connection, t.now)
		if err != nil {
			return err
		}
		_, err = t.exec("DELETE FROM leases WHERE tenant_id = $1 AND connection_id = $2", key.Tenant, key.Connection)
		return err
	})
	if err != nil {
		return err
	}
	_, err = s.finishRemoval(ctx, key)
	return err
}

// finishRemoval deletes the rows of a removed connection and returns how many.
func (s *Store) finishRemoval(ctx context.Context, key ledger.Key) (int, error) {
	total := 0
	for _, table := range connectionTables() {
		query := fmt.Sprintf(`DELETE FROM %[1]s WHERE (tenant_id, connection_id, %[2]s) IN
			(SELECT tenant_id, connection_id, %[2]s FROM %[1]s WHERE tenant_id = $1 AND connection_id = $2 LIMIT $3)`, table[0], table[1])
		count, err := s.inBatches(ctx, query, key.Tenant, key.Connection, removalBatch)
		total += count
		if err != nil {
			return total, err
		}
	}
	return total, s.write(ctx, func(t *txn) error {
		_, err := t.exec("DELETE FROM removals WHERE tenant_id = $1 AND connection_id = $2", key.Tenant, key.Connection)
		return err
	})
}

// inBatches runs a deleting statement, whose last argument is its limit, until
// it finds nothing more.
func (s *Store) inBatches(ctx context.Context, query string, args ...any) (int, error) {
	total := 0
	for {
		var count int64
		err := s.write(ctx, func(t *txn) error {
			var err error
			count, err = t.exec(query, args...)
			return err
		})
		total += int(count)
		if err != nil || count < removalBatch {
			return total, err
		}
	}
}
