package sqlstore

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

const (
	// setBackBy is how far the ledger's clock must go back to be seen as set back:
	// two calls of one process may look at it in one order and tell in another.
	setBackBy = 5 * time.Second
	// longestDue is beyond the longest pause that a row is put off for, and
	// longestHold beyond any lease and nudge.
	longestDue  = 20 * time.Minute
	longestHold = 10 * time.Minute
)

// clock follows the ledger's clock from inside a process: on Postgres that of the
// database, which need not be that of the machine.
type clock struct {
	local func() time.Time
	begun time.Time

	mutex sync.Mutex
	// ahead is the ledger's time less the local time since begun, microseconds.
	ahead int64
	known bool
	// latest is the latest time of the ledger that was seen, microseconds.
	latest int64
	back   bool
}

// since is the local time that has passed; setting the machine's clock does not
// change it.
func (c *clock) since() time.Duration { return c.local().Sub(c.begun) }

// saw learns from one look at the ledger's clock between two local times. What
// was known stays as long as it fits: else a slow answer would make time jitter.
func (c *clock) saw(asked, answered time.Duration, now int64) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	least, most := now-answered.Microseconds(), now-asked.Microseconds()
	if !c.known {
		c.ahead, c.known = least, true
		return
	}
	c.ahead = min(max(c.ahead, least), most)
}

// noticed reports to setBack when the ledger's clock was set back.
func (c *clock) noticed(now int64) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if now < c.latest-setBackBy.Microseconds() {
		c.back, c.latest = true, now
	}
	c.latest = max(c.latest, now)
}

// takeBack reports once that the clock was set back.
func (c *clock) takeBack() bool {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	was := c.back
	c.back = false
	return was
}

func (c *clock) giveBack() {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.back = true
}

// Clock implements ledger.Store.
func (s *Store) Clock() time.Time {
	if !s.dialect.postgres {
		return s.options.Now().Add(s.options.ClockOffset())
	}
	since := s.clock.since().Microseconds()
	s.clock.mutex.Lock()
	defer s.clock.mutex.Unlock()
	return timeOf(s.clock.ahead + since)
}

// mendIfSetBack mends the stored times once after the ledger's clock was set back.
func (s *Store) mendIfSetBack(ctx context.Context) error {
	if !s.clock.takeBack() {
		return nil
	}
	s.log.Warn("the clock of the ledger was set back; what was due stays due")
	if err := s.backend.write(ctx, (*txn).mendTimes); err != nil {
		s.clock.giveBack()
		return err
	}
	return nil
}

// mendTimes brings back times that only a clock that was set back since can have
// made. Left alone, work that is due would wait until the old time comes again.
// What is due within the longest pause may be meant so and stays; twice does no
// more than once, so that each process may do it.
func (t *txn) mendTimes() error {
	due, hold := t.now+longestDue.Microseconds(), t.now+longestHold.Microseconds()
	for _, one := range []struct {
		query string
		args  []any
	}{
		{`UPDATE inbox SET first_at = $1, due_at = CASE WHEN due_at > $1 AND crashes = 0 THEN $1 ELSE due_at END WHERE first_at > $1`, []any{t.now}},
		{`UPDATE inbox SET due_at = $1 WHERE due_at > $1`, []any{due}},
		{`UPDATE inbox SET claimed_until = $1 WHERE claimed_until > $1`, []any{hold}},
		{`UPDATE leases SET expires_at = $1 WHERE expires_at > $1`, []any{hold}},
		{`UPDATE connections SET nudged_until = 0 WHERE nudged_until > $1`, []any{hold}},
		{`UPDATE stream_states SET last_poll_at = $1, next_poll_at = CASE WHEN next_poll_at > $1 THEN $1 ELSE next_poll_at END
			WHERE last_poll_at > $1`, []any{t.now}},
		{`UPDATE stream_states SET last_compare_at = $1, next_compare_at = CASE WHEN next_compare_at > $1 THEN $1 ELSE next_compare_at END
			WHERE last_compare_at > $1`, []any{t.now}},
	} {
		if _, err := t.exec(one.query, one.args...); err != nil {
			return err
		}
	}
	if err := t.mendIntents(); err != nil {
		return err
	}
	return t.mendSides()
}

// mendIntents lets writes that were sent in a time to come have been sent now: how
// long they may still take effect is counted from there.
func (t *txn) mendIntents() error {
	type named struct {
		key    ledger.Key
		intent ledger.Intent
	}
	var ahead []named
	err := t.rows("SELECT tenant_id, connection_id, id, body FROM intents WHERE opened_at > $1"+t.s.dialect.forUpdate,
		[]any{t.now + setBackBy.Microseconds()}, func(scan func(...any) error) error {
			var one named
			var body []byte
			if err := scan(&one.key.Tenant, &one.key.Connection, &one.intent.ID, &body); err != nil {
				return err
			}
			err := t.s.box.openJSON(body, place("intents", one.key.Tenant, one.intent.ID), &one.intent)
			ahead = append(ahead, one)
			return err
		})
	if err != nil {
		return err
	}
	now := timeOf(t.now)
	for _, one := range ahead {
		one.intent.OpenedAt = now
		if one.intent.SentAt.After(now) {
			one.intent.SentAt = now
		}
		body, err := t.s.box.sealJSON(one.intent, place("intents", one.key.Tenant, one.intent.ID))
		if err != nil {
			return err
		}
		if _, err := t.exec("UPDATE intents SET opened_at = $1, body = $2 WHERE tenant_id = $3 AND connection_id = $4 AND id = $5",
			t.now, body, one.key.Tenant, one.key.Connection, one.intent.ID); err != nil {
			return err
		}
	}
	return nil
}

// mendSides ends the pauses of sides that were last heard of in a time to come.
// A pause that the vendor still means is asked for again by its next answer.
func (t *txn) mendSides() error {
	type named struct {
		key  ledger.Key
		side record.Side
	}
	var ahead []named
	err := t.rows("SELECT tenant_id, connection_id, side, body FROM sides", nil, func(scan func(...any) error) error {
		var one named
		var body string
		if err := scan(&one.key.Tenant, &one.key.Connection, &one.side, &body); err != nil {
			return err
		}
		var state ledger.SideState
		if err := json.Unmarshal([]byte(body), &state); err != nil {
			return fault.Wrap(fault.Internal, err, "the stored state of a side cannot be read")
		}
		if micros(state.LastOKAt) > t.now+setBackBy.Microseconds() {
			ahead = append(ahead, one)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, one := range ahead {
		row, err := t.getSide(one.key, one.side, true)
		if err != nil {
			return err
		}
		now := timeOf(t.now)
		row.state.LastOKAt, row.state.PausedUntil, row.state.BrokenUntil, row.state.QuotaResetAt = now, time.Time{}, time.Time{}, time.Time{}
		if row.state.WebhookCheckedAt.After(now) {
			row.state.WebhookCheckedAt = now
		}
		if err := t.putSide(one.key, one.side, row); err != nil {
			return err
		}
	}
	return nil
}
