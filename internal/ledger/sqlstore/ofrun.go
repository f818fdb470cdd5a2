package sqlstore

import (
	"context"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// OfRun implements ledger.Inbox.
func (s *Store) OfRun(ctx context.Context, key ledger.Key, runID, stream string, after record.Ref, limit int) ([]ledger.Change, error) {
	if runID == "" || stream == "" || limit <= 0 {
		return nil, fault.New(fault.Usage, "what waits of a run is asked for by run, stream and limit")
	}
	var found []ledger.Change
	err := s.read(ctx, func(t *txn) error {
		found = nil
		return t.rows(`SELECT side, object, record_id, lane, shown FROM inbox
			WHERE tenant_id = $1 AND connection_id = $2 AND run_id = $3 AND run_id <> '' AND stream = $4 AND (side, object, record_id) > ($5, $6, $7)
			ORDER BY side, object, record_id LIMIT `+bound("$8"),
			[]any{key.Tenant, key.Connection, runID, stream, string(after.Side), after.Object, after.ID, limit}, func(scan func(...any) error) error {
				change := ledger.Change{Stream: stream, RunID: runID}
				var sealed []byte
				err := scan(&change.Ref.Side, &change.Ref.Object, &change.Ref.ID, &change.Lane, &sealed)
				if err == nil {
					err = t.openShown(key, &change, sealed)
				}
				found = append(found, change)
				return err
			})
	})
	return found, err
}
