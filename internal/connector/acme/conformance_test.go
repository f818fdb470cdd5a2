package acme_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/acme"
	"github.com/accord-sync/accord/internal/connector/connectortest"
	"github.com/accord-sync/accord/internal/fault"
)

func harness() connectortest.Harness {
	return harnessOf("contacts", "contact", "email", "first_name", "job_title", nil)
}

func harnessOf(object, singular, key, text, other string, needs map[string]any) connectortest.Harness {
	capabilities := acme.Driver{}.Defaults()
	if key != "email" && key != "domain" {
		capabilities.Unique = nil // the suite asks about key, and TestEveryCollection about external_ref
	}
	return connectortest.Harness{
		Driver: acme.Driver{}, Capabilities: capabilities,
		Object: object, Key: key, Text: text, Other: other, Needs: needs,
		Inner: "properties.score", InnerOther: "properties.theirs", Marker: "external_ref",
		APIPath: "/api/2", TokenPath: "/oauth/token", HookPath: "/hooks", ListPath: "/" + object,
		GoneBody:    `{"error":{"type":"not_found"}}`,
		RefusedBody: `{"error":{"type":"validation","code":"invalid","message":"no","fields":{"` + key + `":["is invalid"]}}}`,
		Event: func(id string) []byte {
			return []byte(`[{"event_id":"e1","event":"` + singular + `.updated","object":"` + singular + `","id":"` + id + `","version":3,"changes":["x"],"occurred_at":1790000000000}]`)
		},
		Sign:  sign,
		Start: startSandbox(object),
	}
}

// others are the harnesses of all collections but contacts that can be written.
func others() []connectortest.Harness {
	at := "2026-11-22T12:00:00.000Z"
	return []connectortest.Harness{
		harnessOf("companies", "company", "domain", "name", "properties.other", map[string]any{"name": "Dahlia"}),
		harnessOf("deals", "deal", "properties.key", "title", "properties.other", map[string]any{"title": "Roof"}),
		harnessOf("appointments", "appointment", "location", "title", "properties.other", map[string]any{"title": "Visit", "starts_at": at, "ends_at": at}),
		harnessOf("calls", "call", "properties.key", "outcome", "properties.other", map[string]any{"at": at}),
		harnessOf("emails", "email", "outcome", "subject", "properties.other", map[string]any{"at": at}),
		harnessOf("orders", "order", "number", "title", "properties.other", map[string]any{"title": "Roof"}),
		harnessOf("submissions", "submission", "name", "message", "properties.other", map[string]any{"form": "contact"}),
	}
}

func sign(body []byte, secret string, at time.Time) http.Header {
	t := strconv.FormatInt(at.Unix(), 10)
	return http.Header{"X-Acme-Signature": {"t=" + t + ",v1=" + digest(t, body, "rotated-away") + ",v1=" + digest(t, body, secret)}}
}

func digest(t string, body []byte, secret string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(t + "."))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

func TestSandbox(t *testing.T) {
	connectortest.Run(t, harness())
}

func TestOtherCollections(t *testing.T) {
	for _, h := range others() {
		t.Run(h.Object, func(t *testing.T) { connectortest.Run(t, h) })
	}
}

// TestMarkerOfEveryCollection: external_ref is found with one call and is taken once.
func TestMarkerOfEveryCollection(t *testing.T) {
	for _, h := range append(others(), harness()) {
		t.Run(h.Object, func(t *testing.T) {
			s := newServer(t, time.Now, h.Object)
			conn := s.open(t)
			fields := map[string]any{"external_ref": "x1"}
			maps.Copy(fields, h.Needs)
			made, err := conn.Create(t.Context(), h.Object, fields, connector.WriteOptions{})
			require.NoError(t, err)
			_, err = conn.Create(t.Context(), h.Object, fields, connector.WriteOptions{})
			require.Equal(t, fault.Duplicate, fault.CodeOf(err))
			require.Equal(t, made.Ref.ID, fault.As(err).ExistingID)
			require.NoError(t, s.admin.ResetLog(t.Context()))
			found, err := conn.Search(t.Context(), connector.SearchRequest{Object: h.Object, Path: "external_ref", Value: "x1"})
			require.NoError(t, err)
			require.Len(t, found, 1)
			require.Equal(t, made.Ref, found[0].Ref)
			calls, err := s.admin.Calls(t.Context(), 0)
			require.NoError(t, err)
			require.Len(t, calls, 1)
		})
	}
}

// TestAppointmentWhole: lists and times come back as they were written, and an edit of one leaves the others.
func TestAppointmentWhole(t *testing.T) {
	s := newServer(t, time.Now, "appointments")
	conn := s.open(t)
	fields := map[string]any{"title": "Visit", "starts_at": "2026-11-23T09:00:00+01:00", "ends_at": "2026-11-23T10:00:00+01:00", "time_zone": "Europe/Berlin",
		"recurrence": "FREQ=WEEKLY;BYDAY=MO", "attendees": []any{map[string]any{"name": "Ana", "email": "ana@example.com", "status": "accepted"}}}
	made, err := conn.Create(t.Context(), "appointments", fields, connector.WriteOptions{})
	require.NoError(t, err)
	for path, want := range fields {
		require.Equal(t, want, made.Fields[path], path)
	}
	moved, err := conn.Update(t.Context(), made, map[string]any{"status": "done", "recurrence": nil}, connector.WriteOptions{IfMatch: made.Version})
	require.NoError(t, err)
	require.Nil(t, moved.Fields["recurrence"])
	require.Equal(t, fields["attendees"], moved.Fields["attendees"])
	_, err = conn.Update(t.Context(), moved, map[string]any{"ends_at": "2026-11-22T09:00:00+01:00"}, connector.WriteOptions{})
	require.Equal(t, fault.Invalid, fault.CodeOf(err))
	require.Equal(t, "ends_at", fault.As(err).Field)
}
