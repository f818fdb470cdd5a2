package workflows

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/accord-sync/accord/activities"
	"github.com/accord-sync/accord/internal/ledger"
)

// ConflictInput is the input of a Conflict workflow.
type ConflictInput struct {
	Key        ledger.Key
	ConflictID string
	Tuning     Tuning
	// Reminders is carried from one execution into the next.
	Reminders int
}

// ConflictStatus is what a conflict's workflow knows: no values.
type ConflictStatus struct {
	State  ledger.ConflictState `json:"state"`
	Stream string               `json:"stream"`
	// Field is empty for a delete against an edit.
	Field    string `json:"field"`
	LeftRef  string `json:"left_ref"`
	RightRef string `json:"right_ref"`
	// Deadline is when the fallback decides; zero: never.
	Deadline time.Time `json:"deadline"`
	// Reminders counts the reminders sent, two at most.
	Reminders int    `json:"reminders"`
	ClosedBy  string `json:"closed_by,omitempty"`
}

// Conflict waits for a person to decide, reminds twice, lets the fallback
// policy decide at the deadline, and ends when the ledger says it is over.
func Conflict(ctx workflow.Context, in ConflictInput) (ConflictStatus, error) {
	c, err := newConflict(ctx, in)
	if err != nil {
		return ConflictStatus{}, err
	}
	for c.status.State != ledger.ConflictClosed && !workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
		if err := c.wait(ctx); err != nil {
			return c.status, err
		}
	}
	if err := workflow.Await(ctx, func() bool { return workflow.AllHandlersFinished(ctx) }); err != nil {
		return c.status, err
	}
	if c.status.State != ledger.ConflictClosed {
		in.Reminders = c.status.Reminders
		return c.status, workflow.NewContinueAsNewError(ctx, ConflictType, in)
	}
	return c.status, nil
}

// conflict is the state of one execution.
type conflict struct {
	in     ConflictInput
	status ConflictStatus
	// opened is when the conflict began.
	opened time.Time
	// decidedWait is the last pause between two looks at a decided conflict.
	decidedWait time.Duration
	// moved: something happened since the last look that asks for another.
	moved bool
}

func newConflict(ctx workflow.Context, in ConflictInput) (*conflict, error) {
	c := &conflict{in: in}
	c.status.State, c.status.Reminders = ledger.ConflictOpen, in.Reminders
	if err := workflow.SetQueryHandler(ctx, StatusQuery, func() (ConflictStatus, error) { return c.status, nil }); err != nil {
		return nil, err
	}
	if err := workflow.SetUpdateHandlerWithOptions(ctx, ResolveUpdate, c.resolve, workflow.UpdateHandlerOptions{
		Validator: ResolveRequest.validate, Description: "decide this conflict",
	}); err != nil {
		return nil, err
	}
	workflow.Go(ctx, func(ctx workflow.Context) {
		for closed := workflow.GetSignalChannel(ctx, ClosedSignal); closed.Receive(ctx, nil); {
			c.moved = true
		}
	})
	if err := c.look(ctx); err != nil {
		return nil, err
	}
	return c, tag(ctx, in.Tuning, in.Key, c.status.Stream, "")
}

// look reads the conflict's state and times from the ledger.
func (c *conflict) look(ctx workflow.Context) error {
	c.moved = false
	var conflicts *activities.Conflicts
	var out activities.ConflictOut
	in := activities.ConflictIn{Key: c.in.Key, ConflictID: c.in.ConflictID}
	if err := workflow.ExecuteActivity(with(ctx, c.in.Tuning, ledgerStep, "read the conflict's state"), conflicts.LookConflict, in).Get(ctx, &out); err != nil {
		return err
	}
	now := workflow.Now(ctx)
	c.opened = now.Add(-out.Age)
	c.status.State, c.status.Stream, c.status.Field = out.State, out.Stream, out.Field
	c.status.LeftRef, c.status.RightRef, c.status.ClosedBy = out.LeftRef, out.RightRef, out.ClosedBy
	c.status.Deadline = time.Time{}
	if out.HasDeadline {
		c.status.Deadline = now.Add(out.Left)
	}
	c.show(ctx)
	return nil
}

// resolve is the door for a person's decision.
func (c *conflict) resolve(ctx workflow.Context, request ResolveRequest) error {
	if err := decide(ctx, c.in.Tuning, c.in.Key, request); err != nil {
		return err
	}
	if c.status.State == ledger.ConflictOpen {
		c.status.State = ledger.ConflictDecided
	}
	c.moved = true
	c.show(ctx)
	return nil
}

// wait waits for whatever comes first: a decision, the end, a reminder, the
// deadline, or a look at a decided conflict whose end nobody told of.
func (c *conflict) wait(ctx workflow.Context) error {
	at, then := c.next(ctx)
	woken := func() bool { return c.moved }
	if at.IsZero() {
		if err := workflow.Await(ctx, woken); err != nil {
			return err
		}
		return c.look(ctx)
	}
	early, err := workflow.AwaitWithOptions(ctx, workflow.AwaitOptions{
		Timeout: max(at.Sub(workflow.Now(ctx)), leastRest), TimerOptions: workflow.TimerOptions{Summary: then.summary},
	}, woken)
	if err != nil {
		return err
	}
	if early {
		return c.look(ctx)
	}
	return then.do(ctx)
}

// todo is what happens at a time if nothing else happens before.
type todo struct {
	summary string
	do      func(workflow.Context) error
}

// next says what happens next by itself, and when; never if the time is zero.
func (c *conflict) next(ctx workflow.Context) (time.Time, todo) {
	if c.status.State == ledger.ConflictDecided {
		c.decidedWait = max(grow(c.decidedWait, mostDecidedLook), decidedLook)
		return workflow.Now(ctx).Add(c.decidedWait), todo{"look whether it is over", c.look}
	}
	if c.status.Deadline.IsZero() {
		return time.Time{}, todo{}
	}
	whole := c.status.Deadline.Sub(c.opened)
	for n, percent := range []int64{firstReminderPercent, secondReminderPercent} {
		at := c.opened.Add(whole / 100 * time.Duration(percent))
		if n >= c.status.Reminders && at.After(workflow.Now(ctx)) {
			return at, todo{"remind of the conflict", func(ctx workflow.Context) error { return c.remind(ctx, n+1) }}
		}
	}
	return c.status.Deadline, todo{"deadline: the fallback decides", c.fallback}
}

func (c *conflict) remind(ctx workflow.Context, count int) error {
	c.status.Reminders = count
	c.show(ctx)
	var conflicts *activities.Conflicts
	in := activities.RemindIn{Key: c.in.Key, ConflictID: c.in.ConflictID, Left: c.status.Deadline.Sub(workflow.Now(ctx))}
	return workflow.ExecuteActivity(with(ctx, c.in.Tuning, ledgerStep, "remind of the conflict"), conflicts.Remind, in).Get(ctx, nil)
}

// fallback lets the policy decide; the conflict ends when the ledger says so.
func (c *conflict) fallback(ctx workflow.Context) error {
	var conflicts *activities.Conflicts
	in := activities.ConflictIn{Key: c.in.Key, ConflictID: c.in.ConflictID}
	var out activities.FallbackOut
	err := workflow.ExecuteActivity(with(ctx, c.in.Tuning, systemStep, "decide by the fallback policy"), conflicts.Fallback, in).Get(ctx, &out)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err == nil && out.Closed {
		c.status.State = ledger.ConflictDecided
		return c.look(ctx)
	}
	// The sides do not answer or the policy cannot decide yet: the door stays open.
	c.decidedWait = max(grow(c.decidedWait, mostDecidedLook), decidedLook)
	if _, err := workflow.AwaitWithTimeout(ctx, c.decidedWait, func() bool { return c.moved }); err != nil {
		return err
	}
	return c.look(ctx)
}
