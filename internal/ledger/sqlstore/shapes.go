package sqlstore

import (
	"context"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
)

// shapeScope is the cursor scope in which the state of shapes is kept.
const shapeScope = "shape"

// ShapeStates implements ledger.Listings.
func (s *Store) ShapeStates(ctx context.Context, key ledger.Key) ([]ledger.ShapeState, error) {
	var states []ledger.ShapeState
	err := s.read(ctx, func(t *txn) error {
		states = nil
		return t.rows(`SELECT body FROM cursors WHERE tenant_id = $1 AND connection_id = $2 AND scope = $3 ORDER BY stream, side`,
			[]any{key.Tenant, key.Connection, shapeScope}, func(scan func(...any) error) error {
				var body string
				if err := scan(&body); err != nil {
					return err
				}
				var state ledger.ShapeState
				err := decodeJSON([]byte(body), &state)
				states = append(states, state)
				return err
			})
	})
	return states, err
}

// PutShapeState implements ledger.Listings.
func (s *Store) PutShapeState(ctx context.Context, key ledger.Key, state ledger.ShapeState) error {
	if state.Stream == "" || !state.Side.Valid() {
		return fault.New(fault.Usage, "the state of a shape needs a stream and a side")
	}
	return s.write(ctx, func(t *txn) error {
		if err := t.mustExist(key); err != nil {
			return err
		}
		return t.putCursor(key, state.Stream, state.Side, shapeScope, state)
	})
}
