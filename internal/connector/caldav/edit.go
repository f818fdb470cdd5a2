package caldav

import (
	"net/mail"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/accord-sync/accord/internal/connector/caldav/ical"
	"github.com/accord-sync/accord/internal/fault"
)

// refused is the error of a value that an event cannot hold.
func refused(path, why string) error {
	coded := fault.New(fault.Invalid, "%s cannot hold the value: %s; correct the record or the mapping", title, why)
	coded.Field = path
	return coded
}

// newEvent is an empty event.
func newEvent(uid string, now time.Time) event {
	calendar, main := ical.New("VCALENDAR"), ical.New("VEVENT")
	calendar.Put("VERSION", ical.NewProperty("VERSION", "2.0"))
	calendar.Put("PRODID", ical.NewProperty("PRODID", "-//Accord//Accord//EN"))
	calendar.Add(main, "")
	main.Put("UID", ical.NewText("UID", uid))
	main.Put("CREATED", ical.NewProperty("CREATED", utc(now)))
	return event{calendar: calendar, main: main}
}

func utc(at time.Time) string { return at.UTC().Format("20060102T150405Z") }

// edit writes fields by path into the event and leaves everything else as it is.
// changed is false when the event held all of it already.
func (e event) edit(fields map[string]any, now time.Time) (changed bool, err error) {
	before := e.calendar.Text()
	for _, path := range paths(fields) {
		if err := e.set(path, fields[path]); err != nil {
			return false, err
		}
	}
	moved, err := e.move(fields)
	if err != nil {
		return false, err
	}
	if err := e.repeat(fields); err != nil {
		return false, err
	}
	if e.calendar.Text() == before {
		return false, nil
	}
	if moved && e.main.First("DTSTAMP") != nil {
		// Guests whose answer was to other times are asked again by it (RFC 5546, 2.1.4).
		sequence, err := strconv.Atoi(e.main.TextOf("SEQUENCE"))
		if err != nil || sequence < 0 {
			sequence = 0
		}
		e.main.Put("SEQUENCE", ical.NewProperty("SEQUENCE", strconv.Itoa(sequence+1)))
	}
	e.main.Put("DTSTAMP", ical.NewProperty("DTSTAMP", utc(now)))
	e.main.Put("LAST-MODIFIED", ical.NewProperty("LAST-MODIFIED", utc(now)))
	return true, nil
}

func paths(fields map[string]any) []string {
	listed := make([]string, 0, len(fields))
	for path := range fields {
		listed = append(listed, path)
	}
	slices.Sort(listed)
	return listed
}

// texts are the fields that are one property of text each.
func texts() map[string]string {
	return map[string]string{"title": "SUMMARY", "description": "DESCRIPTION", "location": "LOCATION", "url": "URL"}
}

// set writes one field that stands for itself. Times and rules are written together, by move and repeat.
func (e event) set(path string, value any) error {
	name, isText := texts()[path]
	if !isText {
		name, isText = extensionName(path)
	}
	if isText {
		return e.setText(path, name, value)
	}
	switch path {
	case "starts_at", "ends_at", "all_day", "time_zone", "recurrence":
		return nil
	case "status":
		return e.setStatus(value)
	case "categories":
		return e.setCategories(value)
	case "attendees":
		return e.setAttendees(value)
	}
	return refused(path, "there is no such field, or it is not for writing")
}

func (e event) setText(path, name string, value any) error {
	words, ok := asText(value)
	if !ok {
		return refused(path, "it is no text")
	}
	held := e.main.First(name)
	switch {
	case words == "":
		e.main.Put(name)
	case held == nil:
		e.main.Put(name, ical.NewText(name, words))
	case ical.Unescape(held.Value) != words:
		fresh := ical.NewText(name, words)
		if language := held.Parameter("LANGUAGE"); language != "" {
			fresh = fresh.With("LANGUAGE", language)
		}
		e.main.Put(name, fresh)
	}
	return nil
}

func (e event) setStatus(value any) error {
	words, ok := asText(value)
	switch words = strings.ToUpper(strings.TrimSpace(words)); {
	case ok && words == "":
		e.main.Put("STATUS")
	case ok && slices.Contains([]string{"TENTATIVE", "CONFIRMED", "CANCELLED"}, words):
		if held, isText := lower(e.main, "STATUS").(string); !isText || !strings.EqualFold(held, words) {
			e.main.Put("STATUS", ical.NewProperty("STATUS", words))
		}
	default:
		return refused("status", "it is none of tentative, confirmed, cancelled")
	}
	return nil
}

func (e event) setCategories(value any) error {
	listed, ok := value.([]any)
	if !ok && value != nil {
		return refused("categories", "it is no list of texts")
	}
	words := make([]string, 0, len(listed))
	for _, one := range listed {
		word, ok := one.(string)
		if !ok {
			return refused("categories", "it is no list of texts")
		}
		words = append(words, word)
	}
	held, _ := categories(e.main).([]any)
	if slices.EqualFunc(held, words, func(have any, want string) bool { return have == want }) {
		return nil
	}
	escaped := make([]string, 0, len(words))
	for _, word := range words {
		escaped = append(escaped, ical.Escape(word))
	}
	e.main.Put("CATEGORIES")
	if len(escaped) > 0 {
		e.main.Put("CATEGORIES", ical.NewProperty("CATEGORIES", strings.Join(escaped, ",")))
	}
	return nil
}

// setAttendees writes the list of guests in its order. A guest who was there keeps
// everything of the line but name and answer; one who is reached otherwise than by
// e-mail stays.
func (e event) setAttendees(value any) error {
	listed, ok := value.([]any)
	if !ok && value != nil {
		return refused("attendees", "it is no list")
	}
	held, others := map[string]*ical.Property{}, []*ical.Property{}
	for _, line := range e.main.Properties("ATTENDEE") {
		key := strings.ToLower(address(line))
		if key == "" {
			others = append(others, line)
		} else if held[key] == nil {
			held[key] = line
		}
	}
	lines, seen := []*ical.Property{}, map[string]bool{}
	for _, item := range listed {
		line, key, err := attendee(item, held)
		if err != nil {
			return err
		}
		if !seen[key] {
			seen[key] = true
			lines = append(lines, line)
		}
	}
	e.main.Put("ATTENDEE", append(lines, others...)...)
	return nil
}

// attendee is the line of one guest, by what is known of them.
func attendee(item any, held map[string]*ical.Property) (line *ical.Property, key string, err error) {
	guest, _ := item.(map[string]any)
	email, isText := asText(guest["email"])
	name, nameOK := asText(guest["name"])
	status, statusOK := asText(guest["status"])
	email = strings.TrimSpace(email)
	if _, err := mail.ParseAddress(email); err != nil || !isText || !nameOK || !statusOK || strings.ContainsAny(email, "<> ") {
		return nil, "", refused("attendees", "a guest needs an e-mail address, and a name and a status that are texts")
	}
	status = strings.ToLower(strings.TrimSpace(status))
	for _, r := range status {
		if (r < 'a' || r > 'z') && r != '-' {
			return nil, "", refused("attendees", "a guest's status is a word such as accepted, declined, tentative or needs-action")
		}
	}
	key = strings.ToLower(email)
	line = held[key]
	if line == nil {
		line = ical.NewProperty("ATTENDEE", "mailto:"+email)
	}
	if line.Parameter("CN") != name {
		line = line.With("CN", name)
	}
	if said, _ := answer(line).(string); said != status {
		line = line.With("PARTSTAT", strings.ToUpper(status))
	}
	return line, key, nil
}

func asText(value any) (string, bool) {
	switch typed := value.(type) {
	case nil:
		return "", true
	case string:
		return typed, true
	case interface{ String() string }: // json.Number
		return typed.String(), true
	}
	return "", false
}

// repeat writes the rule of a series. Without one there are no exceptions to it.
func (e event) repeat(fields map[string]any) error {
	value, given := fields["recurrence"]
	if !given {
		return nil
	}
	rule, ok := asText(value)
	rule = strings.TrimPrefix(strings.TrimSpace(rule), "RRULE:")
	if !ok || rule != "" && !isRule(rule) {
		return refused("recurrence", "it is no recurrence rule such as FREQ=WEEKLY;BYDAY=MO")
	}
	if held, _ := recurrence(e.main).(string); held == rule {
		return nil
	}
	if rule != "" {
		e.main.Put("RRULE", ical.NewProperty("RRULE", rule))
		return nil
	}
	e.main.Put("RRULE")
	e.main.Put("EXDATE")
	e.main.Put("RDATE")
	for _, one := range e.overrides {
		e.calendar.Remove(one)
	}
	return nil
}

func isRule(rule string) bool {
	frequencies := []string{"SECONDLY", "MINUTELY", "HOURLY", "DAILY", "WEEKLY", "MONTHLY", "YEARLY"}
	for part := range strings.SplitSeq(rule, ";") {
		name, value, ok := strings.Cut(part, "=")
		if !ok || name == "" || value == "" {
			return false
		}
	}
	for _, r := range rule {
		if (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && (r < '0' || r > '9') && !strings.ContainsRune("=;,+-", r) {
			return false
		}
	}
	return slices.Contains(frequencies, ical.RuleParts(rule)["FREQ"])
}
