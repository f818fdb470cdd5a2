package engine_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/engine"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// polledBeside lets polls have their turn before each page of a side is read.
type polledBeside struct {
	connector.Connector
	poll func(object string)
}

func (c polledBeside) List(ctx context.Context, request connector.ListRequest) (connector.Page, error) {
	c.poll(request.Object)
	return c.Connector.List(ctx, request)
}

// Polls begin when a first load has listed both sides: what they found on one side
// would be looked for on the other one before anybody knows what is there.
func TestNoPollBeforeBothSidesAreListed(t *testing.T) {
	var b *bench
	found, polls, polling := 0, 0, false
	beside := func(_ *engine.Installed, side record.Side, real connector.Connector) connector.Connector {
		if side == record.Left {
			return real
		}
		return polledBeside{real, func(object string) {
			if b == nil || b.engine == nil || polling || object != "contacts" {
				return
			}
			polling = true
			defer func() { polling = false }()
			polls++
			result, err := b.engine.Poll(b.ctx, b.key, "leads")
			require.NoError(t, err)
			found += result.Enqueued
		}}
	}
	made := newBenchWith(t, t.TempDir(), setup{connector: beside}, func(fresh *bench) {
		b = fresh
		b.create(record.Left, map[string]any{"name": "Ana Lima", "email": "ana@x.com"})
		b.create(record.Right, map[string]any{"first_name": "Ana", "last_name": "Lima", "email": "ANA@x.com"})
	})
	t.Cleanup(made.end)
	require.NotZero(t, polls)
	require.Zero(t, found)
	made.quiet()
	require.Len(t, made.live(record.Left), 1)
	require.Len(t, made.live(record.Right), 1)
}

// What a run finds it works off itself: it keeps nobody from telling of live changes.
func TestAListingKeepsNoNudgeBack(t *testing.T) {
	b := start(t, setup{})
	lead := b.create(record.Left, map[string]any{"name": "Ana Lima", "email": "ana@x.com"})
	run, _, err := b.store.StartRun(b.ctx, ledger.Run{ID: "run", Key: b.key, Kind: ledger.RunBackfill, State: ledger.RunRunning, Total: -1})
	require.NoError(t, err)
	require.NoError(t, b.store.ClearNudge(b.ctx, b.key))
	listed, err := b.engine.ListStep(b.ctx, b.key, engine.ListRequest{RunID: run.ID, Kind: run.Kind})
	require.NoError(t, err)
	require.Equal(t, 1, listed.Enqueued)
	change := ledger.Change{Stream: "leads", Ref: record.Ref{Side: record.Left, Object: "leads", ID: lead}}
	needed, err := b.store.Enqueue(b.ctx, b.key, []ledger.Change{change}, time.Minute)
	require.NoError(t, err)
	require.True(t, needed)
}

// A server may keep addresses unique letter by letter: no page says otherwise.
func TestAnAddressThatIsSpelledOtherwiseIsTheSame(t *testing.T) {
	b := start(t, setup{})
	require.NoError(t, b.right.SetSwitches(b.ctx, map[string]any{"unique": false}))
	b.create(record.Right, map[string]any{"first_name": "Ana", "last_name": "Lima", "email": "ANA@x.com"})
	lead := b.create(record.Left, map[string]any{"name": "Ana Lima", "email": "ana@x.com"})
	b.hint(record.Left, lead)
	b.settle()
	b.quiet()
	require.Len(t, b.live(record.Right), 1)
	require.Len(t, b.live(record.Left), 1)
	b.other(record.Left, lead)
	require.Empty(t, b.letters())
}
