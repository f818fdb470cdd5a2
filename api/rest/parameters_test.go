package rest_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAParameterThatCannotBeReadIsNamedAndNotQuoted(t *testing.T) {
	h := start(t)
	for path, name := range map[string]string{
		"/api/v1/connections?limit=ana@example.com":                           "limit",
		"/api/v1/connections/cn_a/touch-points?from=ana@example.com":          "from",
		"/api/v1/connections/cn_a/history?stream=leads&limit=ana@example.com": "limit",
	} {
		answer := h.call(http.MethodGet, path, nil)
		answer.problem(t, http.StatusUnprocessableEntity, "usage")
		require.Equal(t, "a parameter is wrong: "+name, answer.body["detail"], path)
		require.NotContains(t, string(answer.raw), "ana@example.com")
	}
}
