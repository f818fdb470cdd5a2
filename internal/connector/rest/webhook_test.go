package rest_test

import (
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/connector"
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
	got, err := shipped(t, "acme").ParseWebhook(sign(body, "s", noon()), body, []string{"s"}, noon())
	require.NoError(t, err)
	require.Len(t, got, 4)
	require.Equal(t, connector.Event{ID: "e1", Object: "contacts", RecordID: "ct_1", Kind: "contact.merged", MergedInto: "ct_2"}, got[0])
	require.Equal(t, connector.Event{ID: "e2", Object: "contacts", RecordID: "ct_3", Kind: "contact.updated", Shown: &record.Record{Version: `"v17"`}}, got[1])
	require.Equal(t, connector.Event{ID: "e3", Object: "appointments", RecordID: "ap_1", Kind: "appointment.created"}, got[2])
	require.Equal(t, "companies", got[3].Object)
	require.NotEmpty(t, got[3].ID)

	for _, only := range []string{`[]`, `[{"event":"pipeline.moved","object":"pipeline"}]`} {
		got, err := shipped(t, "acme").ParseWebhook(sign([]byte(only), "s", noon()), []byte(only), []string{"s"}, noon())
		require.NoError(t, err)
		require.Empty(t, got)
	}
	_, err = shipped(t, "acme").ParseWebhook(sign([]byte(`[{"event":"contact.created"}]`), "s", noon()), []byte(`[{"event":"contact.created"}]`), []string{"s"}, noon())
	require.Equal(t, fault.Invalid, fault.CodeOf(err))
}

func TestSignatureAgeAndForm(t *testing.T) {
	body := []byte(`[]`)
	for off, ok := range map[time.Duration]bool{0: true, 299 * time.Second: true, -299 * time.Second: true, 301 * time.Second: false, -301 * time.Second: false} {
		_, err := shipped(t, "acme").ParseWebhook(sign(body, "s", noon().Add(off)), body, []string{"s"}, noon())
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
		_, err := shipped(t, "acme").ParseWebhook(http.Header{"X-Acme-Signature": {value}}, body, []string{"old", "s"}, noon())
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
	driver := shipped(f, "acme")
	f.Fuzz(func(t *testing.T, body []byte, signature string) {
		events, err := driver.ParseWebhook(http.Header{"X-Acme-Signature": {signature}}, body, []string{"a"}, noon())
		if !fault.Is(err, fault.Unauthorized) || len(events) > 0 {
			t.Fatalf("an unsigned body passed: %v %v", events, err)
		}
		events, err = driver.ParseWebhook(sign(body, "s", noon()), body, []string{"s"}, noon())
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
