package control

import (
	"context"
	"time"

	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// Status is the state of a connection as the API answers it.
type Status struct {
	State ledger.ConnectionState `json:"state"`
	// Reason says for people why it is paused, failing or waiting.
	Reason        string         `json:"reason,omitempty"`
	Pending       PendingStatus  `json:"pending"`
	OpenConflicts int            `json:"open_conflicts"`
	DeadLetters   int            `json:"dead_letters"`
	Held          int            `json:"held"`
	Sides         SidesStatus    `json:"sides"`
	Streams       []StreamStatus `json:"streams"`
	// Runs are those under way.
	Runs []RunStatus `json:"runs,omitempty"`
	// Shapes are the ways in which the mapping does not fit what the two systems say of
	// their fields any more.
	Shapes []ShapeStatus `json:"shapes,omitempty"`
	// Restored says that the ledger was put back to an older state, if it was.
	Restored *ledger.Restored `json:"restored,omitempty"`
}

// PendingStatus counts changes due or waiting for a retry, and writes whose
// outcome is unknown.
type PendingStatus struct {
	Changes int `json:"changes"`
	Intents int `json:"intents"`
}

// SidesStatus holds both systems.
type SidesStatus struct {
	Left  SideStatus `json:"left"`
	Right SideStatus `json:"right"`
}

// SideStatus is the state of one system.
type SideStatus struct {
	// Reachable: the last call was answered well.
	Reachable bool `json:"reachable"`
	// PausedUntil is null unless the vendor asked us to wait.
	PausedUntil *time.Time `json:"paused_until"`
	// LastError is the code of the last failure; empty after a good answer.
	LastError string        `json:"last_error,omitempty"`
	Quota     QuotaStatus   `json:"quota"`
	Webhook   WebhookStatus `json:"webhook"`
	// Broker is how the side's messages are received; nil where nothing is known of any.
	Broker *BrokerStatus `json:"broker,omitempty"`
}

// BrokerStatus is how a subscription is.
type BrokerStatus struct {
	// State is receiving, failed or waiting; Reason the code of the failure.
	State   string     `json:"state"`
	Reason  string     `json:"reason,omitempty"`
	Since   *time.Time `json:"since,omitempty"`
	TakenAt *time.Time `json:"taken_at,omitempty"`
	// Unreadable counts messages that could not be read and were put aside or refused.
	Unreadable     int        `json:"unreadable"`
	UnreadableCode string     `json:"unreadable_code,omitempty"`
	UnreadableAt   *time.Time `json:"unreadable_at,omitempty"`
}

// QuotaStatus is the plan as the vendor last told it; null while unknown.
type QuotaStatus struct {
	Limit     *int       `json:"limit"`
	Remaining *int       `json:"remaining"`
	ResetAt   *time.Time `json:"reset_at"`
}

// WebhookStatus is active, off, failed, refused (deliveries are, for their signature) or none.
type WebhookStatus struct {
	State string `json:"state"`
}

// StreamStatus is the state of one stream.
type StreamStatus struct {
	Name          string     `json:"name"`
	LastPollAt    *time.Time `json:"last_poll_at"`
	LastCompareAt *time.Time `json:"last_compare_at"`
	// LagSeconds is the age of the oldest change that waits; 0 if none does.
	LagSeconds float64 `json:"lag_seconds"`
	// Linked counts active links.
	Linked int `json:"linked"`
}

// Status puts together what the ledger knows of a connection.
func (c *Control) Status(ctx context.Context, key ledger.Key) (Status, error) {
	connection, err := c.Store.Connection(ctx, key)
	if err != nil {
		return Status{}, err
	}
	now, err := c.Store.Now(ctx)
	if err != nil {
		return Status{}, err
	}
	pending, err := c.Store.Pending(ctx, key, ledger.PendingFilter{})
	if err != nil {
		return Status{}, err
	}
	status := Status{
		State: connection.State, Reason: connection.StateReason,
		Pending: PendingStatus{Changes: pending.Changes, Intents: pending.Intents},
	}
	if restored := connection.Restored; !restored.FoundAt.IsZero() {
		status.Restored = &restored
	}
	if err := c.countOpen(ctx, key, &status); err != nil {
		return Status{}, err
	}
	if status.Sides.Left, err = c.side(ctx, key, record.Left, now); err != nil {
		return Status{}, err
	}
	if status.Sides.Right, err = c.side(ctx, key, record.Right, now); err != nil {
		return Status{}, err
	}
	if status.Shapes, err = c.shapes(ctx, key); err != nil {
		return Status{}, err
	}
	if status.Runs, err = c.running(ctx, key); err != nil {
		return Status{}, err
	}
	status.Streams, err = c.streams(ctx, key, now)
	return status, err
}

func (c *Control) countOpen(ctx context.Context, key ledger.Key, status *Status) error {
	var err error
	status.OpenConflicts, err = count(func(options ledger.ListOptions) (int, string, error) {
		items, next, err := c.Store.ListConflicts(ctx, key, ledger.ConflictOpen, options)
		return len(items), next, err
	})
	if err != nil {
		return err
	}
	status.DeadLetters, err = count(func(options ledger.ListOptions) (int, string, error) {
		items, next, err := c.Store.ListDeadLetters(ctx, key, ledger.DeadLetterFilter{}, options)
		return len(items), next, err
	})
	if err != nil {
		return err
	}
	status.Held, err = count(func(options ledger.ListOptions) (int, string, error) {
		items, next, err := c.Store.ListHeld(ctx, key, ledger.HeldWaiting, options)
		return len(items), next, err
	})
	return err
}

// count pages through a list.
func count(list func(options ledger.ListOptions) (n int, next string, err error)) (int, error) {
	total := 0
	options := ledger.ListOptions{Limit: 200}
	for {
		n, next, err := list(options)
		if err != nil {
			return 0, err
		}
		total += n
		if next == "" {
			return total, nil
		}
		options.Cursor = next
	}
}

func (c *Control) side(ctx context.Context, key ledger.Key, side record.Side, now time.Time) (SideStatus, error) {
	state, err := c.Store.SideState(ctx, key, side)
	if err != nil {
		return SideStatus{}, err
	}
	status := SideStatus{
		Reachable: state.Failures == 0 && !state.LastOKAt.IsZero(),
		Webhook:   WebhookStatus{State: state.WebhookState},
	}
	if state.Failures > 0 {
		status.LastError = state.LastError
	}
	if state.PausedUntil.After(now) {
		status.PausedUntil = instant(state.PausedUntil)
	}
	if state.QuotaKnown {
		limit, remaining := state.Plan(now)
		status.Quota.Limit = &limit
		if remaining >= 0 {
			status.Quota.Remaining, status.Quota.ResetAt = &remaining, instant(state.QuotaResetAt)
		}
	}
	switch {
	case status.Webhook.State == "":
		status.Webhook.State = "none"
	case status.Webhook.State == "active" && state.WebhookRefusedAt.After(state.WebhookTakenAt):
		status.Webhook.State = "refused"
	}
	status.Broker = brokerStatus(state.Broker)
	return status, nil
}

// brokerStatus is nil where no worker ever said anything of a subscription.
func brokerStatus(state ledger.BrokerState) *BrokerStatus {
	if state == (ledger.BrokerState{}) {
		return nil
	}
	status := &BrokerStatus{
		State: state.State, Reason: state.Reason, Since: instant(state.At), TakenAt: instant(state.TakenAt),
		Unreadable: state.Unreadable, UnreadableCode: state.UnreadableCode, UnreadableAt: instant(state.UnreadableAt),
	}
	if status.State == "" {
		status.State = "waiting"
	}
	return status
}

func (c *Control) streams(ctx context.Context, key ledger.Key, now time.Time) ([]StreamStatus, error) {
	states, err := c.Store.StreamStates(ctx, key)
	if err != nil {
		return nil, err
	}
	linked, err := c.Store.CountLinks(ctx, key)
	if err != nil {
		return nil, err
	}
	streams := make([]StreamStatus, 0, len(states))
	for _, state := range states {
		pending, err := c.Store.Pending(ctx, key, ledger.PendingFilter{Stream: state.Stream})
		if err != nil {
			return nil, err
		}
		stream := StreamStatus{
			Name: state.Stream, LastPollAt: instant(state.LastPollAt), LastCompareAt: instant(state.LastCompareAt),
			Linked: linked[state.Stream],
		}
		if !pending.Oldest.IsZero() {
			stream.LagSeconds = max(now.Sub(pending.Oldest).Seconds(), 0)
		}
		streams = append(streams, stream)
	}
	return streams, nil
}

// instant is nil for the zero time, which JSON would print as a year.
func instant(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	utc := t.UTC()
	return &utc
}
