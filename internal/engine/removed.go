package engine

import (
	"context"

	"github.com/accord-sync/accord/internal/integration"
	"github.com/accord-sync/accord/internal/ledger"
)

// EndRemoved ends what rules and sources of touch-points left behind that are not in the
// integration any more. It is asked for with each new version, and again by housekeeping: a look that was under
// way meanwhile may have left something after it.
func (e *Engine) EndRemoved(ctx context.Context, key ledger.Key) error {
	in, err := e.Installed(ctx, key)
	if err != nil {
		return err
	}
	if err := e.endRules(ctx, in); err != nil {
		return err
	}
	return e.endSources(ctx, in)
}

func (e *Engine) endRules(ctx context.Context, in *Installed) error {
	var keep []string
	if in.Integration != nil {
		for n := range in.Integration.Rules {
			keep = append(keep, in.Integration.Rules[n].Name)
		}
	}
	ended, err := e.options.Store.EndRules(ctx, in.Key, keep)
	for rule, count := range ended {
		e.options.Log.WithFields(map[string]any{"connection": in.Key.String(), "rule": rule, "count": count}).
			Warn("a rule is not in the integration any more: what it had left to do is cancelled, and what it was refused is discarded")
	}
	return err
}

// endedBatch is how many rows of touch-points one commit takes away or gives on.
const endedBatch = 500

// endSources takes away the rows of sources that are not there any more. Those of one
// that only got another name are given to it, so that nobody's count goes down and up.
func (e *Engine) endSources(ctx context.Context, in *Installed) error {
	streams, err := e.options.Store.TouchStreams(ctx, in.Key)
	if err != nil {
		return err
	}
	points := &integration.TouchPoints{}
	if in.Integration != nil && in.Integration.TouchPoints != nil {
		points = in.Integration.TouchPoints
	}
	filled := map[string]bool{}
	for _, stream := range streams {
		filled[stream.Stream] = true
	}
	for _, stream := range streams {
		if points.Source(stream.Stream) != nil {
			continue
		}
		if heir := heirOf(stream, points, filled); heir != "" {
			if err := e.giveOn(ctx, in, stream.Stream, heir); err != nil {
				return err
			}
			filled[heir] = true
		}
		if err := e.endSource(ctx, in, stream, points); err != nil {
			return err
		}
	}
	return nil
}

// heirOf is the only source of the same collection that has no rows; "" for none.
func heirOf(gone ledger.TouchStream, points *integration.TouchPoints, filled map[string]bool) string {
	heir := ""
	for n := range points.Sources {
		source := &points.Sources[n]
		if source.Side != gone.Side || source.End.Object != gone.Object || filled[source.Name] {
			continue
		}
		if heir != "" {
			return ""
		}
		heir = source.Name
	}
	return heir
}

func (e *Engine) giveOn(ctx context.Context, in *Installed, from, to string) error {
	for {
		moved, err := e.options.Store.MoveTouchPoints(ctx, in.Key, from, to, endedBatch)
		if err != nil || moved < endedBatch {
			return err
		}
	}
}

// endSource takes away the rows of a source, and has the fields written that hold the
// counts of their customers.
func (e *Engine) endSource(ctx context.Context, in *Installed, stream ledger.TouchStream, points *integration.TouchPoints) error {
	total := 0
	for {
		rows, err := e.options.Store.FirstTouchPoints(ctx, in.Key, stream.Stream, endedBatch)
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			break
		}
		total += len(rows)
		commit := ledger.Commit{DropStream: stream.Stream}
		work := ledger.Work{Change: ledger.Change{Lane: ledger.LanePoll}}
		for _, row := range rows {
			commit.DropTouchPoints = append(commit.DropTouchPoints, row.Ref)
			for n := range points.WriteBacks {
				back := &points.WriteBacks[n]
				if row.Customer != "" && back.Side == row.Ref.Side.Other() && back.Stream == row.CustomerStream {
					commit.Enqueue = append(commit.Enqueue, in.lookBack(back, row.Customer, work, e.options.Now()))
				}
			}
		}
		if err := e.options.Store.Commit(ctx, in.Key, commit); err != nil {
			return err
		}
	}
	if total > 0 {
		e.options.Log.WithFields(map[string]any{"connection": in.Key.String(), "stream": stream.Stream, "count": total}).
			Warn("a source of touch-points is not in the integration any more: its records do not count any more")
	}
	return nil
}
