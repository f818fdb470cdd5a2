package cli_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
)

func TestActivateBeginsAndBeginsAgain(t *testing.T) {
	s := newConsole(t, "crm")
	key := ledger.Key{Tenant: "default", Connection: "cn_a"}
	require.NoError(t, s.store.SetConnectionState(t.Context(), key, ledger.Draft, ""))
	require.Equal(t, fault.ExitCode(fault.Invalid), s.run("activate", "crm"))
	require.Contains(t, s.err.String(), "connection cn_a is failing: the left side refuses the credentials; mend that, then activate it again")
	// What made it fail is mended: the old reason is not taken for the answer to this try.
	require.Zero(t, s.run("activate", "cn_a", "--json"), s.err.String())
	require.JSONEq(t, `{"id": "cn_a", "state": "active"}`, s.out.String())
	require.Equal(t, 2, s.runner.activations)
	require.Equal(t, fault.ExitCode(fault.NotFound), s.run("activate", "unknown"))
}
