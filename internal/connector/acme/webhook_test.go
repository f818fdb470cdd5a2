package acme_test

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/acme"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/record"
)

func noon() time.Time { return time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC) }

func TestParseWebhookBatch(t *testing.T) {
	body := []byte(`[
		{"event_id":"e1","event":"contact.merged","object":"contact","id":"ct_1","merged_into":"ct_2","occurred_at":1},
		{"event_id":"e2","event":"contact.updated","object":"contacts","id":"ct_3","version":17,"actor":"app:accord"},
		{"event_id":"e3","event":"appointment.created","id":"ap_1"},
		{"event_id":"e4","event":"pipeline.moved","object":"pipeline","id":"p_1"},
		{"event":"contact.created"},
		"junk",
		{"event":"company.deleted","object":"company","id":9}]`)
	got, err := acme.Driver{}.ParseWebhook(sign(body, "s", noon()), body, []string{"s"}, noon())
	require.NoError(t, err)
	require.Len(t, got, 4)
	require.Equal(t, connector.Event{ID: "e1", Object: "contacts", RecordID: "ct_1", Kind: "contact.merged", MergedInto: "ct_2"}, got[0])
	require.Equal(t, connector.Event{ID: "e2", Object: "contacts", RecordID: "ct_3", Kind: "contact.updated", Shown: &record.Record{Version: `"v17"`}}, got[1])
	require.Equal(t, connector.Event{ID: "e3", Object: "appointments", RecordID: "ap_1", Kind: "appointment.created"}, got[2])
	require.Equal(t, "companies", got[3].Object)
	require.NotEmpty(t, got[3].ID)

	for _, only := range []string{`[]`, `[{"event":"pipeline.moved","object":"pipeline"}]`} {
		got, err := acme.Driver{}.ParseWebhook(sign([]byte(only), "s", noon()), []byte(only), []string{"s"}, noon())
		require.NoError(t, err)
		require.Empty(t, got)
	}
	_, err = acme.Driver{}.ParseWebhook(sign([]byte(`[{"event":"contact.created"}]`), "s", noon()), []byte(`[{"event":"contact.created"}]`), []string{"s"}, noon())
	require.Equal(t, fault.Invalid, fault.CodeOf(err))
}

func TestSignatureAgeAndForm(t *testing.T) {
	body := []byte(`[]`)
	for off, ok := range map[time.Duration]bool{0: true, 299 * time.Second: true, -299 * time.Second: true, 301 * time.Second: false, -301 * time.Second: false} {
		_, err := acme.Driver{}.ParseWebhook(sign(body, "s", noon().Add(off)), body, []string{"s"}, noon())
		if ok {
			require.NoError(t, err, off)
		} else {
			require.Equal(t, fault.Unauthorized, fault.CodeOf(err), off)
		}
	}
	at := strconv.FormatInt(noon().Unix(), 10)
	good := digest(at, body, "s")
	for value, ok := range map[string]bool{
		"t=" + at + ",v1=" + good:                  true,
		"t=" + at + ", v1=" + good:                 true,
		"v1=" + good + ",t=" + at:                  true,
		"t=" + at + ",v0=00,v1=" + good:            true,
		"t=" + at:                                  false,
		"v1=" + good:                               false,
		"t=" + at + ",t=" + at + ",v1=" + good:     false,
		"t=" + at + ",v1=xyz":                      false,
		"t=now,v1=" + good:                         false,
		"t=-1,v1=" + good:                          false,
		"t=" + at + ",v1=" + good + ",":            false,
		"t=99999999999999999999999,v1=" + good:     false,
		"t=" + at + ",v1=" + digest(at, body, "x"): false,
	} {
		_, err := acme.Driver{}.ParseWebhook(http.Header{"X-Acme-Signature": {value}}, body, []string{"old", "s"}, noon())
		if ok {
			require.NoError(t, err, value)
		} else {
			require.Equal(t, fault.Unauthorized, fault.CodeOf(err), value)
		}
	}
}

func FuzzParseWebhook(f *testing.F) {
	for _, seed := range []string{`[{"event_id":"e","event":"contact.updated","object":"contact","id":"ct_1"}]`, `{"event":"deal.created","id":7}`, `[]`, `[[]]`, ``} {
		f.Add([]byte(seed), "t=1795348800,v1=00")
	}
	f.Fuzz(func(t *testing.T, body []byte, signature string) {
		events, err := acme.Driver{}.ParseWebhook(http.Header{"X-Acme-Signature": {signature}}, body, []string{"a"}, noon())
		if !fault.Is(err, fault.Unauthorized) || len(events) > 0 {
			t.Fatalf("an unsigned body passed: %v %v", events, err)
		}
		events, err = acme.Driver{}.ParseWebhook(sign(body, "s", noon()), body, []string{"s"}, noon())
		if err != nil && !fault.Is(err, fault.Invalid) {
			t.Fatalf("a signed body must be read or invalid: %v", err)
		}
		for _, event := range events {
			if event.ID == "" || event.RecordID == "" || event.Object == "" {
				t.Fatalf("half an event: %+v", event)
			}
		}
	})
}

// A vendor that knows no events of users still tells of all others.
func TestEventsThatTheVendorDoesNotHaveAreLeftOut(t *testing.T) {
	var hook map[string]any
	var calls *script
	conn, s := scripted(t, connector.Capabilities{}, func(r *http.Request) (int, string) {
		if r.Method == http.MethodGet {
			listed, err := json.Marshal(map[string]any{"items": []any{hook}, "next_cursor": nil})
			require.NoError(t, err)
			return 200, string(listed)
		}
		body := calls.bodies[len(calls.bodies)-1]
		if strings.Contains(body, "user.") {
			return 422, `{"error":{"type":"invalid","code":"unknown_event"}}`
		}
		hook = map[string]any{}
		require.NoError(t, json.Unmarshal([]byte(body), &hook))
		hook["id"] = "hk_1"
		return 201, `{"id":"hk_1","active":true}`
	})
	calls = s
	spec := connector.WebhookSpec{URL: "https://accord.example/right", Secret: "s", Objects: []string{"contacts", "users"}}
	for range 2 {
		state, err := conn.EnsureWebhook(t.Context(), spec)
		require.NoError(t, err)
		require.Equal(t, connector.WebhookState{ID: "hk_1", Active: true}, state)
	}
	require.Equal(t, []any{"contact.created", "contact.deleted", "contact.merged", "contact.updated"}, hook["events"])
	writes := 0
	for _, sent := range s.sent {
		if sent.Method != http.MethodGet {
			writes++
		}
	}
	require.Equal(t, 3, writes, "refused, made; refused again, and right as it is")
}
