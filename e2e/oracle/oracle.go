// Package oracle judges from outside whether a service that keeps two servers in
// step kept what people wrote. It sees what the servers themselves recorded (every
// state of every record with its author and time, every read of the service), what
// the service says of itself (links, history, open conflicts), and when workers
// slept. It knows nothing of how the service works.
package oracle

import (
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"
)

// Left and Right are the two servers.
const (
	Left  = "left"
	Right = "right"
)

func across(side string) string {
	if side == Left {
		return Right
	}
	return Left
}

// State is a record as somebody left it.
type State struct {
	Side, ID string
	At       time.Time
	// Service: the service wrote it; else a person did.
	Service bool
	// Gone: this state is the record's end.
	Gone bool
	// Key is the record's identity (an address), Origin the id of the record on the
	// other server that it says it was made from; both may be empty.
	Key, Origin string
	// Fields are the mapped values in one spelling; blank is "". A set has one field
	// per element, named NAME/ELEMENT, with the value "yes" where it is a member.
	Fields map[string]string
}

// Read is a read of one record by the service: when the request arrived.
type Read struct {
	Side, ID string
	At       time.Time
}

// Entry is one line of the service's history: what a write of one field replaced.
type Entry struct {
	Side, ID, Field, Old, New, Cause string
}

// Pair is a link as the service lists it, tombstones included.
type Pair struct {
	Left, Right string
	// Active: the service keeps the two in step now.
	Active bool
}

// Question is something the service has left open for a person: a field of a pair
// that both sides changed; Field is empty where one was deleted and the other edited.
type Question struct {
	Left, Right, Field string
}

// Sleep is a time in which a worker was frozen.
type Sleep struct{ From, To time.Time }

// Log is everything that is known when all is quiet.
type Log struct {
	States    []State
	Reads     []Read
	History   []Entry
	Pairs     []Pair
	Questions []Question
	// Parked are the records (side + " " + id) that an open dead letter names.
	Parked map[string]bool
	Sleeps []Sleep
	// Versioned sides refuse a write to a record that has moved since it was read.
	Versioned map[string]bool
	// Tie is the side that wins when times do not tell.
	Tie string
}

// Finding is one judgement that a person should see.
type Finding struct {
	// Reason is one of the words below; Text tells the story.
	Reason, Text string
}

// Reasons of broken promises.
const (
	Lost         = "lost"
	OlderWon     = "an older edit won"
	BackInTime   = "back in time"
	Nobodys      = "a value that nobody entered"
	Deleted      = "deleted although edited"
	DeletedAlone = "deleted although nobody deleted its counterpart"
	Differs      = "differs"
	Unlinked     = "not linked"
	LinkedTwice  = "linked twice"
	Twice        = "there twice"
	MadeTwice    = "made twice"
	TooMany      = "too many writes"
)

// Reasons of excuses: nothing that the service could have done differently.
const (
	InBetween = "an edit between read and write, on a side without versions"
	Slept     = "a late request of a frozen worker"
	TakenBack = "an edit that was taken back before the service looked"
)

// Report is the judgement.
type Report struct {
	// Edits are the single values that people changed, Replaced those that the
	// service replaced for a good reason, by that reason.
	Edits    int
	Replaced map[string]int
	Excused  []Finding
	Broken   []Finding
}

// Reasons of good replacements.
const (
	Later  = "a later edit of the other side"
	Policy = "the conflict policy"
	Chosen = "a person's decision"
)

// doubt is how far apart two edits must be before their order counts: whole
// seconds on one server, and what a measured clock may be off.
const doubt = 3 * time.Second

// during is how long after its arrival a read may see what is there.
const during = 2 * time.Millisecond

// wake is how long after its sleep a worker's last request may arrive.
const wake = 3 * time.Second

// Judge looks at everything.
func Judge(log Log) Report {
	j := newJudge(log)
	for _, pair := range log.Pairs {
		j.pair(pair)
	}
	j.existence()
	return j.report
}

// history is everything about one record.
type history struct {
	side, id string
	states   []State
	reads    []time.Time
}

func (h *history) last() State { return h.states[len(h.states)-1] }

// gone is when the record was deleted.
func (h *history) gone() (State, bool) {
	if h == nil {
		return State{}, false
	}
	return h.last(), h.last().Gone
}

// step is one change of one field on one server.
type step struct {
	side     string
	at       time.Time
	service  bool
	old, new string
}

// steps lists the changes of a field, oldest first. A person who makes a record
// enters all its fields, the blank ones too.
func (h *history) steps(field string) []step {
	var list []step
	before := ""
	for n, state := range h.states {
		if state.Gone {
			break
		}
		if now := state.Fields[field]; now != before || n == 0 {
			list = append(list, step{h.side, state.At, state.Service, before, now})
			before = now
		}
	}
	return list
}

// value is what a field held at a time; it holds it from the first state on.
func (h *history) value(field string, at time.Time) string {
	value := ""
	for _, state := range h.states {
		if state.At.After(at) || state.Gone {
			break
		}
		value = state.Fields[field]
	}
	return value
}

// at is the state that a read at a time may have seen.
func (h *history) at(read time.Time) State {
	seen := h.states[0]
	for _, state := range h.states {
		if state.At.Before(read.Add(during)) {
			seen = state
		}
	}
	return seen
}

// readsBefore are the last reads that arrived before a time, the latest first.
func (h *history) readsBefore(at time.Time, most int) []time.Time {
	n := sort.Search(len(h.reads), func(i int) bool { return !h.reads[i].Before(at) })
	list := slices.Clone(h.reads[max(0, n-most):n])
	slices.Reverse(list)
	return list
}

// readBefore is the last of them; zero: there was none.
func (h *history) readBefore(at time.Time) time.Time {
	for _, read := range h.readsBefore(at, 1) {
		return read
	}
	return time.Time{}
}

type judge struct {
	log     Log
	report  Report
	records map[string]*history
	// causes are those that the service's own history gives, by what was replaced.
	causes map[string][]string
}

func name(side, id string) string { return side + " " + id }

func (e Entry) key() string {
	return strings.Join([]string{e.Side, e.ID, e.Field, e.Old, e.New}, "\x00")
}

func newJudge(log Log) *judge {
	j := &judge{log: log, report: Report{Replaced: map[string]int{}}, records: map[string]*history{}, causes: map[string][]string{}}
	j.index()
	return j
}

func (j *judge) index() {
	at := func(side, id string) *history {
		key := name(side, id)
		if j.records[key] == nil {
			j.records[key] = &history{side: side, id: id}
		}
		return j.records[key]
	}
	for _, state := range j.log.States {
		h := at(state.Side, state.ID)
		h.states = append(h.states, state)
	}
	for _, read := range j.log.Reads {
		if h := j.records[name(read.Side, read.ID)]; h != nil {
			h.reads = append(h.reads, read.At)
		}
	}
	for _, h := range j.records {
		slices.SortFunc(h.reads, time.Time.Compare)
		slices.SortStableFunc(h.states, func(a, b State) int { return a.At.Compare(b.At) })
	}
	for _, entry := range j.log.History {
		j.causes[entry.key()] = append(j.causes[entry.key()], entry.Cause)
	}
}

func (j *judge) broken(reason, format string, args ...any) {
	j.report.Broken = append(j.report.Broken, Finding{reason, fmt.Sprintf(format, args...)})
}

func (j *judge) excused(reason, format string, args ...any) {
	j.report.Excused = append(j.report.Excused, Finding{reason, fmt.Sprintf(format, args...)})
}
