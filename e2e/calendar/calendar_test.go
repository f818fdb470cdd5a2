//go:build e2e

package calendar_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/connector/caldav/caldavtest"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
	"github.com/accord-sync/accord/internal/sandbox/sandboxclient"
)

func visit() map[string]any {
	return map[string]any{"title": "Visit; Ana, Lima", "starts_at": "2026-12-01T12:00:00Z", "ends_at": "2026-12-01T10:00:00-03:00", "time_zone": "America/Sao_Paulo",
		"location": "Rua Augusta, 1", "attendees": []any{map[string]any{"name": "Ana Lima", "email": "ana@example.com", "status": "accepted"}}}
}

func TestAppointmentsAndEvents(t *testing.T) {
	w := newWorld(t, nil)
	first := w.appointment(visit())
	w.calendar.Put(t, "private.ics", caldavtest.Event("private", "SUMMARY:Dentist", "DTSTART:20261201T120000Z"))
	w.run(ledger.RunBackfill)
	require.Equal(t, 1, w.live(), "what is private stays out of Acme")
	event := w.other(record.Left, first)
	w.calendar.Put(t, "lunch.ics", strings.Replace(caldavtest.Event("lunch", "SUMMARY:Lunch", "CATEGORIES:Food,Acme", "DTSTART;TZID=Europe/Berlin:20261202T120000",
		"DURATION:PT45M", "ATTENDEE;PARTSTAT=TENTATIVE:mailto:bia@example.com"), "BEGIN:VEVENT", berlin+"BEGIN:VEVENT", 1))
	w.quiet()
	lunch := w.other(record.Right, "lunch.ics")

	t.Run("created on both sides", func(*testing.T) {
		w.eventHas(event, `SUMMARY:Visit\; Ana\, Lima`, "DTSTART;TZID=America/Sao_Paulo:20261201T090000", "DTEND;TZID=America/Sao_Paulo:20261201T100000", "X-ACCORD-SOURCE:"+first,
			"STATUS:CONFIRMED", "ATTENDEE;CN=Ana Lima;PARTSTAT=ACCEPTED:mailto:ana@example.com")
		w.appointmentHas(lunch, map[string]any{"title": "Lunch", "starts_at": "2026-12-02T12:00:00+01:00", "ends_at": "2026-12-02T12:45:00+01:00", "time_zone": "Europe/Berlin",
			"all_day": false, "status": "scheduled", "external_ref": "lunch.ics", "attendees": []any{map[string]any{"email": "bia@example.com", "status": "tentative"}}})
	})
	t.Run("edited on both sides", func(*testing.T) {
		w.edit(first, map[string]any{"starts_at": "2026-12-01T13:00:00Z", "ends_at": "2026-12-01T14:00:00Z"})
		w.calendar.Edit(t, event, map[string]any{"location": "Zoom", "description": "Bring the offer"})
		w.calendar.Edit(t, "lunch.ics", map[string]any{"title": "Late lunch"})
		w.quiet()
		w.eventHas(event, "DTSTART;TZID=America/Sao_Paulo:20261201T100000", "DTEND;TZID=America/Sao_Paulo:20261201T110000", "LOCATION:Zoom")
		w.appointmentHas(first, map[string]any{"location": "Zoom", "properties.description": "Bring the offer", "starts_at": "2026-12-01T10:00:00-03:00"})
		w.appointmentHas(lunch, map[string]any{"title": "Late lunch"})
	})
	t.Run("a day and back", func(*testing.T) {
		w.edit(first, map[string]any{"all_day": true, "starts_at": "2026-12-03T00:00:00-03:00", "ends_at": "2026-12-04T00:00:00-03:00"})
		w.quiet()
		w.eventHas(event, "DTSTART;VALUE=DATE:20261203", "DTEND;VALUE=DATE:20261204")
		w.edit(first, map[string]any{"all_day": false, "starts_at": "2026-12-03T09:00:00-03:00", "ends_at": "2026-12-03T10:00:00-03:00"})
		w.quiet()
		w.eventHas(event, "DTSTART;TZID=America/Sao_Paulo:20261203T090000")
		w.appointmentHas(first, map[string]any{"time_zone": "America/Sao_Paulo", "all_day": false})
	})
	t.Run("done in Acme, cancelled in the calendar", func(*testing.T) {
		w.edit(first, map[string]any{"status": "done"})
		w.quiet()
		w.eventHas(event, "STATUS:CONFIRMED")
		w.appointmentHas(first, map[string]any{"status": "done"})
		w.calendar.Put(t, "lunch.ics", strings.Replace(w.calendar.Text(t, "lunch.ics"), "SUMMARY:", "STATUS:CANCELLED\nSUMMARY:", 1))
		w.quiet()
		w.appointmentHas(lunch, map[string]any{"status": "cancelled"})
	})
	t.Run("one field edited on both sides: the later edit wins", func(*testing.T) {
		time.Sleep(tick)
		w.edit(first, map[string]any{"title": "Earlier"})
		time.Sleep(tick)
		w.calendar.Edit(t, event, map[string]any{"title": "Later"})
		w.quiet()
		w.eventHas(event, "SUMMARY:Later")
		w.appointmentHas(first, map[string]any{"title": "Later"})
	})
	slipsIn(w, first, event)
	badDates(w)
	deletes(w, first, event, lunch)
	idle(w)
}

const berlin = "BEGIN:VTIMEZONE\nTZID:Europe/Berlin\nBEGIN:STANDARD\nDTSTART:19701025T030000\nRRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10\nTZOFFSETFROM:+0200\nTZOFFSETTO:+0100\nEND:STANDARD\n" +
	"BEGIN:DAYLIGHT\nDTSTART:19700329T020000\nRRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3\nTZOFFSETFROM:+0100\nTZOFFSETTO:+0200\nEND:DAYLIGHT\nEND:VTIMEZONE\n"

// TestWhatOneSideDoesNotSay is about values that only one of the systems has: they
// stay there, and nothing is written for them.
func TestWhatOneSideDoesNotSay(t *testing.T) {
	w := newWorld(t, map[string]string{"CALENDAR_CATEGORY": ""})
	w.run(ledger.RunBackfill)
	bare := w.appointment(map[string]any{"title": "Bare", "starts_at": "2026-12-01T09:00:00-03:00", "ends_at": "2026-12-01T10:00:00-03:00",
		"attendees": []any{map[string]any{"email": "ana@example.com"}}})
	day := w.appointment(map[string]any{"title": "Day", "all_day": true, "starts_at": "2026-12-01T00:00:00-03:00", "ends_at": "2026-12-02T00:00:00-03:00"})
	w.calendar.Put(t, "short.ics", caldavtest.Event("short", "DTSTART;VALUE=DATE:20261224"))
	w.quiet()
	w.eventHas(w.other(record.Left, bare), "DTSTART:20261201T120000Z", "ATTENDEE:mailto:ana@example.com")
	w.eventHas(w.other(record.Left, day), "DTSTART;VALUE=DATE:20261201", "DTEND;VALUE=DATE:20261202")
	w.appointmentHas(w.other(record.Right, "short.ics"), map[string]any{"title": "(no title)", "all_day": true, "starts_at": "2026-12-24T00:00:00Z", "ends_at": "2026-12-25T00:00:00Z", "time_zone": nil})
	ours := w.door.writes()
	theirs, _, err := w.acme.WriteTotals(w.ctx, sandboxclient.Filter{Actor: "app:accord"})
	require.NoError(t, err)
	w.run(ledger.RunCompare)
	w.quiet()
	again, _, err := w.acme.WriteTotals(w.ctx, sandboxclient.Filter{Actor: "app:accord"})
	require.NoError(t, err)
	require.Equal(t, []int{theirs, ours}, []int{again, w.door.writes()})
	w.appointmentHas(bare, map[string]any{"time_zone": nil, "starts_at": "2026-12-01T09:00:00-03:00", "attendees": []any{map[string]any{"email": "ana@example.com"}}})
	w.appointmentHas(day, map[string]any{"time_zone": nil, "starts_at": "2026-12-01T00:00:00-03:00"})
	conflicts, _, err := w.store.ListConflicts(w.ctx, w.key, ledger.ConflictOpen, ledger.ListOptions{Limit: 10})
	require.NoError(t, err)
	require.Empty(t, conflicts)
}

func TestTheCustomerStandsInTheEvent(t *testing.T) {
	w := newWorld(t, nil)
	ana, err := w.acme.CreateRecord(w.ctx, "contacts", map[string]any{"first_name": "Ana", "last_name": "Lima", "phone": "+5511987654321", "email": "ana@example.com"})
	require.NoError(t, err)
	first := visit()
	first["contact_id"], first["properties"] = ana.ID, map[string]any{"description": "Bring the offer"}
	one, other := w.appointment(first), w.appointment(visit())
	w.run(ledger.RunBackfill)
	event := w.other(record.Left, one)
	const customer = "Customer: Ana Lima, +5511987654321, ana@example.com"
	describes := func(id, want string) {
		require.Equal(t, want, w.calendar.Fields(t, id)["description"])
	}
	describes(event, customer+"\n\nBring the offer")
	describes(w.other(record.Left, other), "")

	w.calendar.Edit(t, event, map[string]any{"description": customer + "\n\nBring two offers\n\nand a pen"})
	w.quiet()
	w.appointmentHas(one, map[string]any{"properties.description": "Bring two offers\n\nand a pen", "contact_id": ana.ID})
	w.edit(one, map[string]any{"properties": map[string]any{"description": nil}})
	w.quiet()
	describes(event, customer)

	// Acme tells of the contact, not of its appointments: the comparison finds them.
	_, err = w.acme.EditRecord(w.ctx, "contacts", ana.ID, map[string]any{"last_name": "Reis"})
	require.NoError(t, err)
	w.later(31 * time.Second)
	w.run(ledger.RunCompare)
	describes(event, "Customer: Ana Reis, +5511987654321, ana@example.com")
	writes := w.door.writes()
	w.calendar.Edit(t, event, map[string]any{"description": "Only this"})
	w.quiet()
	w.appointmentHas(one, map[string]any{"properties.description": "Only this"})
	describes(event, "Only this")
	require.Equal(t, writes, w.door.writes(), "a paragraph that a person takes out stays out")
}

// slipsIn lets people edit between the service's read and its write.
func slipsIn(w *world, appointment, event string) {
	w.Run("an edit that slips in is not lost", func(t *testing.T) {
		time.Sleep(tick)
		w.edit(appointment, map[string]any{"title": "From Acme"})
		before := w.door.writes()
		w.door.before(func() { w.calendar.Edit(t, event, map[string]any{"location": "Their room"}) })
		w.quiet()
		require.Greater(t, w.door.writes(), before+1, "the first write was refused")
		w.eventHas(event, "SUMMARY:From Acme", "LOCATION:Their room")
		w.appointmentHas(appointment, map[string]any{"title": "From Acme", "location": "Their room"})
	})
	w.Run("a create whose answer is lost makes one event", func(t *testing.T) {
		before := len(w.calendar.IDs(t))
		w.door.loseAnswer()
		id := w.appointment(visit())
		w.quiet()
		require.Len(t, w.calendar.IDs(t), before+1)
		w.eventHas(w.other(record.Left, id), "X-ACCORD-SOURCE:"+id)
	})
}

// badDates parks what Acme cannot take, and lets it go on when it is mended.
func badDates(w *world) {
	w.Run("an event in no zone is parked, and goes on when it is mended", func(t *testing.T) {
		w.calendar.Put(t, "floating.ics", caldavtest.Event("floating", "SUMMARY:Somewhere", "CATEGORIES:Acme", "DTSTART:20261205T120000"))
		before := w.live()
		w.poll()
		letters := w.letters()
		require.Len(t, letters, 1)
		require.Equal(t, "floating.ics", letters[0].Ref.ID)
		require.Equal(t, before, w.live())
		time.Sleep(tick)
		w.calendar.Put(t, "floating.ics", caldavtest.Event("floating", "SUMMARY:Here", "CATEGORIES:Acme", "DTSTART:20261205T120000Z"))
		w.quiet()
		w.appointmentHas(w.other(record.Right, "floating.ics"), map[string]any{"title": "Here", "starts_at": "2026-12-05T12:00:00Z", "ends_at": "2026-12-05T12:00:00Z", "time_zone": nil})
	})
}

func deletes(w *world, first, event, lunch string) {
	w.Run("deleted in Acme", func(t *testing.T) {
		_, err := w.acme.DeleteRecord(w.ctx, "appointments", lunch)
		require.NoError(t, err)
		w.quiet()
		require.Eventually(t, func() bool {
			w.quiet()
			return !contains(w.calendar.IDs(t), "lunch.ics")
		}, time.Minute, 100*time.Millisecond)
	})
	w.Run("deleted in the calendar: its report of changes tells", func(t *testing.T) {
		w.calendar.Remove(t, event)
		require.Eventually(t, func() bool {
			w.quiet()
			found, err := w.acme.Record(w.ctx, "appointments", first)
			require.NoError(t, err)
			return found.DeletedAt != nil
		}, time.Minute, 100*time.Millisecond)
	})
}

func contains(ids []string, wanted string) bool {
	for _, id := range ids {
		if id == wanted {
			return true
		}
	}
	return false
}

func idle(w *world) {
	w.Run("afterwards nothing is written", func(t *testing.T) {
		ours := w.door.writes()
		theirs, _, err := w.acme.WriteTotals(w.ctx, sandboxclient.Filter{Actor: "app:accord"})
		require.NoError(t, err)
		w.quiet()
		w.run(ledger.RunCompare)
		w.quiet()
		again, _, err := w.acme.WriteTotals(w.ctx, sandboxclient.Filter{Actor: "app:accord"})
		require.NoError(t, err)
		require.Equal(t, theirs, again)
		require.Equal(t, ours, w.door.writes())
		w.eventHas("private.ics", "SUMMARY:Dentist")
	})
}

// TestSeries takes a series with exceptions both ways, and back.
func TestSeries(t *testing.T) {
	w := newWorld(t, map[string]string{"CALENDAR_CATEGORY": ""})
	w.run(ledger.RunBackfill)
	weekly := visit()
	weekly["recurrence"] = "FREQ=WEEKLY;COUNT=8"
	appointment := w.appointment(weekly)
	w.quiet()
	event := w.other(record.Left, appointment)
	w.eventHas(event, "RRULE:FREQ=WEEKLY;COUNT=8")

	// A person cancels the second occurrence, moves the third, and sets an alarm.
	text := w.calendar.Text(t, event)
	text = strings.Replace(text, "RRULE:FREQ=WEEKLY;COUNT=8\n", "RRULE:FREQ=WEEKLY;COUNT=8\nEXDATE;TZID=America/Sao_Paulo:20261208T090000\nX-THEIRS:kept\n", 1)
	text = strings.Replace(text, "END:VEVENT\n", "BEGIN:VALARM\nACTION:DISPLAY\nDESCRIPTION:soon\nTRIGGER:-PT10M\nEND:VALARM\nEND:VEVENT\nBEGIN:VEVENT\nUID:"+strings.TrimSuffix(event, ".ics")+
		"\nDTSTAMP:20261101T000000Z\nRECURRENCE-ID;TZID=America/Sao_Paulo:20261215T090000\nDTSTART;TZID=America/Sao_Paulo:20261216T150000\nDTEND;TZID=America/Sao_Paulo:20261216T160000\nSUMMARY:Moved\nEND:VEVENT\n", 1)
	time.Sleep(tick)
	w.calendar.Put(t, event, text)
	w.quiet()
	w.appointmentHas(appointment, map[string]any{"recurrence": "FREQ=WEEKLY;COUNT=8", "starts_at": "2026-12-01T09:00:00-03:00", "title": visit()["title"]})

	// Acme renames the series and moves it by an hour: the exceptions stay exceptions.
	w.edit(appointment, map[string]any{"title": "Renamed", "starts_at": "2026-12-01T10:00:00-03:00", "ends_at": "2026-12-01T11:00:00-03:00", "recurrence": "FREQ=WEEKLY;COUNT=9"})
	w.quiet()
	w.eventHas(event, "SUMMARY:Renamed", "RRULE:FREQ=WEEKLY;COUNT=9", "DTSTART;TZID=America/Sao_Paulo:20261201T100000", "EXDATE;TZID=America/Sao_Paulo:20261208T100000",
		"RECURRENCE-ID;TZID=America/Sao_Paulo:20261215T100000", "DTSTART;TZID=America/Sao_Paulo:20261216T150000", "SUMMARY:Moved", "X-THEIRS:kept", "TRIGGER:-PT10M")
	require.Equal(t, 2, strings.Count(w.calendar.Text(t, event), "BEGIN:VEVENT"))

	// A series of the calendar is one appointment with its rule.
	w.calendar.Put(t, "daily.ics", caldavtest.Event("daily", "SUMMARY:Daily", "DTSTART:20261201T120000Z", "DTEND:20261201T121500Z", "RRULE:FREQ=DAILY;COUNT=5", "EXDATE:20261203T120000Z"))
	w.quiet()
	w.appointmentHas(w.other(record.Right, "daily.ics"), map[string]any{"title": "Daily", "recurrence": "FREQ=DAILY;COUNT=5"})
	require.Equal(t, 2, w.live())
	idleWrites := w.door.writes()
	w.run(ledger.RunCompare)
	w.quiet()
	require.Equal(t, idleWrites, w.door.writes())
	w.eventHas("daily.ics", "EXDATE:20261203T120000Z")
}
