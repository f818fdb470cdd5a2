package workflows

import (
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/accord-sync/accord/activities"
	"github.com/accord-sync/accord/internal/ledger"
)

// show writes what Temporal's UI tells about a connection.
func (c *connection) show(ctx workflow.Context) {
	s := c.status
	text := fmt.Sprintf("### Connection %s\n\n", c.in.Key)
	switch {
	case s.Problem != "":
		text += fmt.Sprintf("**The last drain failed:** %s\n\n", s.Problem)
	case s.Paused:
		text += "**Paused.** Changes are kept until it is resumed.\n\n"
	case s.Pending == 0:
		text += "Nothing waits.\n\n"
	case s.NextDue.IsZero():
		text += fmt.Sprintf("%d changes wait.\n\n", s.Pending)
	default:
		text += fmt.Sprintf("%d changes wait; the next is due at %s.\n\n", s.Pending, clock(s.NextDue))
	}
	text += fmt.Sprintf("| drains | records done | tried again | conflicts opened | conflicts closed |\n|---|---|---|---|---|\n| %d | %d | %d | %d | %d |\n",
		s.Drains, s.Done, s.Retried, s.ConflictsOpened, s.ConflictsClosed)
	workflow.SetCurrentDetails(ctx, text)
}

// show writes what Temporal's UI tells about a run.
func (r *run) show(ctx workflow.Context) {
	s := r.status
	text := fmt.Sprintf("### %s of %s\n\n", title(string(s.Kind)), streamName(s.Stream))
	text += fmt.Sprintf("Connection %s, run %s: **%s**", r.in.Key, s.RunID, s.Phase)
	if s.Passes > 1 {
		text += fmt.Sprintf(" (pass %d)", s.Passes)
	}
	text += "\n\n"
	if s.Problem != "" {
		text += fmt.Sprintf("**Waits:** %s; next try at %s.\n\n", s.Problem, clock(s.NextTry))
	}
	if s.Total >= 0 {
		text += fmt.Sprintf("%d of %d records done; %d changes wait.\n\n", s.Done, s.Total, s.Pending)
	} else {
		text += fmt.Sprintf("%d records done; %d changes wait.\n\n", s.Done, s.Pending)
	}
	c := s.Counts
	text += "| read | created | updated | deleted | linked | unchanged | conflicts | parked | held |\n|---|---|---|---|---|---|---|---|---|\n"
	text += fmt.Sprintf("| %d | %d | %d | %d | %d | %d | %d | %d | %d |\n",
		c.Read, c.Created, c.Updated, c.Deleted, c.Linked, c.Unchanged, c.Conflicts, c.Parked, c.Held)
	workflow.SetCurrentDetails(ctx, text)
}

// show writes what Temporal's UI tells about a conflict.
func (c *conflict) show(ctx workflow.Context) {
	s := c.status
	text := ""
	what := "field `" + s.Field + "`"
	if s.Field == "" {
		what = "a delete that met an edit"
	}
	text += fmt.Sprintf("### Conflict %s\n\nConnection %s, stream %s, %s of %s and %s: **%s**\n\n",
		c.in.ConflictID, c.in.Key, s.Stream, what, s.LeftRef, s.RightRef, s.State)
	switch {
	case s.State == ledger.ConflictOpen && s.Deadline.IsZero():
		text += "It waits for a decision.\n\n"
	case s.State == ledger.ConflictOpen:
		text += fmt.Sprintf("It waits for a decision until %s; then the fallback policy decides. Reminders sent: %d.\n\n", clock(s.Deadline), s.Reminders)
	}
	text += "The values are shown by the API and the console only.\n"
	workflow.SetCurrentDetails(ctx, text)
}

// show writes what Temporal's UI tells about an activation.
func (a *activation) show(ctx workflow.Context) {
	text := fmt.Sprintf("### Activation of %s\n\nStep: **%s**\n", a.in.Key, a.status.Step)
	if a.status.Problem != "" {
		text += "\n" + a.status.Problem + "\n"
	}
	workflow.SetCurrentDetails(ctx, text)
}

// showSweeps writes what Temporal's UI tells about a poller.
func showSweeps(ctx workflow.Context, n int, total activities.SweepOut, keep activities.HousekeepOut) {
	workflow.SetCurrentDetails(ctx, fmt.Sprintf("### Poller %d\n\nSince %s, in this execution:\n\n"+
		"| polls | changes found | nudges | conflicts | failed steps | connections tended | rows purged |\n|---|---|---|---|---|---|---|\n| %d | %d | %d | %d | %d | %d | %d |\n",
		n, clock(workflow.GetInfo(ctx).WorkflowStartTime), total.Polls, total.Enqueued, total.Nudged, total.Conflicts, total.Failed, keep.Connections, keep.Purged))
}

func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

func streamName(stream string) string {
	if stream == "" {
		return "all streams"
	}
	return stream
}

func title(word string) string {
	if word == "" {
		return word
	}
	return strings.ToUpper(word[:1]) + word[1:]
}
