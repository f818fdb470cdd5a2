package engine_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/engine"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// found are the codes and fields of what was found about a stream on the right.
func (b *bench) found(stream string) map[string]string {
	b.t.Helper()
	states, err := b.store.ShapeStates(b.ctx, b.key)
	require.NoError(b.t, err)
	found := map[string]string{}
	for _, state := range states {
		if state.Stream == stream && state.Side == record.Right {
			require.Empty(b.t, state.Code)
			for _, one := range state.Findings {
				found[one.Code] = one.Field
			}
		}
	}
	return found
}

// A vendor's update is found by the next check that is due, stays until it is gone, and
// is told since when it is known.
func TestAVendorsUpdateIsFoundByTheNextCheck(t *testing.T) {
	b := start(t, setup{})
	check := func(want int) {
		t.Helper()
		count, err := b.engine.CheckShapes(b.ctx, b.key, false)
		require.NoError(t, err)
		require.Equal(t, want, count)
	}
	check(0)
	for _, shape := range []wire.Shape{
		{Object: "contacts", Field: "job_title", Gone: true},
		{Object: "contacts", Field: "score", Type: "string"},
		{Object: "contacts", Field: "lifecycle", Values: []string{"lead", "contacted", "qualified", "disqualified", "customer", "churned"}},
		{Object: "contacts", Field: "mobile", Required: true},
	} {
		require.NoError(t, b.right.SetShape(b.ctx, shape))
	}
	check(0) // a day has not passed
	b.clock.advance(24 * time.Hour)
	check(4)
	require.Equal(t, map[string]string{
		"missing_field": "position", "type_changed": "score", "value_new": "stage", "new_required_field": "mobile",
	}, b.found("leads"))
	first := b.clock.now()
	b.clock.advance(24 * time.Hour)
	require.NoError(t, b.right.ClearShapes(b.ctx, "contacts", "job_title"))
	check(3)
	states, err := b.store.ShapeStates(b.ctx, b.key)
	require.NoError(t, err)
	for _, state := range states {
		for _, one := range state.Findings {
			require.WithinDuration(t, first, one.Since, time.Hour)
		}
	}
	// A side that does not answer tells nothing new, and clears nothing.
	fault, err := b.right.InjectFault(b.ctx, wire.Fault{Kind: wire.FaultStatus, Status: 503, Times: -1, Path: "/api/2/fields"})
	require.NoError(t, err)
	b.clock.advance(24 * time.Hour)
	check(3)
	require.NoError(t, b.right.RemoveFault(b.ctx, fault))
	require.NoError(t, b.right.ClearShapes(b.ctx, "", ""))
	count, err := b.engine.CheckShapes(b.ctx, b.key, true)
	require.NoError(t, err)
	require.Zero(t, count, "asked for at once, everything fits again")
}

// Whoever installs a new version has seen the server as it is.
func TestANewVersionTakesTheTypesAsTheyAre(t *testing.T) {
	b := start(t, setup{})
	_, err := b.engine.CheckShapes(b.ctx, b.key, true)
	require.NoError(t, err)
	require.NoError(t, b.right.SetShape(b.ctx, wire.Shape{Object: "contacts", Field: "score", Type: "string"}))
	count, err := b.engine.CheckShapes(b.ctx, b.key, true)
	require.NoError(t, err)
	require.Equal(t, 1, count)
	connection, err := b.store.Connection(b.ctx, b.key)
	require.NoError(t, err)
	connection.Version++
	require.NoError(t, b.store.UpdateConnection(b.ctx, connection))
	count, err = b.engine.CheckShapes(b.ctx, b.key, false)
	require.NoError(t, err)
	require.Zero(t, count)
	require.NoError(t, b.store.SetConnectionState(b.ctx, b.key, ledger.Paused, "test"))
	count, err = b.engine.CheckShapes(b.ctx, b.key, true)
	require.NoError(t, err)
	require.Zero(t, count, "a paused connection makes no calls")
}

// What was found about a stream that an edit takes away is no finding any more.
func TestARemovedStreamHasNoFindings(t *testing.T) {
	b := start(t, setup{})
	_, err := b.engine.CheckShapes(b.ctx, b.key, true)
	require.NoError(t, err)
	require.NoError(t, b.right.SetShape(b.ctx, wire.Shape{Object: "contacts", Field: "job_title", Gone: true}))
	_, err = b.engine.CheckShapes(b.ctx, b.key, true)
	require.NoError(t, err)
	require.NotEmpty(t, b.found("leads"))
	b.zReopen(func(in *engine.Installed) { in.Streams = nil })
	_, err = b.engine.CheckShapes(b.ctx, b.key, false)
	require.NoError(t, err)
	require.Empty(t, b.found("leads"))
}
