package cli

import (
	"context"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/engine"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// shapes compares the mapping with what a server says of its own fields, where it
// does: a vendor's update shows here before the first record fails.
// before are the types that its fields had when an installed connection last fitted.
func shapes(ctx context.Context, plan Plan, side record.Side, open connector.Connector, before map[string]map[string]string, found *Found) {
	server, ok := open.(connector.Describer)
	if !ok {
		return
	}
	for n := range plan.Integration.Streams {
		stream := &plan.Integration.Streams[n]
		if stream.End(side).Object == "" {
			continue
		}
		described, err := server.Describe(ctx, stream.End(side).Object)
		if err != nil {
			found.add(Test{Side: side, About: "shape", Name: stream.Name, Text: words(err)})
			continue
		}
		if len(described) == 0 {
			continue
		}
		wrong := engine.CompareShapes(stream, side, described, before[stream.Name])
		for _, one := range wrong {
			found.add(Test{Side: side, About: "shape", Name: stream.Name, Text: one.Text})
		}
		if len(wrong) == 0 {
			found.add(Test{Side: side, About: "shape", Name: stream.Name, OK: true, Text: "the mapping fits what " + plan.Title(side) + " says of its fields"})
		}
	}
}

// typesBefore are the types that a connection's last good check of a side has seen.
func (c checking) typesBefore(ctx context.Context, side record.Side) (map[string]map[string]string, error) {
	before := map[string]map[string]string{}
	if c.connection == "" {
		return before, nil
	}
	err := c.options.onConnection(ctx, c.connection, func(session *Session, connection ledger.Connection) error {
		states, err := session.Store.ShapeStates(ctx, connection.Key)
		for _, state := range states {
			if state.Side == side {
				before[state.Stream] = state.Types
			}
		}
		return err
	})
	return before, err
}
