package sqlstore

import (
	"context"
	"time"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
)

// guardMemory is how long takes are remembered at least, so that a longer
// window can be configured later.
const guardMemory = 7 * 24 * time.Hour

// TakeGuard implements ledger.Guards. All operations of a stream share its window.
func (s *Store) TakeGuard(ctx context.Context, key ledger.Key, stream, op string, max int, per time.Duration) (bool, error) {
	id, err := s.newID()
	if err != nil {
		return false, err
	}
	within := false
	err = s.write(ctx, func(t *txn) error {
		within = false
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
		used, err := t.guardUsed(key, stream, per)
		if err != nil || used >= max {
			return err
		}
		if _, err := t.exec("DELETE FROM guard_takes WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3 AND at <= $4",
			key.Tenant, key.Connection, stream, t.now-longer(per, guardMemory).Microseconds()); err != nil {
			return err
		}
		within = true
		_, err = t.exec("INSERT INTO guard_takes (tenant_id, connection_id, id, stream, op, at) VALUES ($1, $2, $3, $4, $5, $6)",
			key.Tenant, key.Connection, id, stream, op, t.now)
		return err
	})
	return within && err == nil, err
}

func longer(a, b time.Duration) time.Duration {
	if a > b {
		return a
	}
	return b
}

func (t *txn) guardUsed(key ledger.Key, stream string, per time.Duration) (int, error) {
	used := 0
	_, err := t.row("SELECT COUNT(*) FROM guard_takes WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3 AND at > $4",
		[]any{key.Tenant, key.Connection, stream, t.now - per.Microseconds()}, &used)
	return used, err
}

// GuardUsed implements ledger.Guards.
func (s *Store) GuardUsed(ctx context.Context, key ledger.Key, stream string, per time.Duration) (int, error) {
	used := 0
	err := s.read(ctx, func(t *txn) error {
		var err error
		used, err = t.guardUsed(key, stream, per)
		return err
	})
	return used, err
}

const heldColumns = `id, stream, link_id, side, object, record_id, op, since, state`

// selectHeld reads held operations of a connection; $1 and $2 are its key.
func (t *txn) selectHeld(key ledger.Key, where string, args ...any) ([]ledger.Held, error) {
	var items []ledger.Held
	err := t.rows("SELECT "+heldColumns+" FROM held WHERE tenant_id = $1 AND connection_id = $2 AND "+where,
		append([]any{key.Tenant, key.Connection}, args...), func(scan func(...any) error) error {
			var h ledger.Held
			var since int64
			err := scan(&h.ID, &h.Stream, &h.LinkID, &h.Ref.Side, &h.Ref.Object, &h.Ref.ID, &h.Op, &since, &h.State)
			h.Since = timeOf(since)
			items = append(items, h)
			return err
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
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
			ON CONFLICT (tenant_id, connection_id, id) DO UPDATE SET link_id = excluded.link_id, side = excluded.side,
				object = excluded.object, record_id = excluded.record_id, op = excluded.op, state = excluded.state,
				updated_at = excluded.updated_at`,
			key.Tenant, key.Connection, h.ID, h.Stream, h.LinkID, string(h.Ref.Side), h.Ref.Object, h.Ref.ID, h.Op, since,
			string(h.State), t.now); err != nil {
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
