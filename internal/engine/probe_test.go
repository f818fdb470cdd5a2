package engine_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/record"
	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// can is what is stored of a side's capabilities.
func (b *bench) can(side record.Side) (found connector.Capabilities) {
	b.t.Helper()
	state, err := b.store.SideState(b.ctx, b.key, side)
	require.NoError(b.t, err)
	require.NoError(b.t, json.Unmarshal([]byte(state.Capabilities), &found))
	return found
}

// TestAServerThatWasEmptyIsAskedAgain: what nobody could tell at the activation is found
// out when there are records, and not asked any more then.
func TestAServerThatWasEmptyIsAskedAgain(t *testing.T) {
	b := start(t, setup{})
	require.NoError(t, b.engine.ProbeSystems(b.ctx, b.key))
	require.True(t, b.can(record.Left).Unsure)
	require.False(t, b.can(record.Left).UpdatedFilter)
	require.NoError(t, b.engine.ProbeAgain(b.ctx, b.key))
	require.True(t, b.can(record.Left).Unsure, "it is still empty")

	b.create(record.Left, map[string]any{"name": "Ana", "email": "ana@x.com"})
	_, err := b.left.InjectFault(b.ctx, wire.Fault{Kind: wire.FaultStatus, Status: 503, Times: 1, Method: "GET"})
	require.NoError(t, err)
	require.NoError(t, b.engine.ProbeAgain(b.ctx, b.key), "one that does not answer is asked at the next turn")
	require.True(t, b.can(record.Left).Unsure)
	b.clock.advance(time.Minute)
	require.NoError(t, b.engine.ProbeAgain(b.ctx, b.key))
	require.False(t, b.can(record.Left).Unsure)
	require.True(t, b.can(record.Left).UpdatedFilter)
	_, err = b.left.InjectFault(b.ctx, wire.Fault{Kind: wire.FaultStatus, Status: 503, Times: -1, Method: "GET"})
	require.NoError(t, err)
	require.NoError(t, b.engine.ProbeAgain(b.ctx, b.key))
	require.True(t, b.can(record.Left).UpdatedFilter, "it is not asked any more")
}
