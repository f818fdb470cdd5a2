package activities

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/engine"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// What refused an activation may take us by now: it is asked again for good.
func TestHousekeepActivatesWhatGaveUp(t *testing.T) {
	r := newRig(t)
	for state, want := range map[ledger.ConnectionState][]string{ledger.Failing: {"c1"}, ledger.Draft: nil, ledger.Paused: nil} {
		r.orch.activated = nil
		require.NoError(t, r.store.SetConnectionState(t.Context(), r.key, state, "refused"))
		out, err := call[HousekeepOut](t, r, "Housekeep")
		require.NoError(t, err)
		require.Equal(t, HousekeepOut{Connections: 1}, out)
		require.Equal(t, want, r.orch.activated, state)
	}
}

// A poll that finds what no event told of asks whether the vendors still call us, and has
// compared what is due for it then; one that finds nothing asks nobody.
func TestAPollThatFindsSomethingLooksAtTheWebhooks(t *testing.T) {
	for enqueued, want := range map[int]int{0: 0, 1: 1} {
		r := newRig(t)
		r.options.WebhookURLs = func(key ledger.Key) map[record.Side]string {
			return map[record.Side]string{record.Left: "https://accord.example/webhooks/" + key.Connection + "/left"}
		}
		Register(r.env, r.options)
		before, after := time.Now().Add(-time.Second), time.Now().Add(time.Hour)
		var looks, polls atomic.Int64
		r.engine.webhooks = func(map[record.Side]string) error {
			looks.Add(1)
			return r.store.PutStreamState(t.Context(), r.key, ledger.StreamState{Stream: "deals", NextPollAt: after, NextCompareAt: before})
		}
		r.engine.poll = func(ctx context.Context, key ledger.Key, _ string) (engine.PollResult, error) {
			state := ledger.StreamState{Stream: "leads", NextPollAt: after}
			if polls.Add(1) == 1 {
				state.NextPollAt = before
			}
			return engine.PollResult{Enqueued: enqueued}, r.store.PutStreamState(ctx, key, state)
		}
		require.NoError(t, r.store.PutStreamState(t.Context(), r.key, ledger.StreamState{Stream: "leads", NextPollAt: before}))
		_, err := call[SweepOut](t, r, "Sweep", SweepIn{For: 6 * sweepEvery, Hold: time.Minute, Polls: 4})
		require.NoError(t, err)
		require.GreaterOrEqual(t, polls.Load(), int64(2))
		require.EqualValues(t, want, looks.Load(), "once, though two polls found something")
		require.Len(t, r.orch.started, want, "what the vendor did not tell of is compared")
	}
}
