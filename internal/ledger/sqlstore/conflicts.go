package sqlstore

import (
	"cmp"
	"context"
	"slices"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

const conflictColumns = `id, stream, link_id, left_object, left_id, right_object, right_id, field, first_link, opened_at, deadline,
	state, closed_by, closed_at, workflow_id, started, vals`

// conflictValues is the sealed part of a conflict.
type conflictValues struct {
	Base     any              `json:"base"`
	Left     any              `json:"left"`
	Right    any              `json:"right"`
	Decision *ledger.Decision `json:"decision,omitempty"`
}

// scanConflict reads conflictColumns. The tenant may be filled in by scan.
func (s *Store) scanConflict(tenant *string, scan func(...any) error) (ledger.Conflict, error) {
	c := ledger.Conflict{LeftRef: record.Ref{Side: record.Left}, RightRef: record.Ref{Side: record.Right}}
	var first, opened, deadline, closed, started int64
	var sealed []byte
	if err := scan(&c.ID, &c.Stream, &c.LinkID, &c.LeftRef.Object, &c.LeftRef.ID, &c.RightRef.Object, &c.RightRef.ID, &c.Field,
		&first, &opened, &deadline, &c.State, &c.ClosedBy, &closed, &c.WorkflowID, &started, &sealed); err != nil {
		return c, err
	}
	c.FirstLink, c.Started = first != 0, started != 0
	c.OpenedAt, c.Deadline, c.ClosedAt = timeOf(opened), timeOf(deadline), timeOf(closed)
	var values conflictValues
	if err := s.box.openJSON(sealed, place("conflicts", *tenant, c.ID), &values); err != nil {
		return c, err
	}
	c.Base, c.Left, c.Right, c.Decision = values.Base, values.Left, values.Right, values.Decision
	return c, nil
}

// selectConflicts reads conflicts of a connection; $1 and $2 are its key.
func (t *txn) selectConflicts(key ledger.Key, where string, args ...any) ([]ledger.Conflict, error) {
	var items []ledger.Conflict
	err := t.rows("SELECT "+conflictColumns+" FROM conflicts WHERE tenant_id = $1 AND connection_id = $2 AND "+where,
		append([]any{key.Tenant, key.Connection}, args...), func(scan func(...any) error) error {
			c, err := t.s.scanConflict(&key.Tenant, scan)
			items = append(items, c)
			return err
		})
	return items, err
}

// putConflicts stores conflicts, those that end first.
func (t *txn) putConflicts(key ledger.Key, commit ledger.Commit) error {
	conflicts := slices.Clone(commit.PutConflicts)
	slices.SortStableFunc(conflicts, func(a, b ledger.Conflict) int {
		return cmp.Compare(flag(a.State != ledger.ConflictClosed), flag(b.State != ledger.ConflictClosed))
	})
	for _, conflict := range conflicts {
		if err := t.putConflict(key, conflict); err != nil {
			return err
		}
	}
	return nil
}

func (t *txn) putConflict(key ledger.Key, c ledger.Conflict) error {
	if c.ID == "" || c.Stream == "" || c.LinkID == "" || c.State == "" {
		return fault.New(fault.Usage, "a conflict needs an id, a stream, a link and a state").On(c.LeftRef)
	}
	if c.OpenedAt.IsZero() {
		c.OpenedAt = timeOf(t.now)
	}
	if c.State == ledger.ConflictClosed && c.ClosedAt.IsZero() {
		c.ClosedAt = timeOf(t.now)
	}
	sealed, err := t.s.box.sealJSON(conflictValues{Base: c.Base, Left: c.Left, Right: c.Right, Decision: c.Decision},
		place("conflicts", key.Tenant, c.ID))
	if err != nil {
		return err
	}
	_, err = t.exec(`INSERT INTO conflicts (tenant_id, connection_id, `+conflictColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)
		ON CONFLICT (tenant_id, connection_id, id) DO UPDATE SET
			left_object = excluded.left_object, left_id = excluded.left_id,
			right_object = excluded.right_object, right_id = excluded.right_id, first_link = excluded.first_link,
			deadline = excluded.deadline, state = excluded.state, closed_by = excluded.closed_by, closed_at = excluded.closed_at,
			workflow_id = excluded.workflow_id, started = excluded.started, vals = excluded.vals`,
		key.Tenant, key.Connection, c.ID, c.Stream, c.LinkID, c.LeftRef.Object, c.LeftRef.ID, c.RightRef.Object, c.RightRef.ID, c.Field,
		flag(c.FirstLink), micros(c.OpenedAt), micros(c.Deadline), string(c.State), c.ClosedBy, micros(c.ClosedAt),
		c.WorkflowID, flag(c.Started), sealed)
	return err
}

// ListConflicts implements ledger.Conflicts.
func (s *Store) ListConflicts(ctx context.Context, key ledger.Key, state ledger.ConflictState, options ledger.ListOptions) ([]ledger.Conflict, string, error) {
	const list = "conflicts"
	p, err := pageOf(list, options)
	if err != nil {
		return nil, "", err
	}
	where, args := "(opened_at, id) > ($3, $4)", []any{p.at, p.id, p.limit + 1}
	if state != "" {
		where += " AND state = $6"
		args = append(args, string(state))
	}
	var items []ledger.Conflict
	err = s.read(ctx, func(t *txn) error {
		items, err = t.selectConflicts(key, where+" ORDER BY opened_at, id LIMIT $5", args...)
		return err
	})
	if err != nil {
		return nil, "", err
	}
	items, next := cut(items, p, list, func(c ledger.Conflict) (int64, string) { return micros(c.OpenedAt), c.ID })
	return items, next, nil
}

// selectKeyedConflicts reads conflicts of any connection.
func (t *txn) selectKeyedConflicts(where string, args ...any) ([]ledger.KeyedConflict, error) {
	var items []ledger.KeyedConflict
	err := t.rows("SELECT tenant_id, connection_id, "+conflictColumns+" FROM conflicts WHERE "+where, args, func(scan func(...any) error) error {
		var item ledger.KeyedConflict
		var err error
		item.Conflict, err = t.s.scanConflict(&item.Key.Tenant, func(dest ...any) error {
			return scan(append([]any{&item.Key.Tenant, &item.Key.Connection}, dest...)...)
		})
		items = append(items, item)
		return err
	})
	return items, err
}

// FindConflict implements ledger.Conflicts.
func (s *Store) FindConflict(ctx context.Context, id string) (ledger.Key, ledger.Conflict, error) {
	var items []ledger.KeyedConflict
	err := s.read(ctx, func(t *txn) error {
		var err error
		items, err = t.selectKeyedConflicts("id = $1", id)
		return err
	})
	if err != nil {
		return ledger.Key{}, ledger.Conflict{}, err
	}
	if len(items) == 0 {
		return ledger.Key{}, ledger.Conflict{}, missing("conflict", id)
	}
	return items[0].Key, items[0].Conflict, nil
}

// missing is NotFound for a thing with an id.
func missing(what, id string) error {
	err := fault.New(fault.NotFound, "there is no such %s", what)
	err.Subject = id
	return err
}

// DecideConflict implements ledger.Conflicts. It enqueues the left record, whose
// claim takes the right one too.
func (s *Store) DecideConflict(ctx context.Context, key ledger.Key, id string, decision ledger.Decision, left, right any) error {
	return s.write(ctx, func(t *txn) error {
		found, err := t.selectConflicts(key, "id = $3"+t.s.dialect.forUpdate, id)
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return missing("conflict", id)
		}
		c := found[0]
		if c.State == ledger.ConflictDecided && c.Decision != nil && c.Decision.Choose == decision.Choose && sameValue(c.Decision.Value, decision.Value) {
			return nil
		}
		refused := fault.New(fault.Conflict, "the conflict is not open any more")
		refused.Subject = id
		if c.State != ledger.ConflictOpen {
			return refused
		}
		if !sameValue(c.Left, left) || !sameValue(c.Right, right) {
			refused.Message = "the values have moved since they were seen; look at them again and decide"
			return refused
		}
		if decision.At.IsZero() {
			decision.At = timeOf(t.now)
		}
		c.State, c.Decision = ledger.ConflictDecided, &decision
		if err := t.putConflict(key, c); err != nil {
			return err
		}
		return t.enqueue(key, []ledger.Change{{Stream: c.Stream, Ref: c.LeftRef, Lane: ledger.LaneLive}})
	})
}

// MarkConflictStarted implements ledger.Conflicts.
func (s *Store) MarkConflictStarted(ctx context.Context, key ledger.Key, id, workflowID string) error {
	return s.write(ctx, func(t *txn) error {
		changed, err := t.exec(`UPDATE conflicts SET started = 1, workflow_id = $1 WHERE tenant_id = $2 AND connection_id = $3 AND id = $4`,
			workflowID, key.Tenant, key.Connection, id)
		if err == nil && changed == 0 {
			return missing("conflict", id)
		}
		return err
	})
}

// ConflictsDue implements ledger.Conflicts, oldest first.
func (s *Store) ConflictsDue(ctx context.Context, limit int) ([]ledger.KeyedConflict, error) {
	var items []ledger.KeyedConflict
	err := s.read(ctx, func(t *txn) error {
		var err error
		items, err = t.selectKeyedConflicts(`state = 'open' AND (started = 0 OR (deadline > 0 AND deadline <= $1)) ORDER BY opened_at, id LIMIT $2`, t.now, limit)
		return err
	})
	return items, err
}
