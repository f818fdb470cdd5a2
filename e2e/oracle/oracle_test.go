package oracle_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/e2e/oracle"
)

// story is a log made by hand: one lead on both sides, written at given seconds.
type story struct {
	oracle.Log
	now map[string]map[string]string
}

func at(second float64) time.Time {
	return time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC).Add(time.Duration(second * float64(time.Second)))
}

// begin has a lead that a person made at 0, its contact that the service made at 1.
func begin(company string) *story {
	s := &story{now: map[string]map[string]string{}}
	s.Versioned, s.Tie = map[string]bool{oracle.Right: true}, oracle.Left
	s.Parked = map[string]bool{}
	s.Pairs = []oracle.Pair{{Left: "l", Right: "r", Active: true}}
	s.set(0, oracle.Left, false, "company", company)
	s.States[0].Key = "a@x"
	s.set(1, oracle.Right, true, "company", company)
	s.States[1].Origin, s.States[1].Key = "l", "a@x"
	return s
}

func id(side string) string { return side[:1] }

func (s *story) set(second float64, side string, service bool, field, value string) *story {
	fields := map[string]string{}
	for name, before := range s.now[side] {
		fields[name] = before
	}
	fields[field] = value
	s.now[side] = fields
	s.States = append(s.States, oracle.State{Side: side, ID: id(side), At: at(second), Service: service, Fields: fields})
	return s
}

// user edits, sync writes as the service with its history, write without.
func (s *story) user(second float64, side, value string) *story {
	return s.set(second, side, false, "company", value)
}

func (s *story) sync(second float64, side, value, cause string) *story {
	s.History = append(s.History, oracle.Entry{Side: side, ID: id(side), Field: "company", Old: s.now[side]["company"], New: value, Cause: cause})
	return s.write(second, side, value)
}

func (s *story) write(second float64, side, value string) *story {
	return s.set(second, side, true, "company", value)
}

func (s *story) read(second float64, side string) *story {
	s.Reads = append(s.Reads, oracle.Read{Side: side, ID: id(side), At: at(second)})
	return s
}

func (s *story) remove(second float64, side string, service bool) *story {
	s.States = append(s.States, oracle.State{Side: side, ID: id(side), At: at(second), Service: service, Gone: true, Fields: s.now[side]})
	return s
}

func (s *story) sleep(from, to float64) *story {
	s.Sleeps = append(s.Sleeps, oracle.Sleep{From: at(from), To: at(to)})
	return s
}

func (s *story) but(change func(*story)) *story {
	change(s)
	return s
}

const left, right = oracle.Left, oracle.Right

func TestJudge(t *testing.T) {
	ask := func(field string) func(*story) {
		return func(s *story) {
			s.Questions = append(s.Questions, oracle.Question{Left: "l", Right: "r", Field: field})
		}
	}
	other := func(state oracle.State) func(*story) {
		return func(s *story) { s.States = append(s.States, state) }
	}
	cases := map[string]struct {
		story           *story
		broken, excused string
		replaced        string
	}{
		"in step":            {story: begin("A")},
		"an edit goes over":  {story: begin("A").user(10, left, "B").sync(11, right, "B", "change")},
		"a clear goes over":  {story: begin("A").user(10, right, "").sync(11, left, "", "change")},
		"an edit stays":      {story: begin("A").user(10, left, "B"), broken: oracle.Differs},
		"a question is open": {story: begin("A").user(10, left, "B").but(ask("company"))},
		"a question of another field": {
			story: begin("A").user(10, left, "B").but(ask("note")), broken: oracle.Differs,
		},
		"parked": {story: begin("A").user(10, left, "B").but(func(s *story) { s.Parked["left l"] = true })},
		"put back": {
			story: begin("A").user(10, left, "B").sync(11, left, "A", "change"), broken: oracle.Nobodys,
		},
		"the later edit wins": {
			story: begin("A").user(10, left, "B").user(20, right, "C").sync(21, left, "C", "policy"), replaced: oracle.Later,
		},
		"the older edit wins": {
			story: begin("A").user(10, right, "C").user(20, left, "B").sync(21, left, "C", "policy"), broken: oracle.OlderWon,
		},
		"times too near to tell": {
			story: begin("A").user(10, right, "C").user(12, left, "B").sync(21, left, "C", "policy"), replaced: oracle.Policy,
		},
		"the time of the service's own write proves nothing": {
			story: begin("A").user(10, right, "C").user(20, left, "B").set(25, right, true, "note", "").read(26, right).sync(27, left, "C", "policy"), broken: oracle.OlderWon,
		},
		"but then the declared side may win": {
			story: begin("A").user(10, left, "C").user(20, right, "B").set(25, left, true, "note", "").read(26, left).sync(27, right, "C", "policy"), replaced: oracle.Policy,
		},
		"an edit was the last before, and the declared side is older by far": {
			story: begin("A").user(10, left, "C").user(20, right, "B").read(26, left).sync(27, right, "C", "policy"), broken: oracle.OlderWon,
		},
		"near, but no conflict": {
			story: begin("A").user(10, right, "C").user(12, left, "B").sync(21, left, "C", "change"), broken: oracle.OlderWon,
		},
		"the record was touched later": {
			story: begin("A").user(10, right, "C").user(20, left, "B").set(25, right, false, "note", "n").set(24, left, false, "note", "n").read(26, right).sync(27, left, "C", "policy"), replaced: oracle.Policy,
		},
		"overwritten without a trace": {
			story: begin("A").read(19, left).user(10, left, "B").user(18, right, "C").write(21, left, "C"), broken: oracle.Lost,
		},
		"between read and write": {
			story: begin("A").user(5, right, "C").read(9, left).user(10, left, "B").write(11, left, "C"), excused: oracle.InBetween,
		},
		"between read and write on a side with versions": {
			story: begin("A").user(5, left, "C").read(9, right).user(10, right, "B").write(11, right, "C"), broken: oracle.Lost,
		},
		"by a worker that woke": {
			story: begin("A").user(5, right, "C").sleep(6, 20).user(10, left, "B").read(15, left).write(20.5, left, "C"), excused: oracle.Slept,
		},
		"long after a worker woke": {
			story: begin("A").user(5, right, "C").sleep(6, 20).user(10, left, "B").read(15, left).write(30, left, "C"), broken: oracle.Lost,
		},
		"back in time": {
			story:  begin("A").user(5, right, "B").user(10, right, "C").sync(11, left, "C", "change").sync(12, left, "B", "change").user(13, right, "D").sync(14, left, "D", "change"),
			broken: oracle.BackInTime,
		},
		"an earlier value is restored": {
			story: begin("A").user(5, right, "B").sync(6, left, "B", "change").user(10, right, "A").sync(11, left, "A", "change"),
		},
		"taken back before anybody looked": {
			story:   begin("A").read(2, left).read(2, right).user(5, right, "C").user(9, left, "B").user(9.5, left, "A").sync(11, left, "C", "change"),
			excused: oracle.TakenBack,
		},
		"a blank is filled at the first link": {
			story: begin("A").user(5, right, "C").user(20, left, "").sync(21, left, "C", "first_link"), replaced: oracle.Policy,
		},
		"a clear is not undone": {
			story: begin("A").user(5, right, "C").user(20, left, "").sync(21, left, "C", "change"), broken: oracle.OlderWon,
		},
		"a decision": {
			story: begin("A").user(5, right, "C").user(9, left, "B").sync(60, left, "C", "decision"), replaced: oracle.Chosen,
		},
		"deleted":           {story: begin("A").remove(10, left, false).remove(12, right, true)},
		"deleted here only": {story: begin("A").remove(10, left, false), broken: oracle.Differs},
		"deleted here, edited there": {
			story: begin("A").user(9, right, "B").remove(10, left, false).but(ask("")),
		},
		"a delete takes an edit along": {
			story: begin("A").user(9, right, "B").remove(10, left, false).read(11, right).remove(12, right, true), broken: oracle.Deleted,
		},
		"an edit between read and delete": {
			story: begin("A").remove(10, right, false).read(11, left).user(11.5, left, "B").remove(12, left, true), excused: oracle.InBetween,
		},
		"deleted after its edit went over": {
			story: begin("A").user(5, right, "B").sync(6, left, "B", "change").remove(10, left, false).remove(12, right, true),
		},
		"deleted by nobody": {story: begin("A").remove(10, left, true).remove(12, right, true), broken: oracle.DeletedAlone},
		"not linked": {
			story: begin("A").but(other(oracle.State{Side: left, ID: "l2", At: at(3), Key: "b@x"})), broken: oracle.Unlinked,
		},
		"there twice": {
			story: begin("A").but(other(oracle.State{Side: right, ID: "r2", At: at(3), Key: "a@x"})).but(func(s *story) {
				s.States = append(s.States, oracle.State{Side: left, ID: "l2", At: at(3)})
				s.Pairs = append(s.Pairs, oracle.Pair{Left: "l2", Right: "r2", Active: true})
			}), broken: oracle.Twice,
		},
		"made twice": {
			story: begin("A").but(other(oracle.State{Side: right, ID: "r2", At: at(3), Service: true, Origin: "l"})).
				but(other(oracle.State{Side: right, ID: "r2", At: at(4), Gone: true})), broken: oracle.MadeTwice,
		},
		"linked twice": {
			story: begin("A").but(other(oracle.State{Side: right, ID: "r2", At: at(3), Fields: map[string]string{"company": "A"}})).
				but(func(s *story) { s.Pairs = append(s.Pairs, oracle.Pair{Left: "l", Right: "r2", Active: true}) }), broken: oracle.LinkedTwice,
		},
		"writes without end": {
			story: begin("A").but(func(s *story) {
				for n := range 20 {
					s.write(float64(10+n), right, "A")
				}
			}), broken: oracle.TooMany,
		},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			report := oracle.Judge(test.story.Log)
			require.Equal(t, reasons(test.broken), found(report.Broken), "%v", report.Broken)
			require.Equal(t, reasons(test.excused), found(report.Excused), "%v", report.Excused)
			if test.replaced != "" {
				require.Equal(t, map[string]int{test.replaced: 1}, report.Replaced)
			}
		})
	}
}

func reasons(one string) []string {
	if one == "" {
		return nil
	}
	return []string{one}
}

// found lists the different reasons.
func found(findings []oracle.Finding) []string {
	var list []string
	for _, one := range findings {
		if len(list) == 0 || list[len(list)-1] != one.Reason {
			list = append(list, one.Reason)
		}
	}
	return list
}
