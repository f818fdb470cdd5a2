package engine_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/engine"
	"github.com/accord-sync/accord/internal/integration"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// oneSided adds a stream to a bench that looks at the calls of Acme.
func oneSided(t *testing.T, b *bench) {
	t.Helper()
	file := &integration.Integration{Streams: []integration.Stream{{
		Name: "calls", Right: integration.End{Object: "calls", Where: "outcome != 'wrong number'"},
		Fields: []integration.Field{{Name: "outcome", Right: integration.Place{Path: "outcome"}}},
	}}}
	compiled, err := file.Compile()
	require.NoError(t, err)
	open := b.options.Open
	b.options.Open = func(ctx context.Context, connection ledger.Connection) (*engine.Installed, error) {
		real, err := open(ctx, connection)
		if err != nil {
			return nil, err
		}
		in := *real
		in.Streams = append(append([]engine.Stream{}, real.Streams...), engine.Stream{Spec: file.Streams[0], Mapping: compiled[0]})
		return &in, nil
	}
}

func TestOneSidedStreamLooksAtOneSide(t *testing.T) {
	b := newBenchWith(t, t.TempDir(), setup{}, func(b *bench) { oneSided(t, b) })
	t.Cleanup(b.end)
	checked, err := b.engine.CheckSystems(b.ctx, b.key)
	require.NoError(t, err)
	for _, side := range record.Sides() {
		require.Empty(t, checked.Sides[side].Code, "%s: %s", side, checked.Sides[side].Message)
	}
	found := func() int {
		b.clock.advance(2e9)
		polled, err := b.engine.Poll(b.ctx, b.key, "calls")
		require.NoError(t, err)
		b.settle()
		return polled.Enqueued
	}
	require.Zero(t, found())
	call, err := b.right.CreateRecord(b.ctx, "calls", map[string]any{"direction": "in", "outcome": "reached", "at": "2026-11-01T10:00:00Z"})
	require.NoError(t, err)
	_, err = b.right.CreateRecord(b.ctx, "calls", map[string]any{"direction": "in", "outcome": "wrong number", "at": "2026-11-01T10:00:00Z"})
	require.NoError(t, err)
	require.Equal(t, 1, found(), "what is not in scope and never was asks for no look")
	require.Zero(t, found(), "nothing has changed")
	edit := func(outcome string) {
		_, err := b.right.EditRecord(b.ctx, "calls", call.ID, map[string]any{"outcome": outcome})
		require.NoError(t, err)
	}
	edit("voicemail")
	require.Equal(t, 1, found())
	edit("wrong number")
	require.Equal(t, 1, found(), "it left the scope")
	edit("nobody")
	require.Equal(t, 1, found(), "it came back")
	_, err = b.right.DeleteRecord(b.ctx, "calls", call.ID)
	require.NoError(t, err)
	require.Equal(t, 1, found(), "it is gone")
	seen, err := b.store.SeenMany(b.ctx, b.key, "calls", record.Right, []string{call.ID})
	require.NoError(t, err)
	require.Empty(t, seen)
	require.Zero(t, found())
}
