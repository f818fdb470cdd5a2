package cli

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/integrations"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/integration"
)

func TestUnknownNamesAreRefused(t *testing.T) {
	text, err := integrations.Read(integrations.SalesOSAcme)
	require.NoError(t, err)
	parsed, err := integration.Parse(text)
	require.NoError(t, err)
	require.NoError(t, checkNames(parsed, map[string]string{"ACME_URL": "x"}))

	err = checkNames(parsed, map[string]string{"ACME_URI": "x"})
	require.True(t, fault.Is(err, fault.Usage))
	require.ErrorContains(t, err, "the file has no variable ACME_URI: did you mean ACME_URL? It has SALESOS_URL, ")
	require.ErrorContains(t, checkNames(parsed, map[string]string{"pol_every": "1s"}), "did you mean POLL_EVERY?")
}

func TestDistance(t *testing.T) {
	for _, one := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "ab", 2}, {"ab", "", 2}, {"kitten", "sitting", 3}, {"ação", "acao", 2}, {"ACME_URI", "ACME_URL", 1}} {
		require.Equal(t, one.want, distance(one.a, one.b), one)
	}
}
