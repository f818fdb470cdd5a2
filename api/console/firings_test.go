package console_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

const firingsPath = "/console/connections/cn_1/firings"

func TestFirings(t *testing.T) {
	s := newSite(t)
	_, _, page := s.get(firingsPath, "secret")
	require.Contains(t, page, "No rule has fired yet.")
	at := time.Date(2026, 3, 30, 11, 0, 0, 0, time.UTC)
	var firings []ledger.Firing
	add := func(rule string, state ledger.FiringState, effect ledger.FiringEffect) {
		n := len(firings)
		effect.Kind, effect.State, effect.Body = "publish", state, []byte(`{"text": "hidden"}`)
		firings = append(firings, ledger.Firing{
			ID: fmt.Sprintf("f%03d", n), Rule: rule, Ref: record.Ref{Side: record.Left, Object: "deals", ID: fmt.Sprintf("d%d", n)}, Occurrence: "match:1", State: state,
			DecidedAt: at.Add(time.Duration(n) * time.Second), Effects: []ledger.FiringEffect{{Kind: "count", State: ledger.FiringDone}, effect},
		})
	}
	for range 60 {
		add("won", ledger.FiringDone, ledger.FiringEffect{})
	}
	add("won", ledger.FiringOpen, ledger.FiringEffect{Code: "transient", Status: 503, Tries: 4})
	add("lost", ledger.FiringCancelled, ledger.FiringEffect{Name: "chat"})
	add("lost", ledger.FiringParked, ledger.FiringEffect{Code: "invalid", Tries: 1})
	require.NoError(t, s.store.Commit(context.Background(), ledger.Key{Tenant: "default", Connection: "cn_1"}, ledger.Commit{PutFirings: firings}))
	status, header, page := s.get(firingsPath, "secret")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, header.Get("Content-Security-Policy"), "default-src 'none'")
	for _, part := range []string{
		"Firings of &lt;b&gt;acme&lt;/b&gt;",
		`<th scope="row">lost</th><td class="count">0</td><td class="count">0</td><td class="count">1</td><td class="count">1</td>`,
		`<th scope="row">won</th><td class="count">1</td><td class="count">60</td><td class="count">0</td><td class="count">0</td>`,
		`<th scope="row">2026-03-30 11:01:02</th><td>lost</td><td>left/deals/d62</td><td>match:1</td><td>parked</td><td>count done, publish parked (invalid, tries: 1)</td>`,
		`<td>left/deals/d61</td><td>match:1</td><td>cancelled</td><td>count done, publish chat cancelled</td>`,
		`<td>left/deals/d60</td><td>match:1</td><td>due</td><td>count done, publish due (transient 503, tries: 4)</td>`,
	} {
		require.Contains(t, page, part)
	}
	require.Equal(t, 50, strings.Count(page, "<td>match:1</td>"), "the latest ones")
	require.NotContains(t, page, "d12<", "the oldest are not shown")
	require.NotContains(t, page, "hidden")
	status, _, _ = s.get("/console/connections/cn_2/firings", "secret")
	require.Equal(t, http.StatusNotFound, status)
	status, _, _ = s.get(firingsPath, "wrong")
	require.Equal(t, http.StatusUnauthorized, status)
	_, _, page = s.get("/console/", "secret")
	require.Contains(t, page, `<a href="`+firingsPath+`">firings</a>`)
}
