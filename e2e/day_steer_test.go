//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/sandbox/wire"
)

func (w *world) openConflicts(ctx context.Context) ([]conflict, error) {
	return all[conflict](ctx, w.s.api, w.path("/conflicts"), map[string][]string{"state": {"open"}})
}

// awaitConflict waits for one open conflict.
func (w *world) awaitConflict(t *testing.T) conflict {
	t.Helper()
	var found []conflict
	eventually(t, "there is one open conflict", func(ctx context.Context) (bool, string) {
		var err error
		found, err = w.openConflicts(ctx)
		return len(found) == 1, fmt.Sprintf("%+v, error %v", found, err)
	})
	require.NotEmpty(t, found[0].WorkflowID)
	return found[0]
}

func (w *world) awaitNoConflict(t *testing.T) {
	t.Helper()
	eventually(t, "no conflict is open", func(ctx context.Context) (bool, string) {
		found, err := w.openConflicts(ctx)
		return err == nil && len(found) == 0, fmt.Sprintf("%+v, error %v", found, err)
	})
}

// collide edits the phone of one record on both sides, which a person must decide.
func (w *world) collide(t *testing.T, who pair, n int) conflict {
	t.Helper()
	require.NoError(t, w.left.admin.HoldWebhooks(t.Context()))
	require.NoError(t, w.right.admin.HoldWebhooks(t.Context()))
	w.edit(t, w.left, who, map[string]any{"phone": w.phone(n)})
	w.edit(t, w.right, who, map[string]any{"phone": w.phone(n + 1)})
	require.NoError(t, w.left.admin.ReleaseWebhooks(t.Context(), wire.Release{}))
	require.NoError(t, w.right.admin.ReleaseWebhooks(t.Context(), wire.Release{}))
	open := w.awaitConflict(t)
	require.Equal(t, "phone", open.Field)
	require.Equal(t, []any{w.phone(n), w.phone(n + 1)}, []any{open.Left, open.Right})
	return open
}

// dayOfDecision: a conflict is decided by a person; a stale view is refused.
func dayOfDecision(t *testing.T, s *stack) {
	w := newWorld(t, s, withoutPolls())
	w.seed(t, 1, 1, 3)
	w.bringUp(t, 5)
	who := w.pair(t, 3)
	open := w.collide(t, who, 500)
	// Other fields flow meanwhile.
	want := person{"company": w.word("Corre")}
	w.edit(t, w.left, who, map[string]any{"company": want["company"]})
	w.awaitBoth(t, who, want)
	require.Equal(t, w.phone(500), w.holds(t, w.left, who)["phone"])
	require.Equal(t, w.phone(501), w.holds(t, w.right, who)["phone"])

	stale := map[string]any{"choose": "left", "seen": map[string]any{"left": w.phone(499), "right": open.Right}}
	status, _, raw, err := s.api.do(t.Context(), http.MethodPost, "/api/v1/conflicts/"+open.ID+"/resolve", nil, stale)
	require.NoError(t, err)
	require.Equal(t, http.StatusConflict, status, string(raw))
	decided := map[string]any{"choose": "right", "seen": map[string]any{"left": open.Left, "right": open.Right}}
	s.api.post(t, "/api/v1/conflicts/"+open.ID+"/resolve", decided, nil)
	w.awaitBoth(t, who, person{"phone": w.phone(501)})
	w.awaitNoConflict(t)
	t.Log("stale decision: 409; decision for the right side: applied")

	// A value of the operator's own.
	open = w.collide(t, who, 510)
	s.api.post(t, "/api/v1/conflicts/"+open.ID+"/resolve", map[string]any{"choose": "value", "value": w.phone(520)}, nil)
	w.awaitBoth(t, who, person{"phone": w.phone(520)})
	w.awaitNoConflict(t)

	// It closes by itself when the sides agree.
	w.collide(t, who, 530)
	w.edit(t, w.right, who, map[string]any{"phone": w.phone(530)})
	w.awaitNoConflict(t)
	w.awaitBoth(t, who, person{"phone": w.phone(530)})
	w.quiet(t)
}

// dayOfFallback: nobody decides.
func dayOfFallback(t *testing.T, s *stack) {
	w := newWorld(t, s, withoutPolls(), variable("CONFLICT_DEADLINE", "3s"))
	w.seed(t, 0, 0, 2)
	w.bringUp(t, 2)
	who := w.pair(t, 1)
	w.collide(t, who, 600)
	w.awaitBoth(t, who, person{"phone": w.phone(600)})
	w.awaitNoConflict(t)
	closed, err := all[conflict](t.Context(), s.api, w.path("/conflicts"), map[string][]string{"state": {"closed"}})
	require.NoError(t, err)
	require.Len(t, closed, 1)
	t.Log("the deadline passed: the fallback chose the left side")
}

// dayOfPause: a paused connection does nothing and takes events; resumed, it catches up.
func dayOfPause(t *testing.T, s *stack) {
	w := newWorld(t, s)
	w.seed(t, 2, 1, 1)
	w.bringUp(t, 4)
	w.s.api.post(t, w.path("/pause"), nil, nil)
	eventually(t, "it is paused", func(ctx context.Context) (bool, string) {
		now, err := w.status(ctx)
		return now.State == "paused", fmt.Sprintf("%s, error %v", now.State, err)
	})
	// Workers that are busy with it may take half a second to notice, which nothing shows.
	time.Sleep(time.Second)
	before := [2]int{w.writes(t, w.left), w.writes(t, w.right)}
	who := w.pair(t, 1)
	want := person{"company": w.word("Parada")}
	w.edit(t, w.left, who, map[string]any{"company": want["company"]})
	eventually(t, "the event was taken", func(ctx context.Context) (bool, string) {
		now, err := w.status(ctx)
		hooks, hookErr := w.left.admin.WebhookCounts(ctx)
		return now.Pending.Changes > 0 && hooks.Waiting+hooks.Retrying == 0, fmt.Sprintf("%+v, %+v, errors %v %v", now.Pending, hooks, err, hookErr)
	})
	require.Equal(t, before, [2]int{w.writes(t, w.left), w.writes(t, w.right)})
	w.s.api.post(t, w.path("/resume"), nil, nil)
	w.awaitBoth(t, who, want)
	w.awaitIdle(t)
	t.Log("paused: the event was stored and nothing written; resumed: caught up")
}

// dayOfDeadLetter: Acme refuses a value; a person corrects it.
func dayOfDeadLetter(t *testing.T, s *stack) {
	w := newWorld(t, s)
	w.seed(t, 3, 0, 1)
	w.bringUp(t, 4)
	who := w.pair(t, 1)
	bad := w.word("Recusado")
	require.NoError(t, w.right.admin.RejectField(t.Context(), wire.Rejection{Object: "contacts", Field: "job_title", Value: bad, Message: bad + " is no title"}))
	w.edit(t, w.left, who, map[string]any{"position": bad})
	var letters []deadLetter
	eventually(t, "the record is parked", func(ctx context.Context) (bool, string) {
		var err error
		letters, err = all[deadLetter](ctx, s.api, w.path("/dead-letters"), nil)
		return len(letters) == 1, fmt.Sprintf("%+v, error %v", letters, err)
	})
	require.Equal(t, http.StatusUnprocessableEntity, letters[0].Reason.Status)
	require.Equal(t, bad, w.holds(t, w.left, who)["position"])
	other := w.pair(t, 2)
	w.edit(t, w.left, other, map[string]any{"company": "Livre " + w.canary})
	w.awaitBoth(t, other, person{"company": "Livre " + w.canary})

	want := w.word("Aceito")
	require.NoError(t, s.api.call(t.Context(), http.MethodPatch, "/api/v1/dead-letters/"+letters[0].ID, map[string]any{"fields": map[string]any{"position": want}}, nil))
	s.api.post(t, "/api/v1/dead-letters/"+letters[0].ID+"/replay", nil, nil)
	w.awaitBoth(t, who, person{"position": want})
	eventually(t, "no dead letter is open", func(ctx context.Context) (bool, string) {
		now, err := w.status(ctx)
		return err == nil && now.DeadLetters == 0, fmt.Sprintf("%d open, error %v", now.DeadLetters, err)
	})
	require.NoError(t, w.right.admin.ClearRejections(t.Context()))
	t.Log("422: parked, corrected by PATCH, replayed; other records went on")
	run := w.startRun(t, "replay")
	require.Equal(t, "succeeded", run.State)
	w.quiet(t)
}

// dayOfGuard: a mass delete waits for an operator.
func dayOfGuard(t *testing.T, s *stack) {
	w := newWorld(t, s, variable("GUARD_MAX", "2"))
	w.seed(t, 0, 0, 10)
	w.bringUp(t, 10)
	for n := 1; n <= 6; n++ {
		who := w.pair(t, n)
		_, err := w.left.admin.DeleteRecord(t.Context(), "leads", who.left)
		require.NoError(t, err)
	}
	var state guard
	eventually(t, "the guard holds four deletes", func(ctx context.Context) (bool, string) {
		var err error
		state, err = get[guard](ctx, s.api, w.path("/guard"))
		people, _, peopleErr := w.right.people(ctx)
		return state.State == "holding" && len(state.Held) == 4 && len(people) == 8, fmt.Sprintf("%+v, %d contacts, errors %v %v", state, len(people), err, peopleErr)
	})
	require.Equal(t, 2, state.Limit)
	s.api.post(t, w.path("/guard/approve"), map[string]any{"ids": []string{state.Held[0].ID}}, nil)
	eventually(t, "one more is deleted", func(ctx context.Context) (bool, string) {
		people, _, err := w.right.people(ctx)
		return len(people) == 7, fmt.Sprintf("%d contacts, error %v", len(people), err)
	})
	s.api.post(t, w.path("/guard/approve"), map[string]any{"all": true}, nil)
	w.awaitAgreement(t, 4)
	eventually(t, "the guard is clear", func(ctx context.Context) (bool, string) {
		var err error
		state, err = get[guard](ctx, s.api, w.path("/guard"))
		return state.State == "clear", fmt.Sprintf("%+v, error %v", state, err)
	})
	t.Log("6 deletes, 2 allowed: 4 held, one approved by id, the rest together")
	w.quiet(t)
}

// dayOfRuns: a second run of a kind joins the first; a POST repeated under its
// Idempotency-Key answers the same and does nothing twice.
func dayOfRuns(t *testing.T, s *stack) {
	w := newWorld(t, s, withoutPolls())
	w.seed(t, 20, 10, 5)
	w.bringUp(t, 35)
	require.NoError(t, w.left.admin.SetSwitches(t.Context(), map[string]any{"latency_ms": 300}))
	ids := make([]string, 6)
	var group sync.WaitGroup
	for n := range ids {
		group.Go(func() {
			api := newClient("http://"+s.apis[n%2].env[indexOf(s.apis[n%2].env, "ACCORD_LISTEN=")][len("ACCORD_LISTEN="):], s.token)
			var run runStatus
			if err := api.call(t.Context(), http.MethodPost, w.path("/runs"), map[string]string{"kind": "compare"}, &run); err != nil {
				t.Errorf("start a run: %v", err)
			}
			ids[n] = run.ID
		})
	}
	group.Wait()
	for _, id := range ids {
		require.Equal(t, ids[0], id, "runs asked for at once are one: %v", ids)
	}
	require.NoError(t, w.left.admin.SetSwitches(t.Context(), map[string]any{"latency_ms": 0}))
	w.awaitRun(t, "compare")

	key := map[string]string{"Idempotency-Key": "once-" + w.id}
	first, _, answer, err := s.api.do(t.Context(), http.MethodPost, w.path("/runs"), key, map[string]string{"kind": "poll"})
	require.NoError(t, err)
	require.Equal(t, http.StatusAccepted, first, string(answer))
	w.awaitRun(t, "poll")
	again, headers, repeated, err := s.api.do(t.Context(), http.MethodPost, w.path("/runs"), key, map[string]string{"kind": "poll"})
	require.NoError(t, err)
	require.Equal(t, first, again)
	require.JSONEq(t, string(answer), string(repeated))
	t.Logf("six runs at once were one; repeated POST: %d, Idempotent-Replayed %q", again, headers.Get("Idempotent-Replayed"))
	polls := 0
	runs, err := all[runStatus](t.Context(), s.api, w.path("/runs"), nil)
	require.NoError(t, err)
	for _, one := range runs {
		if one.Kind == "poll" {
			polls++
		}
	}
	require.Equal(t, 1, polls)
	other, _, raw, err := s.api.do(t.Context(), http.MethodPost, w.path("/runs"), key, map[string]string{"kind": "compare"})
	require.NoError(t, err)
	require.GreaterOrEqual(t, other, 400, "the same key with another body: %s", raw)
	w.quiet(t)
}

// dayOfThrottling: Retry-After counts for both workers.
func dayOfThrottling(t *testing.T, s *stack) {
	w := newWorld(t, s)
	w.seed(t, 12, 0, 12)
	w.bringUp(t, 24)
	calls, err := w.right.admin.Calls(t.Context(), 0)
	require.NoError(t, err)
	since := calls[len(calls)-1].Seq
	const rest = 3
	_, err = w.right.admin.InjectFault(t.Context(), wire.Fault{Kind: wire.FaultStatus, Status: http.StatusTooManyRequests, RetryAfter: fmt.Sprint(rest)})
	require.NoError(t, err)
	for n := 1; n <= 24; n++ {
		w.edit(t, w.left, w.pair(t, n), map[string]any{"company": fmt.Sprintf("Calma %s %d", w.canary, n)})
	}
	w.awaitAgreement(t, 24)
	calls, err = w.right.admin.Calls(t.Context(), since)
	require.NoError(t, err)
	var at time.Time
	early, after := 0, 0
	for _, one := range calls {
		switch passed := one.At.Sub(at); {
		case at.IsZero() && one.Status == http.StatusTooManyRequests:
			at = one.At
		case at.IsZero() || passed < 300*time.Millisecond: // on the wire when the 429 came
		case passed < rest*time.Second:
			early++
			t.Logf("early by %s: %s %s", rest*time.Second-passed, one.Method, one.Path)
		default:
			after++
		}
	}
	require.False(t, at.IsZero(), "no call met the 429")
	require.Zero(t, early, "calls before Retry-After was over")
	require.NotZero(t, after)
	t.Logf("after 429 with Retry-After %d both workers stayed away; %d calls later", rest, after)
	w.quiet(t)
}

// dayOfTokens: tokens end early, are revoked, and the client's secret changes.
func dayOfTokens(t *testing.T, s *stack) {
	w := newWorld(t, s)
	w.seed(t, 3, 0, 3)
	w.bringUp(t, 6)
	who := w.pair(t, 1)
	for what, strike := range map[string]func(*system) error{
		"expired": func(on *system) error { return on.admin.ExpireTokens(t.Context()) },
		"revoked": func(on *system) error { return on.admin.RevokeTokens(t.Context()) },
	} {
		for _, on := range w.systems() {
			require.NoError(t, strike(on))
		}
		want := person{"company": w.word("Depois de " + what)}
		w.edit(t, w.left, who, map[string]any{"company": want["company"]})
		w.awaitBoth(t, who, want)
		t.Logf("tokens %s on both sides: edits flow", what)
	}
	// The vendor's administrator changes the secret: nothing is lost until we have the new one.
	fresh := "client-fresh-" + w.canary
	require.NoError(t, w.right.admin.SetClientSecret(t.Context(), "accord", fresh))
	require.NoError(t, w.right.admin.RevokeTokens(t.Context()))
	want := person{"company": w.word("Chave nova")}
	w.edit(t, w.left, who, map[string]any{"company": want["company"]})
	eventually(t, "the right side is told to be unreachable", func(ctx context.Context) (bool, string) {
		now, err := w.status(ctx)
		return err == nil && !now.Sides.Right.Reachable, fmt.Sprintf("%+v, error %v", now.Sides.Right, err)
	})
	w.secrets["acme_client_secret"] = fresh
	require.NoError(t, s.api.call(t.Context(), http.MethodPut, w.path(""), map[string]any{
		"integration": w.integration, "variables": w.variables, "secrets": w.secrets,
	}, nil))
	w.awaitBoth(t, who, want)
	w.awaitIdle(t)
	now, err := w.status(t.Context())
	require.NoError(t, err)
	require.Zero(t, now.DeadLetters, "refused credentials park nothing")
	t.Log("client secret changed: waited, and went on with the new one")
}
