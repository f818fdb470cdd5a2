package sqlstore

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// Enqueue implements ledger.Inbox. A connection that does not exist is NotFound.
func (s *Store) Enqueue(ctx context.Context, key ledger.Key, changes []ledger.Change, nudgeFor time.Duration) (bool, error) {
	if len(changes) == 0 {
		return false, nil
	}
	var need bool
	err := s.write(ctx, func(t *txn) error {
		if err := t.enqueue(key, changes); err != nil {
			return err
		}
		var err error
		need, err = t.nudge(key, nudgeFor)
		return err
	})
	return need && err == nil, err
}

// enqueue stores changes in the order of their keys, so that two transactions
// never wait for each other. An arrival on an old row only ever hastens it:
// the due time is the earlier one, also while the row is claimed, so that it is
// due again at once if the worker that has it dies; not so one that may kill its
// workers. What two arrivals show is kept
// only if it is the same, or if one of them tells of a delete.
func (t *txn) enqueue(key ledger.Key, changes []ledger.Change) error {
	sorted := slices.Clone(changes)
	slices.SortStableFunc(sorted, func(a, b ledger.Change) int {
		return cmp.Or(cmp.Compare(a.Ref.String(), b.Ref.String()), cmp.Compare(a.Stream, b.Stream))
	})
	for _, change := range sorted {
		if change.Stream == "" || change.Ref.Object == "" || change.Ref.ID == "" || !change.Ref.Side.Valid() {
			return fault.New(fault.Usage, "a change needs a stream and a whole ref").On(change.Ref)
		}
		due := micros(change.DueAt)
		if due == 0 {
			due = t.now
		}
		sealed, print, err := t.sealShown(key, change)
		if err != nil {
			return err
		}
		if _, err := t.exec(`INSERT INTO inbox (tenant_id, connection_id, side, object, record_id, stream, bucket, generation,
				lane, due_at, run_id, event_id, trace, tries, claims, first_at, claim_token, claimed_until, shown, shown_print)
			VALUES ($1, $2, $3, $4, $5, $6, $7, 1, $8, $9, $10, $11, $12, 0, 0, $13, '', 0, $14, $15)
			ON CONFLICT (tenant_id, connection_id, side, object, record_id, stream) DO UPDATE SET
				generation = inbox.generation + 1,
				lane = CASE WHEN excluded.lane < inbox.lane THEN excluded.lane ELSE inbox.lane END,
				due_at = CASE WHEN excluded.due_at < inbox.due_at AND inbox.crashes < `+itoa(ledger.PoisonClaims)+` THEN excluded.due_at ELSE inbox.due_at END,
				run_id = CASE WHEN excluded.run_id <> '' THEN excluded.run_id ELSE inbox.run_id END,
				event_id = CASE WHEN excluded.event_id <> '' THEN excluded.event_id ELSE inbox.event_id END,
				trace = CASE WHEN excluded.trace <> '' THEN excluded.trace ELSE inbox.trace END,
				shown = CASE WHEN inbox.shown_print IN (excluded.shown_print, '`+deletedPrint+`') THEN inbox.shown
					WHEN excluded.shown_print = '`+deletedPrint+`' THEN excluded.shown ELSE NULL END,
				shown_print = CASE WHEN inbox.shown_print IN (excluded.shown_print, '`+deletedPrint+`') THEN inbox.shown_print
					WHEN excluded.shown_print = '`+deletedPrint+`' THEN excluded.shown_print ELSE '' END
			WHERE CAST($16 AS BIGINT) = 0 OR inbox.tries = 0`,
			key.Tenant, key.Connection, string(change.Ref.Side), change.Ref.Object, change.Ref.ID, change.Stream,
			bucketOf(change.Ref), int64(change.Lane), due, change.RunID, change.EventID, change.Trace, t.now, sealed, print,
			flag(change.Patient)); err != nil {
			return err
		}
		if err := t.keepEvent(key, change); err != nil {
			return err
		}
	}
	return nil
}

// nudge marks a nudge pending for nudgeFor and reports whether none was.
func (t *txn) nudge(key ledger.Key, nudgeFor time.Duration) (bool, error) {
	changed, err := t.exec(`UPDATE connections SET nudged_until = $1
		WHERE tenant_id = $2 AND connection_id = $3 AND nudged_until <= $4`,
		t.now+nudgeFor.Microseconds(), key.Tenant, key.Connection, t.now)
	if err != nil || changed > 0 {
		return changed > 0, err
	}
	return false, t.mustExist(key)
}

// ClearNudge implements ledger.Inbox.
func (s *Store) ClearNudge(ctx context.Context, key ledger.Key) error {
	return s.write(ctx, func(t *txn) error {
		_, err := t.exec(`UPDATE connections SET nudged_until = 0 WHERE tenant_id = $1 AND connection_id = $2 AND nudged_until <> 0`,
			key.Tenant, key.Connection)
		return err
	})
}

// pendingWhere narrows inbox rows to a filter; $1 and $2 are the connection.
// Conditions are added only where they narrow, so that an index can be used; row
// is the alias of the inbox.
func pendingWhere(row string, key ledger.Key, filter ledger.PendingFilter) (string, []any) {
	args := []any{key.Tenant, key.Connection}
	where := row + "tenant_id = $1 AND " + row + "connection_id = $2"
	if filter.SkipBackfill {
		where += " AND " + row + "lane <= " + itoa(int(ledger.LanePoll))
	}
	if filter.RunID != "" {
		args = append(args, filter.RunID)
		where += " AND " + row + "run_id <> '' AND " + row + "run_id = $" + itoa(len(args))
	}
	if filter.Stream != "" {
		args = append(args, filter.Stream)
		where += " AND " + row + "stream = $" + itoa(len(args))
	}
	return where, args
}

// Pending implements ledger.Inbox. Untried counts the waiting changes without a
// failed try. Intents are counted by run and stream like the changes.
func (s *Store) Pending(ctx context.Context, key ledger.Key, filter ledger.PendingFilter) (ledger.Pending, error) {
	var p ledger.Pending
	err := s.read(ctx, func(t *txn) error {
		var err error
		if p, err = t.pendingChanges(key, filter); err != nil {
			return err
		}
		_, err = t.row(`SELECT COUNT(*) FROM intents WHERE tenant_id = $1 AND connection_id = $2
				AND ($3 = '' OR run_id = $3) AND ($4 = '' OR stream = $4)`,
			[]any{key.Tenant, key.Connection, filter.RunID, filter.Stream}, &p.Intents)
		return err
	})
	return p, err
}

// pendingChanges is Pending without the intents.
func (t *txn) pendingChanges(key ledger.Key, filter ledger.PendingFilter) (ledger.Pending, error) {
	var p ledger.Pending
	var next, claimed, oldest int64
	where, args := pendingWhere("", key, filter)
	now := "$" + itoa(len(args)+1)
	query := strings.ReplaceAll(`SELECT COUNT(*),
			COALESCE(SUM(CASE WHEN due_at <= NOW AND claimed_until <= NOW THEN 1 ELSE 0 END), 0),
			COALESCE(SUM(CASE WHEN tries = 0 THEN 1 ELSE 0 END), 0),
			COALESCE(MIN(CASE WHEN due_at > NOW AND claimed_until <= NOW THEN due_at END), 0),
			COALESCE(MIN(CASE WHEN claimed_until > NOW AND claimed_until >= due_at THEN claimed_until
				WHEN claimed_until > NOW THEN due_at END), 0)
		FROM inbox WHERE `, "NOW", now) + where
	if _, err := t.row(query, append(slices.Clone(args), t.now), &p.Changes, &p.DueNow, &p.Untried, &next, &claimed); err != nil {
		return p, err
	}
	if p.Changes > 0 {
		if _, err := t.row("SELECT first_at FROM inbox WHERE "+where+" ORDER BY first_at LIMIT 1", args, &oldest); err != nil {
			return p, err
		}
	}
	if p.DueNow > 0 {
		blocked, until, err := t.blocked(key, filter)
		if err != nil {
			return p, err
		}
		p.DueNow -= blocked
		next = earliest(next, until)
	}
	p.NextDue, p.Oldest = timeOf(earliest(next, claimed)), timeOf(oldest)
	return p, nil
}

// earliest returns the smaller time that is set.
func earliest(a, b int64) int64 {
	if a == 0 || (b != 0 && b < a) {
		return b
	}
	return a
}

// blocked counts due rows that cannot be claimed because somebody holds the
// lease of the record or of its counterpart, and says when the first gets free.
// It starts from the leases, of which there are few.
func (t *txn) blocked(key ledger.Key, filter ledger.PendingFilter) (int, int64, error) {
	where, args := pendingWhere("i.", key, filter)
	args = append(args, t.now)
	now := "$" + itoa(len(args))
	where = " WHERE l.tenant_id = $1 AND l.connection_id = $2 AND l.expires_at > " + now +
		" AND i.due_at <= " + now + " AND i.claimed_until <= " + now + " AND " + where
	// CROSS JOIN keeps SQLite from starting at the inbox.
	const columns = `SELECT i.side, i.object, i.record_id, i.stream, l.expires_at FROM leases l CROSS JOIN `
	counterpart := func(held, other string) string {
		return columns + "links k CROSS JOIN inbox i" + where + ` AND l.side = '` + held + `'
			AND k.tenant_id = l.tenant_id AND k.connection_id = l.connection_id AND k.` + held + `_id = l.record_id
			AND k.` + held + `_object = l.object AND k.state <> 'tombstone'
			AND i.side = '` + other + `' AND i.object = k.` + other + `_object AND i.record_id = k.` + other + `_id`
	}
	query := columns + "inbox i" + where + ` AND l.side <> '' AND i.side = l.side AND i.object = l.object AND i.record_id = l.record_id` +
		" UNION ALL " + counterpart("left", "right") + " UNION ALL " + counterpart("right", "left")
	until := map[string]int64{}
	err := t.rows(query, args, func(scan func(...any) error) error {
		var ref record.Ref
		var stream string
		var expires int64
		if err := scan(&ref.Side, &ref.Object, &ref.ID, &stream, &expires); err != nil {
			return err
		}
		id := strings.Join([]string{stream, ref.String()}, "\x00")
		until[id] = max(until[id], expires)
		return nil
	})
	first := int64(0)
	for _, expires := range until {
		first = earliest(first, expires)
	}
	return len(until), first, err
}

// ConnectionsWithDue implements ledger.Inbox.
func (s *Store) ConnectionsWithDue(ctx context.Context, limit int) ([]ledger.Key, error) {
	var keys []ledger.Key
	err := s.read(ctx, func(t *txn) error {
		keys = nil
		return t.rows(`SELECT c.tenant_id, c.connection_id FROM connections c
			WHERE c.state = 'active' AND c.nudged_until <= $1 AND EXISTS (
				SELECT 1 FROM inbox i WHERE i.tenant_id = c.tenant_id AND i.connection_id = c.connection_id
				AND i.lane IN (0, 1, 2) AND i.due_at <= $1 AND i.claimed_until <= $1)
			ORDER BY c.tenant_id, c.connection_id LIMIT `+bound("$2"), []any{t.now, limit}, func(scan func(...any) error) error {
			var key ledger.Key
			err := scan(&key.Tenant, &key.Connection)
			keys = append(keys, key)
			return err
		})
	})
	return keys, err
}
