package sqlstore

import (
	"context"
	"strconv"
	"time"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// commitTouchPoints stores and removes touch-points and remembers merges.
func (t *txn) commitTouchPoints(key ledger.Key, commit ledger.Commit) error {
	for _, point := range commit.PutTouchPoints {
		if err := t.putTouchPoint(key, point); err != nil {
			return err
		}
	}
	for _, ref := range commit.DropTouchPoints {
		if _, err := t.exec(`DELETE FROM touch_points WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3 AND side = $4 AND record_id = $5`,
			key.Tenant, key.Connection, commit.DropStream, string(ref.Side), ref.ID); err != nil {
			return err
		}
	}
	for _, merge := range commit.PutMerges {
		if err := t.putMerge(key, merge); err != nil {
			return err
		}
	}
	return nil
}

func (t *txn) putTouchPoint(key ledger.Key, p ledger.TouchPoint) error {
	if p.Stream == "" || p.Ref.ID == "" || !p.Ref.Side.Valid() || p.Kind == "" || p.Day == "" {
		return fault.New(fault.Usage, "a touch-point needs a stream, a whole ref, a kind and a day").On(p.Ref)
	}
	if _, err := time.Parse(time.DateOnly, p.Day); err != nil {
		return fault.New(fault.Usage, "the day of a touch-point is YYYY-MM-DD").On(p.Ref)
	}
	_, err := t.exec(`INSERT INTO touch_points (tenant_id, connection_id, stream, side, record_id, object, kind, day, user_stream, user_id,
			customer_stream, customer_id, gone_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
		ON CONFLICT (tenant_id, connection_id, stream, side, record_id) DO UPDATE SET object = excluded.object, kind = excluded.kind,
			day = excluded.day, user_stream = excluded.user_stream, user_id = excluded.user_id,
			customer_stream = excluded.customer_stream, customer_id = excluded.customer_id, gone_at = excluded.gone_at`,
		key.Tenant, key.Connection, p.Stream, string(p.Ref.Side), p.Ref.ID, p.Ref.Object, p.Kind, p.Day, p.UserStream, p.User,
		p.CustomerStream, p.Customer, micros(p.GoneAt))
	return err
}

// putMerge remembers that From answers as Into, which is a record of its own: what
// was merged into From means Into too.
func (t *txn) putMerge(key ledger.Key, m ledger.Merge) error {
	if m.Stream == "" || m.From.ID == "" || !m.From.Side.Valid() || m.Into == "" || m.Into == m.From.ID {
		return fault.New(fault.Usage, "a merge needs a stream and two records").On(m.From)
	}
	where := []any{key.Tenant, key.Connection, m.Stream, string(m.From.Side), m.Into, m.From.ID}
	for _, query := range []string{
		`DELETE FROM merges WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3 AND side = $4 AND record_id = $5 AND into_id = $6`,
		`UPDATE merges SET into_id = $5 WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3 AND side = $4 AND into_id = $6`,
		`INSERT INTO merges (tenant_id, connection_id, stream, side, into_id, record_id) VALUES ($1, $2, $3, $4, $5, $6)
			ON CONFLICT (tenant_id, connection_id, stream, side, record_id) DO UPDATE SET into_id = excluded.into_id`,
	} {
		if _, err := t.exec(query, where...); err != nil {
			return err
		}
	}
	return nil
}

// Survivor implements ledger.TouchPoints.
func (s *Store) Survivor(ctx context.Context, key ledger.Key, stream string, ref record.Ref) (string, error) {
	into := ref.ID
	err := s.read(ctx, func(t *txn) error {
		_, err := t.row(`SELECT into_id FROM merges WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3 AND side = $4 AND record_id = $5`,
			[]any{key.Tenant, key.Connection, stream, string(ref.Side), ref.ID}, &into)
		return err
	})
	return into, err
}

// TouchPointsOf implements ledger.TouchPoints.
func (s *Store) TouchPointsOf(ctx context.Context, key ledger.Key, stream string, side record.Side, ids []string) (map[string]ledger.TouchPoint, error) {
	found := map[string]ledger.TouchPoint{}
	err := s.read(ctx, func(t *txn) error {
		return chunks(ids, func(part []string) error {
			in, args := inList([]any{key.Tenant, key.Connection, stream, string(side)}, part)
			return t.rows(`SELECT record_id, object, kind, day, user_stream, user_id, customer_stream, customer_id, gone_at FROM touch_points
				WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3 AND side = $4 AND record_id IN `+in, args,
				func(scan func(...any) error) error {
					p := ledger.TouchPoint{Stream: stream, Ref: record.Ref{Side: side}}
					var gone int64
					err := scan(&p.Ref.ID, &p.Ref.Object, &p.Kind, &p.Day, &p.UserStream, &p.User, &p.CustomerStream, &p.Customer, &gone)
					p.GoneAt = timeOf(gone)
					found[p.Ref.ID] = p
					return err
				})
		})
	})
	return found, err
}

// SomeTouchPoints implements ledger.TouchPoints.
func (s *Store) SomeTouchPoints(ctx context.Context, key ledger.Key, stream string, side record.Side, except string, n int) ([]string, error) {
	var ids []string
	err := s.read(ctx, func(t *txn) error {
		ids = nil
		return t.rows(`SELECT record_id FROM touch_points WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3 AND side = $4
			AND gone_at = 0 AND record_id <> $5 ORDER BY record_id DESC LIMIT `+strconv.Itoa(n),
			[]any{key.Tenant, key.Connection, stream, string(side), except}, func(scan func(...any) error) error {
				var id string
				err := scan(&id)
				ids = append(ids, id)
				return err
			})
	})
	return ids, err
}

// EnqueueUnseenTouchPoints implements ledger.TouchPoints, in the way of EnqueueUnseen.
func (s *Store) EnqueueUnseenTouchPoints(ctx context.Context, key ledger.Key, stream string, side record.Side, scanID string, lane ledger.Lane, limit int) (int, error) {
	return s.enqueueUnseen(ctx, key, stream, side, scanID, lane, limit, `SELECT p.record_id, p.object, p.record_id FROM touch_points p
		LEFT JOIN seen s ON s.tenant_id = p.tenant_id AND s.connection_id = p.connection_id AND s.stream = p.stream
			AND s.side = p.side AND s.record_id = p.record_id
		WHERE p.tenant_id = $1 AND p.connection_id = $2 AND p.stream = $3 AND p.side = $4 AND p.record_id > $5
			AND (s.scan_id IS NULL OR s.scan_id <> $6)
		ORDER BY p.record_id LIMIT `+bound("$7"))
}

// TouchTotals implements ledger.TouchPoints.
func (s *Store) TouchTotals(ctx context.Context) ([]ledger.TouchTotal, error) {
	var totals []ledger.TouchTotal
	err := s.read(ctx, func(t *txn) error {
		totals = nil
		return t.rows(`SELECT tenant_id, connection_id, kind, COUNT(*) FROM touch_points GROUP BY tenant_id, connection_id, kind ORDER BY tenant_id, connection_id, kind`,
			nil, func(scan func(...any) error) error {
				var total ledger.TouchTotal
				err := scan(&total.Key.Tenant, &total.Key.Connection, &total.Kind, &total.Count)
				totals = append(totals, total)
				return err
			})
	})
	return totals, err
}
