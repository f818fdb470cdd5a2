package rest

import (
	"slices"
	"time"

	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// optional is a pointer to value, nil for the zero value.
func optional[T comparable](value T) *T {
	var zero T
	if value == zero {
		return nil
	}
	return &value
}

func optionalInt(value int) *int { return optional(value) }

// optionalTime is a time in UTC, nil for the zero time.
func optionalTime(value time.Time) *time.Time {
	if value.IsZero() {
		return nil
	}
	value = value.UTC()
	return &value
}

func refOf(ref record.Ref) Ref {
	return Ref{Side: Side(ref.Side), Object: ref.Object, Id: ref.ID}
}

// connectionOf tells a connection; full adds what lists leave out.
func connectionOf(connection ledger.Connection, base string, full bool) Connection {
	answer := Connection{
		Id: connection.Connection, Name: connection.Name, Tenant: connection.Tenant,
		State: ConnectionState(connection.State), StateReason: optional(connection.StateReason), Version: connection.Version,
		CreatedAt: connection.CreatedAt.UTC(), UpdatedAt: connection.UpdatedAt.UTC(),
		Webhooks: Webhooks{
			Left:  Webhook{Url: webhookURL(base, connection.Connection, record.Left)},
			Right: Webhook{Url: webhookURL(base, connection.Connection, record.Right)},
		},
	}
	if !full {
		return answer
	}
	variables := Text(connection.Variables)
	if variables == nil {
		variables = Text{}
	}
	names := make([]string, 0, len(connection.Secrets))
	for name := range connection.Secrets {
		names = append(names, name)
	}
	slices.Sort(names)
	answer.Integration, answer.Variables, answer.SecretNames = &connection.Integration, &variables, &names
	return answer
}

func webhookURL(base, connection string, side record.Side) string {
	return base + "/webhooks/" + connection + "/" + string(side)
}

func runOf(run ledger.Run) Run {
	answer := Run{
		Id: run.ID, Connection: run.Key.Connection, Kind: RunKind(run.Kind), Stream: optional(run.Stream),
		State: RunState(run.State), Error: optional(run.Error),
		StartedAt: run.StartedAt.UTC(), EndedAt: optionalTime(run.EndedAt), WorkflowId: run.WorkflowID,
		Counts: countsOf(run.Counts),
	}
	far := ledger.ProgressOf(run)
	answer.Progress.Done, answer.Progress.Total = far.Done, far.Total
	answer.Progress.PerMinute, answer.Progress.SecondsLeft = far.PerMinute, far.SecondsLeft
	if at := far.Listing; at != nil {
		answer.Progress.Listing = &ListingProgress{Stream: at.Stream, Side: Side(at.Side), Done: at.Done, Total: at.Total}
	}
	if problem := run.Problem; problem != nil {
		answer.Problem = &RunProblem{
			Code: problem.Code, Message: problem.Message, Since: problem.Since.UTC(), Tries: problem.Tries, NextTry: optionalTime(problem.NextTry),
		}
	}
	return answer
}

func countsOf(counts ledger.Counts) Counts {
	return Counts{
		Read: counts.Read, Created: counts.Created, Updated: counts.Updated, Deleted: counts.Deleted, Linked: counts.Linked,
		Unchanged: counts.Unchanged, Conflicts: counts.Conflicts, Parked: counts.Parked, Held: counts.Held,
	}
}

func linkOf(link ledger.Link) Link {
	return Link{
		Id: link.ID, Stream: link.Stream, State: LinkState(link.State), Flagged: optional(link.Flagged),
		Left:      LinkEnd{Id: link.Left.ID, Object: optional(link.Left.Object)},
		Right:     LinkEnd{Id: link.Right.ID, Object: optional(link.Right.Object)},
		CreatedAt: link.CreatedAt.UTC(), UpdatedAt: link.UpdatedAt.UTC(),
	}
}

func conflictOf(key ledger.Key, conflict ledger.Conflict) Conflict {
	left, right := refOf(conflict.LeftRef), refOf(conflict.RightRef)
	answer := Conflict{
		Id: conflict.ID, Connection: key.Connection, Stream: conflict.Stream, Link: conflict.LinkID, Field: conflict.Field,
		Base: conflict.Base, Left: conflict.Left, Right: conflict.Right, LeftRef: &left, RightRef: &right,
		FirstLink: optional(conflict.FirstLink), OpenedAt: conflict.OpenedAt.UTC(), Deadline: optionalTime(conflict.Deadline),
		State: ConflictState(conflict.State), ClosedBy: optional(conflict.ClosedBy), ClosedAt: optionalTime(conflict.ClosedAt),
		WorkflowId: conflict.WorkflowID,
	}
	if decision := conflict.Decision; decision != nil {
		answer.Decision = &Decision{Choose: DecisionChoose(decision.Choose), At: decision.At.UTC(), By: optional(decision.By)}
		if decision.Choose == ledger.ChooseValue {
			answer.Decision.Value = &decision.Value
		}
	}
	return answer
}

func deadLetterOf(key ledger.Key, letter ledger.DeadLetter) DeadLetter {
	answer := DeadLetter{
		Id: letter.ID, Connection: key.Connection, Stream: letter.Stream, Side: Side(letter.Ref.Side), Ref: refOf(letter.Ref),
		Link: optional(letter.LinkID), Tries: letter.Tries, FirstAt: letter.FirstAt.UTC(), LastAt: letter.LastAt.UTC(),
		State: DeadLetterState(letter.State), DiscardReason: optional(letter.DiscardReason),
		Reason: Reason{
			Code: letter.Reason.Code, Message: letter.Reason.Message, Field: optional(letter.Reason.Field),
			Status: optional(letter.Reason.Status), RequestId: optional(letter.Reason.RequestID),
		},
	}
	if len(letter.Overrides) > 0 {
		fields := map[string]any(letter.Overrides)
		answer.Fields = &fields
	}
	return answer
}

func historyOf(entry ledger.HistoryEntry) HistoryEntry {
	return HistoryEntry{
		Id: entry.ID, At: entry.At.UTC(), Stream: entry.Stream, Link: optional(entry.LinkID),
		Side: Side(entry.Ref.Side), Ref: refOf(entry.Ref), Field: entry.Field, Op: HistoryEntryOp(entry.Op),
		Old: entry.Old, New: entry.New, Run: optional(entry.RunID), WorkflowId: entry.WorkflowID, RequestId: entry.RequestID,
		Cause: Cause{Kind: CauseKind(entry.Cause.Kind), Side: optional(Side(entry.Cause.Side)), EventId: optional(entry.Cause.EventID)},
	}
}

func heldOf(held ledger.Held) Held {
	return Held{
		Id: held.ID, Stream: held.Stream, Side: Side(held.Ref.Side), Ref: refOf(held.Ref), Op: GuardOp(held.Op),
		Fields: namesOf(held.Fields), Since: held.Since.UTC(), Link: optional(held.LinkID),
	}
}

func namesOf(fields []string) *[]string {
	if len(fields) == 0 {
		return nil
	}
	return &fields
}

// mapped applies one to every item; never nil, since lists are told as [].
func mapped[From, To any](items []From, one func(From) To) []To {
	out := make([]To, 0, len(items))
	for _, item := range items {
		out = append(out, one(item))
	}
	return out
}
