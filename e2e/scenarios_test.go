//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	records "github.com/accord-sync/accord/internal/record"
	"github.com/accord-sync/accord/internal/sandbox/wire"
	"github.com/accord-sync/accord/internal/scenario"
)

// folder is one scenario with its golden, as the engine's own tests play it.
type folder struct {
	name   string
	story  scenario.Scenario
	golden string
	// cutOff are history lines of writes that a kill may cut off.
	cutOff string
	// phases are the steps of the story between two rests.
	phases [][]scenario.Step
}

// cell is one scenario, with one fate of its webhooks, that is killed at one call.
type cell struct {
	folder
	in    *arena
	at    string
	stage *scenario.Stage
	// held are the faults that hold its call open, by side.
	held map[*system][]string
	met  bool
}

func (c *cell) String() string {
	return fmt.Sprintf("%s, %s, killed %s", c.name, c.in.delivery, c.at)
}

// arena is a world in which all webhooks have one fate.
type arena struct {
	*world
	delivery string
	cells    []*cell
}

// perRound is how many scenarios an arena plays at once. Each round kills the
// workers at one kind of call: 4 deliveries × 10 kinds × 5 are the 200 cells.
const perRound = 5

// TestScenarios plays a spread of 200 cells of internal/engine/testdata/scenarios
// over real processes. Every scenario has records of its own, five of them go on in
// one connection at once, and the workers are killed with SIGKILL while the servers
// hold the call in question open, before or after its effect. All end as their
// goldens say.
func TestScenarios(t *testing.T) {
	folders := readFolders(t)
	s := newStack(t, stackOptions{})
	for _, one := range s.workers {
		// Long enough that all calls of a round are open at once.
		one.env = append(one.env, "ACCORD_LEASE=6s")
	}
	s.strike(t, s.workers)
	var arenas []*arena
	for n, delivery := range []string{"delivered", "tripled", "reversed", "lost"} {
		arenas = append(arenas, newArena(t, s, folders, delivery, n))
	}
	played := map[string]bool{}
	for _, a := range arenas {
		for _, c := range a.cells {
			played[c.name] = true
		}
	}
	require.Len(t, played, len(folders), "every scenario is in the spread")
	killed := 0
	for round, at := range callKinds() {
		killed += playRound(t, s, arenas, round, at)
	}
	for _, a := range arenas {
		a.rest(t, "compare")
		a.quiet(t)
		for _, c := range a.cells {
			ending, err := c.stage.Ending(t.Context())
			require.NoError(t, err)
			if ending = scenario.WithoutCutOff(ending, c.cutOff); ending != c.golden {
				t.Errorf("%s (met: %v) ended otherwise. Wanted:\n%s\nGot:\n%s", c, c.met, c.golden, ending)
			}
		}
	}
	t.Logf("200 cells, %d of them with their call open when the workers were killed; in the others the service made no such call", killed)
	require.Greater(t, killed, 150, "cells whose call was open")
}

// callKinds are the calls that the workers are killed at, one kind a round.
func callKinds() []string {
	var kinds []string
	for _, call := range []string{"create", "update", "delete", "get", "list"} {
		kinds = append(kinds, "before "+call, "after "+call)
	}
	return kinds
}

// readFolders reads the scenarios that one connection can play beside each other:
// those without settings of their own.
func readFolders(t *testing.T) []folder {
	t.Helper()
	files, err := filepath.Glob("../internal/engine/testdata/scenarios/*/scenario.txt")
	require.NoError(t, err)
	var folders []folder
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		story, err := scenario.Parse(string(text))
		require.NoError(t, err)
		golden, err := os.ReadFile(filepath.Join(filepath.Dir(file), "golden.txt"))
		require.NoError(t, err)
		cutOff, err := os.ReadFile(filepath.Join(filepath.Dir(file), "cut-off.txt"))
		require.True(t, err == nil || os.IsNotExist(err), "%v", err)
		if len(story.Variables)+len(story.Replace) > 0 {
			continue
		}
		one := folder{name: filepath.Base(filepath.Dir(file)), story: story, golden: string(golden), cutOff: string(cutOff), phases: [][]scenario.Step{nil}}
		for _, step := range story.When {
			last := len(one.phases) - 1
			if step.Side == "" && step.Verb != scenario.Waits {
				one.phases = append(one.phases, nil)
				last++
			}
			if step.Verb != scenario.Settles {
				one.phases[last] = append(one.phases[last], step)
			}
		}
		folders = append(folders, one)
	}
	require.Greater(t, len(folders), 20)
	return folders
}

// writes are the sides on which the golden has writes of one kind to ana.
func (f folder) writes(op string) []records.Side {
	var sides []records.Side
	for _, found := range regexp.MustCompile(`(?m)^  (left|right) ana: `+op+` \d+$`).FindAllStringSubmatch(f.golden, -1) {
		sides = append(sides, records.Side(found[1]))
	}
	return sides
}

// canMeet reports whether the service makes a call of a kind in the first phase.
func (f folder) canMeet(call string) bool {
	if call == "get" || call == "list" {
		return true
	}
	return len(f.writes(call)) > 0 && (len(f.phases) == 1 || strings.HasPrefix(f.name, "restored") || call == "delete")
}

// newArena brings a world up with what is given for all its scenarios.
func newArena(t *testing.T, s *stack, folders []folder, delivery string, offset int) *arena {
	t.Helper()
	a := &arena{world: newWorld(t, s, withoutPolls(), variable("GUARD_MAX", "1000")), delivery: delivery}
	next := map[string]int{}
	for _, at := range callKinds() {
		_, call, _ := strings.Cut(at, " ")
		var fit []folder
		for _, one := range folders {
			if one.canMeet(call) {
				fit = append(fit, one)
			}
		}
		require.NotEmpty(t, fit, call)
		for range perRound {
			one := fit[(next[call]+offset*2*perRound)%len(fit)]
			next[call]++
			c := &cell{folder: one, in: a, at: at, held: map[*system][]string{}}
			c.stage = &scenario.Stage{
				Left: a.left.admin, Right: a.right.admin, Service: told{t, a.world},
				Domain: fmt.Sprintf("cell%d.%s.example", len(a.cells), a.canary),
			}
			require.NoError(t, c.stage.Play(t.Context(), one.story.Given))
			a.cells = append(a.cells, c)
		}
	}
	a.install(t)
	a.activate(t)
	require.Equal(t, "succeeded", a.awaitRun(t, "backfill").State)
	a.awaitIdle(t)
	for _, on := range a.systems() {
		require.NoError(t, on.admin.HoldWebhooks(t.Context()))
		switch delivery {
		case "tripled":
			require.NoError(t, on.admin.RepeatWebhooks(t.Context(), 3, 0))
		case "lost":
			require.NoError(t, on.admin.DropWebhooks(t.Context(), 1<<20))
		}
	}
	return a
}

// playRound plays the cells of one kind of call in all arenas, and gives how many
// had their call open when the workers were killed.
func playRound(t *testing.T, s *stack, arenas []*arena, round int, at string) int {
	t.Helper()
	var cells []*cell
	for _, a := range arenas {
		cells = append(cells, a.cells[round*perRound:(round+1)*perRound]...)
	}
	for _, c := range cells {
		require.NoError(t, c.stage.Begin(t.Context()), "%s", c)
	}
	phases := 0
	for _, c := range cells {
		phases = max(phases, len(c.phases))
	}
	for phase := range phases {
		act(t, cells, phase)
		if phase == 0 {
			for n, c := range cells {
				// A run lists one page after the other: it is killed for all of an arena.
				if n%perRound > 0 && strings.HasSuffix(at, "list") {
					c.held = cells[n-1].held
					continue
				}
				c.hold(t, n/perRound)
			}
		}
		for _, a := range arenas {
			a.release(t)
			if a.delivery == "lost" {
				a.begin(t, "compare")
			}
			if strings.HasSuffix(at, "list") {
				a.begin(t, "poll")
			}
		}
		if phase == 0 {
			killOpenCalls(t, s, cells)
		}
		for _, a := range arenas {
			require.NoError(t, a.left.admin.ClearFaults(t.Context()))
			require.NoError(t, a.right.admin.ClearFaults(t.Context()))
		}
		for _, a := range arenas {
			a.rest(t, map[bool]string{true: "compare", false: "poll"}[a.delivery == "lost"])
		}
	}
	killed := 0
	for _, a := range arenas {
		for _, on := range a.systems() {
			require.NoError(t, on.admin.SetSwitches(t.Context(), map[string]any{"noop_bumps": false}))
		}
	}
	for _, c := range cells {
		if c.met {
			killed++
		}
	}
	t.Logf("killed %s: %d of %d cells had it open", at, killed, len(cells))
	return killed
}

// act lets all users act, one step of each scenario after the other, so that
// everybody waits together.
func act(t *testing.T, cells []*cell, phase int) {
	t.Helper()
	for n, more := 0, true; more; n++ {
		more = false
		var wait time.Duration
		for _, c := range cells {
			if phase >= len(c.phases) || n >= len(c.phases[phase]) {
				continue
			}
			more = true
			step := c.phases[phase][n]
			if step.Verb == scenario.Waits {
				wait = max(wait, step.For)
				continue
			}
			require.NoError(t, c.stage.Step(t.Context(), step), "%s: %s", c, step)
		}
		time.Sleep(wait)
	}
}

// release lets the held events arrive, in this arena's order; the next are held.
func (a *arena) release(t *testing.T) {
	t.Helper()
	order := wire.InOrder
	if a.delivery == "reversed" {
		order = wire.Reversed
	}
	for _, on := range a.systems() {
		require.NoError(t, on.admin.ReleaseWebhooks(t.Context(), wire.Release{Order: order}))
		require.NoError(t, on.admin.HoldWebhooks(t.Context()))
	}
}

// begin starts a run and does not wait for it.
func (a *arena) begin(t *testing.T, kind string) {
	t.Helper()
	a.s.api.post(t, a.path("/runs"), map[string]string{"kind": kind}, nil)
}

// rest waits until nothing is under way, the events of the service's own writes
// included, and until a run has found nothing left to do.
func (a *arena) rest(t *testing.T, kind string) {
	t.Helper()
	eventually(t, "no event is held and nothing is pending", func(ctx context.Context) (bool, string) {
		held := 0
		for _, on := range a.systems() {
			hooks, err := on.admin.WebhookCounts(ctx)
			require.NoError(t, err)
			held += hooks.Held + hooks.Waiting + hooks.Retrying
		}
		now, err := a.status(ctx)
		if held > 0 {
			a.release(t)
		}
		return err == nil && held == 0 && now.Pending.Changes+now.Pending.Intents == 0, fmt.Sprintf("%d events, pending %+v, error %v", held, now.Pending, err)
	})
	require.Equal(t, "succeeded", a.startRun(t, kind).State)
	eventually(t, "the run has left nothing to do", func(ctx context.Context) (bool, string) {
		now, err := a.status(ctx)
		a.release(t)
		return err == nil && now.Pending.Changes+now.Pending.Intents == 0, fmt.Sprintf("pending %+v, error %v", now.Pending, err)
	})
}
