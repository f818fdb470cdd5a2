package activities

import (
	"context"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
)

// HousekeepOut counts what was looked after. Failed counts connections to be
// tried again at the next round.
type HousekeepOut struct {
	Connections, Purged, Failed int
}

// Housekeep looks after what changes slowly: webhooks that a vendor switched
// off, fields that it changed, what a server could not tell while it was empty, activations that gave up, running
// runs whose workflow is gone, schedules that a Temporal set up
// anew does not know, rows past their retention.
func (a *Poller) Housekeep(ctx context.Context) (HousekeepOut, error) {
	return many(ctx, a.Log, func() (HousekeepOut, error) {
		note, stop := beating(ctx)
		defer stop()
		var out HousekeepOut
		purged, err := a.Store.Purge(ctx, a.Retention)
		if err != nil {
			return out, err
		}
		out.Purged = purged
		err = eachPage(func(options ledger.ListOptions) (string, error) {
			connections, next, err := a.Store.ListConnections(ctx, "", options)
			for _, connection := range connections {
				if stopped(ctx) {
					return "", nil
				}
				out.Connections++
				note(out.Connections)
				a.tend(ctx, connection, &out)
			}
			return next, err
		})
		return out, err
	})
}

// tend looks after one connection; its failures are its own. One whose activation gave
// up is activated once more: what refused us may take us by now.
func (a *Poller) tend(ctx context.Context, connection ledger.Connection, out *HousekeepOut) {
	var err error
	switch {
	case connection.State == ledger.Failing && !connection.Restored.Waiting():
		err = a.Orchestrator.Activate(ctx, connection.Key)
	case connection.State == ledger.Active:
		err = a.tendActive(ctx, connection)
	}
	if err != nil {
		out.Failed++
		a.Log.WithField("connection", connection.Key.String()).WithField("code", fault.CodeOf(err)).
			Warn("a connection was not looked after; the next round tries again")
	}
}

func (a *Poller) tendActive(ctx context.Context, connection ledger.Connection) error {
	err := a.ensureRuns(ctx, connection)
	if urls := a.webhookURLs(connection.Key); err == nil && len(urls) > 0 {
		err = a.Engine.EnsureWebhooks(ctx, connection.Key, urls)
	}
	if err == nil {
		err = a.compareNow(ctx, connection.Key)
	}
	if err == nil {
		err = a.Engine.ProbeAgain(ctx, connection.Key)
	}
	if err == nil {
		_, err = a.Engine.CheckShapes(ctx, connection.Key, false)
	}
	if err == nil {
		err = a.Engine.EndRemoved(ctx, connection.Key)
	}
	if err == nil {
		// A Temporal that was set up anew knows none of the schedules.
		_, err = a.putSchedules(ctx, connection.Key)
	}
	return err
}

// compareNow starts the comparisons that are due because a vendor lost events:
// a delete that no webhook told of is seen by nothing else.
func (o Options) compareNow(ctx context.Context, key ledger.Key) error {
	now, err := o.Store.Now(ctx)
	if err != nil {
		return err
	}
	streams, err := o.Store.StreamStates(ctx, key)
	if err != nil {
		return err
	}
	for _, stream := range streams {
		if stream.NextCompareAt.IsZero() || stream.NextCompareAt.After(now) {
			continue
		}
		if _, _, err := o.Orchestrator.StartRun(ctx, key, ledger.RunCompare, stream.Stream); err != nil {
			return err
		}
		begun := func(state *ledger.StreamState) {
			if state.NextCompareAt.Equal(stream.NextCompareAt) {
				state.NextCompareAt = time.Time{} // else it is due once more
			}
		}
		if err := o.Store.ChangeStreamState(ctx, key, stream.Stream, begun); err != nil {
			return err
		}
	}
	return nil
}

// ensureRuns looks at the running runs: one of each kind and stream at most. A connection whose ledger was put back is compared until that is done.
func (a *Poller) ensureRuns(ctx context.Context, connection ledger.Connection) error {
	runs, err := a.Store.RunningRuns(ctx, connection.Key)
	if err != nil {
		return err
	}
	comparing := false
	for _, run := range runs {
		comparing = comparing || run.Stream == "" && (run.Kind == ledger.RunCompare || run.Kind == ledger.RunBackfill)
		if err := a.Orchestrator.EnsureRun(ctx, run); err != nil {
			return err
		}
	}
	if connection.Restored.Comparing() && !comparing {
		_, _, err = a.Orchestrator.StartRun(ctx, connection.Key, ledger.RunCompare, "")
	}
	return err
}

func stopped(ctx context.Context) bool {
	select {
	case <-activity.GetWorkerStopChannel(ctx):
		return true
	default:
		return ctx.Err() != nil
	}
}
