// Package scenario is a readable text form of what happens to two systems and
// the service between them: what users of either side do, how events and answers
// go astray, when the service is killed, what a person decides. The same text is
// played against the engine in process and against real processes, and the end
// state is told in a text of its own, the golden.
//
// A scenario is a list of lines. "#" begins a comment; what stands before the
// first heading is said about the whole. Headings stand alone on a line:
//
//	settings
//	VERIFY_AFTER="1s"                        a variable of the connection
//	replace "edited: keep" with "edited: x"  an edit of the integration file
//	given                                    what there is before, in step
//	when                                     what then happens
//
// Below given and when each line is a step. Records have names of the scenario's
// own; one name is the same person on both sides. Fields have the names of the
// integration file (name, email, phone, company, position, stage, tags, score,
// note), values are JSON:
//
//	left creates ana name="Ana Lima" email="ana@x.com"
//	right edits ana position="CTO" tags=["a","b"] score=0
//	left clears ana company note
//	left deletes ana
//	right merges ana into bia                (ana's id then answers with bia)
//	left delivers ana                        one event about it arrives (again)
//	left holds webhooks
//	left drops 2 webhooks                    the next two events are lost
//	left repeats webhooks 3                  each from now on comes three times
//	left releases webhooks reversed          in_order | reversed | shuffled
//	left fails {"kind":"status","status":503,"method":"PATCH","when":"after"}
//	left recovers                            no faults any more
//	left switches {"versions":false}
//	right races ana position="CEO"           a user's edit before the next write
//	service drains                           works on what is due
//	service settles                          drains until nothing waits
//	service polls
//	service compares
//	service dies 2 "before update"           killed at the second such step from
//	service dies 17                          now on, or at the 17th step of any kind
//	person decides ana phone left            left | right | value="…"
//	person approves                          or rejects, what the guard holds
//	person replays                           the dead letters
//	wait 5s
//
// A killed service is started again at once. Faults, switches and their fields
// are those of package wire.
package scenario

import (
	"time"

	"github.com/accord-sync/accord/internal/record"
)

// Scenario is one story.
type Scenario struct {
	// About is what the first comment lines say, without "#".
	About []string
	// Variables are settings of the connection; Replace edits the integration
	// file's text, in order.
	Variables map[string]string
	Replace   []Replacement
	// Given happens first and undisturbed, and is brought in step; When is the story.
	Given, When []Step
}

// Replacement replaces all occurrences of Old, of which there is at least one.
type Replacement struct {
	Old, New string
}

// Verb says what a step does.
type Verb string

// The verbs.
const (
	Creates Verb = "creates"
	Edits   Verb = "edits"
	Clears  Verb = "clears"
	Deletes Verb = "deletes"
	Merges  Verb = "merges"

	Delivers Verb = "delivers"
	Holds    Verb = "holds"
	Drops    Verb = "drops"
	Repeats  Verb = "repeats"
	Releases Verb = "releases"
	Fails    Verb = "fails"
	Recovers Verb = "recovers"
	Switches Verb = "switches"
	Races    Verb = "races"

	Drains   Verb = "drains"
	Settles  Verb = "settles"
	Polls    Verb = "polls"
	Compares Verb = "compares"
	Dies     Verb = "dies"

	Decides  Verb = "decides"
	Approves Verb = "approves"
	Rejects  Verb = "rejects"
	Replays  Verb = "replays"

	Waits Verb = "wait"
)

// Step is one line below given or when.
type Step struct {
	Verb Verb
	// Side is whose users or whose server; empty for the service, a person and wait.
	Side record.Side
	// Record is the scenario's name of a record; Into the survivor of a merge.
	Record, Into string
	// Fields are values by field name (creates, edits, races), or by the names of
	// package wire (fails, switches). Values are what encoding/json decodes, with
	// numbers as json.Number.
	Fields map[string]any
	// Names are the fields cleared, or the one decided.
	Names []string
	// Count is how many events (drops), how often (repeats), at which step (dies).
	Count int
	// Word is the order of a release, the kind of step of a death (empty: any), or
	// what was decided: left, right or value, the value itself in Value.
	Word  string
	Value any
	// For is how long wait waits.
	For time.Duration
}

// ByUser reports whether the step is an act of a user of its side.
func (s Step) ByUser() bool {
	switch s.Verb {
	case Creates, Edits, Clears, Deletes, Merges:
		return true
	}
	return false
}
