package sqlstore

import (
	"context"

	"github.com/accord-sync/accord/internal/ledger"
)

// TouchStreams implements ledger.TouchPoints with one step in the index for each.
func (s *Store) TouchStreams(ctx context.Context, key ledger.Key) ([]ledger.TouchStream, error) {
	var streams []ledger.TouchStream
	err := s.read(ctx, func(t *txn) error {
		streams = nil
		for last := ""; ; {
			var one ledger.TouchStream
			found, err := t.row(`SELECT stream, side, object FROM touch_points WHERE tenant_id = $1 AND connection_id = $2 AND stream > $3
				ORDER BY stream, side, record_id LIMIT 1`, []any{key.Tenant, key.Connection, last}, &one.Stream, &one.Side, &one.Object)
			if err != nil || !found {
				return err
			}
			streams, last = append(streams, one), one.Stream
		}
	})
	return streams, err
}

// FirstTouchPoints implements ledger.TouchPoints.
func (s *Store) FirstTouchPoints(ctx context.Context, key ledger.Key, stream string, n int) ([]ledger.TouchPoint, error) {
	var points []ledger.TouchPoint
	err := s.read(ctx, func(t *txn) error {
		points = nil
		return t.rows(`SELECT side, record_id, object, kind, day, user_stream, user_id, customer_stream, customer_id, gone_at FROM touch_points
			WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3 ORDER BY side, record_id LIMIT `+itoa(n),
			[]any{key.Tenant, key.Connection, stream}, func(scan func(...any) error) error {
				p := ledger.TouchPoint{Stream: stream}
				var gone int64
				err := scan(&p.Ref.Side, &p.Ref.ID, &p.Ref.Object, &p.Kind, &p.Day, &p.UserStream, &p.User, &p.CustomerStream, &p.Customer, &gone)
				p.GoneAt = timeOf(gone)
				points = append(points, p)
				return err
			})
	})
	return points, err
}

// MoveTouchPoints implements ledger.TouchPoints.
func (s *Store) MoveTouchPoints(ctx context.Context, key ledger.Key, from, to string, limit int) (int, error) {
	var moved int64
	err := s.write(ctx, func(t *txn) error {
		var err error
		moved, err = t.exec(`UPDATE touch_points SET stream = $4 WHERE (tenant_id, connection_id, stream, side, record_id) IN
			(SELECT p.tenant_id, p.connection_id, p.stream, p.side, p.record_id FROM touch_points p
				WHERE p.tenant_id = $1 AND p.connection_id = $2 AND p.stream = $3 AND NOT EXISTS (SELECT 1 FROM touch_points q
					WHERE q.tenant_id = p.tenant_id AND q.connection_id = p.connection_id AND q.stream = $4 AND q.side = p.side AND q.record_id = p.record_id)
				LIMIT `+itoa(limit)+`)`, key.Tenant, key.Connection, from, to)
		return err
	})
	return int(moved), err
}
