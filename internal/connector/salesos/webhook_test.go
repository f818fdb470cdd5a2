package salesos_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/salesos"
	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/record"
)

func parse(t *testing.T, body string, extra ...string) ([]connector.Event, error) {
	t.Helper()
	header := sign([]byte(body), "secret", time.Time{})
	for i := 0; i < len(extra); i += 2 {
		header.Set(extra[i], extra[i+1])
	}
	return salesos.Driver{}.ParseWebhook(header, []byte(body), []string{"secret"}, time.Time{})
}

// shows is a record as an event shows it.
func shows(fields record.Fields) *record.Record { return &record.Record{Fields: fields} }

func TestParseWebhookForms(t *testing.T) {
	for _, row := range []struct {
		name, body string
		extra      []string
		want       []connector.Event
	}{
		{"guide", `{"type":"lead.created","data":{"id":"l-1","value":75000.00}}`, nil,
			[]connector.Event{{Object: "leads", RecordID: "l-1", Kind: "lead.created", Shown: shows(record.Fields{"id": "l-1", "value": json.Number("75000.00")})}}},
		{"guide, nested", `{"type":"deal.won","data":{"deal":{"id":"d-1"},"id":"e-9"}}`, nil,
			[]connector.Event{{Object: "deals", RecordID: "d-1", Kind: "deal.won", Shown: shows(record.Fields{"id": "d-1"})}}},
		{"envelope", `{"id":"evt-1","type":"lead.updated","version":2,"ts":1,"tenant":"t","data":{"id":"l-1"}}`,
			[]string{"X-SalesOS-Event-Id", "ignored"}, []connector.Event{{ID: "evt-1", Object: "leads", RecordID: "l-1", Kind: "lead.updated", Shown: shows(record.Fields{"id": "l-1"})}}},
		{"id and type in headers", `{"data":{"id":"l-1"}}`, []string{"X-SalesOS-Event", "lead.deleted", "X-SalesOS-Event-Id", "evt-2"},
			[]connector.Event{{ID: "evt-2", Object: "leads", RecordID: "l-1", Kind: "lead.deleted", Deleted: true}}},
		{"a number for an id", `{"id":7,"type":"user.updated","data":{"id":12}}`, nil,
			[]connector.Event{{ID: "7", Object: "users", RecordID: "12", Kind: "user.updated", Shown: shows(record.Fields{"id": json.Number("12")})}}},
		{"an id under the object's name", `{"id":"e","type":"lead.converted","data":{"lead_id":"l-3","deal":{"id":"d-4"}}}`, nil,
			[]connector.Event{{ID: "e", Object: "leads", RecordID: "l-3", Kind: "lead.converted"}, {ID: "e-deal", Object: "deals", RecordID: "d-4", Kind: "lead.converted"}}},
		{"converted, the deal by its id", `{"id":"e","type":"lead.converted","data":{"lead_id":"l-3","deal_id":"d-4"}}`, nil,
			[]connector.Event{{ID: "e", Object: "leads", RecordID: "l-3", Kind: "lead.converted"}, {ID: "e-deal", Object: "deals", RecordID: "d-4", Kind: "lead.converted"}}},
		{"a deal that was named by another event", `{"id":"e","type":"lead.updated","data":{"lead_id":"l-3","deal_id":"d-4"}}`, nil,
			[]connector.Event{{ID: "e", Object: "leads", RecordID: "l-3", Kind: "lead.updated"}}},
		{"a list", `[{"id":"a","type":"lead.created","data":{"id":"1"}},{"id":"b","type":"quest.done","data":{}}]`, nil,
			[]connector.Event{{ID: "a", Object: "leads", RecordID: "1", Kind: "lead.created", Shown: shows(record.Fields{"id": "1"})}}},
		{"another kind of thing", `{"id":"x","type":"badge.awarded","data":{"id":"b-1"}}`, nil, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			got, err := parse(t, row.body, row.extra...)
			require.NoError(t, err)
			if len(row.want) == 1 && row.want[0].ID == "" {
				row.want[0].ID = transport.BodyHash([]byte(row.body))
			}
			require.Equal(t, row.want, got)
		})
	}
	for _, body := range []string{`{"type":"lead.created"}`, `{"type":"lead.created","data":null}`, `{"data":{"id":"1"}}`, `[1]`, `null`} {
		_, err := parse(t, body)
		require.Equal(t, fault.Invalid, fault.CodeOf(err), body)
	}
}

// TestEveryEventOfThePage: all that the vendor's page lists is asked for and
// read, and a record that is gone shows nothing.
func TestEveryEventOfThePage(t *testing.T) {
	page := map[string][]string{
		"leads": {"lead.created", "lead.updated", "lead.status_changed", "lead.converted", "lead.deleted"},
		"deals": {"deal.created", "deal.updated", "deal.stage_changed", "deal.won", "deal.lost", "deal.deleted"},
		"users": {"user.created", "user.activated", "user.updated", "user.deactivated"},
	}
	for object, kinds := range page {
		var asked []string
		conn, s := scripted(t, connector.Capabilities{}, func(r *http.Request, _ string) (int, string) {
			if r.Method == "GET" {
				return 200, `{"data":[],"meta":{}}`
			}
			return 201, `{"data":{"id":"w1","url":"https://accord.example/h","active":true},"meta":{}}`
		})
		_, err := conn.EnsureWebhook(t.Context(), connector.WebhookSpec{URL: "https://accord.example/h", Secret: "s", Objects: []string{object}})
		require.NoError(t, err)
		for _, call := range s.sent {
			if _, body, found := strings.Cut(call, "POST /v1/webhooks "); found {
				var wanted struct{ Events []string }
				require.NoError(t, json.Unmarshal([]byte(body), &wanted))
				asked = wanted.Events
			}
		}
		require.ElementsMatch(t, kinds, asked)
		for _, kind := range kinds {
			got, err := parse(t, `{"type":"`+kind+`","data":{"id":"r-1"}}`)
			require.NoError(t, err)
			require.Len(t, got, 1, kind)
			require.Equal(t, object, got[0].Object)
			require.Equal(t, kind, got[0].Kind)
			gone := strings.HasSuffix(kind, ".deleted") || strings.HasSuffix(kind, ".deactivated")
			require.Equal(t, gone, got[0].Shown == nil, kind)
			require.Equal(t, strings.HasSuffix(kind, ".deleted"), got[0].Deleted, kind)
		}
	}
}

func TestSignatureIsOverRawBytes(t *testing.T) {
	header := sign([]byte(`{"type":"lead.created","data":{"id":"1","value":75000.00}}`), "secret", time.Time{})
	_, err := salesos.Driver{}.ParseWebhook(header, []byte(`{"type":"lead.created","data":{"id":"1","value":75000}}`), []string{"secret"}, time.Time{})
	require.Equal(t, fault.Unauthorized, fault.CodeOf(err))
	for _, value := range []string{"", "sha256=", "sha1=00", "sha256=zz", "sha256=00", "deadbeef"} {
		_, err := salesos.Driver{}.ParseWebhook(http.Header{"X-Salesos-Signature": {value}}, []byte(`{}`), []string{"secret"}, time.Time{})
		require.Equal(t, fault.Unauthorized, fault.CodeOf(err), value)
	}
}

func FuzzParseWebhook(f *testing.F) {
	for _, seed := range []string{`{"type":"lead.created","data":{"id":"l-1"}}`, `{"id":"e","type":"deal.won","data":{"deal":{"id":"d"}}}`, `[{"type":"user.updated","data":{"id":7}}]`, `[]`, `{`, ``} {
		f.Add([]byte(seed), "sha256=00", "lead.updated")
	}
	f.Fuzz(func(t *testing.T, body []byte, signature, kind string) {
		events, err := salesos.Driver{}.ParseWebhook(http.Header{"X-Salesos-Signature": {signature}}, body, []string{"a"}, time.Time{})
		if err == nil || len(events) > 0 {
			// A fuzzer does not find an HMAC: whatever passes here was not checked.
			t.Fatalf("an unsigned body passed: %v", events)
		}
		header := sign(body, "secret", time.Time{})
		header.Set("X-SalesOS-Event", kind)
		events, err = salesos.Driver{}.ParseWebhook(header, body, []string{"old", "secret"}, time.Time{})
		if err != nil && !fault.Is(err, fault.Invalid) {
			t.Fatalf("a signed body must be read or invalid: %v", err)
		}
		for _, event := range events {
			if event.ID == "" || event.RecordID == "" || event.Object == "" || event.Kind == "" {
				t.Fatalf("half an event: %+v", event)
			}
		}
	})
}
