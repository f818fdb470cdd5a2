package sandbox_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/sandbox"
	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// subscribe has the app's webhooks sent to an address, as a developer sets it up.
func (s *side) subscribe(url string, events ...string) {
	s.t.Helper()
	require.Equal(s.t, 200, s.do("PUT", "/webhooks/v3/accord/settings?hapikey=dev-accord", fields{"targetUrl": url, "throttling": fields{"maxConcurrentRequests": 10}}).status)
	for _, event := range events {
		body := fields{"eventType": event, "active": true}
		if event == "contact.propertyChange" {
			body["propertyName"] = "phone"
		}
		made := s.do("POST", "/webhooks/v3/accord/subscriptions?hapikey=dev-accord", body)
		require.Equal(s.t, 201, made.status, "%s", made.raw)
	}
}

func batchOf(t *testing.T, body []byte) []map[string]any {
	t.Helper()
	var batch []map[string]any
	require.NoError(t, json.Unmarshal(body, &batch))
	return batch
}

func TestHubSpotWebhooks(t *testing.T) {
	p := start(t, sandbox.Options{})
	h, r := p.hubspot, newReceiver(t)
	require.Equal(t, 401, h.do("PUT", "/webhooks/v3/accord/settings?hapikey=other", fields{"targetUrl": r.url}).status)
	h.subscribe(r.url, "contact.creation", "contact.propertyChange", "contact.deletion", "contact.merge", "deal.associationChange")
	require.NoError(t, h.admin.HoldWebhooks(t.Context()))
	ids := h.seed("contacts", 3)
	made := h.do("POST", hubContacts, properties(fields{"firstname": "Ana", "phone": "1234"})).text("id")
	_, err := h.admin.EditRecord(t.Context(), "contacts", ids[0], fields{"phone": "5678", "firstname": "Other"})
	require.NoError(t, err)
	require.Equal(t, 204, h.do("DELETE", hubContacts+"/"+made, nil).status)
	require.Equal(t, 200, h.do("POST", hubContacts+"/merge", fields{"primaryObjectId": ids[0], "objectIdToMerge": ids[1]}).status)
	deal := h.seed("deals", 1)[0]
	require.Equal(t, 200, h.do("PUT", "/crm/v4/objects/deals/"+deal+"/associations/default/contacts/"+ids[2], nil).status)
	require.NoError(t, h.admin.ReleaseWebhooks(t.Context(), wire.Release{Order: wire.InOrder, Batch: 100}))
	got := r.wait(t, 1)
	require.Len(t, got, 1, "one batch")
	kinds := map[string]map[string]any{}
	var order []float64
	for _, event := range batchOf(t, got[0].body) {
		kind, _ := event["subscriptionType"].(string)
		number, _ := event["eventId"].(float64)
		if kind == "contact.propertyChange" {
			source, _ := event["changeSource"].(string)
			kind += " " + source
		}
		order, kinds[kind] = append(order, number), event
	}
	require.Len(t, kinds, 6, "a property that nobody subscribed to is not told")
	require.Equal(t, "1234", kinds["contact.propertyChange INTEGRATION"]["propertyValue"])
	require.Equal(t, "5678", kinds["contact.propertyChange CRM_UI"]["propertyValue"])
	require.Equal(t, ids[1], strconv.Itoa(int(kinds["contact.merge"]["mergedObjectIds"].([]any)[0].(float64))))
	require.Equal(t, "DEAL_TO_CONTACT", kinds["deal.associationChange"]["associationType"])
	require.False(t, slices.IsSorted(order), "in no order")

	at := got[0].header.Get("X-HubSpot-Request-Timestamp")
	mac := hmac.New(sha256.New, []byte("accord-secret"))
	mac.Write([]byte("POST" + r.url + string(got[0].body) + at))
	require.Equal(t, base64.StdEncoding.EncodeToString(mac.Sum(nil)), got[0].header.Get("X-HubSpot-Signature-v3"))
	require.Equal(t, strconv.FormatInt(p.clock.Now().UnixMilli(), 10), at)

	require.NoError(t, h.admin.SpoilWebhooks(t.Context(), wire.Spoil{Kind: wire.SpoilStale}))
	_, err = h.admin.EditRecord(t.Context(), "contacts", ids[0], fields{"phone": "9999"})
	require.NoError(t, err)
	stale := r.wait(t, 2)[1].header.Get("X-HubSpot-Request-Timestamp")
	ms, err := strconv.ParseInt(stale, 10, 64)
	require.NoError(t, err)
	require.Less(t, ms, p.clock.Now().UnixMilli()-5*60_000)
}

// TestHubSpotBatches: many changes come as messages of a hundred events at most.
func TestHubSpotBatches(t *testing.T) {
	h, r := start(t, sandbox.Options{}).hubspot, newReceiver(t)
	h.subscribe(r.url, "contact.creation")
	require.NoError(t, h.admin.HoldWebhooks(t.Context()))
	for range 130 {
		require.Equal(t, 201, h.do("POST", hubContacts, properties(fields{"firstname": "x"})).status)
	}
	require.NoError(t, h.admin.ReleaseWebhooks(t.Context(), wire.Release{Order: wire.Shuffled, Seed: 3, Batch: 100}))
	got := r.wait(t, 2)
	require.Len(t, batchOf(t, got[0].body), 100)
	require.Len(t, batchOf(t, got[1].body), 30)
}
