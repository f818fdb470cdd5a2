package salesos_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/connectortest"
	"github.com/accord-sync/accord/internal/connector/salesos"
	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/record"
)

const (
	stagesBody = `{"data":[{"id":"s1","name":"New"},{"id":"s2","name":"Proposal"},{"id":"s3","name":"Twice"},{"id":"s4","name":"Twice"},{"id":"s5","name":"twice "}],"meta":{}}`
	dealBody   = `{"data":{"id":"d1","name":"Roof","value":7.5,"status":"open","stage":{"id":"s1","name":"New"},"updated_at":"2026-11-22T12:00:00Z"},"meta":{}}`
)

// desk answers the calls of deals.
func desk(t *testing.T) (connector.Connector, *script) {
	return scripted(t, connector.Capabilities{}, func(r *http.Request, _ string) (int, string) {
		if strings.HasPrefix(r.URL.Path, "/v1/stages") {
			return 200, stagesBody
		}
		return 200, dealBody
	})
}

func dealOf(status string) record.Record {
	return record.Record{Ref: record.Ref{Side: record.Left, Object: "deals", ID: "d1"},
		Fields: record.Fields{"status": status, "stage": map[string]any{"id": "s1", "name": "New"}}}
}

func TestEachPartOfADealGoesItsOwnWay(t *testing.T) {
	const list = "GET /v1/stages?page=1&per_page=100 "
	for _, row := range []struct {
		name, status string
		fields       map[string]any
		sent         []string
	}{
		{"other fields", "open", map[string]any{"name": "Roof", "value": json.Number("7.5")}, []string{`PATCH /v1/deals/d1 {"name":"Roof","value":7.5}`}},
		{"a stage by id", "open", map[string]any{"stage.id": "s2"}, []string{`POST /v1/deals/d1/move {"stage_id":"s2"}`}},
		{"a stage by name", "open", map[string]any{"stage.name": "Proposal"}, []string{list, `POST /v1/deals/d1/move {"stage_id":"s2"}`}},
		{"a stage by name in another case", "open", map[string]any{"stage.name": " proposal"}, []string{list, `POST /v1/deals/d1/move {"stage_id":"s2"}`}},
		{"an exact name before alike ones", "open", map[string]any{"stage.name": "twice "}, []string{list, `POST /v1/deals/d1/move {"stage_id":"s5"}`}},
		{"a stage given whole", "open", map[string]any{"stage": map[string]any{"id": "s2", "name": "?"}}, []string{`POST /v1/deals/d1/move {"stage_id":"s2"}`}},
		{"open and a stage", "open", map[string]any{"status": "open", "stage.id": "s2"}, []string{`POST /v1/deals/d1/move {"stage_id":"s2"}`}},
		{"won", "open", map[string]any{"status": "won", "stage.id": nil}, []string{`POST /v1/deals/d1/close {"status":"won"}`}},
		{"lost where it stands", "open", map[string]any{"status": "lost", "stage.id": "s1"}, []string{`POST /v1/deals/d1/close {"status":"lost"}`}},
		{"opened again elsewhere", "won", map[string]any{"status": "open", "stage.id": "s2"}, []string{`POST /v1/deals/d1/move {"stage_id":"s2"}`}},
		{"opened again", "lost", map[string]any{"status": "open"}, []string{`POST /v1/deals/d1/move {"stage_id":"s1"}`}},
		{"open already", "open", map[string]any{"status": "open"}, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			conn, s := desk(t)
			_, err := conn.Update(t.Context(), dealOf(row.status), row.fields, connector.WriteOptions{})
			require.NoError(t, err)
			require.Equal(t, row.sent, s.sent)
		})
	}
}

func TestWhatADealCannotTake(t *testing.T) {
	for _, row := range []struct {
		field  string
		fields map[string]any
	}{
		{"stage.name", map[string]any{"stage.name": "Nowhere"}},
		{"stage.name", map[string]any{"stage.name": "TWICE"}},
		{"stage", map[string]any{"stage.name": nil}},
		{"status", map[string]any{"status": "asleep"}},
		{"stage.id", map[string]any{"status": "won", "stage.id": "s2"}},
		{"name", map[string]any{"status": "won", "name": "Roof"}},
	} {
		conn, s := desk(t)
		_, err := conn.Update(t.Context(), dealOf("open"), row.fields, connector.WriteOptions{})
		require.Equal(t, fault.Invalid, fault.CodeOf(err), row.fields)
		require.Equal(t, row.field, fault.As(err).Field, row.fields)
		require.Equal(t, "left/deals/d1", fault.As(err).Subject)
		require.False(t, fault.As(err).MaybeApplied)
		for _, call := range s.sent {
			require.True(t, strings.HasPrefix(call, "GET "), "nothing is written by half: %s", call)
		}
	}
}

func TestCallsOfADealAreNumbered(t *testing.T) {
	conn, _ := desk(t)
	divided := conn.(connector.Divided)
	for _, row := range []struct {
		object string
		share  map[string]any
		want   int
	}{
		{"deals", map[string]any{"name": "x"}, 0},
		{"deals", map[string]any{"custom_fields.stage": "x"}, 0},
		{"deals", map[string]any{"stage.name": "x"}, 1},
		{"deals", map[string]any{"stage.id": "x", "status": "open"}, 1},
		{"deals", map[string]any{"stage.id": nil, "status": "lost"}, 2},
		{"leads", map[string]any{"status": "won", "stage.id": "x"}, 0},
	} {
		require.Equal(t, row.want, divided.CallOf(row.object, row.share), row.share)
	}
}

func TestStagesAreRememberedForSomeMinutes(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	renamed := false
	s := &script{answer: func(r *http.Request, body string) (int, string) {
		switch {
		case strings.HasPrefix(r.URL.Path, "/v1/stages") && renamed:
			return 200, strings.ReplaceAll(stagesBody, `"s2"`, `"s9"`)
		case strings.HasPrefix(r.URL.Path, "/v1/stages"):
			return 200, stagesBody
		case renamed && strings.Contains(body, `"s2"`):
			return 422, `{"error":{"code":"VALIDATION_ERROR","details":[{"field":"stage_id","message":"does not exist"}]}}`
		}
		return 200, dealBody
	}}
	conn, err := salesos.Driver{}.Open(connector.Config{Side: record.Left, BaseURL: "https://api.example/v1", Now: func() time.Time { return now },
		Auth: connector.Auth{Kind: transport.KindStatic, Token: "t"}, Client: transport.New(transport.Options{Transport: s})})
	require.NoError(t, err)
	move := func() []string {
		s.sent = nil
		_, err := conn.Update(t.Context(), dealOf("open"), map[string]any{"stage.name": "Proposal"}, connector.WriteOptions{})
		require.NoError(t, err)
		return s.sent
	}
	require.Len(t, move(), 2)
	require.Len(t, move(), 1, "the list is remembered")
	renamed = true
	require.Len(t, move(), 3, "refused, looked up, moved")
	require.Equal(t, `POST /v1/deals/d1/move {"stage_id":"s9"}`, s.sent[2])
	now = now.Add(11 * time.Minute)
	require.Len(t, move(), 2, "the list has become old")

	s.sent, renamed = nil, true
	_, err = conn.Update(t.Context(), dealOf("open"), map[string]any{"stage.id": "s2"}, connector.WriteOptions{})
	require.Equal(t, "stage.id", fault.As(err).Field, "the path that is mapped, not the name of the call")
	require.Len(t, s.sent, 1, "an id is not looked up")
}

func TestNewDealNamesItsStageById(t *testing.T) {
	conn, s := desk(t)
	_, err := conn.Create(t.Context(), "deals", map[string]any{"name": "Roof", "stage.name": "Proposal", "status": "won"}, connector.WriteOptions{})
	require.NoError(t, err)
	require.Equal(t, `POST /v1/deals {"name":"Roof","stage":{"id":"s2"},"status":"won"}`, s.sent[1])
	_, err = conn.Create(t.Context(), "deals", map[string]any{"name": "Roof", "stage.name": "Nowhere"}, connector.WriteOptions{})
	require.Equal(t, fault.Invalid, fault.CodeOf(err))
}

// dealHarness: the conformance suite on deals.
func dealHarness() connectortest.Harness {
	h := harness(startOf("deals"), true)
	h.Object, h.Key, h.Text, h.Other, h.ListPath = "deals", "contact_email", "name", "company", "/deals"
	h.Needs = map[string]any{"name": "Roof"}
	h.GoneBody = `{"error":{"code":"NOT_FOUND","message":"Deal not found"}}`
	h.RefusedBody = strings.ReplaceAll(h.RefusedBody, `"email"`, `"contact_email"`)
	h.Event = func(id string) []byte {
		return []byte(`{"type":"deal.stage_changed","data":{"id":"` + id + `","value":75000.00}}`)
	}
	return h
}

func TestSandboxDeals(t *testing.T) { connectortest.Run(t, dealHarness()) }
