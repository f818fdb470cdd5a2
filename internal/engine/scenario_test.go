package engine_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/record"
	"github.com/accord-sync/accord/internal/sandbox/wire"
	"github.com/accord-sync/accord/internal/scenario"
)

var (
	update = flag.Bool("update", false, "write the goldens of the scenarios anew")
	every  = flag.Bool("every", false, "play every cell of the scenarios, also those that are much like others")
)

// delivery is what becomes of the webhooks that users' acts cause.
type delivery string

const (
	delivered delivery = "delivered"
	tripled   delivery = "tripled"
	reversed  delivery = "reversed"
	lost      delivery = "lost"
)

// cell is one square of the table: a delivery and a kill, or none.
type cell struct {
	delivery delivery
	kill     killing
}

func (c cell) String() string {
	if c.kill.n == 0 {
		return string(c.delivery) + ", undisturbed"
	}
	return fmt.Sprintf("%s, killed %s %d", c.delivery, c.kill.step, c.kill.n)
}

// play plays a scenario in one cell and gives its ending.
func (p *performance) play(story scenario.Scenario, in cell) string {
	p.t.Helper()
	p.hold(in.delivery)
	require.NoError(p.t, p.Die(p.ctx, in.kill.step, in.kill.n))
	for _, step := range story.When {
		if step.Side == "" && step.Verb != scenario.Waits {
			p.rest(in.delivery)
		}
		if step.Verb != scenario.Settles {
			require.NoError(p.t, p.stage.Step(p.ctx, step), "%s", step)
		}
		// Servers tell times in whole seconds: what comes later is later.
		p.clock.advance(time.Second)
	}
	p.rest(in.delivery)
	require.Zero(p.t, p.kill.n, "%s: the process never came to that step", in)
	p.came = maps.Clone(p.met)
	// Whatever waited for a record to become visible, or for a lease.
	p.clock.advance(90 * time.Second)
	p.rest(lost)
	return p.ending()
}

func (p *performance) ending() string {
	p.t.Helper()
	ending, err := p.stage.Ending(p.ctx)
	require.NoError(p.t, err)
	return ending
}

// hold keeps the events of both servers until the service is at rest.
func (p *performance) hold(how delivery) {
	p.t.Helper()
	for _, side := range record.Sides() {
		client := p.stage.Client(side)
		require.NoError(p.t, client.HoldWebhooks(p.ctx))
		switch how {
		case tripled:
			require.NoError(p.t, client.RepeatWebhooks(p.ctx, 3, 0))
		case lost:
			require.NoError(p.t, client.DropWebhooks(p.ctx, 1000))
		}
	}
}

// rest lets events arrive until there are none, those of the service's own writes
// too, and then does what happens by the clock: a poll, and a comparison where
// events are lost, since SalesOS tells of a delete in no other way.
func (p *performance) rest(how delivery) {
	p.t.Helper()
	for p.release(how) > 0 {
		require.NoError(p.t, p.Settle(p.ctx))
	}
	require.NoError(p.t, p.Settle(p.ctx))
	require.NoError(p.t, p.Poll(p.ctx))
	require.NoError(p.t, p.Settle(p.ctx))
	if how == lost {
		require.NoError(p.t, p.Compare(p.ctx))
		require.NoError(p.t, p.Settle(p.ctx))
	}
}

// release lets the held events arrive, and gives how many there were.
func (p *performance) release(how delivery) int {
	p.t.Helper()
	order := wire.InOrder
	if how == reversed {
		order = wire.Reversed
	}
	count := 0
	for _, side := range record.Sides() {
		client := p.stage.Client(side)
		hooks, err := client.WebhookCounts(p.ctx)
		require.NoError(p.t, err)
		if count += hooks.Held; hooks.Held == 0 {
			continue
		}
		require.NoError(p.t, client.ReleaseWebhooks(p.ctx, wire.Release{Order: order}))
		require.NoError(p.t, client.HoldWebhooks(p.ctx))
		require.Eventually(p.t, func() bool {
			hooks, err := client.WebhookCounts(p.ctx)
			return err == nil && hooks.Waiting+hooks.Retrying == 0
		}, time.Minute, time.Millisecond)
	}
	return count
}

// kinds are the calls that a process is killed before and after.
func kinds() []string {
	var steps []string
	for _, call := range []string{"create", "update", "delete", "get", "list"} {
		steps = append(steps, "before "+call, "after "+call)
	}
	return steps
}

// TestScenarios plays every folder of testdata/scenarios in every cell of
// {delivered, tripled, reversed, lost} × {killed before or after each create,
// update, delete, get and list}. All of them have the same ending.
func TestScenarios(t *testing.T) {
	folders, err := filepath.Glob("testdata/scenarios/*/scenario.txt")
	require.NoError(t, err)
	require.NotEmpty(t, folders)
	for _, file := range folders {
		t.Run(filepath.Base(filepath.Dir(file)), func(t *testing.T) {
			t.Parallel()
			playFolder(t, filepath.Base(filepath.Dir(file)), file)
		})
	}
}

func playFolder(t *testing.T, name, file string) {
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	story, err := scenario.Parse(string(text))
	require.NoError(t, err)
	golden := filepath.Join(filepath.Dir(file), "golden.txt")
	cutOff, err := os.ReadFile(filepath.Join(filepath.Dir(file), "cut-off.txt"))
	require.True(t, err == nil || os.IsNotExist(err), "%v", err)
	h := newTheatre(t)
	if *update {
		ending := h.perform(t, story).play(story, cell{delivery: delivered})
		require.NoError(t, os.WriteFile(golden, []byte(ending), 0o600))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err, "go test ./internal/engine -run TestScenarios -update writes it")
	cells := 0
	deliveries := []delivery{delivered, tripled, reversed, lost}
	if testing.Short() {
		// The race detector makes all of it some ten times as slow.
		deliveries = deliveries[:1]
	}
	for _, how := range deliveries {
		undisturbed := h.perform(t, story)
		in := cell{delivery: how}
		require.Equal(t, string(want), undisturbed.play(story, in), "%s", in)
		cells++
		came := undisturbed.came
		undisturbed.rest(lost)
		require.Equal(t, string(want), undisturbed.ending(), "%s: nothing happens, nothing is written", in)
		for _, step := range kinds() {
			for _, n := range occurrences(name, how, step, came[step]) {
				in.kill = killing{step: step, n: n}
				ending := h.perform(t, story).play(story, in)
				if strings.HasSuffix(step, " update") {
					ending = scenario.WithoutCutOff(ending, string(cutOff))
				}
				require.Equal(t, string(want), ending, "%s", in)
				cells++
			}
		}
	}
	t.Logf("%d cells", cells)
}

// occurrences are the calls of one kind, of so many that the undisturbed process
// makes, at which it is killed. With -every it is each of them. Without, a folder
// of the table is killed at each when events are delivered or lost, and at the
// first and the last when they only come otherwise; listings, which mean nothing
// where events arrive, once there. A folder beside the table is killed at the first
// and the last with its events delivered. With -short it is the first alone.
func occurrences(name string, how delivery, step string, count int) []int {
	all := make([]int, count)
	for n := range all {
		all[n] = n + 1
	}
	switch {
	case *every || count == 0:
		return all
	case (testing.Short() || !inTable(name)) && how != delivered:
		return nil
	case testing.Short() || strings.HasSuffix(step, "list") && how != lost:
		return all[:1]
	case !inTable(name) || how == tripled || how == reversed:
		return slices.Compact([]int{1, count})
	}
	return all
}

// inTable reports whether a folder is one of the table of changes and sides.
func inTable(name string) bool {
	for _, change := range []string{"unchanged", "edited", "same-edit", "different-edit", "edits-of-different-fields", "deleted", "created-on-both-with-one-key"} {
		if name == change+"-left" || name == change+"-right" {
			return true
		}
	}
	return false
}
