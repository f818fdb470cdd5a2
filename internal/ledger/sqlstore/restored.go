package sqlstore

import (
	"context"
	"encoding/json"
	"time"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// markEvery is the least pause between two moves of the mark.
const markEvery = 3 * time.Second

// restoredReason is the state reason of connections whose ledger was put back.
const restoredReason = "the ledger was put back to an older state: nothing is written until an operator accepts it (accord restored CONNECTION)"

// Witness implements ledger.Restores. It reads, and writes only when the mark
// is to move or something is wrong.
func (s *Store) Witness(ctx context.Context, remembered ...ledger.Mark) (ledger.Mark, *ledger.Restored, int, error) {
	var mark ledger.Mark
	settled := false
	err := s.read(ctx, func(t *txn) error {
		var err error
		if mark, err = t.mark(); err != nil {
			return err
		}
		ahead, err := t.ahead(mark, remembered)
		settled = mark.Epoch != "" && ahead == nil && !t.markDue(mark)
		return err
	})
	if err != nil || settled {
		return mark, nil, 0, err
	}
	var found *ledger.Restored
	count := 0
	err = s.write(ctx, func(t *txn) error {
		found, count = nil, 0
		var err error
		if mark, err = t.lockMark(); err != nil {
			return err
		}
		ahead, err := t.ahead(mark, remembered)
		if err != nil {
			return err
		}
		if ahead == nil {
			mark, err = t.moveMark(mark)
			return err
		}
		mark, found, count, err = t.putBack(mark, *ahead)
		return err
	})
	return mark, found, count, err
}

// mark reads the ledger's mark; the zero value before there is one.
func (t *txn) mark() (ledger.Mark, error) {
	var mark ledger.Mark
	var at int64
	_, err := t.row("SELECT epoch, count, marked_at FROM ledger_mark WHERE one = 1", nil, &mark.Epoch, &mark.Count, &at)
	mark.At = timeOf(at)
	return mark, err
}

// lockMark makes the mark if there is none and holds it until the commit.
func (t *txn) lockMark() (ledger.Mark, error) {
	epoch, err := t.s.newID()
	if err != nil {
		return ledger.Mark{}, err
	}
	// Without a mark nothing tells how old the ledger is.
	if _, err := t.exec("INSERT INTO ledger_mark (one, epoch, count, marked_at) VALUES (1, $1, 1, 0) ON CONFLICT (one) DO NOTHING", epoch); err != nil {
		return ledger.Mark{}, err
	}
	if _, err := t.exec("UPDATE ledger_mark SET one = 1 WHERE one = 1"); err != nil {
		return ledger.Mark{}, err
	}
	return t.mark()
}

// markDue also moves a mark that lies ahead because a clock was put back.
func (t *txn) markDue(mark ledger.Mark) bool {
	age := t.now - micros(mark.At)
	return age < 0 || age >= markEvery.Microseconds()
}

func (t *txn) moveMark(mark ledger.Mark) (ledger.Mark, error) {
	if !t.markDue(mark) {
		return mark, nil
	}
	mark.Count++
	mark.At = timeOf(t.now)
	_, err := t.exec("UPDATE ledger_mark SET count = $1, marked_at = $2 WHERE one = 1", mark.Count, t.now)
	return mark, err
}

// ahead returns what somebody remembers that this ledger has not lived through.
func (t *txn) ahead(mark ledger.Mark, remembered []ledger.Mark) (*ledger.Mark, error) {
	for _, one := range remembered {
		switch {
		case one.Epoch == "" || one.Epoch == mark.Epoch && one.Count <= mark.Count:
			continue
		case one.Epoch == mark.Epoch:
			return &one, nil
		}
		var ended int64
		known, err := t.row("SELECT ended_at FROM ledger_epochs WHERE epoch = $1", []any{one.Epoch}, &ended)
		if err != nil {
			return nil, err
		}
		if !known {
			return &one, nil
		}
	}
	return nil, nil
}

// putBack begins a new epoch and stops every connection. The old epochs are kept
// as known, so that those who still remember them raise no second alarm.
func (t *txn) putBack(mark, ahead ledger.Mark) (ledger.Mark, *ledger.Restored, int, error) {
	for _, epoch := range []string{mark.Epoch, ahead.Epoch} {
		if _, err := t.exec("INSERT INTO ledger_epochs (epoch, ended_at) VALUES ($1, $2) ON CONFLICT (epoch) DO NOTHING", epoch, t.now); err != nil {
			return mark, nil, 0, err
		}
	}
	epoch, err := t.s.newID()
	if err != nil {
		return mark, nil, 0, err
	}
	fresh := ledger.Mark{Epoch: epoch, Count: 1, At: timeOf(t.now)}
	if _, err := t.exec("UPDATE ledger_mark SET epoch = $1, count = $2, marked_at = $3 WHERE one = 1", epoch, fresh.Count, t.now); err != nil {
		return mark, nil, 0, err
	}
	found := ledger.Restored{Epoch: epoch, From: mark.At, To: ahead.At, FoundAt: timeOf(t.now)}
	keys, err := t.allConnections()
	for _, key := range keys {
		if err := t.stop(key, found); err != nil {
			return mark, nil, 0, err
		}
	}
	return fresh, &found, len(keys), err
}

func (t *txn) allConnections() ([]ledger.Key, error) {
	var keys []ledger.Key
	err := t.rows("SELECT tenant_id, connection_id FROM connections ORDER BY connection_id", nil, func(scan func(...any) error) error {
		var key ledger.Key
		err := scan(&key.Tenant, &key.Connection)
		keys = append(keys, key)
		return err
	})
	return keys, err
}

// stop makes a connection wait for an operator. One that waited already, or was
// not compared yet, keeps the earlier beginning of what is not known.
func (t *txn) stop(key ledger.Key, found ledger.Restored) error {
	old, state, err := t.restoredOf(key)
	if err != nil {
		return err
	}
	found.State = state
	if old.Waiting() || old.Comparing() {
		if old.From.Before(found.From) {
			found.From = old.From
		}
		if old.Waiting() {
			found.State = old.State
		}
	}
	return t.putRestored(key, found, ledger.Failing, restoredReason)
}

func (t *txn) restoredOf(key ledger.Key) (restored ledger.Restored, state ledger.ConnectionState, err error) {
	var body string
	found, err := t.row("SELECT restored, state FROM connections WHERE tenant_id = $1 AND connection_id = $2"+t.s.dialect.forUpdate,
		[]any{key.Tenant, key.Connection}, &body, &state)
	if err == nil && !found {
		err = noConnection(key)
	}
	if err == nil {
		restored, err = restoredFrom(body)
	}
	return restored, state, err
}

func restoredFrom(body string) (restored ledger.Restored, err error) {
	if body != "" {
		err = decodeJSON([]byte(body), &restored)
	}
	return restored, err
}

func (t *txn) putRestored(key ledger.Key, restored ledger.Restored, state ledger.ConnectionState, reason string) error {
	body, err := json.Marshal(restored)
	if err != nil {
		return fault.Wrap(fault.Internal, err, "what is known of a ledger that was put back cannot be written as JSON")
	}
	_, err = t.exec(`UPDATE connections SET restored = $1, state = $2, state_reason = $3, updated_at = $4
		WHERE tenant_id = $5 AND connection_id = $6`, string(body), string(state), reason, t.now, key.Tenant, key.Connection)
	return err
}

// AcceptRestored implements ledger.Restores. What the ledger knows of webhooks
// is as old as the rest, so they are registered anew.
func (s *Store) AcceptRestored(ctx context.Context, key ledger.Key, from time.Time) (ledger.Restored, error) {
	var restored ledger.Restored
	err := s.write(ctx, func(t *txn) error {
		var state ledger.ConnectionState
		var err error
		if restored, state, err = t.restoredOf(key); err != nil {
			return err
		}
		if restored.Comparing() && from.IsZero() {
			return nil
		}
		if restored, err = t.accepted(restored, state, from); err != nil {
			return err
		}
		for _, side := range record.Sides() {
			row, err := t.getSide(key, side, true)
			if err != nil {
				return err
			}
			row.state.WebhookCheckedAt, row.state.WebhookVersion = time.Time{}, 0
			if err := t.putSide(key, side, row); err != nil {
				return err
			}
		}
		return t.putRestored(key, restored, restored.State, "")
	})
	return restored, err
}

func (t *txn) accepted(restored ledger.Restored, state ledger.ConnectionState, from time.Time) (ledger.Restored, error) {
	now := timeOf(t.now)
	if !restored.Waiting() {
		if from.IsZero() {
			return restored, fault.New(fault.Conflict, "this ledger is not known to have been put back; if it was, say how old its state is (from)")
		}
		epoch, err := t.s.newID()
		if err != nil {
			return restored, err
		}
		restored = ledger.Restored{Epoch: epoch, From: from, To: now, FoundAt: now, State: state}
	}
	if from.After(now) {
		return restored, fault.New(fault.Usage, "from lies in the future: it says how old the state of the ledger is")
	}
	if !from.IsZero() && (restored.From.IsZero() || from.Before(restored.From)) {
		restored.From = from
	}
	restored.AcceptedAt, restored.ComparedAt = now, time.Time{}
	return restored, nil
}

// EndRestored implements ledger.Restores.
func (s *Store) EndRestored(ctx context.Context, key ledger.Key, epoch string) error {
	return s.write(ctx, func(t *txn) error {
		restored, _, err := t.restoredOf(key)
		if err != nil || restored.Epoch != epoch || !restored.Comparing() {
			return err
		}
		restored.ComparedAt = timeOf(t.now)
		body, err := json.Marshal(restored)
		if err != nil {
			return fault.Wrap(fault.Internal, err, "what is known of a ledger that was put back cannot be written as JSON")
		}
		_, err = t.exec("UPDATE connections SET restored = $1 WHERE tenant_id = $2 AND connection_id = $3", string(body), key.Tenant, key.Connection)
		return err
	})
}
