package app

import (
	"context"

	"github.com/accord-sync/accord/internal/engine"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/integration"
	"github.com/accord-sync/accord/internal/ledger"
)

// amendments finds, in the earlier versions of a connection's integration, the
// fields that were read from elsewhere, and notes since which version they are read
// as now.
func (o *Opener) amendments(ctx context.Context, connection ledger.Connection, installed *engine.Installed) error {
	now, err := integration.Parse([]byte(connection.Integration))
	if err != nil {
		return err
	}
	for version := connection.Version - 1; version >= 1; version-- {
		text, err := o.options.Store.IntegrationOf(ctx, connection.Key, version)
		if fault.Is(err, fault.NotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		before, err := integration.Parse([]byte(text))
		if err != nil {
			// What cannot be read was never worked with.
			continue
		}
		for n := range installed.Streams {
			noteAmended(&installed.Streams[n], now.Stream(installed.Streams[n].Spec.Name), before, version)
		}
	}
	return nil
}

func noteAmended(stream *engine.Stream, now *integration.Stream, before *integration.Integration, version int) {
	old := before.Stream(stream.Spec.Name)
	if now == nil || old == nil {
		return
	}
	for _, field := range now.Fields {
		if stream.Since[field.Name] > 0 {
			continue
		}
		for _, earlier := range old.Fields {
			if earlier.Name == field.Name && !sameSource(earlier, field) {
				if stream.Since == nil {
					stream.Since = map[string]int{}
				}
				stream.Since[field.Name] = version + 1
			}
		}
	}
}

// sameSource reports whether a field reads the same on both sides. Normal forms,
// values, directions and what is written may differ: the base keeps what was read.
func sameSource(a, b integration.Field) bool {
	return a.Left.Path == b.Left.Path && a.Left.Read == b.Left.Read && a.Right.Path == b.Right.Path && a.Right.Read == b.Right.Read
}
