package engine

import (
	"context"
	"slices"

	"github.com/sirupsen/logrus"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// CheckShapes asks the servers of a connection for their own description of the fields
// that its streams use, where they have one, and stores what does not fit the mapping.
// It does nothing before the last check is as old as the integration says (`check`),
// unless now is set. A server that does not answer is part of what is stored; the error
// is the ledger's alone. It gives the number of findings.
func (e *Engine) CheckShapes(ctx context.Context, key ledger.Key, now bool) (int, error) {
	in, state, err := e.cache.get(ctx, key)
	if err != nil || state != ledger.Active {
		return 0, err
	}
	states, err := e.options.Store.ShapeStates(ctx, key)
	if err != nil {
		return 0, err
	}
	if err := e.forgetShapes(ctx, in, states); err != nil {
		return 0, err
	}
	count := 0
	for _, stream := range in.Streams {
		for _, side := range stream.sides() {
			server, ok := in.Connector(side).(connector.Describer)
			if !ok {
				continue
			}
			last := shapeState(states, stream.Spec.Name, side)
			if due := last.CheckedAt.Add(in.Integration.Check.Every); !now && last.Version == in.Version && e.options.Now().Before(due) {
				count += len(last.Findings)
				continue
			}
			checked := e.checkShape(ctx, in, stream, side, server, last)
			if err := e.options.Store.PutShapeState(ctx, key, checked); err != nil {
				return count, err
			}
			count += len(checked.Findings)
		}
	}
	if e.options.Observe != nil {
		e.options.Observe.ShapesChecked(key, count)
	}
	return count, nil
}

// forgetShapes takes back what was found about streams that an edit took away.
func (e *Engine) forgetShapes(ctx context.Context, in *Installed, states []ledger.ShapeState) error {
	for _, state := range states {
		stream, ok := in.Stream(state.Stream)
		if ok && slices.Contains(stream.sides(), state.Side) || len(state.Findings) == 0 {
			continue
		}
		if err := e.options.Store.PutShapeState(ctx, in.Key, ledger.ShapeState{Stream: state.Stream, Side: state.Side}); err != nil {
			return err
		}
	}
	return nil
}

func shapeState(states []ledger.ShapeState, stream string, side record.Side) ledger.ShapeState {
	at := slices.IndexFunc(states, func(one ledger.ShapeState) bool { return one.Stream == stream && one.Side == side })
	if at < 0 {
		return ledger.ShapeState{Stream: stream, Side: side}
	}
	return states[at]
}

// checkShape asks one server about one collection. What was found stays as it was while
// the server does not answer.
func (e *Engine) checkShape(ctx context.Context, in *Installed, stream Stream, side record.Side, server connector.Describer, last ledger.ShapeState) ledger.ShapeState {
	checked := last
	checked.CheckedAt, checked.Code = e.options.Now(), ""
	callCtx, cancel := context.WithTimeout(connector.WithLane(ctx, connector.LanePoll), checkTime)
	described, err := server.Describe(callCtx, stream.object(side))
	cancel()
	if err != nil {
		checked.Code = string(fault.CodeOf(err))
		e.shapeLog(in, stream, side).WithField("code", checked.Code).Warn("a system did not describe its fields; it is asked again at the next check")
		return checked
	}
	if checked.Version != in.Version {
		// Whoever edits the mapping has seen the server as it is.
		checked.Version, checked.Types = in.Version, ShapeTypes(&stream.Spec, side, described)
	}
	checked.Findings = nil
	if len(described) == 0 {
		return checked
	}
	for _, one := range CompareShapes(&stream.Spec, side, described, checked.Types) {
		finding := one
		finding.Since = checked.CheckedAt
		before := slices.IndexFunc(last.Findings, func(was ledger.ShapeFinding) bool { return was.Code == finding.Code && was.Text == finding.Text })
		if before >= 0 {
			finding.Since = last.Findings[before].Since
		} else {
			e.shapeLog(in, stream, side).WithField("code", finding.Code).WithField("field", finding.Field).
				Warn("a system's fields do not fit the mapping any more: mend the integration before records fail; `accord check` and the status tell more")
		}
		checked.Findings = append(checked.Findings, finding)
	}
	return checked
}

// shapeLog names a stream's end; no value of a record is at hand here.
func (e *Engine) shapeLog(in *Installed, stream Stream, side record.Side) logrus.FieldLogger {
	return e.options.Log.WithFields(logrus.Fields{"connection": in.Key.String(), "stream": stream.Spec.Name, "side": side})
}
