package engine_test

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/accord-sync/accord/internal/record"
)

// history is everything that happened to one connection: how it is set up, and
// what users, servers, deliveries and processes did, step by step. It is data:
// it is made at random, played, shortened, printed and read again.
type history struct {
	settings settings
	steps    []step
}

// settings are the policies of a history and what its servers are like.
type settings struct {
	policy, phone    string
	deletes, edited  string
	guard            int
	versions, unique bool
	keys             bool
	customFields     string
	updatedAfter     string
	// Milliseconds: the tick of the right clock, how far each clock is off, how
	// late records turn visible, how far the right search lags behind.
	tick, leftOff, rightOff, late, lag int
	retryAfter                         string
}

// plain are the settings of the integration file.
func plain() settings {
	return settings{
		policy: "newest", phone: "manual", deletes: "propagate", edited: "keep", guard: 1000, versions: true, unique: true, keys: true,
		customFields: "merge", updatedAfter: "supported", tick: 1, retryAfter: "seconds",
	}
}

// step is one thing that happens. What does not fit when it is played (nobody to
// edit, nothing to decide) is passed over, so that a shorter history still plays.
type step struct {
	do   string
	side record.Side
	// who is the person that the record is about.
	who          int
	field, value string
	// event is what becomes of the webhook of an edit: now, later, lost, thrice.
	event string
	// n counts or chooses: a step to be killed at, a conflict, seconds.
	n int
	// what, method, when and times describe a fault; what is the work of a crash too.
	what, method, when string
	times              int
}

// words are the parts of a step by name, in the order in which they are written.
func (s *step) words() ([]string, map[string]any) {
	return []string{"side", "who", "field", "value", "event", "n", "what", "method", "when", "times"}, map[string]any{
		"side": (*string)(&s.side), "who": &s.who, "field": &s.field, "value": &s.value, "event": &s.event,
		"n": &s.n, "what": &s.what, "method": &s.method, "when": &s.when, "times": &s.times,
	}
}

func (s *settings) words() ([]string, map[string]any) {
	return []string{"policy", "phone", "deletes", "edited", "guard", "versions", "unique", "keys", "custom_fields", "updated_after", "tick", "left_off", "right_off", "late", "lag", "retry_after"}, map[string]any{
		"policy": &s.policy, "phone": &s.phone, "deletes": &s.deletes, "edited": &s.edited, "guard": &s.guard, "versions": &s.versions,
		"unique": &s.unique, "keys": &s.keys, "custom_fields": &s.customFields, "updated_after": &s.updatedAfter, "tick": &s.tick,
		"left_off": &s.leftOff, "right_off": &s.rightOff, "late": &s.late, "lag": &s.lag, "retry_after": &s.retryAfter,
	}
}

// String is one line of the text form.
func (s step) String() string {
	names, parts := s.words()
	return line(s.do, names, parts, map[string]string{})
}

// String is the text form: a line of settings, and a line for each step. Only
// settings that differ from those of the integration file are written.
func (h history) String() string {
	usual := plain()
	names, known := usual.words()
	skip := map[string]string{}
	for _, name := range names {
		skip[name] = printed(known[name])
	}
	_, parts := h.settings.words()
	lines := []string{line("settings", names, parts, skip)}
	for _, one := range h.steps {
		lines = append(lines, one.String())
	}
	return strings.Join(lines, "\n") + "\n"
}

func line(head string, names []string, parts map[string]any, skip map[string]string) string {
	for _, name := range names {
		text := printed(parts[name])
		if usual, ok := skip[name]; ok && usual == text || !ok && (text == "" || text == "0") {
			continue
		}
		if strings.ContainsAny(text, " \"\\=") || text == "" {
			text = strconv.Quote(text)
		}
		head += " " + name + "=" + text
	}
	return head
}

func printed(part any) string {
	switch value := part.(type) {
	case *string:
		return *value
	case *int:
		return strconv.Itoa(*value)
	case *bool:
		return strconv.FormatBool(*value)
	}
	return ""
}

// parseHistory reads the text form. Empty lines and those that begin with # are
// passed over.
func parseHistory(text string) (history, error) {
	h := history{settings: plain()}
	for n, row := range strings.Split(text, "\n") {
		row = strings.TrimSpace(row)
		if row == "" || strings.HasPrefix(row, "#") {
			continue
		}
		head, rest, _ := strings.Cut(row, " ")
		var one step
		_, parts := one.words()
		if head == "settings" {
			_, parts = h.settings.words()
		}
		if err := parseParts(rest, parts); err != nil {
			return history{}, fmt.Errorf("line %d: %w", n+1, err)
		}
		if one.do = head; head != "settings" {
			h.steps = append(h.steps, one)
		}
	}
	return h, nil
}

func parseParts(rest string, parts map[string]any) error {
	for rest = strings.TrimSpace(rest); rest != ""; rest = strings.TrimSpace(rest) {
		name, after, ok := strings.Cut(rest, "=")
		if !ok || parts[name] == nil {
			return fmt.Errorf("no such part: %q", rest)
		}
		text, left, _ := strings.Cut(after, " ")
		if strings.HasPrefix(after, `"`) {
			quoted, err := strconv.QuotedPrefix(after)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			left = after[len(quoted):]
			if text, err = strconv.Unquote(quoted); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		if err := parsePart(parts[name], text); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		rest = left
	}
	return nil
}

func parsePart(part any, text string) (err error) {
	switch value := part.(type) {
	case *string:
		*value = text
	case *int:
		*value, err = strconv.Atoi(text)
	case *bool:
		*value, err = strconv.ParseBool(text)
	}
	return err
}

// yaml edits the integration file to the settings.
func (s settings) yaml(text string) string {
	replace := func(old, fresh string) {
		if !strings.Contains(text, old) {
			panic("the integration file has no " + old)
		}
		text = strings.ReplaceAll(text, old, fresh)
	}
	// One record at a time, so that a failure is the same when it is played again.
	replace("concurrency: 8", "concurrency: 1")
	replace("policy: newest, tie: left", "policy: "+s.policy+", tie: left")
	replace("{phone: manual}", "{phone: "+s.phone+"}")
	replace("policy: propagate, edited: keep", "policy: "+s.deletes+", edited: "+s.edited)
	unique := "[]"
	if s.unique {
		unique = "[email, external_ref]"
	}
	replace("versions: true, idempotency_key: true, unique: [email, external_ref]",
		fmt.Sprintf("versions: %t, idempotency_key: %t, unique: %s", s.versions, s.keys, unique))
	if s.updatedAfter == "supported" {
		replace("updated_filter: probe", "updated_filter: true")
	}
	if s.customFields == "merge" {
		replace("custom_fields: probe", "custom_fields: merge")
	}
	replace("granularity: 1ms", fmt.Sprintf("granularity: %dms", s.tick))
	replace("      score: {left", "      source: {left: source, right: properties.source, direction: left_to_right}\n      score: {left")
	return text
}

// switches are those of the two servers.
func (s settings) switches() (left, right map[string]any) {
	left = map[string]any{
		"custom_fields": s.customFields, "updated_after": s.updatedAfter, "clock_offset_ms": s.leftOff, "visible_late_ms": s.late, "retry_after": s.retryAfter,
	}
	right = map[string]any{
		"versions": s.versions, "unique": s.unique, "idempotency_keys": s.keys, "granularity_ms": s.tick, "clock_offset_ms": s.rightOff,
		"visible_late_ms": s.late, "search_lag_ms": s.lag, "retry_after": s.retryAfter,
	}
	return left, right
}
