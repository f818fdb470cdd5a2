package sandbox_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/sandbox"
)

// TestVersionsAreKept reads the states that a record went through, with who made
// them and the true time, although the server's clock is coarse.
func TestVersionsAreKept(t *testing.T) {
	p := start(t, sandbox.Options{})
	ctx := t.Context()
	_, err := p.salesos.admin.CreateRecord(ctx, "leads", map[string]any{"name": "Before"})
	require.NoError(t, err)
	require.NoError(t, p.salesos.admin.SetSwitches(ctx, map[string]any{"keep_versions": true}))
	made, err := p.salesos.admin.CreateRecord(ctx, "leads", map[string]any{"name": "Ana"})
	require.NoError(t, err)
	p.clock.Add(1500 * time.Millisecond)
	_, err = p.salesos.admin.EditRecord(ctx, "leads", made.ID, map[string]any{"name": "Bia"})
	require.NoError(t, err)
	_, err = p.salesos.admin.DeleteRecord(ctx, "leads", made.ID)
	require.NoError(t, err)
	kept, err := p.salesos.admin.Versions(ctx, "leads", 0)
	require.NoError(t, err)
	require.Len(t, kept, 3, "what was before the switch is not kept")
	var names []any
	for n, one := range kept {
		require.EqualValues(t, n+1, one.Seq)
		require.Equal(t, made.ID, one.ID)
		require.Equal(t, "user:operator", one.UpdatedBy)
		names = append(names, one.Fields["name"])
	}
	require.Equal(t, []any{"Ana", "Bia", "Bia"}, names)
	require.Equal(t, 1500*time.Millisecond, kept[1].At.Sub(kept[0].At))
	require.NotNil(t, kept[2].DeletedAt)
	later, err := p.salesos.admin.Versions(ctx, "leads", 2)
	require.NoError(t, err)
	require.Equal(t, kept[2:], later)
}
