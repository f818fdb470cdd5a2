package sqlstore

import (
	"context"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
)

const problemColumns = `problem_code, problem, problem_since, problem_tries, next_try_at`

// noProblem clears what kept a run from going on.
const noProblem = `problem_code = '', problem = '', problem_since = 0, problem_tries = 0, next_try_at = 0`

// problem is what keeps a run from going on, as it is stored.
type problem struct {
	code, message         string
	since, tries, nextTry int64
}

// of is nil where nothing does.
func (p problem) of() *ledger.RunProblem {
	if p.code == "" {
		return nil
	}
	return &ledger.RunProblem{Code: p.code, Message: p.message, Since: timeOf(p.since), Tries: int(p.tries), NextTry: timeOf(p.nextTry)}
}

// PutRunProblem implements ledger.Runs.
func (s *Store) PutRunProblem(ctx context.Context, id string, problem ledger.RunProblem) error {
	if problem.Code == "" {
		return fault.New(fault.Usage, "a problem needs a code")
	}
	return s.write(ctx, func(t *txn) error {
		changed, err := t.exec(`UPDATE runs SET problem_code = $1, problem = $2, problem_tries = problem_tries + 1, next_try_at = $3,
			problem_since = CASE WHEN problem_since = 0 THEN CAST($4 AS BIGINT) ELSE problem_since END WHERE id = $5 AND state = 'running'`,
			problem.Code, problem.Message, micros(problem.NextTry), t.now, id)
		if err == nil && changed == 0 {
			return t.mustHaveRun(id)
		}
		return err
	})
}
