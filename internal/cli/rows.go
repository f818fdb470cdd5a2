package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

func jsonFlag(command *cobra.Command, target *bool) {
	command.Flags().BoolVar(target, "json", false, "print JSON")
}

// row is one line of JSON output: names as in the API.
type row = map[string]any

// several is a count with its noun.
func several(count int, one, many string) string {
	if count == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", count, many)
}

// allNamed is an error when a command did fewer of the things that were named
// than there are: a wrong id must not look like success.
func allNamed(ids []string, done int, what, lister string) error {
	distinct := map[string]bool{}
	for _, id := range ids {
		distinct[id] = true
	}
	if missing := len(distinct) - done; missing > 0 {
		return fault.New(fault.Conflict, "%d of %d named are not %s (any more): the command %s lists them", missing, len(distinct), what, lister)
	}
	return nil
}

// list is the JSON form of a list.
func list(rows []row) row {
	if rows == nil {
		rows = []row{}
	}
	return row{"items": rows}
}

func runRow(run ledger.Run) row {
	return row{
		"id": run.ID, "connection": run.Key.Connection, "kind": run.Kind, "stream": orNull(run.Stream), "state": run.State,
		"started_at": run.StartedAt.UTC(), "ended_at": timeOrNull(run.EndedAt), "progress": ledger.ProgressOf(run), "counts": run.Counts,
		"workflow_id": run.WorkflowID, "error": orNull(run.Error), "problem": run.Problem,
	}
}

func conflictRow(conflict ledger.Conflict) row {
	return row{
		"id": conflict.ID, "stream": conflict.Stream, "link": conflict.LinkID, "field": conflict.Field,
		"base": conflict.Base, "left": conflict.Left, "right": conflict.Right, "left_ref": conflict.LeftRef, "right_ref": conflict.RightRef,
		"opened_at": conflict.OpenedAt.UTC(), "deadline": timeOrNull(conflict.Deadline), "state": conflict.State, "workflow_id": conflict.WorkflowID,
	}
}

func deadLetterRow(letter ledger.DeadLetter) row {
	return row{
		"id": letter.ID, "stream": letter.Stream, "side": letter.Ref.Side, "ref": letter.Ref, "reason": letter.Reason,
		"tries": letter.Tries, "first_at": letter.FirstAt.UTC(), "last_at": letter.LastAt.UTC(), "state": letter.State,
	}
}

func linkRow(link ledger.Link) row {
	return row{
		"id": link.ID, "stream": link.Stream, "left": row{"id": link.Left.ID}, "right": row{"id": link.Right.ID}, "state": link.State,
	}
}

func firingRow(firing ledger.Firing) row {
	effects := make([]row, 0, len(firing.Effects))
	for _, effect := range firing.Effects {
		effects = append(effects, row{"kind": effect.Kind, "name": orNull(effect.Name), "state": effect.State, "tries": effect.Tries, "code": orNull(effect.Code), "status": effect.Status})
	}
	return row{
		"id": firing.ID, "rule": firing.Rule, "side": firing.Ref.Side, "ref": firing.Ref, "occurrence": firing.Occurrence, "state": firing.State,
		"decided_at": firing.DecidedAt.UTC(), "effects": effects,
	}
}

func historyRow(entry ledger.HistoryEntry) row {
	return row{
		"at": entry.At.UTC(), "stream": entry.Stream, "side": entry.Ref.Side, "ref": entry.Ref, "field": entry.Field,
		"old": entry.Old, "new": entry.New, "cause": entry.Cause, "run": orNull(entry.RunID), "workflow_id": entry.WorkflowID, "request_id": entry.RequestID,
	}
}

func connectionRow(connection ledger.Connection, base string) row {
	webhooks := row{}
	if base != "" {
		for _, side := range record.Sides() {
			webhooks[string(side)] = row{"url": base + "/webhooks/" + connection.Connection + "/" + string(side)}
		}
	}
	return row{
		"id": connection.Connection, "name": connection.Name, "tenant": connection.Tenant, "state": connection.State,
		"state_reason": orNull(connection.StateReason), "version": connection.Version, "webhooks": webhooks,
	}
}

func orNull(text string) any {
	if text == "" {
		return nil
	}
	return text
}

func timeOrNull(at time.Time) any {
	if at.IsZero() {
		return nil
	}
	return at.UTC()
}

// table prints columns for people.
func table(out io.Writer, head []string, rows [][]string) error {
	writer := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(writer, strings.Join(head, "\t"))
	for _, cells := range rows {
		fmt.Fprintln(writer, strings.Join(cells, "\t"))
	}
	return writer.Flush()
}

// plain prints a value of a record in one short line.
func plain(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		return "?"
	}
	runes := []rune(string(text))
	if len(runes) > 60 {
		return string(runes[:59]) + "…"
	}
	return string(runes)
}

func clock(at time.Time) string {
	if at.IsZero() {
		return "-"
	}
	return at.UTC().Format(time.RFC3339)
}
