package merge_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/accord-sync/accord/internal/merge"
	"github.com/accord-sync/accord/internal/record"
)

func both(facts merge.Facts) merge.Facts {
	facts.WriteLeft, facts.WriteRight = true, true
	return facts
}

func TestDecide(t *testing.T) {
	toRight := merge.Outcome{Action: merge.Write, From: record.Left, Right: true, Why: merge.WhyChange}
	toLeft := merge.Outcome{Action: merge.Write, From: record.Right, Left: true, Why: merge.WhyChange}
	because := func(outcome merge.Outcome, why merge.Why) merge.Outcome { outcome.Why = why; return outcome }
	cases := map[string]struct {
		facts merge.Facts
		want  merge.Outcome
	}{
		"nothing changed":                 {both(merge.Facts{HasBase: true, Equal: true}), merge.Outcome{}},
		"differ but unchanged is lossy":   {both(merge.Facts{HasBase: true}), merge.Outcome{}},
		"left edited":                     {both(merge.Facts{HasBase: true, LeftChanged: true}), toRight},
		"right edited":                    {both(merge.Facts{HasBase: true, RightChanged: true}), toLeft},
		"same edit on both":               {both(merge.Facts{HasBase: true, LeftChanged: true, RightChanged: true, Equal: true}), merge.Outcome{Action: merge.Agree}},
		"left cleared":                    {both(merge.Facts{HasBase: true, LeftChanged: true, LeftBlank: true}), toRight},
		"conflict, manual":                {both(merge.Facts{HasBase: true, LeftChanged: true, RightChanged: true, Policy: merge.Manual}), merge.Outcome{Action: merge.Conflict}},
		"conflict, no policy is manual":   {both(merge.Facts{HasBase: true, LeftChanged: true, RightChanged: true}), merge.Outcome{Action: merge.Conflict}},
		"conflict, left wins":             {both(merge.Facts{HasBase: true, LeftChanged: true, RightChanged: true, Policy: merge.LeftWins}), because(toRight, merge.WhyPolicy)},
		"conflict, right wins":            {both(merge.Facts{HasBase: true, LeftChanged: true, RightChanged: true, Policy: merge.RightWins}), because(toLeft, merge.WhyPolicy)},
		"conflict, newest is right":       {both(merge.Facts{HasBase: true, LeftChanged: true, RightChanged: true, Policy: merge.Newest, Newer: record.Right, Tie: record.Left}), because(toLeft, merge.WhyPolicy)},
		"conflict, newest ties":           {both(merge.Facts{HasBase: true, LeftChanged: true, RightChanged: true, Policy: merge.Newest, Tie: record.Right}), because(toLeft, merge.WhyPolicy)},
		"first link, equal":               {both(merge.Facts{Equal: true}), merge.Outcome{Action: merge.Agree}},
		"first link, right blank":         {both(merge.Facts{RightBlank: true}), because(toRight, merge.WhyFirstLink)},
		"first link, left blank":          {both(merge.Facts{LeftBlank: true}), because(toLeft, merge.WhyFirstLink)},
		"first link, policy":              {both(merge.Facts{Policy: merge.LeftWins}), because(toRight, merge.WhyFirstLink)},
		"first link, manual":              {both(merge.Facts{Policy: merge.Manual}), merge.Outcome{Action: merge.Conflict}},
		"one way, source edited":          {merge.Facts{WriteRight: true, HasBase: true, LeftChanged: true, RightChanged: true, Policy: merge.Manual}, toRight},
		"one way, target edited":          {merge.Facts{WriteRight: true, HasBase: true, RightChanged: true}, merge.Outcome{}},
		"one way, first link":             {merge.Facts{WriteLeft: true}, because(toLeft, merge.WhyFirstLink)},
		"one way, first link, blank":      {merge.Facts{WriteRight: true, LeftBlank: true}, merge.Outcome{Action: merge.Agree}},
		"decision for right":              {both(merge.Facts{HasBase: true, LeftChanged: true, RightChanged: true, Choice: &merge.Choice{Side: record.Right}}), because(toLeft, merge.WhyDecision)},
		"decision for a value":            {both(merge.Facts{HasBase: true, LeftChanged: true, RightChanged: true, Choice: &merge.Choice{Value: "x"}}), merge.Outcome{Action: merge.Write, Left: true, Right: true, Value: "x", Why: merge.WhyDecision}},
		"decision after the sides agreed": {both(merge.Facts{HasBase: true, LeftChanged: true, RightChanged: true, Equal: true, Choice: &merge.Choice{Value: "x"}}), merge.Outcome{Action: merge.Agree}},
		"no direction at all":             {merge.Facts{LeftChanged: true}, merge.Outcome{}},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) { require.Equal(t, test.want, merge.Decide(test.facts)) })
	}
}

func elements(names ...string) []merge.Element {
	list := []merge.Element{}
	for _, name := range names {
		list = append(list, merge.Element{Key: name, Value: name})
	}
	return list
}

func TestSetsMergeByElement(t *testing.T) {
	decide := func(set merge.SetFacts, base bool) merge.Outcome {
		return merge.Decide(both(merge.Facts{HasBase: base, LeftChanged: true, RightChanged: true, Set: &set}))
	}
	got := decide(merge.SetFacts{
		Left: elements("a", "b", "l"), Right: elements("b", "c", "r"),
		BaseLeft: elements("a", "b", "c"), BaseRight: elements("a", "b", "c"),
	}, true)
	require.Equal(t, []any{"b", "l", "r"}, got.Value)
	require.True(t, got.Left)
	require.True(t, got.Right)

	got = decide(merge.SetFacts{Left: elements("a"), Right: elements("b")}, false)
	require.Equal(t, []any{"a", "b"}, got.Value)
	require.Equal(t, merge.WhyFirstLink, got.Why)

	got = decide(merge.SetFacts{Left: elements("x", "a"), Right: elements("a"), BaseLeft: elements("a", "b"), BaseRight: elements("a", "b")}, true)
	require.Equal(t, []any{"x", "a"}, got.Value)
	require.False(t, got.Left, "left already holds the merged set")
	require.True(t, got.Right)
}

// TestSetsOfWhichOneSideKeepsLess: what a server does not keep, or spells otherwise, is
// no edit of it.
func TestSetsOfWhichOneSideKeepsLess(t *testing.T) {
	decide := func(set merge.SetFacts, left, right bool) merge.Outcome {
		return merge.Decide(both(merge.Facts{HasBase: true, LeftChanged: left, RightChanged: right, Set: &set}))
	}
	base := merge.SetFacts{Left: elements("a", "b", "c"), Right: elements("a", "b"), BaseLeft: elements("a", "b", "c"), BaseRight: elements("a", "b")}
	require.Equal(t, merge.Keep, decide(base, false, false).Action)

	edited := base
	edited.Right = elements("b", "r")
	got := decide(edited, false, true)
	require.Equal(t, []any{"b", "c", "r"}, got.For(record.Left))
	require.True(t, got.Left)
	require.False(t, got.Right, "none on its own side")

	edited = base
	edited.Left = elements("a", "c", "l")
	got = decide(edited, true, false)
	require.Equal(t, []any{"a", "c", "l"}, got.For(record.Right), "there may be room for what was not kept")
	require.True(t, got.Right)
	require.False(t, got.Left)

	edited.Right = elements("b", "r")
	got = decide(edited, true, true)
	require.Equal(t, []any{"c", "l", "r"}, got.For(record.Left))
	require.Equal(t, []any{"r", "c", "l"}, got.For(record.Right), "its own first")
}

// TestDecideIsSymmetric: swapping the sides swaps the outcome, so that nothing
// depends on which side was looked at first.
func TestDecideIsSymmetric(t *testing.T) {
	mirrorSide := func(side record.Side) record.Side {
		if !side.Valid() {
			return side
		}
		return side.Other()
	}
	mirrorPolicy := map[merge.Policy]merge.Policy{merge.LeftWins: merge.RightWins, merge.RightWins: merge.LeftWins, merge.Newest: merge.Newest, merge.Manual: merge.Manual}
	rapid.Check(t, func(t *rapid.T) {
		flag := rapid.Bool()
		facts := merge.Facts{
			HasBase: flag.Draw(t, "base"), LeftChanged: flag.Draw(t, "lc"), RightChanged: flag.Draw(t, "rc"),
			Equal: flag.Draw(t, "eq"), LeftBlank: flag.Draw(t, "lb"), RightBlank: flag.Draw(t, "rb"),
			WriteLeft: flag.Draw(t, "wl"), WriteRight: flag.Draw(t, "wr"),
			Policy: rapid.SampledFrom([]merge.Policy{merge.LeftWins, merge.RightWins, merge.Newest, merge.Manual}).Draw(t, "policy"),
			Tie:    rapid.SampledFrom([]record.Side{record.Left, record.Right}).Draw(t, "tie"),
			Newer:  rapid.SampledFrom([]record.Side{"", record.Left, record.Right}).Draw(t, "newer"),
		}
		if facts.LeftBlank && facts.RightBlank {
			facts.Equal = true
		}
		mirrored := facts
		mirrored.LeftChanged, mirrored.RightChanged = facts.RightChanged, facts.LeftChanged
		mirrored.LeftBlank, mirrored.RightBlank = facts.RightBlank, facts.LeftBlank
		mirrored.WriteLeft, mirrored.WriteRight = facts.WriteRight, facts.WriteLeft
		mirrored.Policy, mirrored.Tie, mirrored.Newer = mirrorPolicy[facts.Policy], mirrorSide(facts.Tie), mirrorSide(facts.Newer)
		got, want := merge.Decide(mirrored), merge.Decide(facts)
		want.From, want.Left, want.Right = mirrorSide(want.From), want.Right, want.Left
		require.Equal(t, want, got)
	})
}

func TestNewerOf(t *testing.T) {
	at := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	edit := func(offset time.Duration) merge.Edit { return merge.Edit{At: at.Add(offset), Granularity: time.Second} }
	require.Equal(t, record.Left, merge.NewerOf(edit(2*time.Second), edit(0)))
	require.Equal(t, record.Right, merge.NewerOf(edit(0), edit(2*time.Second)))
	require.Equal(t, record.Side(""), merge.NewerOf(edit(time.Second), edit(0)), "within the step is a tie")
	require.Equal(t, record.Side(""), merge.NewerOf(edit(0), merge.Edit{}), "an unknown time decides nothing")
	ours := edit(5 * time.Minute)
	ours.Latest = true
	require.Equal(t, record.Side(""), merge.NewerOf(ours, edit(0)), "the time of our own write wins nothing")
	require.Equal(t, record.Right, merge.NewerOf(ours, edit(6*time.Minute)), "but who edits after it is newer")
	require.Equal(t, record.Left, merge.NewerOf(edit(6*time.Minute), ours))
	ahead := edit(5 * time.Minute)
	ahead.Skew = 5 * time.Minute
	require.Equal(t, record.Right, merge.NewerOf(ahead, edit(4*time.Second)), "a clock that runs ahead wins nothing by it")
	require.Equal(t, record.Side(""), merge.NewerOf(ahead, edit(3*time.Second)), "a corrected clock may be off by two seconds more")
	require.Equal(t, record.Side(""), merge.NewerOf(edit(3*time.Second), ahead), "on either side")
}
