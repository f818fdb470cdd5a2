package demo

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/integrations"
)

// What a check needs and has not is neither well nor a failure, and is told as such in
// the story, the table and the verdict.
func TestWhatIsNotRunIsNeverPassed(t *testing.T) {
	var out bytes.Buffer
	p := &Play{out: &printer{out: &out}, now: time.Now}
	results := playAll(t.Context(), p, []check{
		{name: "good", title: "A good one", play: func(context.Context, *Play) (string, error) { return "", nil }},
		{name: "calendar", title: "One that needs something", play: func(context.Context, *Play) (string, error) { return "", needs{"Radicale"} }},
	})
	require.Equal(t, []bool{true, false}, []bool{results[0].OK, results[1].OK})
	p.out.summary(results, 3, 0)
	told := judge(results, 3, 0)
	require.False(t, told.OK)
	require.Equal(t, 1, told.NotRun)
	require.Zero(t, told.failed())
	require.NoError(t, p.out.json(told))
	require.Contains(t, out.String(), "----  calendar was not run: needs Radicale")
	require.Contains(t, out.String(), "2 checks, 0 failed, 1 not run for want of what they need.")
	require.NotContains(t, out.String(), "FAIL")
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	require.Contains(t, lines[len(lines)-1], `"not_run":"needs Radicale"`)
	require.Contains(t, lines[len(lines)-1], `"not_run":1`)
}

func TestTheChecksOfTheTourHaveNamesOfTheirOwn(t *testing.T) {
	seen, numbers := map[string]bool{}, map[string]bool{}
	for _, one := range tourChecks() {
		require.False(t, seen[one.name], one.name)
		require.NotEmpty(t, one.title)
		require.NotNil(t, one.play)
		seen[one.name] = true
		number, _, _ := strings.Cut(one.name, "-")
		numbers[number] = true
	}
	for n := 1; n <= 16; n++ {
		require.True(t, numbers[fmt.Sprintf("%02d", n)], "number %d of what an integration has to cope with", n)
	}
	require.Len(t, numbers, 16)
	require.True(t, slices.IsSortedFunc(tourChecks(), func(a, b check) int { return strings.Compare(a.name, b.name) }))
}

// The lines that checks replace are in the shipped files: one that is gone is told, and
// not left out in silence.
func TestAPlaceRefusesToReplaceWhatIsNotThere(t *testing.T) {
	p := &Play{out: &printer{out: io.Discard}, now: time.Now}
	_, err := newPlace(t.Context(), p, integrations.SalesOSAcme, edited{"no such line", ""})
	require.ErrorContains(t, err, `expected salesos-acme.yaml to have the line "no such line"`)
	w, err := newPlace(t.Context(), p, integrations.SalesOSAcme, people()...)
	require.NoError(t, err)
	require.Contains(t, w.integration, "allow: [invite, deactivate]")
	w.servers.Close()
}

func TestDigReadsPaths(t *testing.T) {
	fields := map[string]any{"stage": map[string]any{"name": "New"}, "name": "Ana"}
	require.Equal(t, "New", dig(fields, "stage.name"))
	require.Equal(t, "Ana", dig(fields, "name"))
	require.Nil(t, dig(fields, "name.first"))
}

func TestChecksAreChosenByName(t *testing.T) {
	all := tourChecks()
	chosen, err := choose(all, nil)
	require.NoError(t, err)
	require.Len(t, chosen, len(all))
	chosen, err = choose(all, []string{"10-hubspot", "01-patterns"})
	require.NoError(t, err)
	require.Len(t, chosen, 2)
	require.Equal(t, "01-patterns", chosen[0].name, "in the order of the tour")
	_, err = choose(all, []string{"nosuch"})
	require.ErrorContains(t, err, `the tour has no check "nosuch"; it has 01-patterns,`)
}

// A program that is not there is a need, told with what to install.
func TestAMissingProgramIsANeed(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := installed("no-such-program", "Nothing (apt-get install nothing)")
	var missing needs
	require.ErrorAs(t, err, &missing)
	require.Equal(t, "not run: needs Nothing (apt-get install nothing)", err.Error())
}

// What is counted for somebody else than the one user and lead is no count of theirs.
func TestTouchPointsOfOthersAreKeyedApart(t *testing.T) {
	c := &tally{user: "u1", lead: "l1"}
	require.Equal(t, "2026-03-01 call", c.key("2026-03-01", "call", "left", "u1", "left", "l1"))
	require.Equal(t, "2026-03-01 call customer right/c1", c.key("2026-03-01", "call", "left", "u1", "right", "c1"))
	require.Equal(t, "2026-03-01 call user /", c.key("2026-03-01", "call", "", "", "left", "l1"))
	require.Equal(t, "a: 2, b: 1", told(map[string]int{"b": 1, "a": 2}))
}

// What the script of the real Tryton prints is read, and the script is inside the program.
func TestSettingsOfARealServer(t *testing.T) {
	found := settingsOf("export A=http://127.0.0.1:1/crm B=admin\nexport C=x=y\n")
	require.Equal(t, map[string]string{"A": "http://127.0.0.1:1/crm", "B": "admin", "C": "x=y"}, found)
	require.True(t, bytes.HasPrefix(serveTryton, []byte("#!/usr/bin/env bash\n")))
}
