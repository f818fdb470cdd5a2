package acme_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/acme"
	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/record"
)

// script answers calls without a network and keeps what was sent.
type script struct {
	answer func(r *http.Request) (int, string)
	sent   []*http.Request
	bodies []string
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
	s.sent = append(s.sent, r)
	s.bodies = append(s.bodies, body)
	recorder := httptest.NewRecorder()
	status, text := s.answer(r)
	recorder.WriteHeader(status)
	recorder.WriteString(text)
	return recorder.Result(), nil
}

func scripted(t *testing.T, capabilities connector.Capabilities, answer func(r *http.Request) (int, string)) (connector.Connector, *script) {
	t.Helper()
	s := &script{answer: answer}
	conn, err := acme.Driver{}.Open(connector.Config{Side: record.Right, BaseURL: "https://crm.example/api/2", Capabilities: capabilities,
		Auth: connector.Auth{Kind: transport.KindStatic, Token: "t"}, Client: transport.New(transport.Options{Transport: s})})
	require.NoError(t, err)
	return conn, s
}

const contact = `{"id":"ct_1","version":17,"first_name":"Ana","updated_at":"2026-11-22T12:00:00.250Z","updated_by":"user:7"}`

func TestMergedContactAnswersTheSurvivor(t *testing.T) {
	conn, _ := scripted(t, connector.Capabilities{}, func(*http.Request) (int, string) { return 200, contact })
	got, err := conn.Get(context.Background(), "contacts", "ct_0")
	require.NoError(t, err)
	require.Equal(t, "ct_1", got.Ref.ID)
	require.Equal(t, `"v17"`, got.Version, "made of the number where there is no ETag")
	require.Equal(t, "user:7", got.UpdatedBy)
	require.Equal(t, 250*time.Millisecond, time.Duration(got.UpdatedAt.Nanosecond()))
}

func TestGuardsAreSentOnlyWhereHonoured(t *testing.T) {
	current := record.Record{Ref: record.Ref{Object: "contacts", ID: "ct_1"}}
	options := connector.WriteOptions{IfMatch: `"v17"`, IdempotencyKey: "i-1"}
	for _, honoured := range []bool{true, false} {
		conn, s := scripted(t, connector.Capabilities{Versions: honoured, IdempotencyKey: honoured}, func(*http.Request) (int, string) { return 200, contact })
		_, err := conn.Update(context.Background(), current, map[string]any{"first_name": nil}, options)
		require.NoError(t, err)
		_, err = conn.Create(context.Background(), "contacts", map[string]any{"first_name": "Ana"}, options)
		require.NoError(t, err)
		require.NoError(t, conn.Delete(context.Background(), "contacts", "ct_1", options))
		require.Equal(t, []string{`{"first_name":null}`, `{"first_name":"Ana"}`, ""}, s.bodies)
		require.Equal(t, honoured, s.sent[0].Header.Get("If-Match") == `"v17"`)
		require.Equal(t, honoured, s.sent[1].Header.Get("Idempotency-Key") == "i-1")
		require.Equal(t, honoured, s.sent[2].Header.Get("If-Match") == `"v17"`)
		require.Empty(t, s.sent[0].Header.Get("Idempotency-Key"))
	}
}

func TestObjectsOtherThanPropertiesAreSentWhole(t *testing.T) {
	current := record.Record{Ref: record.Ref{Object: "deals", ID: "d_1"}, Fields: record.Fields{
		"amount": map[string]any{"value": json.Number("10.00"), "currency": "BRL"}, "properties": map[string]any{"theirs": "x"}}}
	conn, s := scripted(t, connector.Capabilities{}, func(*http.Request) (int, string) { return 200, contact })
	_, err := conn.Update(context.Background(), current, map[string]any{"amount.value": json.Number("12.50"), "properties.ours": "y"}, connector.WriteOptions{})
	require.NoError(t, err)
	require.Equal(t, []string{`{"amount":{"currency":"BRL","value":12.50},"properties":{"ours":"y"}}`}, s.bodies)
}

func TestForgottenCursorBeginsAgain(t *testing.T) {
	for _, status := range []int{400, 404, 409, 410, 422} {
		t.Run(strconv.Itoa(status), func(t *testing.T) { beginsAgain(t, status) })
	}
}

func beginsAgain(t *testing.T, status int) {
	forgotten := true
	conn, s := scripted(t, connector.Capabilities{UpdatedFilter: true}, func(r *http.Request) (int, string) {
		switch cursor := r.URL.Query().Get("cursor"); {
		case cursor == "":
			return 200, `{"items":[` + contact + `],"next_cursor":"n1"}`
		case forgotten:
			forgotten = false
			return status, `{"error":{"type":"invalid","code":"cursor_expired"}}`
		}
		return 200, `{"items":[],"next_cursor":null}`
	})
	since := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	request := connector.ListRequest{Object: "contacts", Since: since}
	pages := 0
	for {
		page, err := conn.List(context.Background(), request)
		require.NoError(t, err)
		pages++
		if request.Cursor = page.Next; page.Next == "" {
			break
		}
	}
	require.Equal(t, 3, pages)
	require.Len(t, s.sent, 4)
	require.Equal(t, "2026-11-22T12:00:00.000Z", s.sent[2].URL.Query().Get("updated_since"), "begun again with the same bound")
}

func TestCursorThatStandsStillIsAnError(t *testing.T) {
	conn, _ := scripted(t, connector.Capabilities{}, func(*http.Request) (int, string) { return 200, `{"items":[],"next_cursor":"same"}` })
	page, err := conn.List(context.Background(), connector.ListRequest{Object: "contacts"})
	require.NoError(t, err)
	_, err = conn.List(context.Background(), connector.ListRequest{Object: "contacts", Cursor: page.Next})
	require.Equal(t, fault.Transient, fault.CodeOf(err))
}

func TestSearchFallsBackToReading(t *testing.T) {
	conn, s := scripted(t, connector.Capabilities{UpdatedFilter: true}, func(r *http.Request) (int, string) {
		if r.URL.Path == "/api/2/contacts/search" {
			return 404, `{"error":{"type":"not_found"}}`
		}
		return 200, `{"items":[{"id":"ct_1","email":"Ana@Example.com"},{"id":"ct_2","mobile":"+55 11 98888-7777"}]}`
	})
	for path, row := range map[string][2]string{"email": {"ana@example.com", "ct_1"}, "mobile": {"5511988887777", "ct_2"}} {
		found, err := conn.Search(context.Background(), connector.SearchRequest{Object: "contacts", Path: path, Value: row[0]})
		require.NoError(t, err)
		require.Len(t, found, 1)
		require.Equal(t, row[1], found[0].Ref.ID)
	}
	require.Len(t, s.sent, 3)
}

// TestSearchThatComparesLetterByLetter: no page says how the search compares.
func TestSearchThatComparesLetterByLetter(t *testing.T) {
	conn, _ := scripted(t, connector.Capabilities{UpdatedFilter: true}, func(r *http.Request) (int, string) {
		if r.URL.Path == "/api/2/contacts/search" {
			return 200, `{"items":[],"next_cursor":null}`
		}
		return 200, `{"items":[{"id":"ct_1","email":"Ana@Example.com","phone":"(11) 98888-7777"}],"next_cursor":null}`
	})
	for path, value := range map[string]string{"email": "ana@example.com", "phone": "+5511988887777"} {
		request := connector.SearchRequest{Object: "contacts", Path: path, Value: value, Since: time.Date(2026, 11, 22, 11, 0, 0, 0, time.UTC)}
		found, err := conn.Search(context.Background(), request)
		require.NoError(t, err)
		require.Len(t, found, 1, path)
	}
}

// TestListingInCirclesEnds: cursors that come round again, each new to the page before.
func TestListingInCirclesEnds(t *testing.T) {
	for _, circle := range []int{1, 2, 3, 7} {
		conn, s := scripted(t, connector.Capabilities{}, nil)
		s.answer = func(*http.Request) (int, string) {
			return 200, fmt.Sprintf(`{"items":[{"id":"ct_1"}],"next_cursor":"c%d"}`, len(s.sent)%circle)
		}
		_, err := conn.Search(t.Context(), connector.SearchRequest{Object: "contacts", Path: "properties.theirs", Value: "x"})
		require.Equal(t, fault.Transient, fault.CodeOf(err))
		require.LessOrEqual(t, len(s.sent), 4*circle+1)
	}
}
