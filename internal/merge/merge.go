// Package merge decides, per field, what a three-way comparison of two sides
// and their common past asks for. It is pure: it sees facts about values, never
// a server, and its result does not depend on the order in which events came.
package merge

import (
	"time"

	"github.com/accord-sync/accord/internal/record"
)

// Policy says who wins when both sides changed a field to different values.
type Policy string

// The policies of the integration file.
const (
	LeftWins  Policy = "left"
	RightWins Policy = "right"
	Newest    Policy = "newest"
	Manual    Policy = "manual"
)

// Action is what one field asks for.
type Action int

// The actions. Agree moves the base to what both sides hold; Write changes the
// sides named in the outcome; Conflict waits for a person.
const (
	Keep Action = iota
	Agree
	Write
	Conflict
)

// Why names the reason of a write, for the history.
type Why string

// The reasons.
const (
	WhyChange    Why = "change"
	WhyPolicy    Why = "policy"
	WhyDecision  Why = "decision"
	WhyFirstLink Why = "first_link"
)

// Choice is a decision of an operator or of the fallback: a side, or a value.
type Choice struct {
	// Side is the winner; empty when Value was chosen.
	Side record.Side
	// Value is the chosen value in the left system's form.
	Value any
}

// Facts are what is known of one field of one pair.
type Facts struct {
	// HasBase is false when the field has no common past (first link, or a
	// field added to the mapping later).
	HasBase bool
	// LeftChanged and RightChanged: differs in normal form from the base of
	// that side. Meaningless without a base.
	LeftChanged, RightChanged bool
	// Equal: both sides hold the same in normal form.
	Equal bool
	// LeftBlank and RightBlank: null, empty or missing.
	LeftBlank, RightBlank bool
	// WriteLeft and WriteRight: the direction allows writing that side.
	WriteLeft, WriteRight bool
	// Set is given for fields merged by element.
	Set *SetFacts
	// Policy and Tie settle a double change; Newer is the side with the later
	// edit, empty when the times do not tell.
	Policy Policy
	Tie    record.Side
	Newer  record.Side
	// Choice is a decision bound to the present values; nil if there is none.
	Choice *Choice
}

// Outcome is what to do with one field.
type Outcome struct {
	Action Action
	// From is the side whose value goes to the other; empty when Value is
	// written (to the sides named in Left and Right).
	From record.Side
	// Left and Right: that side is written.
	Left, Right bool
	// Value is the value for both sides in the left system's form: a merged set
	// or an operator's own value.
	Value any
	// RightValue is the value for the right side, in the left system's form, where Apart
	// says that it is another one than that for the left.
	RightValue any
	Apart      bool
	Why        Why
}

// For is the value for a side, in the left system's form.
func (o Outcome) For(side record.Side) any {
	if o.Apart && side == record.Right {
		return o.RightValue
	}
	return o.Value
}

// Decide settles one field. Source of the rules: contract points 2, 3, 5 and 6.
func Decide(facts Facts) Outcome {
	if facts.Choice != nil && !facts.Equal {
		return decided(facts)
	}
	if !facts.WriteLeft || !facts.WriteRight {
		return oneWay(facts)
	}
	if facts.HasBase {
		return twoWay(facts)
	}
	return firstLink(facts)
}

// twoWay is the plain three-way merge. Nothing changed comes first: two sides
// that differ and both equal their base are in step (a lossy target).
func twoWay(facts Facts) Outcome {
	switch {
	case !facts.LeftChanged && !facts.RightChanged:
		return Outcome{Action: Keep}
	case facts.Equal:
		return Outcome{Action: Agree}
	case facts.Set != nil && !equalKeys(keys(facts.Set.BaseLeft), keys(facts.Set.BaseRight)):
		return mergeUnlike(*facts.Set, facts.LeftChanged, facts.RightChanged)
	case !facts.RightChanged:
		return fromSide(record.Left, WhyChange)
	case !facts.LeftChanged:
		return fromSide(record.Right, WhyChange)
	case facts.Set != nil:
		return mergeSet(*facts.Set, WhyChange)
	}
	return byPolicy(facts, WhyPolicy)
}

// firstLink has no common past: equal agrees, blanks are filled, sets unite,
// and the rest goes to the policy.
func firstLink(facts Facts) Outcome {
	switch {
	case facts.Equal:
		return Outcome{Action: Agree}
	case facts.RightBlank:
		return fromSide(record.Left, WhyFirstLink)
	case facts.LeftBlank:
		return fromSide(record.Right, WhyFirstLink)
	case facts.Set != nil:
		return mergeSet(*facts.Set, WhyFirstLink)
	}
	return byPolicy(facts, WhyFirstLink)
}

// oneWay lets the source win whenever it has something to say, and leaves the
// target's own edits alone otherwise.
func oneWay(facts Facts) Outcome {
	var source record.Side
	var changed, blank bool
	switch {
	case facts.WriteRight:
		source, changed, blank = record.Left, facts.LeftChanged, facts.LeftBlank
	case facts.WriteLeft:
		source, changed, blank = record.Right, facts.RightChanged, facts.RightBlank
	default:
		return Outcome{Action: Keep}
	}
	switch {
	case facts.HasBase && !changed:
		return Outcome{Action: Keep}
	case facts.Equal:
		return Outcome{Action: Agree}
	case facts.HasBase:
		return fromSide(source, WhyChange)
	case blank:
		return Outcome{Action: Agree}
	}
	return fromSide(source, WhyFirstLink)
}

func decided(facts Facts) Outcome {
	outcome := Outcome{Action: Write, Why: WhyDecision}
	if facts.Choice.Side.Valid() {
		outcome = fromSide(facts.Choice.Side, WhyDecision)
	} else {
		outcome.Value, outcome.Left, outcome.Right = facts.Choice.Value, true, true
	}
	outcome.Left = outcome.Left && facts.WriteLeft
	outcome.Right = outcome.Right && facts.WriteRight
	return outcome
}

func byPolicy(facts Facts, why Why) Outcome {
	winner := facts.Tie
	switch facts.Policy {
	case LeftWins:
		winner = record.Left
	case RightWins:
		winner = record.Right
	case Newest:
		if facts.Newer.Valid() {
			winner = facts.Newer
		}
	default:
		return Outcome{Action: Conflict}
	}
	if !winner.Valid() {
		winner = record.Left
	}
	return fromSide(winner, why)
}

func fromSide(from record.Side, why Why) Outcome {
	return Outcome{Action: Write, From: from, Left: from == record.Right, Right: from == record.Left, Why: why}
}

// Edit is what is known of the time of a side's last edit.
type Edit struct {
	// At is the server's time of the last edit; zero when the server does not say.
	At time.Time
	// Latest: our own write caused that time, so that the edit was made then at the
	// latest.
	Latest bool
	// Skew is the server's clock minus ours, Granularity its step.
	Skew, Granularity time.Duration
}

// skewDoubt is how far a measured skew may be off: answers carry whole seconds.
const skewDoubt = 2 * time.Second

// NewerOf says which side was edited later, or neither: a side whose time is
// unknown, or known as its latest only, never wins, and times nearer than the
// coarser step are a tie. A clock that had to be corrected adds what its measured
// skew may be off.
func NewerOf(left, right Edit) record.Side {
	if left.At.IsZero() || right.At.IsZero() {
		return ""
	}
	difference := left.At.Add(-left.Skew).Sub(right.At.Add(-right.Skew))
	step := max(left.Granularity, right.Granularity)
	if left.Skew != 0 || right.Skew != 0 {
		step += skewDoubt
	}
	switch {
	case difference > step && !left.Latest:
		return record.Left
	case difference < -step && !right.Latest:
		return record.Right
	}
	return ""
}
