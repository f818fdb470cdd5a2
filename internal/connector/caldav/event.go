package caldav

import (
	"strings"
	"time"

	"github.com/accord-sync/accord/internal/connector/caldav/ical"
	"github.com/accord-sync/accord/internal/record"
)

// event is one calendar object: a single event, or a series with its exceptions.
type event struct {
	calendar *ical.Component
	// main is the event itself; overrides are the occurrences of a series that were
	// changed on their own.
	main      *ical.Component
	overrides []*ical.Component
}

// parseEvent reads a calendar object; false for one without an event (a task).
func parseEvent(text string) (event, bool, error) {
	calendar, err := ical.Parse(text)
	if err != nil {
		return event{}, false, err
	}
	e := event{calendar: calendar}
	for _, one := range calendar.Components("VEVENT") {
		if one.First("RECURRENCE-ID") == nil && e.main == nil {
			e.main = one
			continue
		}
		e.overrides = append(e.overrides, one)
	}
	if e.main == nil && len(e.overrides) > 0 {
		// Somebody was invited to single occurrences of a series only.
		e.main, e.overrides = e.overrides[0], e.overrides[1:]
	}
	return e, e.main != nil, nil
}

// moment reads a date or time of a component; false without one that can be read.
func (e event) moment(of *ical.Component, name string) (ical.Moment, bool) {
	found := of.First(name)
	if found == nil {
		return ical.Moment{}, false
	}
	return ical.ParseMoment(e.calendar, found, found.Value)
}

// ends is when a component ends: by its DTEND or its DURATION; said is false where
// it has neither, and RFC 5545 (3.6.1) implies the day's end, or the beginning.
func (e event) ends(of *ical.Component) (end ical.Moment, said, ok bool) {
	if end, ok := e.moment(of, "DTEND"); ok {
		return end, true, true
	}
	start, ok := e.moment(of, "DTSTART")
	if !ok {
		return ical.Moment{}, false, false
	}
	found := of.First("DURATION")
	switch {
	case found != nil:
		length, ok := ical.ParseDuration(found.Value)
		if ok && start.Form == ical.Zoned {
			return start.At(start.Instant().Add(length)), true, true
		}
		return start.Shifted(start.Wall.Add(length)), true, ok
	case start.Form == ical.Date:
		return start.Shifted(start.Wall.Add(24 * time.Hour)), false, true
	}
	return start, false, true
}

// shown is a moment as a field has it: with the offset of its zone, a day as its
// first moment. A floating time has no offset.
func (e event) shown(at ical.Moment, ok bool) any {
	switch {
	case !ok:
		return nil
	case at.Form == ical.Floating:
		return at.Wall.Format(localLayout)
	case at.Form == ical.Date:
		kept := e.main.TextOf(keptZone)
		if zone, ok := ical.LoadZone(kept); ok {
			return zone.Instant(at.Wall).Format(time.RFC3339)
		}
		if _, err := time.Parse(offsetLayout, kept); err == nil {
			return at.Wall.Format(localLayout) + kept
		}
	}
	return at.Instant().Format(time.RFC3339)
}

// localLayout is a time on the clock without an offset.
const localLayout = "2006-01-02T15:04:05"

// fields are what the record shows of an event.
func (e event) fields(id string) record.Fields {
	main := e.main
	start, hasStart := e.moment(main, "DTSTART")
	end, _, hasEnd := e.ends(main)
	return record.Fields{
		"id": id, "uid": text(main, "UID"),
		"title": text(main, "SUMMARY"), "description": text(main, "DESCRIPTION"), "location": text(main, "LOCATION"), "url": text(main, "URL"),
		"starts_at": e.shown(start, hasStart), "ends_at": e.shown(end, hasEnd),
		"all_day": hasStart && start.Form == ical.Date, "time_zone": e.zoneName(start, hasStart),
		"status": lower(main, "STATUS"), "categories": categories(main), "attendees": attendees(main), "organizer": organizer(main),
		"recurrence": recurrence(main), "exceptions": e.exceptions(),
		"created_at": stamp(main, "CREATED"), "x": extensions(main),
	}
}

func text(of *ical.Component, name string) any {
	if words := strings.ToValidUTF8(of.TextOf(name), "\ufffd"); words != "" {
		return words
	}
	return nil
}

func lower(of *ical.Component, name string) any {
	if words, ok := text(of, name).(string); ok {
		return strings.ToLower(strings.TrimSpace(words))
	}
	return nil
}

// offsetLayout is an offset that stands for a zone.
const offsetLayout = "-07:00"

// zoneUTC is UTC as a zone by name.
const zoneUTC = "UTC"

// keptZone is the property that keeps a zone that iCalendar has no place for: that
// of a day, or the offset it was given with, since a day that becomes a time again
// must not end up in another zone; and UTC where it was chosen, since most
// programs write UTC for times of which nobody said a zone.
const keptZone = "X-ACCORD-TIME-ZONE"

// zoneName is the IANA name of an event's zone; nil for a floating time, for a day
// or a time in UTC of which nobody said, and for a zone that the calendar alone knows.
func (e event) zoneName(at ical.Moment, ok bool) any {
	switch {
	case ok && at.Form == ical.UTC && e.main.TextOf(keptZone) == zoneUTC:
		return zoneUTC
	case ok && at.Form == ical.Zoned && at.Zone.Name != "":
		return at.Zone.Name
	case ok && at.Form == ical.Date:
		if zone, ok := ical.LoadZone(e.main.TextOf(keptZone)); ok {
			return zone.Name
		}
	}
	return nil
}

func stamp(of *ical.Component, name string) any {
	if found := of.First(name); found != nil {
		if at, err := time.Parse("20060102T150405Z", found.Value); err == nil {
			return at.Format(time.RFC3339)
		}
	}
	return nil
}

func categories(of *ical.Component) any {
	listed := []any{}
	for _, line := range of.Properties("CATEGORIES") {
		for _, word := range ical.Split(line.Value) {
			if word = strings.TrimSpace(strings.ToValidUTF8(word, "\ufffd")); word != "" {
				listed = append(listed, word)
			}
		}
	}
	return listed
}

// address is the e-mail address of a guest; "" for one that is reached otherwise.
func address(p *ical.Property) string {
	const scheme = "mailto:"
	value := strings.TrimSpace(p.Value)
	if len(value) <= len(scheme) || !strings.EqualFold(value[:len(scheme)], scheme) {
		return ""
	}
	return strings.ToValidUTF8(value[len(scheme):], "\ufffd")
}

func person(p *ical.Property) map[string]any {
	shown := map[string]any{"email": address(p), "name": nil}
	if name := strings.ToValidUTF8(p.Parameter("CN"), "\ufffd"); name != "" {
		shown["name"] = name
	}
	return shown
}

// answer is what a guest said; nil: nothing is written of it, which means
// needs-action (RFC 5545, 3.2.12).
func answer(p *ical.Property) any {
	if said := strings.ToValidUTF8(strings.ToLower(p.Parameter("PARTSTAT")), ""); said != "" {
		return said
	}
	return nil
}

func attendees(of *ical.Component) any {
	listed := []any{}
	for _, line := range of.Properties("ATTENDEE") {
		if address(line) == "" {
			continue
		}
		guest := person(line)
		guest["status"] = answer(line)
		listed = append(listed, guest)
	}
	return listed
}

func organizer(of *ical.Component) any {
	found := of.First("ORGANIZER")
	if found == nil || address(found) == "" {
		return nil
	}
	return person(found)
}

func recurrence(of *ical.Component) any {
	if found := of.First("RRULE"); found != nil && strings.TrimSpace(found.Value) != "" {
		return strings.ToValidUTF8(strings.TrimSpace(found.Value), "")
	}
	return nil
}

// maxExceptions are shown of a series; all are kept.
const maxExceptions = 500

// exceptions are the occurrences of a series that are not as the rule says, each
// by the time at which the rule has it.
func (e event) exceptions() any {
	listed := []any{}
	for _, line := range e.main.Properties("EXDATE") {
		for _, value := range ical.Split(line.Value) {
			at, ok := ical.ParseMoment(e.calendar, line, value)
			if ok && len(listed) < maxExceptions {
				listed = append(listed, map[string]any{"at": e.shown(at, ok), "cancelled": true})
			}
		}
	}
	for _, one := range e.overrides {
		at, ok := e.moment(one, "RECURRENCE-ID")
		if !ok || len(listed) >= maxExceptions {
			continue
		}
		start, hasStart := e.moment(one, "DTSTART")
		end, _, hasEnd := e.ends(one)
		listed = append(listed, map[string]any{"at": e.shown(at, ok), "cancelled": lower(one, "STATUS") == "cancelled",
			"title": text(one, "SUMMARY"), "starts_at": e.shown(start, hasStart), "ends_at": e.shown(end, hasEnd)})
	}
	return listed
}

// extensions are the properties that are no part of the standard, X-SOME-NAME as
// some_name; the first of each name.
func extensions(of *ical.Component) map[string]any {
	shown := map[string]any{}
	for _, line := range of.Properties("") {
		key, ok := extensionKey(line.Name)
		if _, known := shown[key]; ok && !known {
			shown[key] = strings.ToValidUTF8(ical.Unescape(line.Value), "\ufffd")
		}
	}
	return shown
}

// extensionKey is the key of an X- property's name; false for other names.
func extensionKey(name string) (string, bool) {
	rest, ok := strings.CutPrefix(name, "X-")
	return strings.ReplaceAll(strings.ToLower(rest), "-", "_"), ok && rest != ""
}

// extensionName is the name of the property behind a path ("x.accord_source" is
// X-ACCORD-SOURCE); false for other paths and for what is no name.
func extensionName(path string) (string, bool) {
	key, ok := strings.CutPrefix(path, extensionPath+".")
	if !ok || key == "" || len(key) > 64 {
		return "", false
	}
	for _, r := range key {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_' {
			return "", false
		}
	}
	return "X-" + strings.ToUpper(strings.ReplaceAll(key, "_", "-")), true
}

// extensionPath is the object of X- properties in a record.
const extensionPath = "x"
