package activities

import (
	"context"

	"github.com/accord-sync/accord/internal/engine"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// KeyIn names a connection.
type KeyIn struct{ Key ledger.Key }

// SideProblem is why a side cannot be used: a code, and a text for people that
// is free of personal data.
type SideProblem struct {
	Side   record.Side
	Code   fault.Code
	Reason string
}

// CheckOut lists the sides that cannot be used; none: all is well.
type CheckOut struct{ Problems []SideProblem }

// CheckSystems tries credentials, scopes and objects of both sides.
func (a *Lifecycle) CheckSystems(ctx context.Context, in KeyIn) (CheckOut, error) {
	return many(ctx, a.Log, func() (CheckOut, error) {
		_, stop := beating(ctx)
		defer stop()
		result, err := a.Engine.CheckSystems(ctx, in.Key)
		if err != nil {
			return CheckOut{}, err
		}
		var out CheckOut
		for _, side := range record.Sides() {
			if check := result.Sides[side]; check.Code != "" {
				out.Problems = append(out.Problems, SideProblem{Side: side, Code: check.Code, Reason: check.Message})
			}
		}
		return out, nil
	})
}

// ProbeSystems finds out what the two servers can do.
func (a *Lifecycle) ProbeSystems(ctx context.Context, in KeyIn) (None, error) {
	return many(ctx, a.Log, func() (None, error) {
		_, stop := beating(ctx)
		defer stop()
		return None{}, a.Engine.ProbeSystems(ctx, in.Key)
	})
}

// WebhooksOut says whether webhooks are wanted at all.
type WebhooksOut struct{ PollOnly bool }

// EnsureWebhooks registers our webhooks if a public address is configured.
func (a *Lifecycle) EnsureWebhooks(ctx context.Context, in KeyIn) (WebhooksOut, error) {
	return many(ctx, a.Log, func() (WebhooksOut, error) {
		_, stop := beating(ctx)
		defer stop()
		urls := a.webhookURLs(in.Key)
		if len(urls) == 0 {
			return WebhooksOut{PollOnly: true}, nil
		}
		return WebhooksOut{}, a.Engine.EnsureWebhooks(ctx, in.Key, urls)
	})
}

// RemoveWebhooks takes our webhooks away.
func (a *Lifecycle) RemoveWebhooks(ctx context.Context, in KeyIn) (None, error) {
	return many(ctx, a.Log, func() (None, error) {
		_, stop := beating(ctx)
		defer stop()
		return None{}, a.Engine.RemoveWebhooks(ctx, in.Key)
	})
}

// ScheduleStreams makes the first poll of every stream due.
func (a *Lifecycle) ScheduleStreams(ctx context.Context, in KeyIn) (None, error) {
	return single(ctx, a.Log, func() (None, error) {
		return None{}, a.Engine.ScheduleStreams(ctx, in.Key)
	})
}

// SchedulesOut counts the schedules a connection has.
type SchedulesOut struct{ Compares int }

// PutSchedules makes the Temporal schedules of a connection those that its
// integration asks for.
func (a *Lifecycle) PutSchedules(ctx context.Context, in KeyIn) (SchedulesOut, error) {
	return single(ctx, a.Log, func() (SchedulesOut, error) {
		compares, err := a.putSchedules(ctx, in.Key)
		return SchedulesOut{Compares: compares}, err
	})
}

// putSchedules answers how many schedules the connection has now.
func (o Options) putSchedules(ctx context.Context, key ledger.Key) (int, error) {
	installed, err := o.Engine.Installed(ctx, key)
	if err != nil {
		return 0, err
	}
	plans := comparePlans(installed)
	streams, err := o.Store.StreamStates(ctx, key)
	if err != nil {
		return 0, err
	}
	return len(plans), o.Orchestrator.PutSchedules(ctx, key, plans, goneStreams(streams, plans))
}

// comparePlans reads when each stream is compared.
func comparePlans(installed *engine.Installed) []ComparePlan {
	var plans []ComparePlan
	for _, stream := range installed.Streams {
		compare := stream.Spec.Compare
		if compare.Every > 0 || compare.Cron != "" {
			plans = append(plans, ComparePlan{Stream: stream.Spec.Name, Every: compare.Every, Cron: compare.Cron, TimeZone: compare.TimeZone})
		}
	}
	return plans
}

// RemoveSchedules removes the Temporal schedules of a connection.
func (a *Lifecycle) RemoveSchedules(ctx context.Context, in KeyIn) (None, error) {
	return single(ctx, a.Log, func() (None, error) {
		streams, err := a.Store.StreamStates(ctx, in.Key)
		if err != nil {
			return None{}, err
		}
		return None{}, a.Orchestrator.PutSchedules(ctx, in.Key, nil, goneStreams(streams, nil))
	})
}

func goneStreams(streams []ledger.StreamState, plans []ComparePlan) []string {
	planned := map[string]bool{}
	for _, plan := range plans {
		planned[plan.Stream] = true
	}
	var gone []string
	for _, stream := range streams {
		if !planned[stream.Stream] {
			gone = append(gone, stream.Stream)
		}
	}
	return gone
}

// SetStateIn is a new state with its reason for people.
type SetStateIn struct {
	Key    ledger.Key
	State  ledger.ConnectionState
	Reason string
	// Unless, if set, leaves a connection in that state as it is.
	Unless ledger.ConnectionState
}

// SetState changes the state of a connection and tells its workflow.
func (a *Lifecycle) SetState(ctx context.Context, in SetStateIn) (None, error) {
	return single(ctx, a.Log, func() (None, error) {
		if in.Unless != "" {
			connection, err := a.Store.Connection(ctx, in.Key)
			if err != nil || connection.State == in.Unless {
				return None{}, err
			}
		}
		if err := a.Store.SetConnectionState(ctx, in.Key, in.State, in.Reason); err != nil {
			return None{}, err
		}
		if in.State == ledger.Active {
			a.nudge(ctx, in.Key)
		}
		return None{}, nil
	})
}

// StopWorkflows ends the workflows of a connection that is being deleted.
func (a *Lifecycle) StopWorkflows(ctx context.Context, in KeyIn) (None, error) {
	return many(ctx, a.Log, func() (None, error) {
		_, stop := beating(ctx)
		defer stop()
		ids, err := a.workflowsOf(ctx, in.Key)
		if err != nil {
			return None{}, err
		}
		return None{}, a.Orchestrator.Stop(ctx, in.Key, ids)
	})
}

// DeleteConnection removes a connection and all that belongs to it.
func (a *Lifecycle) DeleteConnection(ctx context.Context, in KeyIn) (None, error) {
	return many(ctx, a.Log, func() (None, error) {
		_, stop := beating(ctx)
		defer stop()
		err := a.Store.DeleteConnection(ctx, in.Key)
		if fault.Is(err, fault.NotFound) {
			err = nil
		}
		return None{}, err
	})
}

// workflowsOf lists the workflows of running runs and of conflicts not closed.
func (a *Lifecycle) workflowsOf(ctx context.Context, key ledger.Key) ([]string, error) {
	var ids []string
	err := eachPage(func(options ledger.ListOptions) (string, error) {
		runs, next, err := a.Store.ListRuns(ctx, key, options)
		for _, run := range runs {
			if run.State == ledger.RunRunning && run.WorkflowID != "" {
				ids = append(ids, run.WorkflowID)
			}
		}
		return next, err
	})
	if err != nil {
		return nil, err
	}
	for _, state := range []ledger.ConflictState{ledger.ConflictOpen, ledger.ConflictDecided} {
		err := eachPage(func(options ledger.ListOptions) (string, error) {
			conflicts, next, err := a.Store.ListConflicts(ctx, key, state, options)
			for _, conflict := range conflicts {
				if conflict.WorkflowID != "" {
					ids = append(ids, conflict.WorkflowID)
				}
			}
			return next, err
		})
		if err != nil {
			return nil, err
		}
	}
	return ids, nil
}

// eachPage calls list with one cursor after the other.
func eachPage(list func(options ledger.ListOptions) (next string, err error)) error {
	options := ledger.ListOptions{Limit: 200}
	for {
		next, err := list(options)
		if err != nil || next == "" {
			return err
		}
		options.Cursor = next
	}
}
