package ical

import (
	"strings"
	"time"
)

// Form is how a date or time is written.
type Form int

// The forms of RFC 5545, 3.3.4 and 3.3.5.
const (
	// Date is a day without a time, in no zone: all-day.
	Date Form = iota
	// Floating is a time on the clock, wherever one is.
	Floating
	// UTC is an instant.
	UTC
	// Zoned is a time on the clock of a zone.
	Zoned
)

const (
	dateLayout = "20060102"
	timeLayout = "20060102T150405"
)

// Moment is a date or time as an event has it.
type Moment struct {
	Form Form
	// Wall is what the clock shows, in the location UTC.
	Wall time.Time
	// Zone is that of the form Zoned, else nil.
	Zone *Zone
}

// ParseMoment reads a value of a property (its own, or one of several) with the
// zones of the calendar. False for what is no time, or has a zone that nobody knows.
func ParseMoment(calendar *Component, p *Property, value string) (Moment, bool) {
	value = strings.TrimSpace(value)
	if wall, err := time.Parse(dateLayout, value); err == nil {
		return Moment{Form: Date, Wall: wall}, true
	}
	bare, utc := strings.CutSuffix(strings.ToUpper(value), "Z")
	wall, err := time.Parse(timeLayout, bare)
	if err != nil || wall.Year() < 1 {
		return Moment{}, false
	}
	if utc {
		return Moment{Form: UTC, Wall: wall}, true
	}
	id := p.Parameter("TZID")
	if id == "" {
		return Moment{Form: Floating, Wall: wall}, true
	}
	zone, ok := FindZone(calendar, id)
	return Moment{Form: Zoned, Wall: wall, Zone: zone}, ok
}

// Instant is the moment in its zone. Days and floating times are taken as UTC.
func (m Moment) Instant() time.Time {
	if m.Form == Zoned {
		return m.Zone.Instant(m.Wall)
	}
	return m.Wall
}

// At is the instant given in this moment's form and zone.
func (m Moment) At(instant time.Time) Moment {
	switch m.Form {
	case Zoned:
		m.Wall = wallOf(m.Zone.Show(instant))
	case UTC:
		m.Wall = instant.UTC()
	default:
		m.Wall = wallOf(instant)
	}
	if m.Form == Date {
		m.Wall = m.Wall.Truncate(24 * time.Hour)
	}
	return m
}

// Shifted is a moment on the clock of another one's form and zone.
func (m Moment) Shifted(wall time.Time) Moment {
	m.Wall = wall
	if m.Form == Date {
		m.Wall = wall.Truncate(24 * time.Hour)
	}
	return m
}

// wallOf is what the clock of a time's own location shows.
func wallOf(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), 0, time.UTC)
}

// Value is the moment as a value.
func (m Moment) Value() string {
	switch m.Form {
	case Date:
		return m.Wall.Format(dateLayout)
	case UTC:
		return m.Wall.Format(timeLayout) + "Z"
	}
	return m.Wall.Format(timeLayout)
}

// Property writes the moment. like gives the other parameters; nil: none.
func (m Moment) Property(name string, like *Property) *Property {
	p := NewProperty(name, m.Value())
	if like != nil {
		p.parameters = append(p.parameters, like.parameters...)
	}
	kind, zone := "", ""
	if m.Form == Date {
		kind = "DATE"
	}
	if m.Form == Zoned {
		zone = m.Zone.ID
	}
	return p.With("VALUE", kind).With("TZID", zone)
}

// ParseDuration reads a duration (RFC 5545, 3.3.6). Days are 24 hours long.
func ParseDuration(value string) (time.Duration, bool) {
	text := strings.ToUpper(strings.TrimSpace(value))
	sign := time.Duration(1)
	if rest, minus := strings.CutPrefix(text, "-"); minus {
		sign, text = -1, rest
	}
	text, ok := strings.CutPrefix(strings.TrimPrefix(text, "+"), "P")
	if !ok || text == "" {
		return 0, false
	}
	units := map[byte]time.Duration{'W': 7 * 24 * time.Hour, 'D': 24 * time.Hour, 'H': time.Hour, 'M': time.Minute, 'S': time.Second}
	var total time.Duration
	number, digits := time.Duration(0), 0
	for n := range len(text) {
		char := text[n]
		switch unit, isUnit := units[char]; {
		case char == 'T' && digits == 0:
		case char >= '0' && char <= '9' && digits < 9:
			number, digits = number*10+time.Duration(char-'0'), digits+1
		case isUnit && digits > 0 && number < 100*365*24*time.Hour/unit:
			total, number, digits = total+number*unit, 0, 0
		default:
			return 0, false
		}
	}
	return sign * total, digits == 0
}
