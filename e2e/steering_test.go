//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// TestSteeringStorm: while people edit both sides, systems fail and processes are killed,
// an operator edits, pauses, resumes, activates and runs a connection in any order. It
// works when all that is over, whatever came last, and nothing is lost.
func TestSteeringStorm(t *testing.T) {
	s := newStack(t, stackOptions{apis: 2, door: true})
	w := newWorld(t, s)
	w.seed(t, 6, 6, 4)
	w.bringUp(t, 16)
	storm := &steering{t: t, s: s, w: w, dice: rand.New(rand.NewPCG(20261122, 7)), counts: map[string]int{}}
	for end := time.Now().Add(12 * time.Second); time.Now().Before(end); {
		storm.step()
		time.Sleep(time.Duration(storm.dice.IntN(200)) * time.Millisecond)
	}
	t.Logf("%d steps: %v", storm.steps, storm.counts)
	s.awaitReady(t)
	for _, on := range w.systems() {
		require.NoError(t, on.admin.ClearFaults(t.Context()))
		require.NoError(t, on.admin.ReleaseWebhooks(t.Context(), wire.Release{}))
	}
	s.api.post(t, w.path("/activate"), nil, nil)
	w.awaitAgreement(t, 16)
	w.awaitIdle(t)
	eventually(t, "it is active, and no run is left", func(ctx context.Context) (bool, string) {
		now, err := w.status(ctx)
		runs, runsErr := all[runStatus](ctx, s.api, w.path("/runs"), nil)
		going := 0
		for _, run := range runs {
			if run.EndedAt == nil {
				going++
			}
		}
		return err == nil && runsErr == nil && now.State == "active" && going == 0, fmt.Sprintf("%s, %d runs, errors %v %v", now.State, going, err, runsErr)
	})
	for _, on := range w.systems() {
		hooks, err := on.admin.WebhookCounts(t.Context())
		require.NoError(t, err)
		require.Len(t, hooks.Hooks, 1)
		require.True(t, hooks.Hooks[0].Active)
	}
	w.quiet(t)
}

// steering is an operator, with the people and the mishaps around.
type steering struct {
	t      *testing.T
	s      *stack
	w      *world
	dice   *rand.Rand
	steps  int
	counts map[string]int
}

func (o *steering) step() {
	o.steps++
	w := o.w
	switch o.dice.IntN(14) {
	case 0, 1, 2:
		w.edit(o.t, w.left, w.pair(o.t, 1+o.dice.IntN(16)), map[string]any{"company": w.word(fmt.Sprintf("Casa%d", o.steps))})
	case 3, 4:
		w.edit(o.t, w.right, w.pair(o.t, 1+o.dice.IntN(16)), map[string]any{"job_title": w.word(fmt.Sprintf("Chefe%d", o.steps))})
	case 5:
		w.variables["POLL_OVERLAP"] = fmt.Sprintf("%ds", 5+o.dice.IntN(5))
		o.ask(http.MethodPut, "", map[string]any{"variables": w.variables})
	case 6:
		w.secrets["salesos_webhook"] = fmt.Sprintf("hook-%d-%s", o.steps, w.canary)
		o.ask(http.MethodPut, "", map[string]any{"secrets": w.secrets})
	case 7, 8, 9:
		o.ask(http.MethodPost, []string{"/pause", "/resume", "/activate"}[o.dice.IntN(3)], nil)
	case 10:
		o.ask(http.MethodPost, "/runs", map[string]any{"kind": []string{"poll", "compare", "backfill", "replay"}[o.dice.IntN(4)]})
	case 11, 12:
		o.mishap()
	case 13:
		programs := append(append([]*process{}, o.s.workers...), o.s.apis...)
		victim := programs[o.dice.IntN(len(programs))]
		victim.kill(o.t)
		victim.start(o.t)
	}
}

// mishap lets one system fail for some calls, or hold its events.
func (o *steering) mishap() {
	faults := []wire.Fault{
		{Kind: wire.FaultStatus, Status: 500, Times: 4}, {Kind: wire.FaultStatus, Status: 503, When: wire.After, Times: 3, Method: http.MethodPatch},
		{Kind: wire.FaultStatus, Status: 429, RetryAfter: "1"}, {Kind: wire.FaultReset, Times: 3}, {Kind: wire.FaultCut, Times: 2},
		{Kind: wire.FaultStatus, Status: 401, Times: 6}, {Kind: wire.FaultEmptyList, Times: 2}, {Kind: wire.FaultRevokeToken, Times: 2},
	}
	on := o.w.systems()[o.dice.IntN(2)]
	n := o.dice.IntN(len(faults) + 1)
	if n == len(faults) {
		require.NoError(o.t, on.admin.HoldWebhooks(o.t.Context()))
		return
	}
	_, err := on.admin.InjectFault(o.t.Context(), faults[n])
	require.NoError(o.t, err)
}

// ask steers, and is told what came of it: done, refused by the state, or that the
// process which was asked is being killed.
func (o *steering) ask(method, path string, body any) {
	status, _, raw, err := o.s.api.do(o.t.Context(), method, o.w.path(path), nil, body)
	o.counts[fmt.Sprintf("%s %s %d", method, path, status)]++
	ended := err != nil || status == http.StatusOK || status == http.StatusAccepted || status == http.StatusConflict || status >= http.StatusBadGateway
	require.True(o.t, ended, "%s %s: %d %s", method, path, status, raw)
}
