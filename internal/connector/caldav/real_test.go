package caldav_test

import (
	"context"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/caldav"
	"github.com/accord-sync/accord/internal/connector/caldav/caldavtest"
	"github.com/accord-sync/accord/internal/connector/connectortest"
	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/record"
)

// real is a connector to a fresh Radicale. asked counts its calls by method.
func real(t *testing.T) (*caldavtest.Server, connector.Connector, *asked) {
	t.Helper()
	s, counter := caldavtest.Start(t), &asked{}
	return s, opened(t, s, counter), counter
}

func opened(t *testing.T, s *caldavtest.Server, counter *asked) connector.Connector {
	t.Helper()
	client := transport.New(transport.Options{AllowPrivate: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	counter.inner, client.Transport = client.Transport, counter
	conn, err := caldav.Driver{}.Open(connector.Config{
		Side: record.Right, BaseURL: s.Root + caldavtest.Path, Capabilities: caldav.Driver{}.Defaults(), Objects: []string{"events"},
		Auth: connector.Auth{Kind: transport.KindBasic, ClientID: connectortest.ClientID, ClientSecret: connectortest.ClientSecret}, Client: client,
	})
	require.NoError(t, err)
	return conn
}

// asked notes the calls that pass.
type asked struct {
	inner http.RoundTripper
	calls []string
}

// RoundTrip passes a call on.
func (a *asked) RoundTrip(r *http.Request) (*http.Response, error) {
	a.calls = append(a.calls, r.Method)
	return a.inner.RoundTrip(r)
}

func (a *asked) during(work func()) string {
	a.calls = nil
	work()
	return strings.Join(a.calls, " ")
}

func read(t *testing.T, conn connector.Connector, id string) record.Record {
	t.Helper()
	got, err := conn.Get(context.Background(), "events", id)
	require.NoError(t, err)
	return got
}

func made(t *testing.T, conn connector.Connector, fields map[string]any) record.Record {
	t.Helper()
	got, err := conn.Create(context.Background(), "events", fields, connector.WriteOptions{})
	require.NoError(t, err)
	return got
}

func changed(t *testing.T, conn connector.Connector, current record.Record, fields map[string]any) record.Record {
	t.Helper()
	got, err := conn.Update(context.Background(), current, fields, connector.WriteOptions{IfMatch: current.Version})
	require.NoError(t, err)
	return got
}

func shows(t *testing.T, got record.Record, fields map[string]any) {
	t.Helper()
	for path, want := range fields {
		held, _ := got.Fields.Get(path)
		require.Equal(t, want, held, path)
	}
}

func TestRealTimes(t *testing.T) {
	s, conn, _ := real(t)
	ctx := context.Background()
	event := made(t, conn, map[string]any{"title": "Visit", "starts_at": "2026-12-01T12:00:00Z", "ends_at": "2026-12-01T10:00:00-03:00", "time_zone": "America/Sao_Paulo"})
	t.Run("a time shows in the event's zone, whatever offset it came with", func(t *testing.T) {
		shows(t, event, map[string]any{"starts_at": "2026-12-01T09:00:00-03:00", "ends_at": "2026-12-01T10:00:00-03:00", "time_zone": "America/Sao_Paulo", "all_day": false})
		text := s.Text(t, event.Ref.ID)
		require.Contains(t, text, "DTSTART;TZID=America/Sao_Paulo:20261201T090000\n")
		require.Contains(t, text, "BEGIN:VTIMEZONE\nTZID:America/Sao_Paulo\n")
	})
	t.Run("another zone leaves the instants", func(t *testing.T) {
		event = changed(t, conn, event, map[string]any{"time_zone": "Europe/Berlin"})
		shows(t, event, map[string]any{"starts_at": "2026-12-01T13:00:00+01:00", "ends_at": "2026-12-01T14:00:00+01:00", "time_zone": "Europe/Berlin"})
		require.Contains(t, s.Text(t, event.Ref.ID), "DTSTART;TZID=Europe/Berlin:20261201T130000\n")
	})
	t.Run("a day, and back, stays in its zone", func(t *testing.T) {
		event = changed(t, conn, event, map[string]any{"all_day": true, "starts_at": "2026-12-02T00:00:00+01:00", "ends_at": "2026-12-03T00:00:00+01:00"})
		shows(t, event, map[string]any{"starts_at": "2026-12-02T00:00:00+01:00", "ends_at": "2026-12-03T00:00:00+01:00", "all_day": true, "time_zone": "Europe/Berlin"})
		require.Contains(t, s.Text(t, event.Ref.ID), "DTSTART;VALUE=DATE:20261202\n")
		event = changed(t, conn, event, map[string]any{"all_day": false, "starts_at": "2026-12-02T08:00:00Z", "ends_at": nil})
		shows(t, event, map[string]any{"starts_at": "2026-12-02T09:00:00+01:00", "ends_at": "2026-12-02T09:00:00+01:00", "all_day": false, "time_zone": "Europe/Berlin"})
	})
	t.Run("UTC is a zone only where it was chosen", func(t *testing.T) {
		got := made(t, conn, map[string]any{"starts_at": "2026-12-01T09:00:00-03:00"})
		shows(t, got, map[string]any{"starts_at": "2026-12-01T12:00:00Z", "time_zone": nil})
		got = changed(t, conn, got, map[string]any{"time_zone": "UTC"})
		shows(t, got, map[string]any{"starts_at": "2026-12-01T12:00:00Z", "time_zone": "UTC"})
		got = changed(t, conn, got, map[string]any{"all_day": true, "starts_at": "2026-12-01T00:00:00Z"})
		shows(t, got, map[string]any{"starts_at": "2026-12-01T00:00:00Z", "time_zone": "UTC"})
		got = changed(t, conn, got, map[string]any{"all_day": false, "starts_at": "2026-12-01T12:00:00Z"})
		shows(t, got, map[string]any{"starts_at": "2026-12-01T12:00:00Z", "time_zone": "UTC"})
		got = changed(t, conn, got, map[string]any{"time_zone": "Europe/Berlin"})
		require.NotContains(t, s.Text(t, got.Ref.ID), "X-ACCORD-TIME-ZONE")
		got = changed(t, conn, got, map[string]any{"time_zone": "UTC"})
		got = changed(t, conn, got, map[string]any{"time_zone": nil})
		shows(t, got, map[string]any{"starts_at": "2026-12-01T12:00:00Z", "time_zone": nil})
	})
	t.Run("a day in no zone keeps its date", func(t *testing.T) {
		s.Put(t, "day.ics", caldavtest.Event("day", "DTSTART;VALUE=DATE:20261224"))
		got := read(t, conn, "day.ics")
		shows(t, got, map[string]any{"starts_at": "2026-12-24T00:00:00Z", "ends_at": "2026-12-25T00:00:00Z", "all_day": true, "time_zone": nil})
		got = changed(t, conn, got, map[string]any{"starts_at": "2026-12-26T00:00:00-03:00", "ends_at": "2026-12-27T23:59:59-03:00"})
		shows(t, got, map[string]any{"starts_at": "2026-12-26T00:00:00-03:00", "ends_at": "2026-12-28T00:00:00-03:00", "all_day": true, "time_zone": nil})
		require.Contains(t, s.Text(t, "day.ics"), "DTSTART;VALUE=DATE:20261226\n")
		require.Contains(t, s.Text(t, "day.ics"), "DTEND;VALUE=DATE:20261228\n")
	})
	t.Run("an event of a program keeps its own zone and form", func(t *testing.T) {
		s.Put(t, "outlook.ics", "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:x\nBEGIN:VTIMEZONE\nTZID:W. Europe Standard Time\nBEGIN:STANDARD\nDTSTART:16010101T030000\nTZOFFSETFROM:+0200\nTZOFFSETTO:+0100\n"+
			"RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10\nEND:STANDARD\nBEGIN:DAYLIGHT\nDTSTART:16010101T020000\nTZOFFSETFROM:+0100\nTZOFFSETTO:+0200\nRRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3\nEND:DAYLIGHT\nEND:VTIMEZONE\n"+
			"BEGIN:VEVENT\nUID:o\nDTSTAMP:20261101T000000Z\nDTSTART;TZID=W. Europe Standard Time:20260701T100000\nDURATION:PT90M\nEND:VEVENT\nEND:VCALENDAR\n")
		got := read(t, conn, "outlook.ics")
		shows(t, got, map[string]any{"starts_at": "2026-07-01T10:00:00+02:00", "ends_at": "2026-07-01T11:30:00+02:00", "time_zone": nil})
		got = changed(t, conn, got, map[string]any{"starts_at": "2026-07-01T06:00:00-03:00"})
		shows(t, got, map[string]any{"starts_at": "2026-07-01T11:00:00+02:00", "ends_at": "2026-07-01T11:30:00+02:00"})
		require.Contains(t, s.Text(t, "outlook.ics"), "DTSTART;TZID=W. Europe Standard Time:20260701T110000\n")
	})
	t.Run("what is no time is refused with its field", func(t *testing.T) {
		for path, value := range map[string]any{"starts_at": "tomorrow", "ends_at": "2020-01-01T00:00:00Z", "time_zone": "Mars/Olympus", "all_day": "yes",
			"recurrence": "every day", "status": "perhaps", "attendees": []any{map[string]any{"name": "Ana"}}, "uid": "other", "exceptions": []any{}} {
			_, err := conn.Update(ctx, event, map[string]any{path: value}, connector.WriteOptions{})
			require.Equal(t, fault.Invalid, fault.CodeOf(err), path)
			require.Equal(t, path, fault.As(err).Field)
		}
		_, err := conn.Create(ctx, "events", map[string]any{"title": "Some day"}, connector.WriteOptions{})
		require.Equal(t, "starts_at", fault.As(err).Field)
	})
}

// series is a weekly one with a cancelled and a moved occurrence, an alarm, and
// things that only its program knows.
const series = `BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//Example//EN
BEGIN:VTIMEZONE
TZID:America/Sao_Paulo
BEGIN:STANDARD
DTSTART:19700101T000000
TZOFFSETFROM:-0300
TZOFFSETTO:-0300
END:STANDARD
END:VTIMEZONE
BEGIN:VEVENT
UID:series
DTSTAMP:20261101T000000Z
DTSTART;TZID=America/Sao_Paulo:20261201T100000
DTEND;TZID=America/Sao_Paulo:20261201T110000
RRULE:FREQ=WEEKLY;COUNT=10
EXDATE;TZID=America/Sao_Paulo:20261208T100000
SUMMARY:Weekly
X-PROGRAM-SECRET;X-P=1:kept
ORGANIZER;CN=Boss:mailto:boss@example.com
ATTENDEE;CN=Ana;PARTSTAT=ACCEPTED;ROLE=REQ-PARTICIPANT;X-NUM=7:mailto:ana@example.com
ATTENDEE;CN=Room:urn:uuid:room
BEGIN:VALARM
ACTION:DISPLAY
DESCRIPTION:soon
TRIGGER:-PT15M
END:VALARM
END:VEVENT
BEGIN:VEVENT
UID:series
DTSTAMP:20261101T000000Z
RECURRENCE-ID;TZID=America/Sao_Paulo:20261215T100000
DTSTART;TZID=America/Sao_Paulo:20261216T150000
DTEND;TZID=America/Sao_Paulo:20261216T160000
SUMMARY:Weekly\, moved
END:VEVENT
BEGIN:VEVENT
UID:series
DTSTAMP:20261101T000000Z
RECURRENCE-ID;TZID=America/Sao_Paulo:20261222T100000
DTSTART;TZID=America/Sao_Paulo:20261222T100000
DTEND;TZID=America/Sao_Paulo:20261222T110000
SUMMARY:Weekly\, another title
END:VEVENT
END:VCALENDAR
`

func TestRealSeries(t *testing.T) {
	s, conn, _ := real(t)
	s.Put(t, "series.ics", series)
	before := s.Text(t, "series.ics")
	got := read(t, conn, "series.ics")
	shows(t, got, map[string]any{"recurrence": "FREQ=WEEKLY;COUNT=10", "organizer": map[string]any{"name": "Boss", "email": "boss@example.com"},
		"attendees": []any{map[string]any{"name": "Ana", "email": "ana@example.com", "status": "accepted"}},
		"exceptions": []any{map[string]any{"at": "2026-12-08T10:00:00-03:00", "cancelled": true},
			map[string]any{"at": "2026-12-15T10:00:00-03:00", "cancelled": false, "title": "Weekly, moved", "starts_at": "2026-12-16T15:00:00-03:00", "ends_at": "2026-12-16T16:00:00-03:00"},
			map[string]any{"at": "2026-12-22T10:00:00-03:00", "cancelled": false, "title": "Weekly, another title", "starts_at": "2026-12-22T10:00:00-03:00", "ends_at": "2026-12-22T11:00:00-03:00"}}})

	got = changed(t, conn, got, map[string]any{"title": "Jour fixe", "location": "Room 1"})
	after := s.Text(t, "series.ics")
	for _, line := range strings.Split(before, "\n") {
		if line == "SUMMARY:Weekly" || line == "DTSTAMP:20261101T000000Z" {
			continue
		}
		require.Contains(t, after, line+"\n", "a write leaves everything else alone")
	}
	require.Contains(t, after, "SUMMARY:Jour fixe\n")
	require.Equal(t, 3, strings.Count(after, "BEGIN:VEVENT"))
	shows(t, got, map[string]any{"title": "Jour fixe", "recurrence": "FREQ=WEEKLY;COUNT=10"})

	got = changed(t, conn, got, map[string]any{"starts_at": "2026-12-02T14:30:00Z", "ends_at": "2026-12-02T15:30:00Z"})
	moved := s.Text(t, "series.ics")
	for _, line := range []string{"DTSTART;TZID=America/Sao_Paulo:20261202T113000", "EXDATE;TZID=America/Sao_Paulo:20261209T113000",
		"RECURRENCE-ID;TZID=America/Sao_Paulo:20261216T113000", "DTSTART;TZID=America/Sao_Paulo:20261216T150000",
		"RECURRENCE-ID;TZID=America/Sao_Paulo:20261223T113000", "DTSTART;TZID=America/Sao_Paulo:20261223T113000", "DTEND;TZID=America/Sao_Paulo:20261223T123000", "SEQUENCE:1"} {
		require.Contains(t, moved, line+"\n", "exceptions go with their series; one that was moved stays where it was put")
	}
	got = changed(t, conn, got, map[string]any{"attendees": []any{map[string]any{"email": "bia@example.com", "name": "Bia"}, map[string]any{"email": "ANA@example.com", "name": "Ana", "status": "declined"}}})
	shows(t, got, map[string]any{"attendees": []any{map[string]any{"name": "Bia", "email": "bia@example.com", "status": nil}, map[string]any{"name": "Ana", "email": "ana@example.com", "status": "declined"}}})
	invited := s.Text(t, "series.ics")
	require.Contains(t, invited, "X-NUM=7", "what the program wrote about a guest stays")
	require.Contains(t, invited, "urn:uuid:room", "a guest without an address stays")

	got = changed(t, conn, got, map[string]any{"recurrence": nil})
	shows(t, got, map[string]any{"recurrence": nil, "exceptions": []any{}})
	require.Contains(t, s.Text(t, "series.ics"), "BEGIN:VALARM")
}

func TestRealWritesAreGuarded(t *testing.T) {
	s, conn, calls := real(t)
	ctx := context.Background()
	event := made(t, conn, map[string]any{"title": "A", "starts_at": "2026-12-01T12:00:00Z"})
	id := event.Ref.ID
	t.Run("a change that was taken back is seen", func(t *testing.T) {
		s.NextSecond()
		s.Edit(t, id, map[string]any{"title": "B"})
		s.Edit(t, id, map[string]any{"title": "A"})
		_, err := conn.Update(ctx, event, map[string]any{"title": "C"}, connector.WriteOptions{IfMatch: event.Version})
		require.Equal(t, fault.Stale, fault.CodeOf(err))
		require.NotEqual(t, event.Version, read(t, conn, id).Version)
	})
	t.Run("a repeated create finds its own", func(t *testing.T) {
		fields := map[string]any{"title": "Once", "starts_at": "2026-12-01T12:00:00Z", "x.accord_source": "ap_1"}
		first, err := conn.Create(ctx, "events", fields, connector.WriteOptions{IdempotencyKey: "intent"})
		require.NoError(t, err)
		s.Edit(t, first.Ref.ID, map[string]any{"title": "Edited since"})
		second, err := conn.Create(ctx, "events", fields, connector.WriteOptions{IdempotencyKey: "intent"})
		require.NoError(t, err)
		require.Equal(t, first.Ref, second.Ref)
		require.Equal(t, "Edited since", second.Fields["title"])
		found, err := conn.Search(ctx, connector.SearchRequest{Object: "events", Path: "x.accord_source", Value: "ap_1", Since: time.Now().Add(-time.Minute)})
		require.NoError(t, err)
		require.Len(t, found, 1)
	})
	t.Run("what is there already is not written", func(t *testing.T) {
		current := read(t, conn, id)
		require.Equal(t, "GET", calls.during(func() {
			require.Equal(t, current, changed(t, conn, current, map[string]any{"title": "A", "starts_at": "2026-12-01T09:00:00-03:00", "location": nil, "attendees": []any{}}))
		}))
	})
	t.Run("no name leads elsewhere", func(t *testing.T) {
		s.Put(t, "first.ics", caldavtest.Event("taken", "DTSTART:20261201T120000Z"))
		require.NotEqual(t, fault.Gone, fault.CodeOf(conn.Delete(ctx, "events", "..", connector.WriteOptions{})), "no step up")
		require.Contains(t, s.IDs(t), "first.ics")
	})
}

func TestRealListing(t *testing.T) {
	s, conn, calls := real(t)
	ctx := context.Background()
	ids := s.Seed(t, 5)
	s.Put(t, "task.ics", "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:x\nBEGIN:VTODO\nUID:task\nDTSTAMP:20261101T000000Z\nSUMMARY:Call\nEND:VTODO\nEND:VCALENDAR\n")
	list := func(since time.Time) (found []string) {
		page, err := conn.List(ctx, connector.ListRequest{Object: "events", Since: since})
		require.NoError(t, err)
		require.Empty(t, page.Next)
		for _, one := range page.Records {
			found = append(found, one.Ref.ID)
		}
		return found
	}
	t.Run("a full listing leaves tasks out", func(t *testing.T) {
		require.Equal(t, "PROPFIND REPORT", calls.during(func() { require.ElementsMatch(t, ids, list(time.Time{})) }))
		_, err := conn.Get(ctx, "events", "task.ics")
		require.Equal(t, fault.Invalid, fault.CodeOf(err))
	})
	// The first listing's token counts from two minutes later on, by its doubt.
	later := time.Now().Add(2 * time.Minute)
	t.Run("what changed is told by a sync token", func(t *testing.T) {
		require.Equal(t, "REPORT", calls.during(func() { require.Empty(t, list(later)) }))
		s.Edit(t, ids[0], map[string]any{"title": "x"})
		s.Remove(t, ids[1])
		require.Equal(t, "REPORT REPORT GET", calls.during(func() { require.Equal(t, ids[:1], list(later)) }))
		gone, next, err := conn.Deleted(ctx, "events", later, "")
		require.NoError(t, err)
		require.Equal(t, ids[1:2], gone)
		require.Empty(t, next)
	})
	t.Run("a token that the server does not know any more is done without", func(t *testing.T) {
		s.Empty(t)
		fresh := s.Seed(t, 2)
		require.Equal(t, "REPORT PROPFIND", calls.during(func() { require.Empty(t, list(later)) }))
		require.Equal(t, "PROPFIND REPORT", calls.during(func() { require.ElementsMatch(t, fresh, list(later.Add(-2*time.Minute-time.Second))) }))
		_, _, err := conn.Deleted(ctx, "events", later, "")
		require.NoError(t, err)
	})
	t.Run("a folder is no calendar", func(t *testing.T) {
		elsewhere, err := caldav.Driver{}.Open(connector.Config{Side: record.Right, BaseURL: s.Root + "/" + connectortest.ClientID, Client: http.DefaultClient,
			Auth: connector.Auth{Kind: transport.KindBasic, ClientID: connectortest.ClientID, ClientSecret: connectortest.ClientSecret}})
		require.NoError(t, err)
		report, err := elsewhere.Check(ctx, []string{"events"})
		require.NoError(t, err)
		require.Contains(t, report.Objects["events"], "not the address of a calendar")
	})
}
