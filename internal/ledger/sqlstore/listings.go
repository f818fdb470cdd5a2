package sqlstore

import (
	"context"
	"encoding/json"
	"time"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// Cursor implements ledger.Listings.
func (s *Store) Cursor(ctx context.Context, key ledger.Key, stream string, side record.Side, scope string) (ledger.Cursor, error) {
	var cursor ledger.Cursor
	err := s.read(ctx, func(t *txn) error {
		cursor = ledger.Cursor{}
		return t.getCursor(key, stream, side, scope, &cursor)
	})
	return cursor, err
}

// getCursor reads the body of a cursor row into target, if there is one.
func (t *txn) getCursor(key ledger.Key, stream string, side record.Side, scope string, target any) error {
	var body string
	found, err := t.row(`SELECT body FROM cursors WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3 AND side = $4 AND scope = $5`,
		[]any{key.Tenant, key.Connection, stream, string(side), scope}, &body)
	if err != nil || !found {
		return err
	}
	return decodeJSON([]byte(body), target)
}

func (t *txn) putCursor(key ledger.Key, stream string, side record.Side, scope string, value any) error {
	body, err := json.Marshal(value)
	if err != nil {
		return fault.Wrap(fault.Internal, err, "a cursor cannot be written as JSON")
	}
	_, err = t.exec(`INSERT INTO cursors (tenant_id, connection_id, stream, side, scope, body) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (tenant_id, connection_id, stream, side, scope) DO UPDATE SET body = excluded.body`,
		key.Tenant, key.Connection, stream, string(side), scope, string(body))
	return err
}

// CommitPage implements ledger.Listings. Without changes no nudge is needed.
func (s *Store) CommitPage(ctx context.Context, key ledger.Key, page ledger.PageCommit) (bool, error) {
	if page.Stream == "" || page.Scope == "" || !page.Side.Valid() {
		return false, fault.New(fault.Usage, "a page needs a stream, a side and a scope")
	}
	need := false
	err := s.write(ctx, func(t *txn) error {
		need = false
		if err := t.putSeen(key, page.Seen); err != nil {
			return err
		}
		if err := t.putMatches(key, page.Matches, true); err != nil {
			return err
		}
		if err := t.enqueue(key, page.Changes); err != nil {
			return err
		}
		if err := t.putCursor(key, page.Stream, page.Side, page.Scope, page.Cursor); err != nil {
			return err
		}
		if err := t.addToRun(key, page.RunID, page.Counts, page.RunDone); err != nil {
			return err
		}
		if err := t.putListing(key, page); err != nil {
			return err
		}
		if len(page.Changes) == 0 {
			return t.mustExist(key)
		}
		var err error
		need, err = t.nudge(key, page.NudgeFor)
		return err
	})
	return need && err == nil, err
}

// putSeen inserts or replaces seen rows. A row without a scan keeps the last one.
func (t *txn) putSeen(key ledger.Key, rows []ledger.Seen) error {
	for _, seen := range rows {
		if seen.Stream == "" || seen.Ref.ID == "" || !seen.Ref.Side.Valid() {
			return fault.New(fault.Usage, "a seen row needs a stream and a whole ref").On(seen.Ref)
		}
		if _, err := t.exec(`INSERT INTO seen (tenant_id, connection_id, stream, side, record_id, object, print, match_hash, in_scope, updated_at, scan_id)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
			ON CONFLICT (tenant_id, connection_id, stream, side, record_id) DO UPDATE SET object = excluded.object,
				print = excluded.print, match_hash = excluded.match_hash, in_scope = excluded.in_scope, updated_at = excluded.updated_at,
				scan_id = CASE WHEN excluded.scan_id <> '' THEN excluded.scan_id ELSE seen.scan_id END`,
			key.Tenant, key.Connection, seen.Stream, string(seen.Ref.Side), seen.Ref.ID, seen.Ref.Object, seen.Print, seen.MatchHash,
			flag(seen.InScope), micros(seen.UpdatedAt), seen.ScanID); err != nil {
			return err
		}
	}
	return nil
}

// SeenMany implements ledger.Listings.
func (s *Store) SeenMany(ctx context.Context, key ledger.Key, stream string, side record.Side, ids []string) (map[string]ledger.Seen, error) {
	found := map[string]ledger.Seen{}
	err := s.read(ctx, func(t *txn) error {
		return chunks(ids, func(part []string) error {
			in, args := inList([]any{key.Tenant, key.Connection, stream, string(side)}, part)
			return t.rows(`SELECT record_id, object, print, match_hash, in_scope, updated_at, scan_id FROM seen
				WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3 AND side = $4 AND record_id IN `+in, args,
				func(scan func(...any) error) error {
					seen := ledger.Seen{Stream: stream, Ref: record.Ref{Side: side}}
					var inScope, updated int64
					err := scan(&seen.Ref.ID, &seen.Ref.Object, &seen.Print, &seen.MatchHash, &inScope, &updated, &seen.ScanID)
					seen.InScope, seen.UpdatedAt = inScope != 0, timeOf(updated)
					found[seen.Ref.ID] = seen
					return err
				})
		})
	})
	return found, err
}

// unseenScope is the cursor scope in which EnqueueUnseen keeps its place.
func unseenScope(scanID string) string { return scanID + "/unseen" }

// EnqueueUnseen implements ledger.Listings.
func (s *Store) EnqueueUnseen(ctx context.Context, key ledger.Key, stream string, side record.Side, scanID string, lane ledger.Lane, limit int) (int, error) {
	return s.enqueueUnseen(ctx, key, stream, side, scanID, lane, limit, `SELECT k.id, k.`+string(side)+`_object, k.`+string(side)+`_id FROM links k
		LEFT JOIN seen s ON s.tenant_id = k.tenant_id AND s.connection_id = k.connection_id AND s.stream = k.stream
			AND s.side = $4 AND s.record_id = k.`+string(side)+`_id
		WHERE k.tenant_id = $1 AND k.connection_id = $2 AND k.stream = $3 AND k.state = 'active' AND k.id > $5
			AND (s.scan_id IS NULL OR s.scan_id <> $6)
		ORDER BY k.id LIMIT `+bound("$7"))
}

// enqueueUnseen looks for the next records on a snapshot, which holds nobody up,
// then enqueues them together with its place. The query gives a place, an object
// and an id; its $5 is the place before.
func (s *Store) enqueueUnseen(ctx context.Context, key ledger.Key, stream string, side record.Side, scanID string, lane ledger.Lane, limit int, query string) (int, error) {
	if scanID == "" || limit <= 0 || !side.Valid() {
		return 0, fault.New(fault.Usage, "looking for unseen records needs a scan, a side and a limit")
	}
	var changes []ledger.Change
	var last string
	err := s.read(ctx, func(t *txn) error {
		changes, last = nil, ""
		if err := t.getCursor(key, stream, side, unseenScope(scanID), &last); err != nil {
			return err
		}
		return t.rows(query, []any{key.Tenant, key.Connection, stream, string(side), last, scanID, limit}, func(scan func(...any) error) error {
			change := ledger.Change{Stream: stream, Ref: record.Ref{Side: side}, Lane: lane, RunID: scanID}
			err := scan(&last, &change.Ref.Object, &change.Ref.ID)
			changes = append(changes, change)
			return err
		})
	})
	if err != nil || len(changes) == 0 {
		return 0, err
	}
	err = s.write(ctx, func(t *txn) error {
		if err := t.enqueue(key, changes); err != nil {
			return err
		}
		return t.putCursor(key, stream, side, unseenScope(scanID), last)
	})
	if err != nil {
		return 0, err
	}
	return len(changes), nil
}

// DeleteCursors implements ledger.Listings.
func (s *Store) DeleteCursors(ctx context.Context, key ledger.Key, scope string) error {
	return s.write(ctx, func(t *txn) error {
		_, err := t.exec("DELETE FROM cursors WHERE tenant_id = $1 AND connection_id = $2 AND (scope = $3 OR scope = $4)",
			key.Tenant, key.Connection, scope, unseenScope(scope))
		return err
	})
}

const streamColumns = `stream, next_poll_at, next_compare_at, last_poll_at, last_compare_at, idle_polls`

func scanStream(scan func(...any) error, before ...any) (ledger.StreamState, error) {
	var state ledger.StreamState
	var nextPoll, nextCompare, lastPoll, lastCompare int64
	err := scan(append(before, &state.Stream, &nextPoll, &nextCompare, &lastPoll, &lastCompare, &state.IdlePolls)...)
	state.NextPollAt, state.NextCompareAt = timeOf(nextPoll), timeOf(nextCompare)
	state.LastPollAt, state.LastCompareAt = timeOf(lastPoll), timeOf(lastCompare)
	return state, err
}

// StreamStates implements ledger.Listings, by name.
func (s *Store) StreamStates(ctx context.Context, key ledger.Key) ([]ledger.StreamState, error) {
	var states []ledger.StreamState
	err := s.read(ctx, func(t *txn) error {
		states = nil
		return t.rows("SELECT "+streamColumns+" FROM stream_states WHERE tenant_id = $1 AND connection_id = $2 ORDER BY stream",
			[]any{key.Tenant, key.Connection}, func(scan func(...any) error) error {
				state, err := scanStream(scan)
				states = append(states, state)
				return err
			})
	})
	return states, err
}

// PutStreamState implements ledger.Listings.
func (s *Store) PutStreamState(ctx context.Context, key ledger.Key, state ledger.StreamState) error {
	return s.write(ctx, func(t *txn) error { return t.putStreamState(key, state) })
}

// ChangeStreamState implements ledger.Listings.
func (s *Store) ChangeStreamState(ctx context.Context, key ledger.Key, stream string, change func(*ledger.StreamState)) error {
	return s.write(ctx, func(t *txn) error {
		state := ledger.StreamState{Stream: stream}
		err := t.rows("SELECT "+streamColumns+" FROM stream_states WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3"+s.dialect.forUpdate,
			[]any{key.Tenant, key.Connection, stream}, func(scan func(...any) error) error {
				var err error
				state, err = scanStream(scan)
				return err
			})
		if err != nil {
			return err
		}
		change(&state)
		return t.putStreamState(key, state)
	})
}

func (t *txn) putStreamState(key ledger.Key, state ledger.StreamState) error {
	_, err := t.exec(`INSERT INTO stream_states (tenant_id, connection_id, `+streamColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		ON CONFLICT (tenant_id, connection_id, stream) DO UPDATE SET next_poll_at = excluded.next_poll_at,
			next_compare_at = excluded.next_compare_at, last_poll_at = excluded.last_poll_at,
			last_compare_at = excluded.last_compare_at, idle_polls = excluded.idle_polls`,
		key.Tenant, key.Connection, state.Stream, micros(state.NextPollAt), micros(state.NextCompareAt),
		micros(state.LastPollAt), micros(state.LastCompareAt), state.IdlePolls)
	return err
}

// ClaimDuePolls implements ledger.Listings. A stream that has a state but no
// next poll is due at once.
func (s *Store) ClaimDuePolls(ctx context.Context, hold time.Duration, limit int) ([]ledger.DuePoll, error) {
	var polls []ledger.DuePoll
	err := s.write(ctx, func(t *txn) error {
		polls = nil
		query := `SELECT s.tenant_id, s.connection_id, s.` + streamColumns + ` FROM stream_states s
			JOIN connections c ON c.tenant_id = s.tenant_id AND c.connection_id = s.connection_id
			WHERE c.state = 'active' AND s.next_poll_at <= $1 ORDER BY s.next_poll_at LIMIT ` + bound("$2")
		if s.dialect.postgres {
			query += " FOR UPDATE OF s SKIP LOCKED"
		}
		if err := t.rows(query, []any{t.now, limit}, func(scan func(...any) error) error {
			var poll ledger.DuePoll
			var err error
			poll.State, err = scanStream(scan, &poll.Key.Tenant, &poll.Key.Connection)
			polls = append(polls, poll)
			return err
		}); err != nil {
			return err
		}
		next := t.now + hold.Microseconds()
		for i := range polls {
			polls[i].State.NextPollAt = timeOf(next)
			if _, err := t.exec("UPDATE stream_states SET next_poll_at = $1 WHERE tenant_id = $2 AND connection_id = $3 AND stream = $4",
				next, polls[i].Key.Tenant, polls[i].Key.Connection, polls[i].State.Stream); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return polls, nil
}
