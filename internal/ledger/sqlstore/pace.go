package sqlstore

import (
	"time"

	"github.com/accord-sync/accord/internal/ledger"
)

// The pace of a run is counted between an older mark (pace_…) and now. Marks follow
// each other by paceMark, so that the pace is that of the last one or two of these;
// after a standstill of paceGap it is counted anew.
const (
	paceMark = 30 * time.Second
	paceGap  = 5 * time.Minute
)

const paceColumns = `pace_at, pace_done, pace_read, mark_at, at_stream, at_side, at_done, at_total`

// pace is the older mark of a run, and when the newer one was made.
type pace struct{ at, done, read, markAt int64 }

// perMinute is the pace at now of the work that the run is at: 0 when it cannot be
// told or nothing has moved for long.
func (p pace) perMinute(run ledger.Run, now int64) float64 {
	span := time.Duration(now-p.at) * time.Microsecond
	silent := time.Duration(now-p.markAt) * time.Microsecond
	if run.State != ledger.RunRunning || p.markAt == 0 || span < time.Second || silent > paceGap+paceMark {
		return 0
	}
	moved := int64(run.Done) - p.done
	if run.Total < 0 {
		moved = int64(run.Counts.Read) - p.read
	}
	return float64(moved) / span.Minutes()
}

// addToRun adds counts and progress to a run of the connection.
func (t *txn) addToRun(key ledger.Key, id string, c ledger.Counts, done int) error {
	if id == "" || (c == ledger.Counts{} && done == 0) {
		return nil
	}
	const since = "CAST($14 AS BIGINT) - mark_at"
	gap, mark := itoa(int(paceGap.Microseconds())), itoa(int(paceMark.Microseconds()))
	past := func(anew, next, stays string) string {
		return "CASE WHEN " + since + " > " + gap + " THEN " + anew + " WHEN " + since + " >= " + mark + " THEN " + next + " ELSE " + stays + " END"
	}
	_, err := t.exec(`UPDATE runs SET done = done + $1, rows_read = rows_read + $2, created = created + $3, updated = updated + $4,
			deleted = deleted + $5, linked = linked + $6, unchanged = unchanged + $7, conflicts = conflicts + $8, parked = parked + $9,
			held = held + $10, `+noProblem+`,
			pace_at = `+past("CAST($14 AS BIGINT)", "mark_at", "pace_at")+`,
			pace_done = `+past("done + $1", "mark_done", "pace_done")+`,
			pace_read = `+past("rows_read + $2", "mark_read", "pace_read")+`,
			mark_at = `+past("CAST($14 AS BIGINT)", "CAST($14 AS BIGINT)", "mark_at")+`,
			mark_done = `+past("done + $1", "done + $1", "mark_done")+`,
			mark_read = `+past("rows_read + $2", "rows_read + $2", "mark_read")+`
		WHERE tenant_id = $11 AND connection_id = $12 AND id = $13`,
		done, c.Read, c.Created, c.Updated, c.Deleted, c.Linked, c.Unchanged, c.Conflicts, c.Parked, c.Held,
		key.Tenant, key.Connection, id, t.now)
	return err
}

// putListing stores which listing a run is at, and how far it is.
func (t *txn) putListing(key ledger.Key, page ledger.PageCommit) error {
	if page.RunID == "" {
		return nil
	}
	_, err := t.exec(`UPDATE runs SET at_stream = $1, at_side = $2, at_done = $3, at_total = $4
		WHERE tenant_id = $5 AND connection_id = $6 AND id = $7`,
		page.Stream, string(page.Side), page.Cursor.Read, page.Cursor.Total, key.Tenant, key.Connection, page.RunID)
	return err
}
