package engine

import (
	"context"
	"time"

	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/mapping"
	"github.com/accord-sync/accord/internal/record"
)

// dependencyWait is how long a record waits for one that it refers to and that
// nobody has looked at yet.
const dependencyWait = time.Second

// dependenciesKnown puts a record off, once, whose reference points to a record
// that was never looked at: that one goes first. A reference whose record is
// known and has no counterpart stays unset.
func (p *pass) dependenciesKnown(ctx context.Context, views ...view) error {
	if p.work.Tries > 0 || p.engine.options.Now().Sub(p.work.FirstAt) > dependencyWait {
		return nil
	}
	var first []ledger.Change
	for _, field := range p.stream.Mapping.Fields() {
		if field.Kind().Name != record.KindRef {
			continue
		}
		for _, v := range views {
			change, unknown, err := p.unknownReference(ctx, field, v)
			if err != nil {
				return err
			}
			if unknown {
				first = append(first, change)
			}
		}
	}
	if len(first) == 0 {
		return nil
	}
	if err := p.commit(ctx, ledger.Commit{Enqueue: first}); err != nil {
		return err
	}
	return later(dependencyWait+busyPause, "a record it refers to goes first")
}

func (p *pass) unknownReference(ctx context.Context, field *mapping.Field, v view) (ledger.Change, bool, error) {
	side := v.record.Ref.Side
	value := v.values[field.Name()]
	if record.IsBlank(value) || !dangling(field, side, value, p.refs.lookup) {
		return ledger.Change{}, false, nil
	}
	id, _ := record.Canon(field.Kind(), value).(string)
	stream, ok := p.in.Stream(field.Kind().Stream)
	if !ok || id == "" {
		return ledger.Change{}, false, nil
	}
	known, err := p.store().SeenMany(ctx, p.key(), stream.Spec.Name, side, []string{id})
	if err != nil {
		return ledger.Change{}, false, err
	}
	if _, seen := known[id]; seen {
		return ledger.Change{}, false, nil
	}
	return ledger.Change{
		Stream: stream.Spec.Name, Ref: record.Ref{Side: side, Object: stream.object(side), ID: id}, Lane: p.work.Lane, RunID: p.work.RunID,
	}, true, nil
}
