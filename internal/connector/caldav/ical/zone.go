package ical

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // an event's zone must not depend on what is installed on the machine
)

// Zone is a time zone of events.
type Zone struct {
	// ID is the TZID that events name it by.
	ID string
	// Name is its name in the IANA database; "" for one that only the calendar itself defines.
	Name     string
	location *time.Location
	rules    []observance
}

// LoadZone finds a zone by its IANA name.
func LoadZone(name string) (*Zone, bool) {
	if name == "" || name == "Local" || len(name) > 64 {
		return nil, false
	}
	location, err := time.LoadLocation(name)
	if err != nil {
		return nil, false
	}
	return &Zone{ID: name, Name: name, location: location}, true
}

// FindZone finds the zone that a TZID means: an IANA name, by itself or at the end
// of a longer one, or in the X-LIC-LOCATION of the calendar's VTIMEZONE; else what
// that VTIMEZONE says.
func FindZone(calendar *Component, id string) (*Zone, bool) {
	if known, ok := calendar.zones[id]; ok {
		return known, known != nil
	}
	if calendar.zones == nil {
		calendar.zones = map[string]*Zone{}
	}
	found := findZone(calendar, id)
	calendar.zones[id] = found
	return found, found != nil
}

// maxRules is more than any VTIMEZONE has: two for each change of a country's mind.
const maxRules = 500

func findZone(calendar *Component, id string) *Zone {
	for rest, more := id, true; more && rest != ""; _, rest, more = strings.Cut(rest, "/") {
		if zone, ok := LoadZone(rest); ok {
			zone.ID = id
			return zone
		}
	}
	for _, defined := range calendar.Components("VTIMEZONE") {
		if defined.TextOf("TZID") != id {
			continue
		}
		if zone, ok := LoadZone(defined.TextOf("X-LIC-LOCATION")); ok {
			zone.ID = id
			return zone
		}
		if rules := observances(defined); len(rules) > 0 && len(rules) <= maxRules {
			return &Zone{ID: id, rules: rules}
		}
	}
	return nil
}

// Instant is the time at which the zone's clocks show wall.
func (z *Zone) Instant(wall time.Time) time.Time {
	location := z.location
	if location == nil {
		location = time.FixedZone("", z.offset(wall, func(observance) time.Duration { return 0 }))
	}
	return time.Date(wall.Year(), wall.Month(), wall.Day(), wall.Hour(), wall.Minute(), wall.Second(), 0, location)
}

// Show is an instant on the zone's clocks.
func (z *Zone) Show(instant time.Time) time.Time {
	if z.location != nil {
		return instant.In(z.location)
	}
	seconds := z.offset(instant.UTC(), func(rule observance) time.Duration { return time.Duration(rule.from) * time.Second })
	return instant.In(time.FixedZone("", seconds))
}

// observance is one part of a VTIMEZONE: from its onsets on, clocks are off by to.
type observance struct {
	start    time.Time
	from, to int
	onsets   []time.Time
	rule     map[string]string
}

func observances(defined *Component) []observance {
	var rules []observance
	for _, name := range []string{"STANDARD", "DAYLIGHT"} {
		for _, part := range defined.Components(name) {
			start, err := time.Parse(timeLayout, strings.TrimSpace(part.TextOf("DTSTART")))
			from, hasFrom := parseOffset(part.TextOf("TZOFFSETFROM"))
			to, hasTo := parseOffset(part.TextOf("TZOFFSETTO"))
			if err != nil || !hasFrom || !hasTo {
				return nil
			}
			rule := observance{start: start, from: from, to: to, onsets: []time.Time{start}}
			for _, extra := range part.Properties("RDATE") {
				for _, value := range Split(extra.Value) {
					if at, err := time.Parse(timeLayout, value); err == nil {
						rule.onsets = append(rule.onsets, at)
					}
				}
			}
			if repeat := part.First("RRULE"); repeat != nil {
				rule.rule = RuleParts(repeat.Value)
			}
			rules = append(rules, rule)
		}
	}
	return rules
}

// offset is what the rules say in seconds east of UTC at a time on the clock (early
// is nothing), or at an instant: onsets are on the clock that ends with them, which
// is early by its own offset.
func (z *Zone) offset(at time.Time, early func(observance) time.Duration) int {
	var latest, earliest time.Time
	found, before := 0, 0
	for _, rule := range z.rules {
		if earliest.IsZero() || rule.start.Before(earliest) {
			earliest, before = rule.start, rule.from
		}
		for _, onset := range slices.Concat(rule.yearly(at.Year()-1), rule.yearly(at.Year()), rule.yearly(at.Year()+1), rule.onsets) {
			if onset = onset.Add(-early(rule)); !onset.After(at) && onset.After(latest) {
				latest, found = onset, rule.to
			}
		}
	}
	if latest.IsZero() {
		return before
	}
	return found
}

// yearly is the onset in a year by a rule as calendars write them: a month with a
// weekday's position, or with days of the month.
func (o observance) yearly(year int) []time.Time {
	if o.rule["FREQ"] != "YEARLY" || year < o.start.Year() {
		return nil
	}
	month := o.start.Month()
	if number, err := strconv.Atoi(o.rule["BYMONTH"]); err == nil {
		month = time.Month(number)
	}
	for day := time.Date(year, month, 1, o.start.Hour(), o.start.Minute(), o.start.Second(), 0, time.UTC); day.Month() == month; day = day.AddDate(0, 0, 1) {
		if !o.falls(day) {
			continue
		}
		if until := o.rule["UNTIL"]; until != "" && day.Add(-time.Duration(o.from)*time.Second).Format(timeLayout)+"Z" > until && day.Format(dateLayout) > until {
			return nil
		}
		return []time.Time{day}
	}
	return nil
}

func (o observance) falls(day time.Time) bool {
	weekday, byDay := o.rule["BYDAY"], o.rule["BYMONTHDAY"]
	if byDay != "" && !slices.Contains(strings.Split(byDay, ","), strconv.Itoa(day.Day())) {
		return false
	}
	if weekday == "" {
		return byDay != "" || day.Day() == o.start.Day()
	}
	code := strings.ToUpper(day.Weekday().String()[:2])
	last := day.AddDate(0, 1, -day.Day()).Day()
	first, fromEnd := (day.Day()-1)/7+1, -((last-day.Day())/7 + 1)
	return weekday == code || weekday == strconv.Itoa(first)+code || weekday == "+"+strconv.Itoa(first)+code || weekday == strconv.Itoa(fromEnd)+code
}

// RuleParts reads the parts of a recurrence rule, names and values in capitals.
func RuleParts(rule string) map[string]string {
	parts := map[string]string{}
	for part := range strings.SplitSeq(strings.ToUpper(strings.TrimSpace(rule)), ";") {
		if name, value, ok := strings.Cut(part, "="); ok {
			parts[name] = value
		}
	}
	return parts
}

func parseOffset(text string) (seconds int, ok bool) {
	text = strings.TrimSpace(text)
	if len(text) != 5 && len(text) != 7 || text[0] != '+' && text[0] != '-' {
		return 0, false
	}
	for n, unit := range []int{3600, 60, 1} {
		if 1+2*n >= len(text) {
			break
		}
		number, err := strconv.Atoi(text[1+2*n : 3+2*n])
		if err != nil || number < 0 || number > 59 {
			return 0, false
		}
		seconds += number * unit
	}
	if text[0] == '-' {
		seconds = -seconds
	}
	return seconds, true
}

func formatOffset(seconds int) string {
	sign := '+'
	if seconds < 0 {
		sign, seconds = '-', -seconds
	}
	text := fmt.Sprintf("%c%02d%02d", sign, seconds/3600, seconds/60%60)
	if seconds%60 != 0 {
		text += fmt.Sprintf("%02d", seconds%60)
	}
	return text
}

// years is for how long after an event's beginning a VTIMEZONE is written out;
// programs that know the zone's name need none of it.
const years = 12

// Definition writes the zone as a VTIMEZONE for an event that begins at a time:
// each change of the clocks from the year before on, those of a kind together.
// nil for a zone that is not in the IANA database.
func (z *Zone) Definition(from time.Time) *Component {
	if z.location == nil {
		return nil
	}
	defined := New("VTIMEZONE")
	defined.Put("TZID", NewProperty("TZID", z.ID))
	at := time.Date(from.Year()-1, 1, 1, 0, 0, 0, 0, z.location)
	_, offset := at.Zone()
	add(defined, at, at, offset)
	for end := at.AddDate(years, 0, 0); ; {
		_, next := at.ZoneBounds()
		if next.IsZero() || next.After(end) {
			return defined
		}
		_, before := at.Zone()
		add(defined, next, next.Add(time.Duration(before)*time.Second).UTC(), before)
		at = next
	}
}

// add writes one change of the clocks: at is when, onset what clocks showed.
func add(defined *Component, at, onset time.Time, before int) {
	name, after := at.Zone()
	kind := "STANDARD"
	if at.IsDST() {
		kind = "DAYLIGHT"
	}
	value := onset.Format(timeLayout)
	for _, part := range defined.Components(kind) {
		if part.TextOf("TZOFFSETFROM") == formatOffset(before) && part.TextOf("TZOFFSETTO") == formatOffset(after) {
			part.Put("RDATE", append(part.Properties("RDATE"), NewProperty("RDATE", value))...)
			return
		}
	}
	part := New(kind)
	part.Put("DTSTART", NewProperty("DTSTART", value))
	part.Put("TZOFFSETFROM", NewProperty("TZOFFSETFROM", formatOffset(before)))
	part.Put("TZOFFSETTO", NewProperty("TZOFFSETTO", formatOffset(after)))
	part.Put("TZNAME", NewText("TZNAME", name))
	defined.Add(part, "")
}
