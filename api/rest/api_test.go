package rest_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

func TestConnectionLife(t *testing.T) {
	h := start(t)
	made := h.call("POST", "/api/v1/connections", input(t))
	require.Equal(t, http.StatusCreated, made.status, string(made.raw))
	id, _ := made.body["id"].(string)
	require.True(t, strings.HasPrefix(id, "cn_"))
	require.Equal(t, "/api/v1/connections/"+id, made.header.Get("Location"))
	require.Equal(t, "draft", made.body["state"])
	require.Equal(t, "salesos-acme", made.body["name"])
	require.Equal(t, "default", made.body["tenant"])
	require.EqualValues(t, 1, made.body["version"])
	require.Equal(t, h.server.URL+"/webhooks/"+id+"/left", object(object(made.body["webhooks"])["left"])["url"])
	require.NotContains(t, string(made.raw), "hush")

	path := "/api/v1/connections/" + id
	got := h.call("GET", path, nil)
	require.Equal(t, []any{"acme_client_secret", "acme_webhook", "salesos_client_secret", "salesos_webhook"}, got.body["secret_names"])
	require.NotContains(t, string(got.raw), "hush")
	require.Len(t, h.call("GET", "/api/v1/connections", nil).items(t), 1)

	for _, step := range []struct{ do, state string }{{"activate", "active"}, {"pause", "paused"}, {"resume", "active"}} {
		answered := h.call("POST", path+"/"+step.do, nil)
		require.Equal(t, http.StatusAccepted, answered.status)
		require.Equal(t, step.state, answered.body["state"])
	}
	require.Equal(t, http.StatusAccepted, h.call("DELETE", path, nil).status)
	h.call("GET", path, nil).problem(t, http.StatusNotFound, "not_found")
}

func TestPutMakesAVersionAndKeepsSecrets(t *testing.T) {
	h := start(t)
	key := h.install()
	path := "/api/v1/connections/" + key.Connection
	edited := strings.Replace(integrationYAML(t), "integration: salesos-acme", "integration: renamed", 1)
	got := h.call("PUT", path, map[string]any{"integration": edited, "secrets": map[string]string{"salesos_webhook": "rotated"}})
	require.Equal(t, http.StatusOK, got.status, string(got.raw))
	require.EqualValues(t, 2, got.body["version"])
	require.Equal(t, "renamed", got.body["name"])
	stored, err := h.store.Connection(t.Context(), key)
	require.NoError(t, err)
	require.Equal(t, "rotated", stored.Secrets["salesos_webhook"])
	require.Equal(t, "hush-2", stored.Secrets["acme_client_secret"])
	require.Equal(t, "id", stored.Variables["ACME_CLIENT_ID"])
	require.EqualValues(t, 1, h.control.nudges.Load())

	h.call("PUT", path, map[string]any{"expected_version": 1}).problem(t, http.StatusConflict, "conflict")
	h.call("PUT", path, map[string]any{"integration": "integration: x\n"}).problem(t, http.StatusUnprocessableEntity, "usage")
	after, err := h.store.Connection(t.Context(), key)
	require.NoError(t, err)
	require.Equal(t, 2, after.Version)
}

func TestIntegrationAsObject(t *testing.T) {
	h := start(t)
	given := input(t)
	given["integration"] = objectOf(t, integrationYAML(t))
	require.Equal(t, http.StatusCreated, h.call("POST", "/api/v1/connections", given).status)
}

func TestMistakesHavePositions(t *testing.T) {
	h := start(t)
	given := input(t)
	given["integration"] = strings.Replace(integrationYAML(t), "    direction: both", "    directions: both", 1)
	got := h.call("POST", "/api/v1/connections", given)
	got.problem(t, http.StatusUnprocessableEntity, "usage")
	first := object(got.body["errors"].([]any)[0])
	require.Contains(t, first["path"], "directions")
	require.Greater(t, first["line"], 1.0)
	require.Greater(t, first["column"], 1.0)

	given = input(t)
	given["secrets"] = map[string]string{}
	h.call("POST", "/api/v1/connections", given).problem(t, http.StatusUnprocessableEntity, "usage")
	given = input(t)
	given["integration"] = strings.Replace(integrationYAML(t), "connector: acme", "connector: hubspot", 1)
	got = h.call("POST", "/api/v1/connections", given)
	got.problem(t, http.StatusUnprocessableEntity, "usage")
	require.Contains(t, string(got.raw), "systems.right.connector")
	require.Empty(t, h.call("GET", "/api/v1/connections", nil).items(t))
}

func TestRuns(t *testing.T) {
	h := start(t)
	key := h.install()
	runs := "/api/v1/connections/" + key.Connection + "/runs"
	h.call("POST", runs, map[string]any{"kind": "poll"}).problem(t, http.StatusConflict, "conflict")
	h.call("POST", "/api/v1/connections/"+key.Connection+"/activate", nil)
	first := h.call("POST", runs, map[string]any{"kind": "poll", "stream": "leads"})
	require.Equal(t, http.StatusAccepted, first.status, string(first.raw))
	require.Nil(t, first.body["ended_at"])
	require.Equal(t, "leads", first.body["stream"])
	second := h.call("POST", runs, map[string]any{"kind": "poll", "stream": "leads"})
	require.Equal(t, first.body["id"], second.body["id"])
	require.Equal(t, true, second.body["joined"])
	require.NoError(t, h.store.SetRunTotal(t.Context(), first.body["id"].(string), 7))
	got := h.call("GET", "/api/v1/runs/"+first.body["id"].(string), nil)
	require.EqualValues(t, 7, object(got.body["progress"])["total"])
	require.Len(t, h.call("GET", runs, nil).items(t), 1)
	h.call("POST", runs, map[string]any{"kind": "undo"}).problem(t, http.StatusUnprocessableEntity, "usage")
	h.call("POST", runs, map[string]any{"kind": "poll", "stream": "nope"}).problem(t, http.StatusUnprocessableEntity, "usage")
	h.call("GET", "/api/v1/runs/nope", nil).problem(t, http.StatusNotFound, "not_found")
}

// fill puts one of each thing into the ledger.
func (h *harness) fill(key ledger.Key) {
	h.t.Helper()
	now := time.Now().UTC().Truncate(time.Millisecond)
	left := record.Ref{Side: record.Left, Object: "leads", ID: "l1"}
	right := record.Ref{Side: record.Right, Object: "contacts", ID: "r1"}
	require.NoError(h.t, h.store.Commit(h.t.Context(), key, ledger.Commit{
		PutLinks: []ledger.Link{{ID: "lk1", Stream: "leads", Left: left, Right: right, State: ledger.LinkActive, CreatedAt: now, UpdatedAt: now}},
		History: []ledger.HistoryEntry{{ID: "hs1", At: now, Stream: "leads", LinkID: "lk1", Ref: right, Field: "stage", Op: ledger.OpUpdate,
			Old: "lead", New: "contacted", Cause: ledger.Cause{Kind: ledger.CauseChange, Side: record.Left}, WorkflowID: "w", RequestID: "req_1"}},
		PutConflicts: []ledger.Conflict{{ID: "cf1", Stream: "leads", LinkID: "lk1", LeftRef: left, RightRef: right, Field: "stage", Base: "new",
			Left: "contacted", Right: "qualified", OpenedAt: now, Deadline: now.Add(time.Hour), State: ledger.ConflictOpen, WorkflowID: "conflict/cf1"}},
		PutDeadLetters: []ledger.DeadLetter{{ID: "dl1", Stream: "leads", Ref: left, LinkID: "lk1", Tries: 1, FirstAt: now, LastAt: now, State: ledger.DeadLetterOpen,
			Reason: ledger.Reason{Code: "invalid", Field: "phone", Message: "the system refuses the value", Status: 422, RequestID: "req_2"}}},
		PutHeld: []ledger.Held{{ID: "hd1", Stream: "leads", LinkID: "lk1", Ref: right, Op: "delete", Since: now, State: ledger.HeldWaiting}},
	}))
}

func TestRecordsAreListedAndFiltered(t *testing.T) {
	h := start(t)
	key := h.active()
	h.fill(key)
	base := "/api/v1/connections/" + key.Connection
	link := object(h.call("GET", base+"/links?stream=leads&side=right&id=r1", nil).items(t)[0])
	require.Equal(t, "l1", object(link["left"])["id"])
	require.Equal(t, "r1", object(link["right"])["id"])
	require.Equal(t, "active", link["state"])
	require.Empty(t, h.call("GET", base+"/links?side=left&id=r1", nil).items(t))
	require.Empty(t, h.call("GET", base+"/links?state=tombstone", nil).items(t))
	entry := object(h.call("GET", base+"/history?side=right&id=r1&field=stage", nil).items(t)[0])
	require.Equal(t, "lead", entry["old"])
	require.Equal(t, "contacted", entry["new"])
	require.Equal(t, map[string]any{"kind": "change", "side": "left"}, entry["cause"])
	require.Empty(t, h.call("GET", base+"/history?field=email", nil).items(t))
	for _, query := range []string{"/links?stream=&side=&id=r1&state=", "/history?stream=leads&side=&id=&field=", "/conflicts?state=", "/dead-letters?state=&side="} {
		require.Len(t, h.call("GET", base+query, nil).items(t), 1, "a filter without a value lets all through: %s", query)
	}
	for _, query := range []string{"/links?limit=201", "/links?limit=0", "/links?limit=x", "/links?side=up", "/links?state=x", "/links?cursor=junk", "/conflicts?state=x", "/dead-letters?state=x"} {
		h.call("GET", base+query, nil).problem(t, http.StatusUnprocessableEntity, "usage")
	}
	for _, list := range []string{"runs", "links", "conflicts", "dead-letters", "history", "guard", "status", "touch-points"} {
		h.call("GET", "/api/v1/connections/nope/"+list, nil).problem(t, http.StatusNotFound, "not_found")
	}
}

func TestConflictsAreDecided(t *testing.T) {
	h := start(t)
	key := h.active()
	h.fill(key)
	list := "/api/v1/connections/" + key.Connection + "/conflicts?state=open"
	conflict := object(h.call("GET", list, nil).items(t)[0])
	require.Equal(t, "stage", conflict["field"])
	require.Equal(t, []any{"new", "contacted", "qualified"}, []any{conflict["base"], conflict["left"], conflict["right"]})
	resolve := "/api/v1/conflicts/cf1/resolve"
	for _, body := range []string{`{"choose":"both"}`, `{"choose":"value"}`, `{"choose":"left","value":1}`, `{"choose":"left","seen":{"left":1}}`, `{}`} {
		h.call("POST", resolve, body).problem(t, http.StatusUnprocessableEntity, "usage")
	}
	h.call("POST", resolve, `{"choose":"left","seen":{"left":"old","right":"qualified"}}`).problem(t, http.StatusConflict, "conflict")
	h.call("POST", resolve, `{"choose":"left","value":null,"seen":{"left":"old","right":"qualified"}}`).problem(t, http.StatusConflict, "conflict")
	got := h.call("POST", resolve, `{"choose":"value","value":75000.00,"seen":{"left":"contacted","right":"qualified"}}`)
	require.Equal(t, http.StatusAccepted, got.status, string(got.raw))
	require.Equal(t, map[string]any{"id": "cf1", "state": "decided"}, got.body)
	require.Contains(t, string(h.call("GET", "/api/v1/conflicts/cf1", nil).raw), "75000.00", "numbers keep their form")
	require.Empty(t, h.call("GET", list, nil).items(t))
	h.call("POST", "/api/v1/conflicts/nope/resolve", `{"choose":"left"}`).problem(t, http.StatusNotFound, "not_found")
}

func TestDeadLetters(t *testing.T) {
	h := start(t)
	key := h.active()
	h.fill(key)
	list := "/api/v1/connections/" + key.Connection + "/dead-letters"
	letter := object(h.call("GET", list, nil).items(t)[0])
	require.Equal(t, "left", letter["side"])
	require.Equal(t, map[string]any{"code": "invalid", "field": "phone", "message": "the system refuses the value", "status": 422.0, "request_id": "req_2"}, letter["reason"])
	got := h.call("PATCH", "/api/v1/dead-letters/dl1", `{"fields":{"phone":"+55 11 99999-0000"}}`)
	require.Equal(t, http.StatusOK, got.status, string(got.raw))
	require.Equal(t, map[string]any{"phone": "+55 11 99999-0000"}, got.body["fields"])
	h.call("PATCH", "/api/v1/dead-letters/dl1", `{"fields":[]}`).problem(t, http.StatusUnprocessableEntity, "usage")
	require.Equal(t, "replayed", h.call("POST", "/api/v1/dead-letters/dl1/replay", nil).body["state"])
	h.call("POST", "/api/v1/dead-letters/dl1/replay", nil).problem(t, http.StatusConflict, "conflict")
	require.EqualValues(t, 0, h.call("POST", list+"/replay", nil).body["replayed"])
	require.Len(t, h.call("GET", list+"?state=replayed", nil).items(t), 1)
	h.call("POST", "/api/v1/dead-letters/dl1/discard", `{"reason":""}`).problem(t, http.StatusUnprocessableEntity, "usage")
}

func TestGuardAndStatus(t *testing.T) {
	h := start(t)
	key := h.active()
	h.fill(key)
	base := "/api/v1/connections/" + key.Connection
	guard := h.call("GET", base+"/guard", nil)
	require.Equal(t, "holding", guard.body["state"])
	require.Len(t, guard.body["held"], 1)
	require.EqualValues(t, 10, guard.body["limit"], "the figures at the top are those of deletes")
	require.Equal(t, []any{
		map[string]any{"stream": "leads", "op": "delete", "limit": 10.0, "per": "1h0m0s", "used": 0.0},
		map[string]any{"stream": "leads", "op": "clear", "limit": 500.0, "per": "1h0m0s", "used": 0.0},
		map[string]any{"stream": "deals", "op": "delete", "limit": 10.0, "per": "1h0m0s", "used": 0.0},
		map[string]any{"stream": "deals", "op": "clear", "limit": 500.0, "per": "1h0m0s", "used": 0.0},
	}, guard.body["streams"])
	_, err := h.store.Enqueue(t.Context(), key, []ledger.Change{{Stream: "leads", Ref: record.Ref{Side: record.Left, Object: "leads", ID: "l2"}}}, time.Second)
	require.NoError(t, err)
	status := h.call("GET", base+"/status", nil)
	require.Equal(t, http.StatusOK, status.status, string(status.raw))
	require.EqualValues(t, 1, status.body["open_conflicts"])
	require.EqualValues(t, 1, status.body["dead_letters"])
	require.EqualValues(t, 1, status.body["held"])
	require.EqualValues(t, 1, object(status.body["pending"])["changes"])
	require.Equal(t, "none", object(object(object(status.body["sides"])["left"])["webhook"])["state"])
	require.EqualValues(t, 1, object(status.body["streams"].([]any)[0])["linked"])
	for _, body := range []string{`{}`, `{"all":true,"ids":["hd1"]}`, `{"ids":[]}`} {
		h.call("POST", base+"/guard/approve", body).problem(t, http.StatusUnprocessableEntity, "usage")
	}
	require.EqualValues(t, 1, h.call("POST", base+"/guard/approve", `{"ids":["hd1"]}`).body["decided"])
	require.Equal(t, "clear", h.call("GET", base+"/guard", nil).body["state"])
	require.EqualValues(t, 0, h.call("POST", base+"/guard/reject", `{"all":true}`).body["decided"])
	h.call("POST", base+"/guard/reject", `{}`).problem(t, http.StatusUnprocessableEntity, "usage")
	require.NoError(t, h.store.Commit(t.Context(), key, ledger.Commit{PutHeld: []ledger.Held{{ID: "hd2", Stream: "leads", LinkID: "lk1",
		Ref: record.Ref{Side: record.Right, Object: "contacts", ID: "r1"}, Op: "delete", Since: time.Now(), State: ledger.HeldWaiting}}}))
	require.EqualValues(t, 1, h.call("POST", base+"/guard/reject", nil).body["decided"], "no body is all of them")
}
