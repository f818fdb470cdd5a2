package engine_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/engine"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// A connection is paused in the middle of a page's listing and again in the middle
// of the run's writes. It stands still at once, goes on where it stood, lists no
// page twice and makes no record twice.
func TestAPauseInTheMiddleOfARun(t *testing.T) {
	for _, kind := range []ledger.RunKind{ledger.RunCompare, ledger.RunBackfill} {
		t.Run(string(kind), func(t *testing.T) {
			const many = 230
			b := start(t, setup{})
			for n := range many {
				b.create(record.Left, map[string]any{"name": "Ana", "email": fmt.Sprintf("p%d@x.com", n)})
			}
			pause := func() error { return b.store.SetConnectionState(b.ctx, b.key, ledger.Paused, "an operator") }
			resume := func() { require.NoError(t, b.store.SetConnectionState(b.ctx, b.key, ledger.Active, "")) }
			listed := map[string]int{}
			pages := 0
			b.zReopen(func(in *engine.Installed) {
				left := in.Left
				in.Left = zListing{left, func(ctx context.Context, request connector.ListRequest) (connector.Page, error) {
					if request.Object == "leads" {
						listed[request.Cursor]++
						if pages++; pages == 1 {
							require.NoError(t, pause())
						}
					}
					return left.List(ctx, request)
				}}
			})
			run, _, err := b.store.StartRun(b.ctx, ledger.Run{ID: "paused", Key: b.key, Kind: kind, State: ledger.RunRunning, Total: -1})
			require.NoError(t, err)
			step := func() engine.ListResult {
				result, err := b.engine.ListStep(b.ctx, b.key, engine.ListRequest{RunID: run.ID, Kind: kind})
				require.NoError(t, err)
				return result
			}
			first := step()
			require.True(t, first.Paused)
			require.False(t, first.Finished)
			require.Positive(t, first.Read, "the page that was under way is kept")
			require.Equal(t, 1, pages, "and no other is asked for")
			require.Equal(t, engine.ListResult{Paused: true}, step())

			// Leads are worked on before deals, which refer to them, are listed.
			made := 0
			b.crash = func(step string) error {
				if step == "after create" {
					if made++; made == 10 {
						return pause()
					}
				}
				return nil
			}
			resume()
			require.True(t, step().Paused)
			b.crash = nil
			require.Greater(t, pages, 1)
			for page, times := range listed {
				require.Equal(t, 1, times, "page %q", page)
			}
			writes := b.writes(record.Right)
			require.GreaterOrEqual(t, writes, 10)
			require.Less(t, writes, many/2, "the rest waits")
			for range 2 {
				drained, err := b.engine.Drain(b.ctx, b.key, engine.DrainRequest{RunID: run.ID})
				require.NoError(t, err)
				require.True(t, drained.Paused)
				require.Equal(t, many-writes, drained.Pending, "nothing is forgotten")
			}
			require.Equal(t, writes, b.writes(record.Right), "nothing is written while it is paused")
			resume()
			b.finishRun(run)
			require.Equal(t, len(listed), pages, "the listing was over")
			ended, err := b.store.Run(b.ctx, run.ID)
			require.NoError(t, err)
			require.Equal(t, many, ended.Counts.Created)
			b.quiet()
			require.Len(t, b.live(record.Left), many)
			require.Len(t, b.live(record.Right), many)
		})
	}
}
