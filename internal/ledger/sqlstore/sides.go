package sqlstore

import (
	"bytes"
	"context"
	"encoding/json"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// sideRow is the stored state of a side: what is known, and the plan's window.
type sideRow struct {
	state ledger.SideState
	// windowAt begins the present window, in microseconds; used and before count
	// the calls granted in it and in the one before.
	windowAt, used, before int64
}

// getSide reads a side; the zero row if nothing is known. With lock the row is
// made if need be and held until the commit.
func (t *txn) getSide(key ledger.Key, side record.Side, lock bool) (sideRow, error) {
	var row sideRow
	suffix := ""
	if lock {
		suffix = t.s.dialect.forUpdate
		if _, err := t.exec(`INSERT INTO sides (tenant_id, connection_id, side, body, window_at, window_used, window_before)
			VALUES ($1, $2, $3, '{}', 0, 0, 0) ON CONFLICT (tenant_id, connection_id, side) DO NOTHING`,
			key.Tenant, key.Connection, string(side)); err != nil {
			return row, err
		}
	}
	var body string
	found, err := t.row(`SELECT body, window_at, window_used, window_before FROM sides
		WHERE tenant_id = $1 AND connection_id = $2 AND side = $3`+suffix,
		[]any{key.Tenant, key.Connection, string(side)}, &body, &row.windowAt, &row.used, &row.before)
	if err != nil || !found {
		return row, err
	}
	return row, decodeJSON([]byte(body), &row.state)
}

func (t *txn) putSide(key ledger.Key, side record.Side, row sideRow) error {
	body, err := json.Marshal(row.state)
	if err != nil {
		return fault.Wrap(fault.Internal, err, "the state of a side cannot be written as JSON")
	}
	_, err = t.exec(`UPDATE sides SET body = $1, window_at = $2, window_used = $3, window_before = $4
		WHERE tenant_id = $5 AND connection_id = $6 AND side = $7`,
		string(body), row.windowAt, row.used, row.before, key.Tenant, key.Connection, string(side))
	return err
}

// SideState implements ledger.Sides.
func (s *Store) SideState(ctx context.Context, key ledger.Key, side record.Side) (ledger.SideState, error) {
	var row sideRow
	err := s.read(ctx, func(t *txn) error {
		var err error
		row, err = t.getSide(key, side, false)
		return err
	})
	return row.state, err
}

// UpdateSideState implements ledger.Sides. The change may be called more than
// once and must not call the Store.
func (s *Store) UpdateSideState(ctx context.Context, key ledger.Key, side record.Side, change func(*ledger.SideState)) (ledger.SideState, error) {
	var row sideRow
	err := s.write(ctx, func(t *txn) error {
		var err error
		if row, err = t.getSide(key, side, true); err != nil {
			return err
		}
		change(&row.state)
		return t.putSide(key, side, row)
	})
	if err != nil {
		return ledger.SideState{}, err
	}
	return row.state, nil
}

// tokenPlace is what the token of a side is bound to.
func tokenPlace(key ledger.Key, side record.Side) []byte {
	return place("sides.token", key.Tenant, key.Connection+"\x00"+string(side))
}

// LoadToken implements ledger.Sides.
func (s *Store) LoadToken(ctx context.Context, key ledger.Key, side record.Side) ([]byte, error) {
	var token []byte
	err := s.read(ctx, func(t *txn) error {
		var err error
		token, err = t.getToken(key, side, "")
		return err
	})
	return token, err
}

func (t *txn) getToken(key ledger.Key, side record.Side, suffix string) ([]byte, error) {
	var sealed []byte
	_, err := t.row("SELECT token FROM sides WHERE tenant_id = $1 AND connection_id = $2 AND side = $3"+suffix,
		[]any{key.Tenant, key.Connection, string(side)}, &sealed)
	if err != nil {
		return nil, err
	}
	return t.s.box.open(sealed, tokenPlace(key, side))
}

// SwapToken implements ledger.Sides. An empty new token forgets the old one.
func (s *Store) SwapToken(ctx context.Context, key ledger.Key, side record.Side, old, new []byte) (bool, error) {
	swapped := false
	err := s.write(ctx, func(t *txn) error {
		swapped = false
		if _, err := t.getSide(key, side, true); err != nil {
			return err
		}
		stored, err := t.getToken(key, side, s.dialect.forUpdate)
		if err != nil || !bytes.Equal(stored, old) {
			return err
		}
		var sealed []byte
		if len(new) > 0 {
			if sealed, err = s.box.seal(new, tokenPlace(key, side)); err != nil {
				return err
			}
		}
		swapped = true
		_, err = t.exec("UPDATE sides SET token = $1 WHERE tenant_id = $2 AND connection_id = $3 AND side = $4",
			sealed, key.Tenant, key.Connection, string(side))
		return err
	})
	return swapped && err == nil, err
}
