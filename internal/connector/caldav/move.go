package caldav

import (
	"time"

	"github.com/accord-sync/accord/internal/connector/caldav/ical"
)

// move writes the times of an event: what is given of starts_at, ends_at, all_day
// and time_zone; the rest stays as it is. A new zone leaves the instants where they
// are. The exceptions of a series that moves go with it.
func (e event) move(fields map[string]any) (moved bool, err error) {
	given := false
	for _, path := range []string{"starts_at", "ends_at", "all_day", "time_zone"} {
		_, has := fields[path]
		given = given || has
	}
	if !given {
		return false, nil
	}
	start, hasStart := e.moment(e.main, "DTSTART")
	end, hasEnd, _ := e.ends(e.main)
	form, err := e.form(fields, start, hasStart)
	if err != nil {
		return false, err
	}
	newStart, hasNewStart, err := placed(fields, "starts_at", form, start, hasStart)
	if err != nil {
		return false, err
	}
	if !hasNewStart {
		return false, refused("starts_at", "an event begins at some time")
	}
	newEnd, hasNewEnd, err := placed(fields, "ends_at", form, end, hasEnd)
	if err != nil {
		return false, err
	}
	if hasNewEnd && newEnd.Form == ical.Date {
		newEnd.Wall = dayAfter(fields["ends_at"], newStart, newEnd)
	}
	if hasNewEnd && newEnd.Instant().Before(newStart.Instant()) {
		return false, refused("ends_at", "it is before starts_at")
	}
	if hasNewEnd && !hasEnd && newEnd.Form != ical.Date && same(newStart, newEnd) {
		hasNewEnd = false // as it is without one
	}
	if hasStart && same(start, newStart) && hasEnd == hasNewEnd && (!hasEnd || same(end, newEnd)) {
		return false, nil
	}
	if hasStart && !same(start, newStart) {
		e.shift(start, newStart)
	}
	e.write(newStart, newEnd, hasNewEnd)
	return true, nil
}

func same(a, b ical.Moment) bool {
	if a.Form != b.Form || !a.Wall.Equal(b.Wall) {
		return false
	}
	return a.Form != ical.Zoned || a.Zone.ID == b.Zone.ID
}

func (e event) write(start, end ical.Moment, hasEnd bool) {
	e.main.Put("DTSTART", start.Property("DTSTART", e.main.First("DTSTART")))
	e.main.Put("DURATION")
	if hasEnd {
		e.main.Put("DTEND", end.Property("DTEND", e.main.First("DTEND")))
	} else {
		e.main.Put("DTEND")
	}
	if start.Form != ical.Zoned {
		return
	}
	for _, known := range e.calendar.Components("VTIMEZONE") {
		if known.TextOf("TZID") == start.Zone.ID {
			return
		}
	}
	if defined := start.Zone.Definition(start.Wall); defined != nil {
		e.calendar.Add(defined, "VEVENT")
	}
}

// form is how the event's times are to be written: days, or in a zone. A day keeps
// its zone on the side.
func (e event) form(fields map[string]any, start ical.Moment, hasStart bool) (ical.Moment, error) {
	allDay := hasStart && start.Form == ical.Date
	form, held := ical.Moment{Form: ical.UTC}, e.main.TextOf(keptZone)
	if hasStart && !allDay {
		form = start
	} else if zone, ok := ical.LoadZone(held); ok {
		form = inZone(zone)
	}
	if value, given := fields["time_zone"]; given {
		name, ok := asText(value)
		zone, known := ical.LoadZone(name)
		if !ok || name != "" && !known {
			return form, refused("time_zone", "it is no zone of the IANA database such as America/Sao_Paulo")
		}
		// An event without a zone of its own keeps what it has.
		if known && (form.Form != ical.Zoned || form.Zone.Name != name) {
			form = inZone(zone)
		}
		if name == zoneUTC || held == zoneUTC {
			held = name
		}
	}
	if value, given := fields["all_day"]; given {
		flag, ok := value.(bool)
		if !ok && value != nil {
			return form, refused("all_day", "it is neither true nor false")
		}
		allDay = flag
	}
	kept := ""
	switch {
	case allDay:
		kept = dayZoneOf(form, fields["starts_at"], held)
		form = ical.Moment{Form: ical.Date}
	case form.Form == ical.UTC && held == zoneUTC:
		kept = zoneUTC
	}
	if kept == "" {
		e.main.Put(keptZone)
	} else if e.main.TextOf(keptZone) != kept {
		e.main.Put(keptZone, ical.NewText(keptZone, kept))
	}
	return form, nil
}

// dayZoneOf is what a day keeps: the name of its zone, else the offset that its
// beginning is given with, else what it kept.
func dayZoneOf(form ical.Moment, start any, held string) string {
	if form.Form == ical.Zoned && form.Zone.Name != "" {
		return form.Zone.Name
	}
	if held == zoneUTC {
		return held
	}
	words, _ := asText(start)
	if at, err := time.Parse(time.RFC3339, words); err == nil {
		if _, offset := at.Zone(); offset != 0 {
			return at.Format(offsetLayout)
		}
		return ""
	}
	return held
}

// dayAfter is the day that ends an event of days, which is not part of it any
// more. An end within a day means all of that day, as does that of the beginning.
func dayAfter(given any, start, end ical.Moment) time.Time {
	words, _ := asText(given)
	at, err := time.Parse(time.RFC3339, words)
	within := err == nil && (at.Hour() != 0 || at.Minute() != 0 || at.Second() != 0)
	if within || end.Wall.Equal(start.Wall) {
		return end.Wall.Add(24 * time.Hour)
	}
	return end.Wall
}

func inZone(zone *ical.Zone) ical.Moment {
	if zone.Name == zoneUTC {
		return ical.Moment{Form: ical.UTC}
	}
	return ical.Moment{Form: ical.Zoned, Zone: zone}
}

// placed is the moment that a field is to hold: the value given, or what is there,
// in the form wanted.
func placed(fields map[string]any, path string, form, held ical.Moment, has bool) (ical.Moment, bool, error) {
	value, given := fields[path]
	if !given {
		if !has || same(held, form.Shifted(held.Wall)) {
			return held, has, nil
		}
		if held.Form == ical.Date || held.Form == ical.Floating || form.Form == ical.Floating {
			// What the clock shows is all that is known.
			return form.Shifted(held.Wall), true, nil
		}
		return form.At(held.Instant()), true, nil
	}
	words, ok := asText(value)
	if ok && words == "" {
		return ical.Moment{}, false, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly, localLayout} {
		at, err := time.Parse(layout, words)
		if !ok || err != nil || at.Year() < 1 || at.Year() > 9998 {
			continue
		}
		if layout == time.RFC3339 {
			return form.At(at), true, nil
		}
		if form.Form == ical.UTC && layout == localLayout {
			form.Form = ical.Floating
		}
		return form.Shifted(at), true, nil
	}
	return ical.Moment{}, false, refused(path, "it is no time with an offset such as 2026-11-22T10:00:00-03:00, and no date")
}

// shift moves the exceptions of a series from the times its old beginning gave
// them to those that the new one gives, by what the clock shows: otherwise a
// cancelled occurrence would be held after all, and a changed one held twice. One
// that was only changed in other ways than its time moves as well.
func (e event) shift(from, to ical.Moment) {
	moved := func(at ical.Moment) ical.Moment {
		if at.Form == ical.UTC && from.Form == ical.Zoned {
			at = from.At(at.Instant())
		}
		return to.Shifted(at.Wall.Add(to.Wall.Sub(from.Wall)))
	}
	for _, name := range []string{"EXDATE", "RDATE"} {
		var lines []*ical.Property
		for _, line := range e.main.Properties(name) {
			fresh := []*ical.Property{}
			for _, value := range ical.Split(line.Value) {
				if at, ok := ical.ParseMoment(e.calendar, line, value); ok {
					fresh = append(fresh, moved(at).Property(name, line))
				}
			}
			if len(fresh) == 0 {
				fresh = append(fresh, line) // periods, or in a zone that nobody knows
			}
			lines = append(lines, fresh...)
		}
		e.main.Put(name, lines...)
	}
	for _, one := range e.overrides {
		at, ok := e.moment(one, "RECURRENCE-ID")
		if !ok {
			continue
		}
		start, hasStart := e.moment(one, "DTSTART")
		end, hasEnd := e.moment(one, "DTEND")
		if hasStart && start.Form == from.Form && start.Instant().Equal(at.Instant()) {
			one.Put("DTSTART", moved(start).Property("DTSTART", one.First("DTSTART")))
			if hasEnd && end.Form == from.Form {
				one.Put("DTEND", moved(end).Property("DTEND", one.First("DTEND")))
			}
		}
		one.Put("RECURRENCE-ID", moved(at).Property("RECURRENCE-ID", one.First("RECURRENCE-ID")))
	}
}
