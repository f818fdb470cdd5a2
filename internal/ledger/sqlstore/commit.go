package sqlstore

import (
	"cmp"
	"context"
	"slices"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
)

// Commit implements ledger.Records. The claim ends first, so that a change of
// the same ref in Enqueue makes a new row with its own due time.
func (s *Store) Commit(ctx context.Context, key ledger.Key, commit ledger.Commit) error {
	if commit.Done != nil && commit.Retry != nil {
		return fault.New(fault.Usage, "a commit ends its work or puts it back, not both")
	}
	if len(commit.Take) > 0 && (commit.Lease.Token == "" || commit.Done == nil && commit.Retry == nil) {
		return fault.New(fault.Usage, "a commit takes keys into its lease only where it ends its work")
	}
	return s.write(ctx, func(t *txn) error {
		if commit.Lease.Token != "" {
			if err := t.fence(key, commit.Lease); err != nil {
				return err
			}
		}
		// They are dropped with the others at the end of the claim.
		for _, name := range sortedKeys(commit.Take, nil) {
			if err := t.takeLease(key, name, commit.Lease.Token, t.now+1); err != nil {
				return err
			}
		}
		steps := []func(ledger.Key, ledger.Commit) error{
			t.endClaim, t.putLinks, t.putIntents, t.putConflicts, t.putDeadLetters, t.putHeld, t.putHistory, t.putRules,
			t.commitTouchPoints, t.commitSeen, t.commitRun,
		}
		for _, step := range steps {
			if err := step(key, commit); err != nil {
				return err
			}
		}
		return nil
	})
}

// endClaim ends the claim named by Done or Retry and frees its lease.
func (t *txn) endClaim(key ledger.Key, commit ledger.Commit) error {
	work := commit.Done
	if work == nil {
		work = commit.Retry
	}
	if work == nil {
		return nil
	}
	var err error
	if commit.Done != nil {
		err = t.endDone(key, *work)
	} else {
		err = t.endRetry(key, *work, commit)
	}
	if err != nil {
		return err
	}
	for _, token := range []string{commit.Lease.Token, work.Lease.Token} {
		if token == "" {
			continue
		}
		if err := t.dropLease(key, token); err != nil {
			return err
		}
	}
	return nil
}

const whereWork = ` WHERE tenant_id = $1 AND connection_id = $2 AND side = $3 AND object = $4 AND record_id = $5 AND stream = $6 AND claim_token = $7`

func workArgs(key ledger.Key, work ledger.Work, more ...any) []any {
	return append([]any{key.Tenant, key.Connection, string(work.Ref.Side), work.Ref.Object, work.Ref.ID, work.Stream, work.Lease.Token}, more...)
}

// endDone deletes the row, or, when more arrived meanwhile, makes it a fresh one
// that is due at once.
func (t *txn) endDone(key ledger.Key, work ledger.Work) error {
	gone, err := t.exec("DELETE FROM inbox"+whereWork+" AND generation = $8", workArgs(key, work, work.Generation)...)
	if err != nil || gone > 0 {
		return err
	}
	_, err = t.exec(`UPDATE inbox SET claim_token = '', claimed_until = 0, tries = 0, claims = 0, crashes = 0, first_at = $8,
		due_at = CASE WHEN due_at < $8 THEN due_at ELSE $8 END`+whereWork, workArgs(key, work, t.now)...)
	return err
}

// endRetry puts the row back. What arrived meanwhile has not been tried yet and
// does not wait for the back-off. A counted try hands the row from its run to
// the live work; another run that found it meanwhile keeps it.
func (t *txn) endRetry(key ledger.Key, work ledger.Work, commit ledger.Commit) error {
	due := micros(commit.RetryAt)
	if due == 0 {
		due = t.now
	}
	query := `UPDATE inbox SET claim_token = '', claimed_until = 0, crashes = 0, tries = tries + $8,
		due_at = CASE WHEN generation = $9 OR CAST($10 AS BIGINT) < CAST($11 AS BIGINT) THEN $10 ELSE $11 END`
	args := workArgs(key, work, flag(commit.CountTry), work.Generation, due, t.now)
	if commit.CountTry {
		query += `, lane = CASE WHEN lane > $12 THEN $12 ELSE lane END, run_id = CASE WHEN run_id = $13 THEN '' ELSE run_id END`
		args = append(args, int64(ledger.LanePoll), work.RunID)
	}
	_, err := t.exec(query+whereWork, args...)
	return err
}

// commitSeen stores and forgets seen rows and enqueues changes.
func (t *txn) commitSeen(key ledger.Key, commit ledger.Commit) error {
	if err := t.putSeen(key, commit.PutSeen); err != nil {
		return err
	}
	for _, ref := range commit.DropSeen {
		if _, err := t.exec(`DELETE FROM seen WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3 AND side = $4 AND record_id = $5`,
			key.Tenant, key.Connection, commit.DropStream, string(ref.Side), ref.ID); err != nil {
			return err
		}
	}
	return t.enqueue(key, commit.Enqueue)
}

func (t *txn) commitRun(key ledger.Key, commit ledger.Commit) error {
	return t.addToRun(key, commit.RunID, commit.Counts, commit.RunDone)
}

// putIntents stores open intents and removes the closed ones.
func (t *txn) putIntents(key ledger.Key, commit ledger.Commit) error {
	for _, intent := range commit.OpenIntents {
		if intent.ID == "" || intent.Stream == "" {
			return fault.New(fault.Usage, "an intent needs an id and a stream").On(intent.Source)
		}
		if intent.OpenedAt.IsZero() {
			intent.OpenedAt = timeOf(t.now)
		}
		body, err := t.s.box.sealJSON(intent, place("intents", key.Tenant, intent.ID))
		if err != nil {
			return err
		}
		if _, err := t.exec(`INSERT INTO intents (tenant_id, connection_id, id, stream, link_id, source_side, source_id, target_side, target_id,
				run_id, opened_at, body) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
			ON CONFLICT (tenant_id, connection_id, id) DO UPDATE SET link_id = excluded.link_id, source_side = excluded.source_side,
				source_id = excluded.source_id, target_side = excluded.target_side, target_id = excluded.target_id,
				run_id = excluded.run_id, body = excluded.body`,
			key.Tenant, key.Connection, intent.ID, intent.Stream, intent.LinkID, string(intent.Source.Side), intent.Source.ID,
			string(intent.Target.Side), intent.Target.ID, intent.RunID, micros(intent.OpenedAt), body); err != nil {
			return err
		}
	}
	for _, id := range commit.CloseIntents {
		if _, err := t.exec("DELETE FROM intents WHERE tenant_id = $1 AND connection_id = $2 AND id = $3", key.Tenant, key.Connection, id); err != nil {
			return err
		}
	}
	return nil
}

// putLinks stores links, those that give up a place first.
func (t *txn) putLinks(key ledger.Key, commit ledger.Commit) error {
	links := slices.Clone(commit.PutLinks)
	slices.SortStableFunc(links, func(a, b ledger.Link) int {
		return cmp.Compare(flag(a.State != ledger.LinkTombstone), flag(b.State != ledger.LinkTombstone))
	})
	for _, link := range links {
		if err := t.putLink(key, link); err != nil {
			return err
		}
	}
	return nil
}

func (t *txn) putLink(key ledger.Key, link ledger.Link) error {
	if link.ID == "" || link.Stream == "" || link.Left.ID == "" || link.Right.ID == "" || link.State == "" {
		return fault.New(fault.Usage, "a link needs an id, a stream, both refs and a state").On(link.Left)
	}
	base, err := t.s.box.sealJSON(link.Base, place("links", key.Tenant, link.ID))
	if err != nil {
		return err
	}
	created, updated := micros(link.CreatedAt), micros(link.UpdatedAt)
	if created == 0 {
		created = t.now
	}
	if updated == 0 {
		updated = t.now
	}
	_, err = t.exec(`INSERT INTO links (tenant_id, connection_id, id, stream, left_object, left_id, right_object, right_id, state, base,
			left_version, right_version, gone_side, gone_at, flagged, created_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
		ON CONFLICT (tenant_id, connection_id, id) DO UPDATE SET stream = excluded.stream,
			left_object = excluded.left_object, left_id = excluded.left_id,
			right_object = excluded.right_object, right_id = excluded.right_id, state = excluded.state, base = excluded.base,
			left_version = excluded.left_version, right_version = excluded.right_version, gone_side = excluded.gone_side,
			gone_at = excluded.gone_at, flagged = excluded.flagged, updated_at = excluded.updated_at`,
		key.Tenant, key.Connection, link.ID, link.Stream, link.Left.Object, link.Left.ID, link.Right.Object, link.Right.ID,
		string(link.State), base, link.LeftVersion, link.RightVersion, string(link.GoneSide), micros(link.GoneAt), flag(link.Flagged),
		created, updated)
	return err
}
