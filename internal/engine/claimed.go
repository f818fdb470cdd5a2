package engine

import (
	"context"
	"time"

	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// claimed is a row that this drain has the lease of.
type claimed struct {
	ledger.Work
	// at is when the claim was asked for.
	at time.Time
	// state is what the ledger knew of the record when the lease was ours already; nil:
	// it has to be loaded.
	state *ledger.State
}

// worth is how many slots must be free for a claim: one transaction and one look for
// several rows cost little more than for one, and the others are at work meanwhile.
func (d *drain) worth() int { return max(1, cap(d.slots)/8) }

// claim takes up to limit due rows and looks at all of them at once.
func (d *drain) claim(ctx context.Context, limit int) ([]claimed, error) {
	at := d.engine.options.Now()
	rows, err := d.engine.options.Store.Claim(ctx, d.key, ledger.ClaimRequest{
		Shard: d.request.Shard, Shards: max(d.request.Shards, 1), MaxLane: laneOf(d.request), RunID: d.request.RunID,
		Stream: d.request.Stream, Limit: limit, TTL: d.engine.options.Lease,
	})
	if err != nil {
		return nil, err
	}
	states := d.states(ctx, rows)
	taken := make([]claimed, 0, len(rows))
	for _, row := range rows {
		one := claimed{Work: row, at: at}
		if state, ok := states[stateKey{row.Stream, row.Ref.Side}][row.Ref.ID]; ok {
			one.state = &state
		}
		taken = append(taken, one)
	}
	return taken, nil
}

// stateKey is what states are loaded by.
type stateKey struct {
	stream string
	side   record.Side
}

// states loads what is known of claimed rows. Where the ledger does not answer, each
// pass asks it again.
func (d *drain) states(ctx context.Context, rows []ledger.Work) map[stateKey]map[string]ledger.State {
	ids := map[stateKey][]string{}
	for _, row := range rows {
		key := stateKey{row.Stream, row.Ref.Side}
		ids[key] = append(ids[key], row.Ref.ID)
	}
	found := map[stateKey]map[string]ledger.State{}
	for key, these := range ids {
		if states, err := d.engine.options.Store.LoadMany(ctx, d.key, key.stream, key.side, these); err == nil {
			found[key] = states
		}
	}
	return found
}
