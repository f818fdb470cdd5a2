package rest_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// TestHubSpotDelivers: what the sandbox sends is understood, whatever its order, and what it
// signed too long ago, wrongly or not at all is refused.
func TestHubSpotDelivers(t *testing.T) {
	hub, _ := newHubSpot(t, time.Now, "contacts")
	driver := shipped(t, "hubspot")
	var (
		mu      sync.Mutex
		events  []connector.Event
		refused []fault.Code
	)
	door := httptest.NewUnstartedServer(nil)
	door.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		body, err := io.ReadAll(r.Body)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		found, err := driver.ParseWebhookAt(door.URL+"/right", r.Header, body, []string{"before", "accord-secret"}, time.Now())
		if err != nil {
			refused = append(refused, fault.CodeOf(err))
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		events = append(events, found...)
	})
	door.Start()
	t.Cleanup(door.Close)
	developer := func(method, path, body string) {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), method, hub.url+"/webhooks/v3/accord/"+path+"?hapikey=dev-accord", strings.NewReader(body))
		require.NoError(t, err)
		answer, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		require.Less(t, answer.StatusCode, 300)
	}
	developer(http.MethodPut, "settings", `{"targetUrl": "`+door.URL+`/right"}`)
	for _, event := range []string{`{"eventType":"contact.propertyChange","propertyName":"phone"}`, `{"eventType":"contact.deletion"}`, `{"eventType":"contact.merge"}`, `{"eventType":"deal.associationChange"}`} {
		developer(http.MethodPost, "subscriptions", event)
	}
	ctx := t.Context()
	require.NoError(t, hub.admin.HoldWebhooks(ctx))
	ids := hub.Seed(t, 4)
	deal, err := hub.admin.CreateRecord(ctx, "deals", map[string]any{"dealname": "Roof"})
	require.NoError(t, err)
	hub.Edit(t, ids[0], map[string]any{"properties.phone": "1234567"})
	hub.Remove(t, ids[1])
	_, err = hub.admin.MergeRecords(ctx, "contacts", ids[2], ids[3])
	require.NoError(t, err)
	_, err = hub.admin.EditRecord(ctx, "deals", deal.ID, map[string]any{"associated_contacts": []any{ids[0]}})
	require.NoError(t, err)
	require.NoError(t, hub.admin.ReleaseWebhooks(ctx, wire.Release{Order: wire.Reversed, Batch: 100}))
	want := []string{"contacts/" + ids[0] + " ", "contacts/" + ids[1] + " ", "contacts/" + ids[2] + " ", "contacts/" + ids[3] + " " + ids[2], "deals/" + deal.ID + " "}
	require.Eventually(t, func() bool {
		mu.Lock()
		defer mu.Unlock()
		told := []string{}
		for _, event := range events {
			told = append(told, event.Object+"/"+event.RecordID+" "+event.MergedInto)
		}
		slices.Sort(told)
		return slices.Equal(want, told)
	}, 10*time.Second, 5*time.Millisecond)
	for n, kind := range []string{wire.SpoilStale, wire.SpoilSignature, wire.SpoilUnsigned} {
		require.NoError(t, hub.admin.SpoilWebhooks(ctx, wire.Spoil{Kind: kind}))
		hub.Edit(t, ids[0], map[string]any{"properties.phone": "765432" + string(rune('0'+n))})
		require.Eventually(t, func() bool {
			mu.Lock()
			defer mu.Unlock()
			return len(refused) == n+1
		}, 10*time.Second, 5*time.Millisecond, kind)
	}
	require.Equal(t, []fault.Code{fault.Unauthorized, fault.Unauthorized, fault.Unauthorized}, refused)
	require.Len(t, events, len(want))
}
