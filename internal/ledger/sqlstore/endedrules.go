package sqlstore

import (
	"context"
	"slices"

	"github.com/accord-sync/accord/internal/ledger"
)

// EndRules implements ledger.Firings, in batches: what a process that dies leaves is
// ended by the next call.
func (s *Store) EndRules(ctx context.Context, key ledger.Key, keep []string) (map[string]int, error) {
	rules, err := s.knownRules(ctx, key)
	ended := map[string]int{}
	if err != nil {
		return ended, err
	}
	for _, rule := range rules {
		if slices.Contains(keep, rule) {
			continue
		}
		count, err := s.endRule(ctx, key, rule)
		if count > 0 {
			ended[rule] = count
		}
		if err != nil {
			return ended, err
		}
	}
	return ended, nil
}

// knownRules are the rules that left something behind, one step in the index for each.
func (s *Store) knownRules(ctx context.Context, key ledger.Key) ([]string, error) {
	var rules []string
	err := s.read(ctx, func(t *txn) error {
		rules = nil
		for _, table := range []string{"rule_matches", "firings"} {
			for last := ""; ; {
				var rule string
				if _, err := t.row("SELECT COALESCE(MIN(rule), '') FROM "+table+" WHERE tenant_id = $1 AND connection_id = $2 AND rule > $3",
					[]any{key.Tenant, key.Connection, last}, &rule); err != nil {
					return err
				}
				if rule == "" {
					break
				}
				rules, last = append(rules, rule), rule
			}
		}
		return t.rows("SELECT DISTINCT stream FROM rule_events WHERE tenant_id = $1 AND connection_id = $2", []any{key.Tenant, key.Connection},
			func(scan func(...any) error) error {
				var stream string
				err := scan(&stream)
				rules = append(rules, stream[min(len(rulePrefix), len(stream)):])
				return err
			})
	})
	slices.Sort(rules)
	return slices.Compact(rules), err
}

// rulePrefix begins the names of the streams that rules are made into.
const rulePrefix = "rules."

// endRule ends what one rule left.
func (s *Store) endRule(ctx context.Context, key ledger.Key, rule string) (int, error) {
	total := 0
	for _, end := range []func(*txn, ledger.Key, string) (int, error){(*txn).cancelFirings, (*txn).discardOfRule} {
		for {
			count := 0
			err := s.write(ctx, func(t *txn) error {
				var err error
				count, err = end(t, key, rule)
				return err
			})
			if err != nil {
				return total, err
			}
			total += count
			if count < endedBatch {
				break
			}
		}
	}
	for _, query := range []string{
		`DELETE FROM rule_events WHERE (tenant_id, connection_id, stream, side, object, record_id, event_id) IN
			(SELECT tenant_id, connection_id, stream, side, object, record_id, event_id FROM rule_events
				WHERE tenant_id = $1 AND connection_id = $2 AND stream = '` + rulePrefix + `' || $3 LIMIT $4)`,
		`UPDATE rule_matches SET found = NULL WHERE (tenant_id, connection_id, rule, side, record_id) IN
			(SELECT tenant_id, connection_id, rule, side, record_id FROM rule_matches
				WHERE tenant_id = $1 AND connection_id = $2 AND rule = $3 AND found IS NOT NULL LIMIT $4)`,
	} {
		if _, err := s.inBatches(ctx, query, key.Tenant, key.Connection, rule, removalBatch); err != nil {
			return total, err
		}
	}
	return total, nil
}

// endedBatch is how many rows one transaction of EndRules rewrites: their values are sealed.
const endedBatch = 200

// cancelFirings cancels what is left of some firings of a rule.
func (t *txn) cancelFirings(key ledger.Key, rule string) (int, error) {
	firings, err := t.selectFirings(key, "rule = $3 AND state IN ('open', 'parked') ORDER BY id LIMIT "+itoa(endedBatch)+t.s.dialect.forUpdate, rule)
	if err != nil {
		return 0, err
	}
	now := timeOf(t.now)
	for _, firing := range firings {
		for n := range firing.Effects {
			if !firing.Effects[n].Over() {
				firing.Effects[n].Cancel(now)
			}
		}
		firing.State, firing.EndedAt = ledger.FiringCancelled, now
		if err := t.putFiring(key, firing); err != nil {
			return 0, err
		}
	}
	return len(firings), nil
}

// discardOfRule discards some dead letters of the streams of a rule.
func (t *txn) discardOfRule(key ledger.Key, rule string) (int, error) {
	letters, err := t.selectDeadLetters(key, "state IN ('open', 'replayed') AND stream IN ($3, $4) ORDER BY id LIMIT "+itoa(endedBatch)+t.s.dialect.forUpdate,
		rulePrefix+rule, rulePrefix+rule+".upsert")
	if err != nil {
		return 0, err
	}
	for _, letter := range letters {
		letter.State, letter.LastAt = ledger.DeadLetterDiscarded, timeOf(t.now)
		letter.DiscardReason = "the rule " + rule + " is not in the integration any more"
		if err := t.putDeadLetter(key, letter); err != nil {
			return 0, err
		}
	}
	return len(letters), nil
}
