package oracle

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// pair judges everything about two linked records.
func (j *judge) pair(pair Pair) {
	both := map[string]*history{Left: j.records[name(Left, pair.Left)], Right: j.records[name(Right, pair.Right)]}
	if both[Left] == nil || both[Right] == nil {
		j.broken(Unlinked, "a link names a record that never was: %s, %s", pair.Left, pair.Right)
		return
	}
	fields, writes, edits := both[Left].written(both[Right])
	if most := 2*edits + 4; writes > most {
		j.broken(TooMany, "%s and %s: %d writes by the service after %d by people", pair.Left, pair.Right, writes, edits)
	}
	for _, field := range fields {
		j.field(both, field)
	}
	j.end(pair, both, fields)
}

// written lists the fields of a pair, and counts who wrote it how often.
func (h *history) written(other *history) (fields []string, service, people int) {
	names := map[string]bool{}
	for _, one := range []*history{h, other} {
		for _, state := range one.states {
			for field := range state.Fields {
				names[field] = true
			}
			if state.Service {
				service++
			} else {
				people++
			}
		}
	}
	return slices.Sorted(maps.Keys(names)), service, people
}

// field judges every write of the service to one field of a pair.
func (j *judge) field(both map[string]*history, field string) {
	steps := map[string][]step{Left: both[Left].steps(field), Right: both[Right].steps(field)}
	for side, list := range steps {
		for n, one := range list {
			if !one.service {
				if one.new != one.old {
					j.report.Edits++
				}
				continue
			}
			if n == 0 {
				// The service made the record: there is nothing that it replaced.
				continue
			}
			source := latest(steps[across(side)], one.new, one.at)
			if list[n-1].service {
				j.order(both, field, steps, list[n-1], one, source)
			} else {
				j.replaced(both, field, steps, list[n-1], one, source)
			}
		}
	}
}

// latest is the last time before at that a person entered a value; nil: never.
func latest(steps []step, value string, at time.Time) *step {
	for n := len(steps) - 1; n >= 0; n-- {
		if one := steps[n]; !one.service && one.new == value && one.at.Before(at) {
			return &one
		}
	}
	return nil
}

// order judges a write over the service's own: effects never go back in time.
func (j *judge) order(both map[string]*history, field string, steps map[string][]step, before, now step, source *step) {
	h := both[now.side]
	if j.cause(h, field, now) == "decision" {
		j.report.Replaced[Chosen]++
		return
	}
	story := func() string { return tell(both, field, steps, now) }
	switch first := latest(steps[across(now.side)], before.new, before.at); {
	case source == nil && j.slept(now.at):
		j.excused(Slept, "%s", story())
	case source == nil:
		j.broken(Nobodys, "%s", story())
	case first == nil || !source.at.Before(first.at):
	case j.slept(now.at):
		j.excused(Slept, "%s", story())
	default:
		j.broken(BackInTime, "%s", story())
	}
}

// replaced judges a write over a person's edit.
func (j *judge) replaced(both map[string]*history, field string, steps map[string][]step, edit, write step, source *step) {
	h, other := both[write.side], both[across(write.side)]
	story := func() string { return tell(both, field, steps, write) }
	cause := j.cause(h, field, write)
	takenBack := j.agreed(both, field, steps, edit)
	switch {
	case cause == "" && !j.log.Versioned[write.side] && edit.at.After(h.readBefore(write.at)):
		j.excused(InBetween, "%s", story())
	case cause == "" && j.slept(write.at):
		j.excused(Slept, "%s", story())
	case cause == "":
		j.broken(Lost, "overwritten and not in the history: %s", story())
	case cause == "decision":
		j.report.Replaced[Chosen]++
	case source == nil && j.slept(write.at):
		j.excused(Slept, "%s", story())
	case source == nil:
		j.broken(Nobodys, "%s", story())
	case source.at.After(edit.at):
		j.report.Replaced[Later]++
	case cause == "first_link" && edit.new == "":
		// Without a common past nobody knows a clear from a field never filled.
		j.report.Replaced[Policy]++
	case takenBack:
		j.excused(TakenBack, "%s", story())
	case cause != "change" && j.mayWin(h, other, edit, write, *source):
		j.report.Replaced[Policy]++
	default:
		j.broken(OlderWon, "as %s: %s", cause, story())
	}
}

// mayWin says whether "the newest wins" may have preferred an earlier edit: servers
// tell times of records only, in whole seconds, and a time that the service's own
// write caused says no more than that people's edits were not later.
func (j *judge) mayWin(h, other *history, edit, write, source step) bool {
	if source.at.After(edit.at.Add(-doubt)) {
		return true
	}
	for _, read := range other.readsBefore(write.at, 2) {
		theirs, mine := other.at(read), h.at(read)
		if theirs.At.After(edit.at.Add(-doubt)) && (!theirs.Service || j.log.Tie == other.side) {
			return true
		}
		if mine.Service && !theirs.Service && j.log.Tie == other.side {
			return true
		}
	}
	return false
}

// cause is the reason that the service's history gives for a write; empty where
// the history does not tell of it with the value that it replaced.
func (j *judge) cause(h *history, field string, write step) string {
	key := Entry{Side: h.side, ID: h.id, Field: field, Old: write.old, New: write.new}.key()
	told := j.causes[key]
	if len(told) == 0 {
		return ""
	}
	// Each line tells of one write only.
	j.causes[key] = told[1:]
	return told[0]
}

// agreed says whether an edit only brought back what both sides last had in
// common: then, for somebody who did not look in between, nothing has changed.
func (j *judge) agreed(both map[string]*history, field string, steps map[string][]step, edit step) bool {
	var moments []time.Time
	known := map[time.Time]string{}
	for side, h := range both {
		for _, read := range h.reads {
			if read.Before(edit.at) {
				moments = append(moments, read)
			}
		}
		for _, one := range steps[side] {
			if one.service && one.at.Before(edit.at) {
				moments = append(moments, one.at)
				known[one.at] = one.new
			}
		}
	}
	slices.SortFunc(moments, time.Time.Compare)
	var last []string
	for n := len(moments) - 1; n >= 0 && len(last) < 2; n-- {
		value, wrote := known[moments[n]]
		if !wrote {
			value = both[Left].value(field, moments[n])
			if value != both[Right].value(field, moments[n]) {
				continue
			}
		}
		if !slices.Contains(last, value) {
			last = append(last, value)
		}
	}
	return slices.Contains(last, edit.new)
}

// slept says whether a write may have come from a worker that was frozen before.
func (j *judge) slept(at time.Time) bool {
	for _, sleep := range j.log.Sleeps {
		if !at.Before(sleep.From) && !at.After(sleep.To.Add(wake)) {
			return true
		}
	}
	return false
}

// tell is the end of a field's story, up to a write and a little further.
func tell(both map[string]*history, field string, steps map[string][]step, about step) string {
	all := slices.Concat(steps[Left], steps[Right])
	slices.SortFunc(all, func(a, b step) int { return a.at.Compare(b.at) })
	var lines []string
	for _, one := range all {
		if away := one.at.Sub(about.at); away < -20*time.Second || away > 5*time.Second {
			continue
		}
		who, mark := "person", ""
		if one.service {
			who = "service"
		}
		if one == about {
			mark = fmt.Sprintf("  <== read before at %s", clock(both[one.side].readBefore(one.at)))
		}
		lines = append(lines, fmt.Sprintf("    %s %-5s %-7s %q -> %q%s", clock(one.at), one.side, who, one.old, one.new, mark))
	}
	return fmt.Sprintf("%s of %s and %s:\n%s", field, both[Left].id, both[Right].id, strings.Join(lines, "\n"))
}

func clock(at time.Time) string { return at.UTC().Format("15:04:05.000") }
