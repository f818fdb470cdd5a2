package sqlstore

import (
	"context"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
)

const runColumns = `tenant_id, connection_id, id, kind, stream, state, error, started_at, ended_at, done, total,
	rows_read, created, updated, deleted, linked, unchanged, conflicts, parked, held, workflow_id, again`

func (t *txn) selectRuns(where string, args ...any) ([]ledger.Run, error) {
	var items []ledger.Run
	err := t.rows("SELECT "+runColumns+", "+paceColumns+", "+problemColumns+" FROM runs WHERE "+where, args, func(scan func(...any) error) error {
		var r ledger.Run
		var started, ended, again int64
		var p pace
		var stuck problem
		var at ledger.ListingProgress
		c := &r.Counts
		err := scan(&r.Key.Tenant, &r.Key.Connection, &r.ID, &r.Kind, &r.Stream, &r.State, &r.Error, &started, &ended, &r.Done, &r.Total,
			&c.Read, &c.Created, &c.Updated, &c.Deleted, &c.Linked, &c.Unchanged, &c.Conflicts, &c.Parked, &c.Held, &r.WorkflowID, &again,
			&p.at, &p.done, &p.read, &p.markAt, &at.Stream, &at.Side, &at.Done, &at.Total,
			&stuck.code, &stuck.message, &stuck.since, &stuck.tries, &stuck.nextTry)
		r.StartedAt, r.EndedAt, r.Again = timeOf(started), timeOf(ended), again != 0
		r.PerMinute, r.Problem = p.perMinute(r, t.now), stuck.of()
		if at.Stream != "" {
			r.Listing = &at
		}
		items = append(items, r)
		return err
	})
	return items, err
}

// StartRun implements ledger.Runs. Starting a run of the same id again returns
// it as it is, so that the call can be repeated.
func (s *Store) StartRun(ctx context.Context, run ledger.Run) (ledger.Run, bool, error) {
	if run.ID == "" || run.Kind == "" || run.Key.Connection == "" {
		return ledger.Run{}, false, fault.New(fault.Usage, "a run needs an id, a kind and a connection")
	}
	var started ledger.Run
	joined := false
	err := s.write(ctx, func(t *txn) error {
		if err := t.mustExist(run.Key); err != nil {
			return err
		}
		added, err := t.insertRun(run)
		if err != nil {
			return err
		}
		found, err := t.selectRuns("tenant_id = $1 AND connection_id = $2 AND id = $3", run.Key.Tenant, run.Key.Connection, run.ID)
		if err != nil {
			return err
		}
		if joined = false; len(found) > 0 {
			started = found[0]
			return nil
		}
		if added {
			return fault.New(fault.Internal, "a run just stored cannot be read")
		}
		found, err = t.selectRuns(`tenant_id = $1 AND connection_id = $2 AND kind = $3 AND stream = $4 AND state = 'running'`+s.dialect.forUpdate,
			run.Key.Tenant, run.Key.Connection, string(run.Kind), run.Stream)
		if err != nil {
			return err
		}
		if len(found) == 0 {
			refused := fault.New(fault.Conflict, "the run ended in this moment, or its id belongs to another connection; start again")
			refused.Subject = run.ID
			return refused
		}
		started, joined = found[0], true
		if run.Kind == ledger.RunBackfill {
			return nil
		}
		started.Again = true
		_, err = t.exec("UPDATE runs SET again = 1 WHERE tenant_id = $1 AND connection_id = $2 AND id = $3",
			run.Key.Tenant, run.Key.Connection, started.ID)
		return err
	})
	if err != nil {
		return ledger.Run{}, false, err
	}
	return started, joined, nil
}

// insertRun stores a running run unless its id or its kind and stream are taken.
func (t *txn) insertRun(run ledger.Run) (bool, error) {
	started := micros(run.StartedAt)
	if started == 0 {
		started = t.now
	}
	c := run.Counts
	added, err := t.exec(`INSERT INTO runs (`+runColumns+`)
		VALUES ($1, $2, $3, $4, $5, 'running', '', $6, 0, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, 0)
		ON CONFLICT DO NOTHING`,
		run.Key.Tenant, run.Key.Connection, run.ID, string(run.Kind), run.Stream, started, run.Done, run.Total,
		c.Read, c.Created, c.Updated, c.Deleted, c.Linked, c.Unchanged, c.Conflicts, c.Parked, c.Held, run.WorkflowID)
	return added > 0, err
}

// Run implements ledger.Runs.
func (s *Store) Run(ctx context.Context, id string) (ledger.Run, error) {
	var found []ledger.Run
	err := s.read(ctx, func(t *txn) error {
		var err error
		found, err = t.selectRuns("id = $1", id)
		return err
	})
	if err != nil {
		return ledger.Run{}, err
	}
	if len(found) == 0 {
		return ledger.Run{}, missing("run", id)
	}
	return found[0], nil
}

// ListRuns implements ledger.Runs.
func (s *Store) ListRuns(ctx context.Context, key ledger.Key, options ledger.ListOptions) ([]ledger.Run, string, error) {
	const list = "runs"
	p, err := pageOf(list, options)
	if err != nil {
		return nil, "", err
	}
	where, args := "", []any{key.Tenant, key.Connection, p.limit + 1}
	if p.begun {
		where, args = " AND (started_at, id) < ($4, $5)", append(args, p.at, p.id)
	}
	var items []ledger.Run
	err = s.read(ctx, func(t *txn) error {
		items, err = t.selectRuns("tenant_id = $1 AND connection_id = $2"+where+" ORDER BY started_at DESC, id DESC LIMIT $3", args...)
		return err
	})
	if err != nil {
		return nil, "", err
	}
	items, next := cut(items, p, list, func(r ledger.Run) (int64, string) { return micros(r.StartedAt), r.ID })
	return items, next, nil
}

// RunningRuns implements ledger.Runs.
func (s *Store) RunningRuns(ctx context.Context, key ledger.Key) ([]ledger.Run, error) {
	var items []ledger.Run
	err := s.read(ctx, func(t *txn) error {
		var err error
		items, err = t.selectRuns("tenant_id = $1 AND connection_id = $2 AND state = 'running' ORDER BY started_at DESC, id DESC", key.Tenant, key.Connection)
		return err
	})
	return items, err
}

// TakeAgain implements ledger.Runs.
func (s *Store) TakeAgain(ctx context.Context, id string) (bool, error) {
	set := false
	err := s.write(ctx, func(t *txn) error {
		changed, err := t.exec("UPDATE runs SET again = 0 WHERE id = $1 AND again = 1", id)
		set = changed > 0
		if err == nil && !set {
			return t.mustHaveRun(id)
		}
		return err
	})
	return set && err == nil, err
}

func (t *txn) mustHaveRun(id string) error {
	var one int
	found, err := t.row("SELECT 1 FROM runs WHERE id = $1", []any{id}, &one)
	if err == nil && !found {
		return missing("run", id)
	}
	return err
}

// SetRunTotal implements ledger.Runs.
func (s *Store) SetRunTotal(ctx context.Context, id string, total int) error {
	return s.write(ctx, func(t *txn) error {
		// With the total the pace is that of another kind of work.
		changed, err := t.exec(`UPDATE runs SET total = $1,
			mark_at = CASE WHEN (total < 0) = (CAST($1 AS BIGINT) < 0) THEN mark_at ELSE 0 END WHERE id = $2`, total, id)
		if err == nil && changed == 0 {
			return missing("run", id)
		}
		return err
	})
}

// EndRun implements ledger.Runs.
func (s *Store) EndRun(ctx context.Context, id string, state ledger.RunState, reason string) (bool, error) {
	if state == ledger.RunRunning || state == "" {
		return false, fault.New(fault.Usage, "a run cannot end as %q", string(state))
	}
	ended := false
	err := s.write(ctx, func(t *txn) error {
		changed, err := t.exec(`UPDATE runs SET state = $1, error = $2, ended_at = $3, `+noProblem+` WHERE id = $4 AND state = 'running' AND again = 0`,
			string(state), reason, t.now, id)
		if err != nil {
			return err
		}
		if ended = changed > 0; ended {
			return nil
		}
		var now string
		found, err := t.row("SELECT state FROM runs WHERE id = $1", []any{id}, &now)
		if err == nil && !found {
			return missing("run", id)
		}
		ended = now != string(ledger.RunRunning)
		return err
	})
	return ended && err == nil, err
}
