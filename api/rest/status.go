package rest

import (
	"context"
	"time"

	"github.com/accord-sync/accord/internal/broker"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// GetStatus answers GET …/status.
func (s *Server) GetStatus(ctx context.Context, request GetStatusRequestObject) (GetStatusResponseObject, error) {
	connection, err := s.options.Store.Connection(ctx, s.key(request.Connection))
	if err != nil {
		return nil, err
	}
	version := connection.Version
	answer := Status{State: ConnectionState(connection.State), StateReason: optional(connection.StateReason), Version: &version}
	if found := connection.Restored; !found.FoundAt.IsZero() {
		answer.Restored = &Restored{
			From: optionalTime(found.From), To: optionalTime(found.To), FoundAt: found.FoundAt.UTC(),
			AcceptedAt: optionalTime(found.AcceptedAt), ComparedAt: optionalTime(found.ComparedAt),
		}
	}
	pending, err := s.options.Store.Pending(ctx, connection.Key, ledger.PendingFilter{})
	if err != nil {
		return nil, err
	}
	answer.Pending.Changes, answer.Pending.Intents = pending.Changes, pending.Intents
	if err := s.countStuck(ctx, connection.Key, &answer); err != nil {
		return nil, err
	}
	described, err := s.options.Installer.Describe(ctx, connection)
	if err != nil {
		return nil, err
	}
	if answer.Sides.Left, err = s.sideStatus(ctx, connection.Key, record.Left, described); err != nil {
		return nil, err
	}
	if answer.Sides.Right, err = s.sideStatus(ctx, connection.Key, record.Right, described); err != nil {
		return nil, err
	}
	if answer.Shapes, err = s.shapeFindings(ctx, connection.Key); err != nil {
		return nil, err
	}
	if answer.Streams, err = s.streamStatuses(ctx, connection, described); err != nil {
		return nil, err
	}
	return GetStatus200JSONResponse(answer), nil
}

// countStuck fills in what waits for a person.
func (s *Server) countStuck(ctx context.Context, key ledger.Key, answer *Status) error {
	store := s.options.Store
	var err error
	if answer.OpenConflicts, err = countPages(func(options ledger.ListOptions) ([]ledger.Conflict, string, error) {
		return store.ListConflicts(ctx, key, ledger.ConflictOpen, options)
	}); err != nil {
		return err
	}
	if answer.DeadLetters, err = countPages(func(options ledger.ListOptions) ([]ledger.DeadLetter, string, error) {
		return store.ListDeadLetters(ctx, key, ledger.DeadLetterFilter{}, options)
	}); err != nil {
		return err
	}
	answer.Held, err = countPages(func(options ledger.ListOptions) ([]ledger.Held, string, error) {
		return store.ListHeld(ctx, key, ledger.HeldWaiting, options)
	})
	return err
}

// countPages counts a list to its end.
func countPages[Item any](page func(ledger.ListOptions) ([]Item, string, error)) (int, error) {
	options, count := ledger.ListOptions{Limit: maxLimit}, 0
	for {
		items, next, err := page(options)
		if err != nil {
			return 0, err
		}
		count += len(items)
		if next == "" {
			return count, nil
		}
		options.Cursor = next
	}
}

func (s *Server) sideStatus(ctx context.Context, key ledger.Key, side record.Side, described Description) (SideStatus, error) {
	state, err := s.options.Store.SideState(ctx, key, side)
	if err != nil {
		return SideStatus{}, err
	}
	now, err := s.options.Store.Now(ctx)
	if err != nil {
		return SideStatus{}, err
	}
	answer := SideStatus{Reachable: state.Failures == 0}
	if !answer.Reachable {
		answer.LastError = optional(state.LastError)
	}
	paused := state.PausedUntil
	if state.BrokenUntil.After(paused) {
		paused = state.BrokenUntil
	}
	if paused.After(now) {
		answer.PausedUntil = optionalTime(paused)
	}
	if state.QuotaKnown {
		limit, remaining := state.Plan(now)
		answer.Quota.Limit = &limit
		if remaining >= 0 {
			answer.Quota.Remaining, answer.Quota.ResetAt = &remaining, optionalTime(state.QuotaResetAt)
		}
	}
	answer.Webhook.State, answer.Webhook.Url = state.WebhookState, optional(state.WebhookURL)
	switch {
	case answer.Webhook.State == "":
		answer.Webhook.State = "none"
	case registered(state) && state.WebhookRefusedAt.After(state.WebhookTakenAt):
		answer.Webhook.State = "refused"
	case state.WebhookState == ledger.WebhookByHand && !state.WebhookTakenAt.IsZero():
		answer.Webhook.State = "active"
	}
	answer.Broker = brokerStatus(described.Brokers[side], state)
	return answer, nil
}

func registered(side ledger.SideState) bool {
	return side.WebhookState == "active" || side.WebhookState == ledger.WebhookByHand
}

// brokerStatus is how the subscription of a side is; nil where it has no broker.
func brokerStatus(kind string, side ledger.SideState) *BrokerStatus {
	if kind == "" {
		return nil
	}
	state := side.Broker
	if broker.Kind(kind).Calls() {
		state = calling(side)
	}
	answer := &BrokerStatus{
		Kind: kind, State: state.State, Reason: optional(state.Reason), Since: optionalTime(state.At), TakenAt: optionalTime(state.TakenAt),
		Unreadable: state.Unreadable, UnreadableAt: optionalTime(state.UnreadableAt), UnreadableCode: optional(state.UnreadableCode),
	}
	if answer.State == "" {
		answer.State = "waiting"
	}
	return answer
}

// calling is how a broker that calls us is: as its last deliveries were.
func calling(side ledger.SideState) ledger.BrokerState {
	state := ledger.BrokerState{TakenAt: side.WebhookTakenAt}
	switch {
	case side.WebhookRefusedAt.After(side.WebhookTakenAt):
		state.State, state.Reason, state.At = "failed", string(fault.Unauthorized), side.WebhookRefusedAt
	case !side.WebhookTakenAt.IsZero():
		state.State = "receiving"
	}
	return state
}

func (s *Server) streamStatuses(ctx context.Context, connection ledger.Connection, described Description) ([]StreamStatus, error) {
	states, err := s.options.Store.StreamStates(ctx, connection.Key)
	if err != nil {
		return nil, err
	}
	linked, err := s.options.Store.CountLinks(ctx, connection.Key)
	if err != nil {
		return nil, err
	}
	now, err := s.options.Store.Now(ctx)
	if err != nil {
		return nil, err
	}
	answers := make([]StreamStatus, 0, len(described.Streams))
	for _, stream := range described.Streams {
		pending, err := s.options.Store.Pending(ctx, connection.Key, ledger.PendingFilter{Stream: stream.Name})
		if err != nil {
			return nil, err
		}
		answer := StreamStatus{Name: stream.Name, Linked: linked[stream.Name], LagSeconds: lag(now, pending.Oldest)}
		for _, state := range states {
			if state.Stream == stream.Name {
				answer.LastPollAt, answer.LastCompareAt = optionalTime(state.LastPollAt), optionalTime(state.LastCompareAt)
				answer.NextPollAt, answer.NextCompareAt = optionalTime(state.NextPollAt), optionalTime(state.NextCompareAt)
			}
		}
		answers = append(answers, answer)
	}
	return answers, nil
}

// lag is the age in seconds of the oldest change that waits; 0 for none.
func lag(now, oldest time.Time) float64 {
	if oldest.IsZero() || !now.After(oldest) {
		return 0
	}
	return now.Sub(oldest).Seconds()
}

// shapeFindings are the ways in which the mapping does not fit the systems.
func (s *Server) shapeFindings(ctx context.Context, key ledger.Key) (*[]ShapeFinding, error) {
	states, err := s.options.Store.ShapeStates(ctx, key)
	if err != nil {
		return nil, err
	}
	found := []ShapeFinding{}
	for _, state := range states {
		for _, one := range state.Findings {
			found = append(found, ShapeFinding{
				Stream: state.Stream, Side: Side(state.Side), Code: ShapeFindingCode(one.Code), Field: one.Field, Text: one.Text, Since: one.Since.UTC(),
			})
		}
	}
	return &found, nil
}
