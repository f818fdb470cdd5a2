package control

import (
	"context"

	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// ShapeStatus is one way in which a stream's mapping does not fit a side any more.
type ShapeStatus struct {
	Stream string      `json:"stream"`
	Side   record.Side `json:"side"`
	ledger.ShapeFinding
}

func (c *Control) shapes(ctx context.Context, key ledger.Key) ([]ShapeStatus, error) {
	states, err := c.Store.ShapeStates(ctx, key)
	var found []ShapeStatus
	for _, state := range states {
		for _, finding := range state.Findings {
			found = append(found, ShapeStatus{Stream: state.Stream, Side: state.Side, ShapeFinding: finding})
		}
	}
	return found, err
}
