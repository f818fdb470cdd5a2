package acme

import (
	"encoding/json"
	"net/mail"
	"slices"
	"strings"
	"time"

	"github.com/accord-sync/accord/internal/sandbox/world"
)

// checkAmount wants {value: number, currency: three capital letters}, both optional.
func checkAmount(v any) string {
	amount, _ := v.(map[string]any)
	for key, part := range amount {
		text, isText := part.(string)
		_, isNumber := part.(json.Number)
		switch {
		case key != "value" && key != "currency":
			return "has value and currency and nothing else"
		case key == "value" && part != nil && !isNumber:
			return "has a value that is not a number"
		case key == "currency" && part != nil && (!isText || len(text) != 3 || strings.Trim(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != ""):
			return "has a currency that is not three capital letters"
		}
	}
	return ""
}

// checkAttendees wants a list of {name, email, status}, each with an e-mail address.
func checkAttendees(v any) string {
	list, _ := v.([]any)
	for _, item := range list {
		attendee, ok := item.(map[string]any)
		if !ok {
			return "is not a list of {name, email, status}"
		}
		for key, part := range attendee {
			if _, isText := part.(string); !slices.Contains([]string{"name", "email", "status"}, key) || !isText && part != nil {
				return "is not a list of {name, email, status}"
			}
		}
		email, _ := attendee["email"].(string)
		if _, err := mail.ParseAddress(email); err != nil {
			return "has an attendee without a valid email"
		}
	}
	return ""
}

// checkRule wants the value of an RRULE (RFC 5545, 3.3.10): FREQ and other
// parts, each once. The parts' own values are not looked into.
func checkRule(v any) string {
	text, _ := v.(string)
	if text == "" {
		return ""
	}
	frequencies := []string{"SECONDLY", "MINUTELY", "HOURLY", "DAILY", "WEEKLY", "MONTHLY", "YEARLY"}
	parts := []string{"FREQ", "UNTIL", "COUNT", "INTERVAL", "BYSECOND", "BYMINUTE", "BYHOUR", "BYDAY", "BYMONTHDAY", "BYYEARDAY", "BYWEEKNO", "BYMONTH", "BYSETPOS", "WKST"}
	seen := map[string]string{}
	for part := range strings.SplitSeq(text, ";") {
		key, value, _ := strings.Cut(part, "=")
		if _, twice := seen[key]; twice || value == "" || !slices.Contains(parts, key) {
			return "is not a recurrence rule"
		}
		seen[key] = value
	}
	if !slices.Contains(frequencies, seen["FREQ"]) || seen["UNTIL"] != "" && seen["COUNT"] != "" {
		return "is not a recurrence rule"
	}
	return ""
}

// checkDuration wants whole seconds, none or more.
func checkDuration(v any) string {
	number, _ := v.(json.Number)
	if seconds, err := number.Int64(); err != nil || seconds < 0 {
		return "is not a number of whole seconds"
	}
	return ""
}

// checkTimes wants appointments to end at their start or later.
func checkTimes(fields map[string]any) []world.Problem {
	starts, ends := instant(fields["starts_at"]), instant(fields["ends_at"])
	if !starts.IsZero() && ends.Before(starts) {
		return []world.Problem{{Field: "ends_at", Message: "is before starts_at"}}
	}
	return nil
}

func instant(v any) time.Time {
	text, _ := v.(string)
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}
	}
	return at
}
