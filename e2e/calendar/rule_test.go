//go:build e2e

package calendar_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// TestWhenAnAppointmentIsSetThenAnEvent is the rule of appointment-calendar.yaml on a
// real Radicale: one event with the customer in it, which follows its appointment, and
// nothing that goes back.
func TestWhenAnAppointmentIsSetThenAnEvent(t *testing.T) {
	w := newWorldOf(t, "appointment-calendar.yaml", nil, "rules.appointment", "rules.appointment.upsert")
	old := w.appointment(visit())
	w.run(ledger.RunBackfill)
	ana, err := w.acme.CreateRecord(w.ctx, "contacts", map[string]any{"first_name": "Ana", "last_name": "Lima", "phone": "+5511987654321", "email": "ana@example.com"})
	require.NoError(t, err)
	set := visit()
	set["contact_id"] = ana.ID
	one := w.appointment(set)
	for range 3 {
		// The event comes three times, and so does the poll.
		_, err := w.store.Enqueue(w.ctx, w.key, []ledger.Change{{Stream: "rules.appointment", EventID: "e1",
			Ref: record.Ref{Side: record.Left, Object: "appointments", ID: one}}}, 0)
		require.NoError(t, err)
		w.quiet()
	}
	event := w.other(record.Left, one)
	fields := w.calendar.Fields(t, event)
	require.Equal(t, "Ana Lima, +5511987654321, ana@example.com", fields["description"])
	require.Equal(t, set["title"], fields["title"])
	made, _, err := w.store.ListFirings(w.ctx, w.key, ledger.FiringFilter{Rule: "appointment"}, ledger.ListOptions{})
	require.NoError(t, err)
	require.Len(t, made, 1, "the one that was there before is left alone")
	require.NotEqual(t, old, made[0].Ref.ID)

	w.edit(one, map[string]any{"location": "Room 7"})
	w.quiet()
	require.Equal(t, "Room 7", w.calendar.Fields(t, event)["location"], "the event follows its appointment")
	w.calendar.Edit(t, event, map[string]any{"title": "Mine"})
	w.quiet()
	w.appointmentHas(one, map[string]any{"title": set["title"]})
	writes := w.door.writes()
	w.run(ledger.RunCompare)
	w.quiet()
	require.Equal(t, writes, w.door.writes(), "when nothing happens, nothing is written")
}
