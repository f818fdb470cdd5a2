package rest_test

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/api/rest"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// parked puts dead letters into the ledger: a and b refused for their phone, c for
// its stage, d on the right.
func (h *harness) parked(t *testing.T, key ledger.Key) string {
	t.Helper()
	at := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	put := func(id string, side record.Side, field string, values ledger.Values) {
		at = at.Add(time.Second)
		require.NoError(t, h.store.Commit(t.Context(), key, ledger.Commit{PutDeadLetters: []ledger.DeadLetter{{
			ID: id, Stream: "leads", Ref: record.Ref{Side: side, Object: "leads", ID: "r" + id}, State: ledger.DeadLetterOpen, FirstAt: at, LastAt: at, Tries: 1,
			Reason: ledger.Reason{Code: "invalid", Field: field, Message: "it is refused", Status: 422}, Values: values,
		}}}))
	}
	put("a", record.Left, "phone", ledger.Values{"phone": "+55 1", "score": json.Number("1.50"), "name": "=cmd|' /C calc'!A0"})
	put("b", record.Left, "phone", ledger.Values{"phone": "x", "tags": []any{"u", "v"}})
	put("c", record.Left, "stage", ledger.Values{"stage": "odd"})
	put("d", record.Right, "phone", nil)
	return "/api/v1/connections/" + key.Connection + "/dead-letters"
}

func (h *harness) ids(t *testing.T, path string) (ids []string) {
	t.Helper()
	for _, item := range h.call("GET", path, nil).items(t) {
		ids = append(ids, object(item)["id"].(string))
	}
	return ids
}

func TestDeadLettersByWhatTheyAre(t *testing.T) {
	h := start(t)
	list := h.parked(t, h.active())
	for query, want := range map[string]string{"": "a b c d", "?field=phone": "a b d", "?field=phone&side=left": "a b", "?code=invalid&stream=leads": "a b c d", "?stream=deals": "", "?code=x": ""} {
		require.Equal(t, want, strings.Join(h.ids(t, list+query), " "), query)
	}
	h.call("GET", list+"?side=up", nil).problem(t, http.StatusUnprocessableEntity, "usage")
	require.NotContains(t, string(h.call("GET", list, nil).raw), "odd", "lists show no records")
	require.Equal(t, map[string]any{"stage": "odd"}, h.call("GET", "/api/v1/dead-letters/c", nil).body["record"])
}

// TestManyDeadLettersAtOnce: one that fails stops none of the others, and the answer counts them.
func TestManyDeadLettersAtOnce(t *testing.T) {
	h := start(t)
	key := h.active()
	list := h.parked(t, key)
	got := h.call("POST", list+"/correct", `{"filter": {"field": "phone", "side": "left"}, "fields": {"phone": "+55 11 99999-0000"}}`)
	require.Equal(t, http.StatusOK, got.status, string(got.raw))
	require.Equal(t, map[string]any{"counts": map[string]any{"done": 2.0}, "failed": []any{}}, got.body)
	require.Equal(t, map[string]any{"phone": "+55 11 99999-0000"}, h.call("GET", "/api/v1/dead-letters/b", nil).body["fields"])
	got = h.call("POST", list+"/replay", `{"ids": ["a", "none", "a"]}`)
	require.Equal(t, map[string]any{"replayed": 1.0, "counts": map[string]any{"done": 1.0, "not_found": 1.0}}, got.body)
	got = h.call("POST", list+"/discard", `{"ids": ["c", "a", "none"], "reason": "test rows"}`)
	require.Equal(t, map[string]any{"done": 1.0, "not_open": 1.0, "not_found": 1.0}, got.body["counts"])
	require.Len(t, got.body["failed"], 2)
	require.Equal(t, "test rows", h.call("GET", "/api/v1/dead-letters/c", nil).body["discard_reason"])
	require.Equal(t, []string{"b", "d"}, h.ids(t, list))
	got = h.call("POST", list+"/replay", `{"filter": {"side": "right"}}`)
	require.EqualValues(t, 1, got.body["replayed"])
	got = h.call("POST", list+"/discard", `{"all": true, "reason": "over"}`)
	require.Equal(t, map[string]any{"done": 1.0}, got.body["counts"])
	for _, wrong := range []string{`{"reason": "x"}`, `{"filter": {}, "reason": "x"}`, `{"all": true, "ids": ["a"], "reason": "x"}`, `{"all": true, "reason": ""}`, `{"filter": {"colour": "red"}, "reason": "x"}`} {
		h.call("POST", list+"/discard", wrong).problem(t, http.StatusUnprocessableEntity, "usage")
	}
	h.call("POST", list+"/correct", `{"all": true, "fields": {}}`).problem(t, http.StatusUnprocessableEntity, "usage")
}

// TestACorrectionNamesAFieldOfItsRecord: a typo would look done, and change nothing.
// TestBulkWorkEndsInTime: a call whose time is nearly over says where to go on.
func TestBulkWorkEndsInTime(t *testing.T) {
	h := start(t)
	key := h.active()
	var commit ledger.Commit
	for n := range 250 {
		commit.PutDeadLetters = append(commit.PutDeadLetters, ledger.DeadLetter{
			ID: fmt.Sprint("dl", n), Stream: "leads", Ref: record.Ref{Side: record.Left, Object: "leads", ID: fmt.Sprint(n)}, State: ledger.DeadLetterOpen, FirstAt: time.Unix(int64(n), 0),
		})
	}
	require.NoError(t, h.store.Commit(t.Context(), key, commit))
	h.ahead.Store(int64(25 * time.Second))
	list := "/api/v1/connections/" + key.Connection + "/dead-letters"
	first := h.call("POST", list+"/discard", `{"all": true, "reason": "over"}`)
	require.Equal(t, map[string]any{"done": 200.0}, first.body["counts"])
	cursor := first.body["next_cursor"]
	require.NotEmpty(t, cursor)
	last := h.call("POST", list+"/discard", map[string]any{"all": true, "reason": "over", "cursor": cursor})
	require.Equal(t, map[string]any{"done": 50.0}, last.body["counts"])
	require.NotContains(t, last.body, "next_cursor")
	h.ahead.Store(0)
	require.Empty(t, h.ids(t, list))
}

func TestACorrectionNamesAFieldOfItsRecord(t *testing.T) {
	h := start(t)
	list := h.parked(t, h.active())
	got := h.call("POST", list+"/correct", `{"ids": ["a"], "fields": {"phne": "+55 11 99999-0000"}}`)
	require.Equal(t, map[string]any{"done": 0.0, "refused": 1.0}, got.body["counts"])
	require.Empty(t, h.call("GET", "/api/v1/dead-letters/a", nil).body["fields"])
}

// TestDeadLettersOfAnotherConnection are nobody's here.
func TestDeadLettersOfAnotherConnection(t *testing.T) {
	h := start(t)
	h.parked(t, h.active())
	other := h.active()
	got := h.call("POST", "/api/v1/connections/"+other.Connection+"/dead-letters/discard", `{"ids": ["a"], "reason": "x"}`)
	require.Equal(t, map[string]any{"done": 0.0, "not_found": 1.0}, got.body["counts"])
	require.Equal(t, "open", h.call("GET", "/api/v1/dead-letters/a", nil).body["state"])
}

// TestDeadLettersThereAndBack: a table is edited and read, row by row.
func TestDeadLettersThereAndBack(t *testing.T) {
	h := start(t)
	list := h.parked(t, h.active())
	got := h.call("GET", list+"/table", nil)
	require.Equal(t, http.StatusOK, got.status)
	rows, err := csv.NewReader(strings.NewReader(string(got.raw))).ReadAll()
	require.NoError(t, err)
	require.Len(t, rows, 5)
	require.Equal(t, []string{"field:name", "field:phone", "field:score", "field:stage", "field:tags"}, rows[0][15:])
	require.Equal(t, []string{"'=cmd|' /C calc'!A0", "'+55 1", "1.50", "", ""}, rows[1][15:], "nothing that a spreadsheet would run")
	require.Equal(t, `["u","v"]`, rows[2][19])

	// As it came it changes nothing.
	got = h.call("PUT", list+"/table", string(got.raw))
	require.Equal(t, map[string]any{"done": 0.0, "unchanged": 4.0}, got.body["counts"])

	const edited = "\xef\xbb\xbfid,field:phone,field:score,field:tags,note\n" +
		"a,'+55 11 5555-0000,2.75,,mine\n" +
		"b,x,,\"[\"\"u\"\"]\",\n" +
		"b,x,,u,\n" + // no list any more
		"none,1,2,3,\n" +
		"c,1\n" +
		"c,,,,\n" +
		"d,\"5\"5,,,\n"
	got = h.call("PUT", list+"/table", edited)
	require.Equal(t, http.StatusOK, got.status, string(got.raw))
	require.Equal(t, map[string]any{"done": 2.0, "unchanged": 1.0, "not_found": 1.0, "refused": 3.0}, got.body["counts"])
	lines := []float64{}
	for _, failure := range got.body["failed"].([]any) {
		lines = append(lines, object(failure)["line"].(float64))
	}
	require.Equal(t, []float64{4, 5, 6, 8}, lines)
	_, letter, err := h.store.FindDeadLetter(t.Context(), "a")
	require.NoError(t, err)
	require.Equal(t, ledger.Values{"phone": "+55 11 5555-0000", "score": json.Number("2.75")}, letter.Overrides)
	_, letter, err = h.store.FindDeadLetter(t.Context(), "b")
	require.NoError(t, err)
	require.Equal(t, ledger.Values{"tags": []any{"u"}}, letter.Overrides)
	// Many rows are more than other calls may send.
	many := "id,field:stage,note\nc,mended," + strings.Repeat("x", rest.MaxBody) + "\n"
	require.Equal(t, map[string]any{"done": 1.0}, h.call("PUT", list+"/table", many).body["counts"])
	h.call("PUT", list+"/table", strings.Repeat("x", rest.MaxTable+1)).problem(t, http.StatusRequestEntityTooLarge, "too_large")
	h.call("PUT", list+"/table", "a,b\n1,2\n").problem(t, http.StatusUnprocessableEntity, "usage")
}

func TestTheHistoryAsATable(t *testing.T) {
	h := start(t)
	key := h.active()
	h.fill(key)
	got := h.call("GET", "/api/v1/connections/"+key.Connection+"/history/table?field=stage", nil)
	require.Equal(t, http.StatusOK, got.status)
	rows, err := csv.NewReader(strings.NewReader(string(got.raw))).ReadAll()
	require.NoError(t, err)
	require.Greater(t, len(rows), 1)
	require.Equal(t, []string{"at", "stream", "side", "object", "record", "field", "op", "old", "new", "cause", "run", "request_id"}, rows[0])
	for _, row := range rows[1:] {
		require.Equal(t, "stage", row[5])
	}
}
