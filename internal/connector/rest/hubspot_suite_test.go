package rest_test

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/sandbox/hubspot"
	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// TestHubSpotShowsTenThousand: a listing of changes goes on where a search shows no more.
func TestHubSpotShowsTenThousand(t *testing.T) {
	clock := &moved{at: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)}
	hub, _ := newHubSpot(t, clock.now, "contacts")
	ids := []string{}
	for range 21 {
		ids = append(ids, hub.Seed(t, 550)...) // at one moment, more than a page
		clock.add(time.Millisecond)
	}
	conn := openHub(t, hub.url, "{calls: 5, per: 1s, ending: /search}", "{calls: 1000, per: 1s, ending: /search}")
	edited := 0
	found := listed(t, conn, connector.ListRequest{Object: "contacts", Since: clock.now().Add(-time.Hour)}, func(page int) {
		clock.add(time.Millisecond)
		if page%9 == 1 { // people go on working: rows that were read go to the end
			hub.Edit(t, ids[page*70], map[string]any{"properties.firstname": "Edited"})
			edited++
		}
	})
	require.Positive(t, edited)
	require.Len(t, found, len(ids), "11,550 contacts")
	refused, err := hub.admin.Calls(t.Context(), 0)
	require.NoError(t, err)
	for _, call := range refused {
		require.Equal(t, http.StatusOK, call.Status, call.Path)
	}
	require.Less(t, len(refused), 160)
}

// TestHubSpotOneMoment: where more changed at one moment than a search shows, nothing is left out silently.
func TestHubSpotOneMoment(t *testing.T) {
	hub, _ := newHubSpot(t, noon, "contacts")
	hub.Seed(t, 10_100)
	conn := openHub(t, hub.url, "{calls: 5, per: 1s, ending: /search}", "{calls: 1000, per: 1s, ending: /search}")
	request := connector.ListRequest{Object: "contacts", Since: noon().Add(-time.Hour)}
	var err error
	for range 250 {
		var page connector.Page
		if page, err = conn.List(t.Context(), request); err != nil {
			break
		}
		require.NotEmpty(t, page.Next, "a window full of one moment must not look like the end")
		request.Cursor = page.Next
	}
	require.ErrorContains(t, err, "does not move")
}

// moved is a clock that goes when it is told.
type moved struct {
	mu sync.Mutex
	at time.Time
}

func (m *moved) now() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.at
}

func (m *moved) add(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.at = m.at.Add(d)
}

// TestHubSpotLimits: against a server with HubSpot's limits no call of many at once is refused.
func TestHubSpotLimits(t *testing.T) {
	hub, _ := newHubSpot(t, time.Now, "contacts")
	ids := hub.Seed(t, 1)
	require.NoError(t, hub.admin.SetLimits(t.Context(), hubspot.Limits()))
	conn := openHub(t, hub.url)
	var group sync.WaitGroup
	for n := range 8 {
		group.Go(func() {
			for range 14 {
				_, err := conn.Get(t.Context(), "contacts", ids[0])
				if err != nil { // the plan of ten seconds is used up: not sent
					require.Equal(t, fault.Throttled, fault.CodeOf(err))
					require.Zero(t, fault.As(err).Status)
				}
			}
		})
		group.Go(func() {
			_, err := conn.Search(connector.WithPatience(t.Context()), connector.SearchRequest{Object: "contacts", Path: "properties.email", Value: fmt.Sprintf("a%d@example.com", n)})
			if err != nil {
				require.Equal(t, fault.Throttled, fault.CodeOf(err))
				require.Zero(t, fault.As(err).Status)
			}
		})
	}
	group.Wait()
	calls, err := hub.admin.Calls(t.Context(), 0)
	require.NoError(t, err)
	require.Greater(t, len(calls), 100)
	for _, call := range calls {
		require.Equal(t, http.StatusOK, call.Status, call.Path)
	}
}

// TestHubSpotRefusals: what its 409 and its 429 say.
func TestHubSpotRefusals(t *testing.T) {
	hub, _ := newHubSpot(t, time.Now, "contacts")
	conn := openHub(t, hub.url)
	made, err := conn.Create(t.Context(), "contacts", map[string]any{"properties.email": "ana@example.com"}, connector.WriteOptions{})
	require.NoError(t, err)
	_, err = conn.Create(t.Context(), "contacts", map[string]any{"properties.email": "ANA@example.com"}, connector.WriteOptions{})
	require.Equal(t, fault.Duplicate, fault.CodeOf(err))
	require.Equal(t, made.Ref.ID, fault.As(err).ExistingID)
	_, err = conn.Create(t.Context(), "contacts", map[string]any{"properties.email": "rubbish"}, connector.WriteOptions{})
	require.Equal(t, fault.Invalid, fault.CodeOf(err))
	require.Equal(t, "properties.email", fault.As(err).Field)
	require.NoError(t, hub.admin.SetLimits(t.Context(), wire.Limits{Requests: 1, WindowMS: 10_000, SearchPerSecond: 1}))
	_, err = conn.Get(t.Context(), "contacts", made.Ref.ID)
	require.NoError(t, err)
	_, err = conn.Get(t.Context(), "contacts", made.Ref.ID)
	require.Equal(t, fault.Throttled, fault.CodeOf(err))
	require.Equal(t, "RATE_LIMIT", fault.As(err).VendorCode)
	require.NoError(t, hub.admin.SetLimits(t.Context(), wire.Limits{}))

	lost := hub.Seed(t, 1)[0]
	_, err = hub.admin.MergeRecords(t.Context(), "contacts", made.Ref.ID, lost)
	require.NoError(t, err)
	survivor, err := conn.Get(t.Context(), "contacts", lost)
	require.NoError(t, err)
	require.Equal(t, made.Ref.ID, survivor.Ref.ID)
	hub.Remove(t, made.Ref.ID)
	_, err = conn.Get(t.Context(), "contacts", made.Ref.ID)
	require.Equal(t, fault.Gone, fault.CodeOf(err), "archived")
}

// TestHubSpotSignature: version 3 signs method, address, body and time.
func TestHubSpotSignature(t *testing.T) {
	const address = "https://accord.example/webhooks/cn_1/right"
	driver := shipped(t, "hubspot")
	body := []byte(`[{"eventId":7,"subscriptionType":"contact.propertyChange","objectId":101,"propertyName":"phone","occurredAt":1795348800000},` +
		`{"eventId":8,"subscriptionType":"contact.deletion","objectId":102},{"eventId":8,"subscriptionType":"ticket.creation","objectId":5},` +
		`{"eventId":8,"subscriptionType":"contact.merge","objectId":103,"primaryObjectId":103,"mergedObjectIds":[104,105]},` +
		`{"eventId":9,"subscriptionType":"deal.associationChange","fromObjectId":7,"toObjectId":101,"associationType":"DEAL_TO_CONTACT","associationRemoved":false}]`)
	stamp := strconv.FormatInt(noon().UnixMilli(), 10)
	sum := base64.StdEncoding.EncodeToString(mac(sha256.New, "client-secret", "POST", address, string(body), stamp))
	header := http.Header{}
	header.Set("X-HubSpot-Signature-v3", sum)
	header.Set("X-HubSpot-Request-Timestamp", stamp)
	events, err := driver.ParseWebhookAt(address, header, body, []string{"client-secret"}, noon())
	require.NoError(t, err)
	told := []string{}
	seen := map[string]bool{}
	for _, event := range events {
		told, seen[event.ID] = append(told, event.Object+"/"+event.RecordID+" "+event.Kind+" "+event.MergedInto), true
	}
	require.Equal(t, []string{"contacts/101 contact.propertyChange ", "contacts/102 contact.deletion ", "contacts/103 contact.merge ", "contacts/104 contact.merge 103",
		"contacts/105 contact.merge 103", "deals/7 deal.associationChange "}, told)
	require.Len(t, seen, len(events), "an event id of HubSpot's may come twice for two events")
	for name, try := range map[string]func() error{
		"another address": func() error {
			_, err := driver.ParseWebhookAt(address+"x", header, body, []string{"client-secret"}, noon())
			return err
		},
		"no address": func() error {
			_, err := driver.ParseWebhook(header, body, []string{"client-secret"}, noon())
			return err
		},
		"another secret": func() error {
			_, err := driver.ParseWebhookAt(address, header, body, []string{"x"}, noon())
			return err
		},
		"too old": func() error {
			_, err := driver.ParseWebhookAt(address, header, body, []string{"client-secret"}, noon().Add(5*time.Minute+time.Second))
			return err
		},
	} {
		require.Equal(t, fault.Unauthorized, fault.CodeOf(try()), name)
	}
}
