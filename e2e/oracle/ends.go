package oracle

import (
	"strings"
	"time"
)

// Ends judges only how one pair ended.
func Ends(log Log, pair Pair) []Finding {
	log.Pairs = []Pair{pair}
	j := newJudge(log)
	both := map[string]*history{Left: j.records[name(Left, pair.Left)], Right: j.records[name(Right, pair.Right)]}
	if both[Left] != nil && both[Right] != nil {
		fields, _, _ := both[Left].written(both[Right])
		j.end(pair, both, fields)
	}
	return j.report.Broken
}

// end judges how a pair ended: in step, or with a question for a person, or gone
// on both sides for a good reason.
func (j *judge) end(pair Pair, both map[string]*history, fields []string) {
	left, leftGone := both[Left].gone()
	right, rightGone := both[Right].gone()
	switch {
	case leftGone && rightGone:
		for _, side := range []string{Left, Right} {
			mine, theirs := left, right
			if side == Right {
				mine, theirs = right, left
			}
			if mine.Service {
				j.deleted(both, side, fields, theirs)
			}
		}
	case leftGone || rightGone:
		if !j.asked(pair, "") && !j.parked(pair) {
			j.broken(Differs, "%s (gone: %t) and %s (gone: %t): a delete that came to no end", pair.Left, leftGone, pair.Right, rightGone)
		}
	case !pair.Active:
	default:
		for _, field := range fields {
			set, _, _ := strings.Cut(field, "/")
			a, b := left.Fields[field], right.Fields[field]
			if a == b || j.asked(pair, set) || j.parked(pair) {
				continue
			}
			j.broken(Differs, "%s of %s is %q, of %s %q", field, pair.Left, a, pair.Right, b)
		}
	}
}

func (j *judge) asked(pair Pair, field string) bool {
	for _, one := range j.log.Questions {
		if one.Left == pair.Left && one.Right == pair.Right && one.Field == field {
			return true
		}
	}
	return false
}

func (j *judge) parked(pair Pair) bool {
	return j.log.Parked[name(Left, pair.Left)] || j.log.Parked[name(Right, pair.Right)]
}

// deleted judges a delete by the service on a side: nothing that a person had
// written there since may be lost with it.
func (j *judge) deleted(both map[string]*history, side string, fields []string, counterpart State) {
	h, other := both[side], both[across(side)]
	end := h.last()
	if counterpart.Service || counterpart.At.After(end.At) {
		j.broken(DeletedAlone, "%s %s at %s", side, h.id, clock(end.At))
		return
	}
	for _, field := range fields {
		steps := map[string][]step{side: h.steps(field), other.side: other.steps(field)}
		mine := steps[side]
		if len(mine) == 0 || mine[len(mine)-1].service {
			continue
		}
		edit := mine[len(mine)-1]
		if other.held(field, edit.new, edit.at) || editedAfter(steps[other.side], edit.at.Add(-doubt)) {
			continue
		}
		story := tell(both, field, steps, step{side: side, at: end.At, service: true})
		switch {
		case !j.log.Versioned[side] && edit.at.After(h.readBefore(end.At)):
			j.excused(InBetween, "deleted: %s", story)
		case j.slept(end.At):
			j.excused(Slept, "deleted: %s", story)
		case j.agreed(both, field, steps, edit):
			j.excused(TakenBack, "deleted: %s", story)
		default:
			j.broken(Deleted, "at %s, its counterpart at %s: %s", clock(end.At), clock(counterpart.At), story)
		}
	}
}

// held says whether a field held a value at a time or later.
func (h *history) held(field, value string, from time.Time) bool {
	if h.value(field, from) == value {
		return true
	}
	for _, state := range h.states {
		if !state.Gone && state.At.After(from) && state.Fields[field] == value {
			return true
		}
	}
	return false
}

func editedAfter(steps []step, at time.Time) bool {
	for _, one := range steps {
		if !one.service && one.at.After(at) {
			return true
		}
	}
	return false
}

// existence judges which records there are.
func (j *judge) existence() {
	active := map[string]int{}
	for _, pair := range j.log.Pairs {
		if pair.Active {
			active[name(Left, pair.Left)]++
			active[name(Right, pair.Right)]++
		}
	}
	keys, origins := map[string]string{}, map[string]string{}
	for key, h := range j.records {
		first, last := h.states[0], h.last()
		if first.Service && first.Origin != "" {
			made := name(h.side, first.Origin)
			if other, twice := origins[made]; twice {
				j.broken(MadeTwice, "%s and %s were both made from %s", other, key, first.Origin)
			}
			origins[made] = key
		}
		if last.Gone {
			continue
		}
		if active[key] > 1 {
			j.broken(LinkedTwice, "%s has %d links", key, active[key])
		}
		if active[key] == 0 && !j.log.Parked[key] {
			j.broken(Unlinked, "%s, made at %s (by the service: %t)", key, clock(first.At), first.Service)
		}
		if last.Key == "" {
			continue
		}
		same := name(h.side, last.Key)
		if other, twice := keys[same]; twice && !j.log.Parked[key] {
			j.broken(Twice, "%s and %s have one key", other, key)
		}
		keys[same] = key
	}
}
