package engine

import (
	"context"

	"github.com/accord-sync/accord/internal/ledger"
)

// EndRemoved ends what rules left behind that are not in the integration any more. It
// is asked for with each new version, and again by housekeeping: a look that was under
// way meanwhile may have left something after it.
func (e *Engine) EndRemoved(ctx context.Context, key ledger.Key) error {
	in, err := e.Installed(ctx, key)
	if err != nil {
		return err
	}
	return e.endRules(ctx, in)
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
