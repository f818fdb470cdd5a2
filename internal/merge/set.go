package merge

// SetFacts are the elements of a set field on both sides and in the base.
type SetFacts struct {
	Left, Right []Element
	// BaseLeft and BaseRight are empty without a common past.
	BaseLeft, BaseRight []Element
}

// Element is one member of a set.
type Element struct {
	// Key is its normal form; Value what to write, in the left system's form.
	Key   string
	Value any
}

// mergeSet adds what either side added and drops what either side removed since
// the base. Left's elements come first, in their order, then right's new ones.
func mergeSet(facts SetFacts, why Why) Outcome {
	inLeft, inRight := keys(facts.Left), keys(facts.Right)
	removed := missing(facts.BaseLeft, inLeft)
	for key := range missing(facts.BaseRight, inRight) {
		removed[key] = true
	}
	values := []any{}
	merged := map[string]bool{}
	for _, elements := range [][]Element{facts.Left, facts.Right} {
		for _, element := range elements {
			if !merged[element.Key] && !removed[element.Key] {
				merged[element.Key] = true
				values = append(values, element.Value)
			}
		}
	}
	return Outcome{
		Action: Write, Value: values, Why: why,
		Left: !equalKeys(merged, inLeft), Right: !equalKeys(merged, inRight),
	}
}

// mergeUnlike merges where the two bases are not the same set: a server that keeps
// fewer elements, or spells them otherwise, has removed and added nothing by that. A
// side is written only for what the other one has edited, and a side that was edited
// is given its own elements first, in case it keeps only so many.
func mergeUnlike(facts SetFacts, leftChanged, rightChanged bool) Outcome {
	outcome := mergeSet(facts, WhyChange)
	outcome.Apart, outcome.RightValue = true, outcome.Value
	if rightChanged {
		turned := SetFacts{Left: facts.Right, Right: facts.Left, BaseLeft: facts.BaseRight, BaseRight: facts.BaseLeft}
		outcome.RightValue = mergeSet(turned, WhyChange).Value
	}
	outcome.Left, outcome.Right = outcome.Left && rightChanged, outcome.Right && leftChanged
	return outcome
}

func missing(base []Element, present map[string]bool) map[string]bool {
	gone := map[string]bool{}
	for _, element := range base {
		if !present[element.Key] {
			gone[element.Key] = true
		}
	}
	return gone
}

func keys(elements []Element) map[string]bool {
	set := make(map[string]bool, len(elements))
	for _, element := range elements {
		set[element.Key] = true
	}
	return set
}

func equalKeys(a, b map[string]bool) bool {
	if len(a) != len(b) {
		return false
	}
	for key := range a {
		if !b[key] {
			return false
		}
	}
	return true
}
