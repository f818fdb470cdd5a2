package sqlstore

import (
	"context"
	"strings"
	"time"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
)

// guardMemory is how long takes are remembered at least, so that a longer
// window can be configured later.
const guardMemory = 7 * 24 * time.Hour

// TakeGuard implements ledger.Guards.
func (s *Store) TakeGuard(ctx context.Context, key ledger.Key, takes []ledger.GuardTake, max int, per time.Duration) ([]ledger.GuardTake, error) {
	for _, take := range takes {
		if take.Stream == "" || take.Op == "" || take.Subject == "" {
			return nil, fault.New(fault.Usage, "what the guard counts needs a stream, an operation and a subject")
		}
	}
	var refused []ledger.GuardTake
	err := s.write(ctx, func(t *txn) error {
		refused = nil
		// The connection's row makes those that count wait for each other.
		var one int
		found, err := t.row("SELECT 1 FROM connections WHERE tenant_id = $1 AND connection_id = $2"+s.dialect.forUpdate,
			[]any{key.Tenant, key.Connection}, &one)
		if err != nil {
			return err
		}
		if !found {
			return noConnection(key)
		}
		for _, take := range takes {
			passed, err := t.take(key, take, max, per)
			if err != nil {
				return err
			}
			if !passed {
				refused = append(refused, take)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return refused, nil
}

const whereTaken = " FROM guard_takes WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3 AND op = $4 AND side = $5 AND field = $6"

func (t *txn) take(key ledger.Key, take ledger.GuardTake, max int, per time.Duration) (bool, error) {
	id := strings.Join([]string{take.Stream, string(take.Op), string(take.Side), take.Field, take.Subject}, "/")
	args := []any{key.Tenant, key.Connection, take.Stream, string(take.Op), string(take.Side), take.Field, t.now - per.Microseconds()}
	var n int
	known, err := t.row("SELECT 1"+whereTaken+" AND at > $7 AND id = $8", append(args, id), &n)
	if err != nil || known {
		return known, err
	}
	if _, err := t.row("SELECT COUNT(*)"+whereTaken+" AND at > $7", args, &n); err != nil || n >= max {
		return false, err
	}
	args[6] = t.now - longer(per, guardMemory).Microseconds()
	if _, err := t.exec("DELETE"+whereTaken+" AND at <= $7", args...); err != nil {
		return false, err
	}
	_, err = t.exec(`INSERT INTO guard_takes (tenant_id, connection_id, id, stream, op, side, field, at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		ON CONFLICT (tenant_id, connection_id, id) DO UPDATE SET at = excluded.at`,
		key.Tenant, key.Connection, id, take.Stream, string(take.Op), string(take.Side), take.Field, t.now)
	return err == nil, err
}

func longer(a, b time.Duration) time.Duration {
	if a > b {
		return a
	}
	return b
}

// GuardUsed implements ledger.Guards.
func (s *Store) GuardUsed(ctx context.Context, key ledger.Key, stream string, op ledger.GuardOp, per time.Duration) (int, error) {
	used := 0
	err := s.read(ctx, func(t *txn) error {
		used = 0
		_, err := t.row(`SELECT COUNT(*) AS used FROM guard_takes WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3 AND op = $4
			AND at > $5 GROUP BY side, field ORDER BY used DESC LIMIT 1`,
			[]any{key.Tenant, key.Connection, stream, string(op), t.now - per.Microseconds()}, &used)
		return err
	})
	return used, err
}

const heldColumns = `id, stream, link_id, side, object, record_id, op, since, state, fields, left_print, right_print`

// fieldSeparator stands between names of fields, none of which has a line break.
const fieldSeparator = "\n"

// selectHeld reads held operations of a connection; $1 and $2 are its key.
func (t *txn) selectHeld(key ledger.Key, where string, args ...any) ([]ledger.Held, error) {
	var items []ledger.Held
	err := t.rows("SELECT "+heldColumns+" FROM held WHERE tenant_id = $1 AND connection_id = $2 AND "+where,
		append([]any{key.Tenant, key.Connection}, args...), func(scan func(...any) error) error {
			var h ledger.Held
			var since int64
			var fields string
			if err := scan(&h.ID, &h.Stream, &h.LinkID, &h.Ref.Side, &h.Ref.Object, &h.Ref.ID, &h.Op, &since, &h.State,
				&fields, &h.LeftPrint, &h.RightPrint); err != nil {
				return err
			}
			h.Since = timeOf(since)
			if fields != "" {
				h.Fields = strings.Split(fields, fieldSeparator)
			}
			items = append(items, h)
			return nil
		})
	return items, err
}

// putHeld inserts or replaces held operations by id.
func (t *txn) putHeld(key ledger.Key, commit ledger.Commit) error {
	for _, h := range commit.PutHeld {
		if h.ID == "" || h.Stream == "" || h.Ref.ID == "" || h.State == "" {
			return fault.New(fault.Usage, "a held operation needs an id, a stream, a ref and a state").On(h.Ref)
		}
		since := micros(h.Since)
		if since == 0 {
			since = t.now
		}
		if _, err := t.exec(`INSERT INTO held (tenant_id, connection_id, `+heldColumns+`, updated_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
			ON CONFLICT (tenant_id, connection_id, id) DO UPDATE SET link_id = excluded.link_id, side = excluded.side,
				object = excluded.object, record_id = excluded.record_id, op = excluded.op, state = excluded.state,
				fields = excluded.fields, left_print = excluded.left_print, right_print = excluded.right_print,
				updated_at = excluded.updated_at`,
			key.Tenant, key.Connection, h.ID, h.Stream, h.LinkID, string(h.Ref.Side), h.Ref.Object, h.Ref.ID, string(h.Op), since,
			string(h.State), strings.Join(h.Fields, fieldSeparator), h.LeftPrint, h.RightPrint, t.now); err != nil {
			return err
		}
	}
	return nil
}

// ListHeld implements ledger.Guards, oldest first.
func (s *Store) ListHeld(ctx context.Context, key ledger.Key, state ledger.HeldState, options ledger.ListOptions) ([]ledger.Held, string, error) {
	const list = "held"
	if state == "" {
		state = ledger.HeldWaiting
	}
	p, err := pageOf(list, options)
	if err != nil {
		return nil, "", err
	}
	var items []ledger.Held
	err = s.read(ctx, func(t *txn) error {
		items, err = t.selectHeld(key, "state = $3 AND (since, id) > ($4, $5) ORDER BY since, id LIMIT $6",
			string(state), p.at, p.id, p.limit+1)
		return err
	})
	if err != nil {
		return nil, "", err
	}
	items, next := cut(items, p, list, func(h ledger.Held) (int64, string) { return micros(h.Since), h.ID })
	return items, next, nil
}

// DecideHeld implements ledger.Guards. Those that do not wait any more are left
// out of the count.
func (s *Store) DecideHeld(ctx context.Context, key ledger.Key, ids []string, state ledger.HeldState) (int, error) {
	if state != ledger.HeldApproved && state != ledger.HeldRejected {
		return 0, fault.New(fault.Usage, "a held operation is approved or rejected, not %q", string(state))
	}
	count := 0
	err := s.write(ctx, func(t *txn) error {
		var changes []ledger.Change
		decide := func(where string, args ...any) error {
			return t.rows(`UPDATE held SET state = $3, updated_at = $4
				WHERE tenant_id = $1 AND connection_id = $2 AND state = 'held'`+where+` RETURNING stream, side, object, record_id`,
				append([]any{key.Tenant, key.Connection, string(state), t.now}, args...), func(scan func(...any) error) error {
					var change ledger.Change
					err := scan(&change.Stream, &change.Ref.Side, &change.Ref.Object, &change.Ref.ID)
					changes = append(changes, change)
					return err
				})
		}
		var err error
		if len(ids) == 0 {
			err = decide("")
		} else {
			err = chunks(sortedKeys(ids, nil), func(part []string) error {
				in, args := inList([]any{nil, nil, nil, nil}, part)
				return decide(" AND id IN "+in, args[4:]...)
			})
		}
		if err != nil {
			return err
		}
		count = len(changes)
		return t.enqueue(key, changes)
	})
	if err != nil {
		return 0, err
	}
	return count, nil
}
