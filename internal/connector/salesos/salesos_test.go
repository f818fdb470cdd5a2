package salesos_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
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

// script answers calls without a network and keeps what was sent.
type script struct {
	answer func(r *http.Request, body string) (int, string)
	sent   []string
}

func (s *script) RoundTrip(r *http.Request) (*http.Response, error) {
	body := ""
	if r.Body != nil {
		text, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		body = string(text)
	}
	s.sent = append(s.sent, r.Method+" "+r.URL.RequestURI()+" "+body)
	recorder := httptest.NewRecorder()
	status, text := s.answer(r, body)
	recorder.WriteHeader(status)
	recorder.WriteString(text)
	return recorder.Result(), nil
}

func scripted(t *testing.T, capabilities connector.Capabilities, answer func(r *http.Request, body string) (int, string)) (connector.Connector, *script) {
	t.Helper()
	s := &script{answer: answer}
	conn, err := salesos.Driver{}.Open(connector.Config{Side: record.Left, BaseURL: "https://api.example/v1/", Capabilities: capabilities,
		Auth: connector.Auth{Kind: transport.KindStatic, Token: "t"}, Client: transport.New(transport.Options{Transport: s})})
	require.NoError(t, err)
	return conn, s
}

func TestDuplicateNamesTheOtherRecordWhereItCan(t *testing.T) {
	for body, want := range map[string]string{
		``:                              "",
		`<html>`:                        "",
		`{"error":{"code":"CONFLICT"}}`: "",
		`{"error":{"code":"CONFLICT","existing_id":"l-1"}}`:                      "l-1",
		`{"error":{"code":"CONFLICT","details":[{"field":"email","id":"l-2"}]}}`: "l-2",
		`{"error":{"code":"CONFLICT","details":{"existing_id":"l-3"}}}`:          "l-3",
		`{"data":{"id":"l-4"}}`: "l-4",
		`{"existing_id":5}`:     "5",
	} {
		conn, _ := scripted(t, connector.Capabilities{}, func(*http.Request, string) (int, string) { return 409, body })
		_, err := conn.Create(context.Background(), "leads", map[string]any{"email": "a@example.com"}, connector.WriteOptions{})
		require.Equal(t, fault.Duplicate, fault.CodeOf(err), body)
		require.Equal(t, want, fault.As(err).ExistingID, body)
	}
}

func TestUpdateSendsCustomFieldsWhole(t *testing.T) {
	current := record.Record{Ref: record.Ref{Side: record.Left, Object: "leads", ID: "l/1"}, Fields: record.Fields{
		"name": "Ana", "custom_fields": map[string]any{"theirs": json.Number("75000.00"), "score": json.Number("1")}}}
	answer := `{"data":{"id":"l/1","name":"Ana","custom_fields":{},"tags":["a"],"updated_at":"2026-11-22T12:00:00Z"}}`
	for replace, want := range map[bool]string{
		true:  `{"custom_fields":{"gone":null,"score":2,"theirs":75000.00},"tags":["a"]}`,
		false: `{"custom_fields":{"gone":null,"score":2},"tags":["a"]}`,
	} {
		conn, sent := scripted(t, connector.Capabilities{CustomFieldsReplace: replace}, func(*http.Request, string) (int, string) { return 200, answer })
		_, err := conn.Update(context.Background(), current, map[string]any{"custom_fields.score": 2, "custom_fields.gone": nil, "tags": []any{"a"}}, connector.WriteOptions{})
		require.NoError(t, err)
		require.Equal(t, []string{"PATCH /v1/leads/l%2F1 " + want}, sent.sent)
	}
	require.Equal(t, json.Number("1"), current.Fields["custom_fields"].(map[string]any)["score"], "the record read is not changed")
}

func TestThinAnswersAreCompleted(t *testing.T) {
	full := `{"data":{"id":"l-1","name":"Ana","created_at":"2026-11-22T12:00:00Z"},"meta":{}}`
	for _, thin := range []string{`{"data":{"id":"l-1"}}`, `{"id":"l-1"}`, `{"data":{"lead":{"id":"l-1"}}}`} {
		conn, sent := scripted(t, connector.Capabilities{}, func(r *http.Request, _ string) (int, string) {
			if r.Method == http.MethodPost {
				return 201, thin
			}
			return 200, full
		})
		got, err := conn.Create(context.Background(), "leads", map[string]any{"name": "Ana"}, connector.WriteOptions{})
		require.NoError(t, err)
		require.Equal(t, "Ana", got.Fields["name"])
		require.Len(t, sent.sent, 2)
	}
	conn, _ := scripted(t, connector.Capabilities{}, func(r *http.Request, _ string) (int, string) {
		if r.Method == http.MethodPatch {
			return 204, ""
		}
		return 503, ""
	})
	_, err := conn.Update(context.Background(), record.Record{Ref: record.Ref{Object: "leads", ID: "l-1"}}, map[string]any{"name": "x"}, connector.WriteOptions{})
	require.Equal(t, fault.Transient, fault.CodeOf(err))
	require.True(t, fault.As(err).MaybeApplied, "the write was taken, only the look afterwards failed")
}

// TestAnswersThatTellOnlyWhatChanged: no page says that a PATCH answers the whole record.
func TestAnswersThatTellOnlyWhatChanged(t *testing.T) {
	const whole = `{"data":{"id":"l-1","name":"Ana","company":"X","status":"new","updated_at":"2026-11-22T12:00:01Z"}}`
	current := record.Record{Ref: record.Ref{Object: "leads", ID: "l-1"}, Fields: record.Fields{"id": "l-1", "name": "Bia", "company": "X", "email": "a@x.com", "phone": nil}}
	for answer, reads := range map[string]int{
		whole: 0,
		`{"data":{"id":"l-1","updated_at":"2026-11-22T12:00:01Z"}}`:              1,
		`{"data":{"id":"l-1","name":"Ana","updated_at":"2026-11-22T12:00:01Z"}}`: 1,
	} {
		conn, s := scripted(t, connector.Capabilities{}, func(r *http.Request, _ string) (int, string) {
			if r.Method == http.MethodPatch {
				return 200, answer
			}
			return 200, whole
		})
		got, err := conn.Update(context.Background(), current, map[string]any{"name": "Ana", "email": nil}, connector.WriteOptions{})
		require.NoError(t, err)
		require.Equal(t, "Ana", got.Fields["name"])
		require.Equal(t, "X", got.Fields["company"])
		require.Len(t, s.sent, 1+reads, answer)
	}
}

func TestSearchOnServersThatCannot(t *testing.T) {
	rows := []string{}
	for i := range 5 {
		rows = append(rows, `{"id":"l-`+string(rune('0'+i))+`","email":"p`+string(rune('0'+i))+`@example.com","created_at":"2026-11-22T12:00:00Z","custom_fields":{"external_id":"ct_`+string(rune('0'+i))+`"}}`)
	}
	all := `{"data":[` + strings.Join(rows, ",") + `],"meta":{"total":5,"total_pages":1,"per_page":100}}`
	for name, search := range map[string]func() (int, string){
		"ignores": func() (int, string) { return 200, all },
		"refuses": func() (int, string) { return 400, `{"error":{"code":"BAD_REQUEST"}}` },
		"empty":   func() (int, string) { return 200, `{"data":[]}` },
	} {
		conn, sent := scripted(t, connector.Capabilities{}, func(r *http.Request, _ string) (int, string) {
			if r.URL.Query().Has("search") {
				return search()
			}
			return 200, all
		})
		request := connector.SearchRequest{Object: "leads", Path: "custom_fields.external_id", Value: "ct_3", Since: time.Date(2026, 11, 22, 11, 0, 0, 0, time.UTC)}
		found, err := conn.Search(context.Background(), request)
		require.NoError(t, err, name)
		require.Len(t, found, 1, name)
		require.Equal(t, "l-3", found[0].Ref.ID, name)

		request.Value = "ct_9"
		found, err = conn.Search(context.Background(), request)
		require.NoError(t, err, name)
		require.Empty(t, found, name)
		require.Contains(t, sent.sent[len(sent.sent)-1], "created_after=2026-11-22T10%3A59%3A59Z", name)

		request = connector.SearchRequest{Object: "leads", Path: "email", Value: "p4@example.com"}
		found, err = conn.Search(context.Background(), request)
		require.NoError(t, err, name)
		require.Len(t, found, 1, "%s: the newest rows are looked through", name)
	}
}

func TestProbe(t *testing.T) {
	for name, row := range map[string]struct {
		rows, filtered string
		status         int
		want           bool
	}{
		"honoured":   {`[{"id":"1","updated_at":"2026-11-22T12:00:00Z"}]`, `[]`, 200, true},
		"ignored":    {`[{"id":"1","updated_at":"2026-11-22T12:00:00Z"}]`, `[{"id":"1"}]`, 200, false},
		"rejected":   {`[{"id":"1","updated_at":"2026-11-22T12:00:00Z"}]`, `[]`, 400, false},
		"no records": {`[]`, `[]`, 200, false},
		"no times":   {`[{"id":"1"}]`, `[]`, 200, false},
	} {
		conn, _ := scripted(t, connector.Capabilities{UpdatedFilter: true}, func(r *http.Request, _ string) (int, string) {
			if r.URL.Query().Has("updated_after") {
				return row.status, `{"data":` + row.filtered + `}`
			}
			return 200, `{"data":` + row.rows + `}`
		})
		found, err := conn.Probe(context.Background())
		require.NoError(t, err, name)
		require.Equal(t, row.want, found.UpdatedFilter, name)
		require.Equal(t, name == "no records", found.Unsure, name)
		require.True(t, found.CustomFieldsReplace, "unknown is taken for replace")
	}
}

func TestUsersAreReadOnly(t *testing.T) {
	conn, sent := scripted(t, connector.Capabilities{}, func(*http.Request, string) (int, string) { return 200, `{"data":[]}` })
	ctx := context.Background()
	_, err := conn.Create(ctx, "users", map[string]any{"email": "a@example.com"}, connector.WriteOptions{})
	require.Equal(t, fault.Invalid, fault.CodeOf(err))
	require.Equal(t, fault.Invalid, fault.CodeOf(conn.Delete(ctx, "users", "u-1", connector.WriteOptions{})))
	require.Empty(t, sent.sent)
	page, err := conn.List(ctx, connector.ListRequest{Object: "users", Since: time.Now()})
	require.NoError(t, err)
	require.True(t, page.Whole, "users have no updated time")
}

func TestOpenRefusesBadSettings(t *testing.T) {
	for _, base := range []string{"", "api.example/v1", "ftp://x/v1", "http://"} {
		_, err := salesos.Driver{}.Open(connector.Config{BaseURL: base, Client: http.DefaultClient})
		require.Equal(t, fault.Usage, fault.CodeOf(err), base)
	}
}

func TestSearchByWordsIsNoReasonToReadEverything(t *testing.T) {
	conn, s := scripted(t, connector.Capabilities{}, func(*http.Request, string) (int, string) {
		return 200, `{"data":[{"id":"l-1","name":"Ana Souza","email":"ana.souza@example.com"}],"meta":{"total":1,"total_pages":1}}`
	})
	found, err := conn.Search(context.Background(), connector.SearchRequest{Object: "leads", Path: "email", Value: "ana.lima@example.com"})
	require.NoError(t, err)
	require.Empty(t, found)
	require.Len(t, s.sent, 2, "the search, and the newest rows")
	require.Contains(t, s.sent[1], "sort=-created_at")
}

// TestSearchThatComparesLetterByLetter: no page says how texts are compared.
func TestSearchThatComparesLetterByLetter(t *testing.T) {
	const row = `{"id":"l-1","email":"Ana.Lima@Example.com","phone":"(11) 98888-7777"}`
	conn, _ := scripted(t, connector.Capabilities{}, func(r *http.Request, _ string) (int, string) {
		if text := r.URL.Query().Get("search"); text != "" && !strings.Contains(row, text) {
			return 200, `{"data":[],"meta":{"total":0,"total_pages":0}}`
		}
		return 200, `{"data":[` + row + `],"meta":{"total":1,"total_pages":1}}`
	})
	for path, value := range map[string]string{"email": "ana.lima@example.com", "phone": "+5511988887777"} {
		found, err := conn.Search(context.Background(), connector.SearchRequest{Object: "leads", Path: path, Value: value, Since: time.Date(2026, 11, 22, 11, 0, 0, 0, time.UTC)})
		require.NoError(t, err)
		require.Len(t, found, 1, path)
	}
}

func TestNoCauseQuotesTheQuery(t *testing.T) {
	conn, err := salesos.Driver{}.Open(connector.Config{Side: record.Left, BaseURL: "http://127.0.0.1:1/v1",
		Auth: connector.Auth{Kind: transport.KindStatic, Token: "t"}, Client: transport.New(transport.Options{AllowPrivate: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})})
	require.NoError(t, err)
	_, err = conn.Search(context.Background(), connector.SearchRequest{Object: "leads", Path: "email", Value: "canary@example.com"})
	require.Equal(t, fault.Transient, fault.CodeOf(err))
	for ; err != nil; err = errors.Unwrap(err) {
		require.NotContains(t, err.Error(), "canary")
	}
}
