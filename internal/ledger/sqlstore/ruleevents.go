package sqlstore

import (
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// Changes of one record become one row of the inbox. The events of rules that fire once
// per event are kept beside it, each once, until the rule has seen them.

// keepEvent keeps the event of a change for its rule.
func (t *txn) keepEvent(key ledger.Key, change ledger.Change) error {
	if !change.KeepEvent || change.EventID == "" {
		return nil
	}
	_, err := t.exec(`INSERT INTO rule_events (tenant_id, connection_id, stream, side, object, record_id, event_id, arrived_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING`,
		key.Tenant, key.Connection, change.Stream, string(change.Ref.Side), change.Ref.Object, change.Ref.ID, change.EventID, t.now)
	return err
}

// ruleEvents reads the kept events of a rule and a record; the stream of a rule has its
// name.
func (t *txn) ruleEvents(key ledger.Key, rule string, ref record.Ref) ([]ledger.RuleEvent, error) {
	var events []ledger.RuleEvent
	err := t.rows(`SELECT e.event_id, CASE WHEN f.id IS NULL THEN 0 ELSE 1 END FROM rule_events e
		LEFT JOIN firings f ON f.tenant_id = e.tenant_id AND f.connection_id = e.connection_id AND f.rule = $3 AND f.side = e.side
			AND f.record_id = e.record_id AND f.occurrence = $4 || e.event_id
		WHERE e.tenant_id = $1 AND e.connection_id = $2 AND e.stream = 'rules.' || $3 AND e.side = $5 AND e.object = $6 AND e.record_id = $7
		ORDER BY e.arrived_at, e.event_id LIMIT `+itoa(ledger.MaxRuleEvents),
		[]any{key.Tenant, key.Connection, rule, ledger.EventOccurrence(""), string(ref.Side), ref.Object, ref.ID}, func(scan func(...any) error) error {
			var event ledger.RuleEvent
			var known int64
			err := scan(&event.ID, &known)
			event.Known = known != 0
			events = append(events, event)
			return err
		})
	return events, err
}

// dropEvents forgets kept events that were seen.
func (t *txn) dropEvents(key ledger.Key, events []ledger.Change) error {
	for _, event := range events {
		if _, err := t.exec(`DELETE FROM rule_events WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3 AND side = $4 AND object = $5
			AND record_id = $6 AND event_id = $7`, key.Tenant, key.Connection, event.Stream, string(event.Ref.Side), event.Ref.Object,
			event.Ref.ID, event.EventID); err != nil {
			return err
		}
	}
	return nil
}

// dropEventsOf forgets all kept events of a record.
func (t *txn) dropEventsOf(key ledger.Key, stream string, ref record.Ref) error {
	_, err := t.exec(`DELETE FROM rule_events WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3 AND side = $4 AND object = $5 AND record_id = $6`,
		key.Tenant, key.Connection, stream, string(ref.Side), ref.Object, ref.ID)
	return err
}
