package caldav_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/caldav"
	"github.com/accord-sync/accord/internal/connector/connectortest"
	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/record"
)

func open(client *http.Client, auth connector.Auth) (connector.Connector, error) {
	return caldav.Driver{}.Open(connector.Config{Side: record.Right, BaseURL: "https://dav.example/ana/work", Capabilities: caldav.Driver{}.Defaults(),
		Auth: auth, Client: client, Now: func() time.Time { return time.Unix(1795348800, 0) }})
}

func user() connector.Auth {
	return connector.Auth{Kind: transport.KindBasic, ClientID: "ana", ClientSecret: "p"}
}

const one = "BEGIN:VCALENDAR\nBEGIN:VEVENT\nUID:a\nDTSTART;TZID=America/Sao_Paulo:20261201T100000\nDURATION:PT1H\nRRULE:FREQ=DAILY\nEXDATE:20261202T130000Z\nSUMMARY:a\nATTENDEE;CN=b:mailto:b@c.d\nX-A-B:c\nEND:VEVENT\n" +
	"BEGIN:VEVENT\nRECURRENCE-ID:20261203T130000Z\nDTSTART:20261203T140000Z\nEND:VEVENT\nEND:VCALENDAR\n"

func answered(rows string) string {
	return `<multistatus xmlns="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"><response><href>/ana/work/</href><propstat><prop><resourcetype><C:calendar/></resourcetype><sync-token>t</sync-token></prop><status>HTTP/1.1 200 OK</status></propstat></response>` +
		rows + `<sync-token>t</sync-token></multistatus>`
}

const row = `<response><href>/ana/work/a.ics</href><propstat><prop><getetag>"v1"</getetag><getlastmodified>Sun, 22 Nov 2026 12:00:00 GMT</getlastmodified><C:calendar-data>` + one +
	`</C:calendar-data></prop><status>HTTP/1.1 200 OK</status></propstat></response>`

func answers() connectortest.Answers {
	return connectortest.Answers{
		Open:   func(client *http.Client) (connector.Connector, error) { return open(client, user()) },
		Object: "events", Text: "title", Inner: "x.a_b", Key: "location", ID: "a.ics", Needs: map[string]any{"starts_at": "2026-12-01T10:00:00-03:00"},
		List: answered, Single: func(string) string { return one },
		Seeds: []string{
			answered(row), one, answered(""), answered(row + `<response><href>/ana/work/b.ics</href><status>HTTP/1.1 404 Not Found</status></response>`),
			answered(`<response><href>/ana/work/</href><status>HTTP/1.1 507 Insufficient Storage</status></response>`),
			answered(`<response><href>http://%zz</href></response><response><href>/x/..</href></response>`),
			`<error xmlns="DAV:"><valid-sync-token/></error>`, `<C:error xmlns="DAV:"><href>x</href></C:error>`, "BEGIN:VCALENDAR\nEND:VCALENDAR\n", ``, `<html>`,
			strings.Replace(one, "DTSTART;TZID=America/Sao_Paulo:20261201T100000", "DTSTART;VALUE=DATE:20261201", 1),
			strings.Replace(one, "DURATION:PT1H", "DTEND:20261201T100000", 1),
		},
	}
}

func FuzzAnswers(f *testing.F) { answers().Fuzz(f) }

func FuzzCursor(f *testing.F) {
	f.Add("c1.0.200.00112233aabbccdd")
	f.Fuzz(answers().Cursor)
}

// served answers each call by what it asks for.
type served func(r *http.Request, body string) (status int, answer string)

// RoundTrip implements http.RoundTripper.
func (s served) RoundTrip(r *http.Request) (*http.Response, error) {
	body := ""
	if r.Body != nil {
		raw, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		body = string(raw)
	}
	status, answer := s(r, body)
	return &http.Response{StatusCode: status, Header: http.Header{"Etag": {`"v1"`}}, Body: io.NopCloser(strings.NewReader(answer))}, nil
}

func TestAnAnswerTooLargeIsAskedForInHalves(t *testing.T) {
	long := strings.Repeat("x", 3000)
	listing := ""
	for _, name := range []string{"a", "b", "c", "d"} {
		listing += strings.ReplaceAll(row, "a.ics", name+".ics")
	}
	asked := 0
	client := transport.New(transport.Options{MaxBody: 8000, Transport: served(func(r *http.Request, body string) (int, string) {
		if r.Method == "PROPFIND" {
			return http.StatusMultiStatus, answered(strings.ReplaceAll(listing, one, ""))
		}
		asked++
		rows := ""
		for _, name := range []string{"a", "b", "c", "d"} {
			if strings.Contains(body, name+".ics") {
				rows += strings.ReplaceAll(strings.ReplaceAll(row, "a.ics", name+".ics"), "SUMMARY:a", "SUMMARY:"+long)
			}
		}
		return http.StatusMultiStatus, answered(rows)
	})})
	conn, err := open(client, user())
	require.NoError(t, err)
	page, err := conn.List(t.Context(), connector.ListRequest{Object: "events"})
	require.NoError(t, err)
	require.Len(t, page.Records, 4)
	require.Equal(t, 3, asked)
}

func TestWhatCannotBeReadDoesNotStopAListing(t *testing.T) {
	broken := strings.ReplaceAll(strings.ReplaceAll(row, "a.ics", "broken.ics"), "END:VEVENT", "END:WHAT")
	client := transport.New(transport.Options{Transport: served(func(r *http.Request, _ string) (int, string) {
		if r.Method == http.MethodGet {
			return http.StatusOK, strings.ReplaceAll(one, "END:VEVENT", "END:WHAT")
		}
		return http.StatusMultiStatus, answered(row + broken)
	})})
	conn, err := open(client, user())
	require.NoError(t, err)
	page, err := conn.List(t.Context(), connector.ListRequest{Object: "events"})
	require.NoError(t, err)
	require.Len(t, page.Records, 1)
	require.Equal(t, "a.ics", page.Records[0].Ref.ID)
	_, err = conn.Get(t.Context(), "events", "broken.ics")
	require.Equal(t, fault.Invalid, fault.CodeOf(err))
}

func TestASyncTokenOfAServerWithoutTheReport(t *testing.T) {
	client := transport.New(transport.Options{Transport: served(func(_ *http.Request, body string) (int, string) {
		if strings.Contains(body, "sync-collection") {
			return http.StatusForbidden, `<error xmlns="DAV:"><supported-report/></error>`
		}
		return http.StatusMultiStatus, answered(row)
	})})
	conn, err := open(client, user())
	require.NoError(t, err)
	ids, next, err := conn.Deleted(t.Context(), "events", time.Unix(1795348800, 0), "")
	require.NoError(t, err)
	require.Empty(t, ids)
	require.Empty(t, next)
}

func TestCredentials(t *testing.T) {
	for name, auth := range map[string]connector.Auth{"Basic YW5hOnA=": user(), "Bearer abc": {Kind: transport.KindStatic, Token: "abc"}} {
		client := transport.New(transport.Options{Transport: served(func(r *http.Request, _ string) (int, string) {
			require.Equal(t, name, r.Header.Get("Authorization"))
			return http.StatusOK, one
		})})
		conn, err := open(client, auth)
		require.NoError(t, err)
		got, err := conn.Get(t.Context(), "events", "a.ics")
		require.NoError(t, err)
		require.Equal(t, "2026-12-01T11:00:00-03:00", got.Fields["ends_at"])
	}
	for name, auth := range map[string]connector.Auth{"nobody": {Kind: transport.KindBasic}, "a colon": {ClientID: "a:b", ClientSecret: "c"}, "consent": {Kind: transport.KindAuthorizationCode, ClientID: "a", RefreshToken: "b"}} {
		_, err := open(http.DefaultClient, auth)
		require.Equal(t, fault.Usage, fault.CodeOf(err), name)
	}
	_, err := caldav.Driver{}.Open(connector.Config{BaseURL: "https://dav.example", Client: http.DefaultClient, Auth: user()})
	require.Equal(t, fault.Usage, fault.CodeOf(err), "a server is no calendar")
	conn, err := open(http.DefaultClient, user())
	require.NoError(t, err)
	_, err = conn.EnsureWebhook(t.Context(), connector.WebhookSpec{})
	require.Equal(t, fault.Usage, fault.CodeOf(err))
	_, err = caldav.Driver{}.ParseWebhook(nil, nil, nil, time.Time{})
	require.Equal(t, fault.Unauthorized, fault.CodeOf(err))
	require.NoError(t, conn.RemoveWebhook(t.Context(), "1"))
}

// FuzzWrites edits any event with any values: what comes out is an event that is
// read again, and shows what was written.
func FuzzWrites(f *testing.F) {
	f.Add(one, "Visit", "2026-12-01T10:00:00-03:00", "2026-12-02", "Europe/Berlin", "FREQ=WEEKLY", true)
	f.Add(strings.ReplaceAll(one, ";TZID=America/Sao_Paulo:", ":"), "a\nb", "2026-12-01", "", "", "", false)
	f.Fuzz(func(t *testing.T, text, words, start, end, zone, rule string, allDay bool) {
		held := text
		client := transport.New(transport.Options{Transport: served(func(r *http.Request, body string) (int, string) {
			if r.Method == http.MethodPut {
				held = body
				return http.StatusNoContent, ""
			}
			return http.StatusOK, held
		})})
		conn, err := open(client, user())
		require.NoError(t, err)
		got, err := conn.Update(t.Context(), record.Record{Ref: record.Ref{Side: record.Right, Object: "events", ID: "a.ics"}}, map[string]any{
			"title": words, "starts_at": start, "ends_at": end, "time_zone": zone, "recurrence": rule, "all_day": allDay, "x.a_b": words}, connector.WriteOptions{})
		if err != nil {
			require.NotNil(t, fault.As(err))
			if held != text {
				t.Fatalf("a write left what cannot be read: %v\n%s", err, held)
			}
			return
		}
		require.Equal(t, allDay, got.Fields["all_day"])
		if first, err := time.Parse(time.RFC3339, start); err == nil && !allDay && got.Fields["starts_at"] != nil {
			shown, err := time.Parse(time.RFC3339, got.Fields["starts_at"].(string))
			if err == nil && !shown.Equal(first.Truncate(time.Second)) {
				t.Fatalf("%s became %s", start, shown)
			}
		}
		again, err := conn.Update(t.Context(), got, map[string]any{"title": words, "starts_at": start, "ends_at": end, "time_zone": zone, "all_day": allDay}, connector.WriteOptions{})
		require.NoError(t, err)
		require.Equal(t, got, again, "the same write again changes nothing")
	})
}

// TestATokenOfLaterThanAskedForIsNotUsed: a token tells nothing of what changed
// before it was given, and a search gives one as well as a poll.
func TestATokenOfLaterThanAskedForIsNotUsed(t *testing.T) {
	changed := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	now := changed.Add(10 * time.Second)
	network := served(func(_ *http.Request, body string) (int, string) {
		switch {
		case strings.Contains(body, "sync-collection"):
			return http.StatusMultiStatus, answered("")
		case strings.Contains(body, "multiget"):
			return http.StatusMultiStatus, answered(row)
		}
		return http.StatusMultiStatus, answered(strings.ReplaceAll(row, one, ""))
	})
	client := &http.Client{Transport: dated{network, func() time.Time { return now }}}
	conn, err := open(client, user())
	require.NoError(t, err)
	_, err = conn.Search(t.Context(), connector.SearchRequest{Object: "events", Path: "x.a_b", Value: "none"})
	require.NoError(t, err)
	now = now.Add(5 * time.Second)
	page, err := conn.List(t.Context(), connector.ListRequest{Object: "events", Since: changed.Add(-5 * time.Second)})
	require.NoError(t, err)
	require.Len(t, page.Records, 1)
}

// dated adds the server's time to answers.
type dated struct {
	inner served
	now   func() time.Time
}

// RoundTrip implements http.RoundTripper.
func (d dated) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := d.inner.RoundTrip(r)
	if err == nil {
		response.Header.Set("Date", d.now().UTC().Format(http.TimeFormat))
	}
	return response, err
}
