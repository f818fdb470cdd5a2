package sqlstore

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
)

const deadLetterColumns = `id, stream, side, object, record_id, link_id, code, field, status, request_id, tries, first_at, last_at,
	state, source_print, target_print, vals`

// deadLetterValues is the sealed part of a dead letter: the vendor's words may
// quote personal data, and so may a person's.
type deadLetterValues struct {
	Message   string        `json:"message"`
	Record    ledger.Values `json:"record,omitempty"`
	Overrides ledger.Values `json:"overrides,omitempty"`
	Discard   string        `json:"discard,omitempty"`
}

// scanDeadLetter reads deadLetterColumns. The tenant may be filled in by scan.
func (s *Store) scanDeadLetter(tenant *string, scan func(...any) error) (ledger.DeadLetter, error) {
	var d ledger.DeadLetter
	var first, last int64
	var sealed []byte
	if err := scan(&d.ID, &d.Stream, &d.Ref.Side, &d.Ref.Object, &d.Ref.ID, &d.LinkID, &d.Reason.Code, &d.Reason.Field,
		&d.Reason.Status, &d.Reason.RequestID, &d.Tries, &first, &last, &d.State, &d.SourcePrint, &d.TargetPrint, &sealed); err != nil {
		return d, err
	}
	d.FirstAt, d.LastAt = timeOf(first), timeOf(last)
	var values deadLetterValues
	if err := s.box.openJSON(sealed, place("dead_letters", *tenant, d.ID), &values); err != nil {
		return d, err
	}
	d.Reason.Message, d.Values, d.Overrides, d.DiscardReason = values.Message, values.Record, values.Overrides, values.Discard
	return d, nil
}

// selectDeadLetters reads those of a connection; $1 and $2 are its key.
func (t *txn) selectDeadLetters(key ledger.Key, where string, args ...any) ([]ledger.DeadLetter, error) {
	var items []ledger.DeadLetter
	err := t.rows("SELECT "+deadLetterColumns+" FROM dead_letters WHERE tenant_id = $1 AND connection_id = $2 AND "+where,
		append([]any{key.Tenant, key.Connection}, args...), func(scan func(...any) error) error {
			d, err := t.s.scanDeadLetter(&key.Tenant, scan)
			items = append(items, d)
			return err
		})
	return items, err
}

// putDeadLetters stores dead letters, those that end first.
func (t *txn) putDeadLetters(key ledger.Key, commit ledger.Commit) error {
	letters := slices.Clone(commit.PutDeadLetters)
	slices.SortStableFunc(letters, func(a, b ledger.DeadLetter) int {
		return cmp.Compare(flag(a.State == ledger.DeadLetterOpen), flag(b.State == ledger.DeadLetterOpen))
	})
	for _, letter := range letters {
		if err := t.putDeadLetter(key, letter); err != nil {
			return err
		}
	}
	return nil
}

func (t *txn) putDeadLetter(key ledger.Key, d ledger.DeadLetter) error {
	if d.ID == "" || d.Stream == "" || d.Ref.ID == "" || d.State == "" {
		return fault.New(fault.Usage, "a dead letter needs an id, a stream, a ref and a state").On(d.Ref)
	}
	if d.FirstAt.IsZero() {
		d.FirstAt = timeOf(t.now)
	}
	if d.LastAt.IsZero() {
		d.LastAt = timeOf(t.now)
	}
	sealed, err := t.s.box.sealJSON(deadLetterValues{Message: d.Reason.Message, Record: d.Values, Overrides: d.Overrides, Discard: d.DiscardReason},
		place("dead_letters", key.Tenant, d.ID))
	if err != nil {
		return err
	}
	_, err = t.exec(`INSERT INTO dead_letters (tenant_id, connection_id, `+deadLetterColumns+`, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)
		ON CONFLICT (tenant_id, connection_id, id) DO UPDATE SET
			link_id = excluded.link_id, code = excluded.code, field = excluded.field, status = excluded.status,
			request_id = excluded.request_id, tries = excluded.tries, last_at = excluded.last_at, state = excluded.state,
			source_print = excluded.source_print, target_print = excluded.target_print, vals = excluded.vals,
			updated_at = excluded.updated_at`,
		key.Tenant, key.Connection, d.ID, d.Stream, string(d.Ref.Side), d.Ref.Object, d.Ref.ID, d.LinkID, d.Reason.Code, d.Reason.Field,
		d.Reason.Status, d.Reason.RequestID, d.Tries, micros(d.FirstAt), micros(d.LastAt), string(d.State), d.SourcePrint, d.TargetPrint,
		sealed, t.now)
	return err
}

// ListDeadLetters implements ledger.DeadLetters.
func (s *Store) ListDeadLetters(ctx context.Context, key ledger.Key, filter ledger.DeadLetterFilter, options ledger.ListOptions) ([]ledger.DeadLetter, string, error) {
	const list = "dead_letters"
	p, err := pageOf(list, options)
	if err != nil {
		return nil, "", err
	}
	var items []ledger.DeadLetter
	err = s.read(ctx, func(t *txn) error {
		items, err = t.selectDeadLetters(key, `state = $3 AND (first_at, id) > ($4, $5)
			AND ($6 = '' OR stream = $6) AND ($7 = '' OR side = $7) AND ($8 = '' OR code = $8) AND ($9 = '' OR field = $9)
			ORDER BY first_at, id LIMIT $10`,
			string(cmp.Or(filter.State, ledger.DeadLetterOpen)), p.at, p.id,
			filter.Stream, string(filter.Side), filter.Code, filter.Field, p.limit+1)
		return err
	})
	if err != nil {
		return nil, "", err
	}
	items, next := cut(items, p, list, func(d ledger.DeadLetter) (int64, string) { return micros(d.FirstAt), d.ID })
	return items, next, nil
}

// FindDeadLetter implements ledger.DeadLetters.
func (s *Store) FindDeadLetter(ctx context.Context, id string) (ledger.Key, ledger.DeadLetter, error) {
	var key ledger.Key
	var letter ledger.DeadLetter
	found := false
	err := s.read(ctx, func(t *txn) error {
		return t.rows("SELECT tenant_id, connection_id, "+deadLetterColumns+" FROM dead_letters WHERE id = $1", []any{id},
			func(scan func(...any) error) error {
				var err error
				letter, err = s.scanDeadLetter(&key.Tenant, func(dest ...any) error {
					return scan(append([]any{&key.Tenant, &key.Connection}, dest...)...)
				})
				found = true
				return err
			})
	})
	if err == nil && !found {
		err = missing("dead letter", id)
	}
	return key, letter, err
}

// openDeadLetter reads one that is open, and locks it.
func (t *txn) openDeadLetter(key ledger.Key, id string) (ledger.DeadLetter, error) {
	found, err := t.selectDeadLetters(key, "id = $3"+t.s.dialect.forUpdate, id)
	if err != nil {
		return ledger.DeadLetter{}, err
	}
	if len(found) == 0 {
		return ledger.DeadLetter{}, missing("dead letter", id)
	}
	if found[0].State != ledger.DeadLetterOpen {
		refused := fault.New(fault.Conflict, "the dead letter is not open any more, it is %s", found[0].State)
		refused.Subject = id
		return ledger.DeadLetter{}, refused
	}
	return found[0], nil
}

// PatchDeadLetter implements ledger.DeadLetters.
func (s *Store) PatchDeadLetter(ctx context.Context, key ledger.Key, id string, overrides ledger.Values) (ledger.DeadLetter, error) {
	var letter ledger.DeadLetter
	err := s.write(ctx, func(t *txn) error {
		var err error
		if letter, err = t.openDeadLetter(key, id); err != nil {
			return err
		}
		if letter.Overrides == nil {
			letter.Overrides = ledger.Values{}
		}
		maps.Copy(letter.Overrides, overrides)
		return t.putDeadLetter(key, letter)
	})
	return letter, err
}

// DiscardDeadLetter implements ledger.DeadLetters.
func (s *Store) DiscardDeadLetter(ctx context.Context, key ledger.Key, id, reason string) error {
	return s.write(ctx, func(t *txn) error {
		letter, err := t.openDeadLetter(key, id)
		if err != nil {
			return err
		}
		letter.State, letter.DiscardReason = ledger.DeadLetterDiscarded, reason
		// What a rule was refused is over with it; the stream of a rule has its name.
		if _, err := t.exec(`UPDATE firings SET state = 'cancelled', ended_at = $1, updated_at = $1 WHERE tenant_id = $2 AND connection_id = $3
			AND 'rules.' || rule = $4 AND side = $5 AND record_id = $6 AND state = 'parked'`,
			t.now, key.Tenant, key.Connection, letter.Stream, string(letter.Ref.Side), letter.Ref.ID); err != nil {
			return err
		}
		if err := t.dropEventsOf(key, letter.Stream, letter.Ref); err != nil {
			return err
		}
		return t.putDeadLetter(key, letter)
	})
}

// replayBatch is how many dead letters one transaction of a replay of all takes.
const replayBatch = 500

// ReplayDeadLetters implements ledger.DeadLetters. Those that are not open are
// left out of the count. A person who names some waits for them: they go first.
func (s *Store) ReplayDeadLetters(ctx context.Context, key ledger.Key, ids []string, runID string) (int, error) {
	if len(ids) > 0 {
		return s.replay(ctx, key, ids, runID, time.Time{})
	}
	// What is parked again meanwhile waits for the next replay, or this one never ended.
	until, err := s.Now(ctx)
	for total := 0; ; {
		if err != nil {
			return total, err
		}
		var count int
		if count, err = s.replay(ctx, key, nil, runID, until); err == nil && count == 0 {
			return total, nil
		}
		total += count
	}
}

// replay takes those that are named or, without names, a batch of those that were
// parked at until or before.
func (s *Store) replay(ctx context.Context, key ledger.Key, ids []string, runID string, until time.Time) (int, error) {
	count := 0
	err := s.write(ctx, func(t *txn) error {
		var changes []ledger.Change
		collect := func(lane ledger.Lane, where string, args ...any) error {
			return t.rows(`UPDATE dead_letters SET state = 'replayed', updated_at = $3
				WHERE tenant_id = $1 AND connection_id = $2 AND state = 'open'`+where+` RETURNING stream, side, object, record_id`,
				append([]any{key.Tenant, key.Connection, t.now}, args...), func(scan func(...any) error) error {
					change := ledger.Change{Lane: lane, RunID: runID}
					err := scan(&change.Stream, &change.Ref.Side, &change.Ref.Object, &change.Ref.ID)
					changes = append(changes, change)
					return err
				})
		}
		var err error
		if len(ids) == 0 {
			err = collect(ledger.LanePoll, ` AND id IN (SELECT id FROM dead_letters WHERE tenant_id = $1 AND connection_id = $2 AND state = 'open'
				AND updated_at <= $4 ORDER BY first_at, id LIMIT `+itoa(replayBatch)+`)`, micros(until))
		} else {
			err = chunks(sortedKeys(ids, nil), func(part []string) error {
				in, args := inList([]any{nil, nil, nil}, part)
				return collect(ledger.LaneLive, " AND id IN "+in, args[3:]...)
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
