//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// TestRecordedDay plays everything that people and systems do on one deployment,
// each part with servers and a connection of its own. At its end no history, log
// or metric may hold a canary or a secret (stack.end), and with -record the
// histories become those of the replay tests.
func TestRecordedDay(t *testing.T) {
	s := newStack(t, stackOptions{apis: 2, housekeeping: "5s"})
	t.Run("parts", func(t *testing.T) {
		for name, part := range map[string]func(*testing.T, *stack){
			"webhooks": dayOfWebhooks, "polls": dayOfPolls, "scheduled compare": dayOfScheduledCompare,
			"decision": dayOfDecision, "fallback": dayOfFallback, "pause": dayOfPause, "dead letter": dayOfDeadLetter,
			"guard": dayOfGuard, "throttled": dayOfThrottling, "tokens": dayOfTokens, "runs": dayOfRuns, "bad input": dayOfBadInput,
			"deactivation": dayOfDeactivation, "hubspot": dayOfHubSpot, "vendor's update": dayOfVendorsUpdate, "old doors": dayOfOldDoors,
			"touch-points alone": dayOfTouchPointsAlone, "edits": dayOfEdits,
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				part(t, s)
			})
		}
	})
	if *record && !t.Failed() {
		s.record(t)
	}
}

// bothWays creates, edits and deletes on each side and awaits the other. Deletes in
// SalesOS, which tells them by webhook only, are found by a comparison if asked.
func (w *world) bothWays(t *testing.T, have int, compare bool) int {
	t.Helper()
	for n, from := range w.systems() {
		to, began := w.across(from), time.Now()
		fields := w.lead(9001 + n)
		if from == w.right {
			fields = w.contact(9001 + n)
		}
		_, err := from.admin.CreateRecord(t.Context(), from.object, fields)
		require.NoError(t, err)
		have++
		w.awaitAgreement(t, have)
		who := w.pair(t, 9001+n)
		created := time.Since(began)

		want := person{"company": w.word("Outra"), "position": w.word("Diretora"), "note": ""}
		began = time.Now()
		if from == w.left {
			w.edit(t, from, who, map[string]any{"company": want["company"], "position": want["position"], "custom_fields": map[string]any{"note": nil}})
		} else {
			w.edit(t, from, who, map[string]any{"company_name": want["company"], "job_title": want["position"], "note": nil})
		}
		w.awaitBoth(t, who, want)
		edited := time.Since(began)
		links := w.links(t, from, who.on(from))
		require.Len(t, links, 1)
		require.Equal(t, who, pair{links[0].Left.ID, links[0].Right.ID})
		require.Equal(t, "active", links[0].State)

		began = time.Now()
		_, err = from.admin.DeleteRecord(t.Context(), from.object, who.on(from))
		require.NoError(t, err)
		if compare && from == w.left {
			w.startRun(t, "compare")
		}
		eventually(t, "the counterpart is deleted", func(ctx context.Context) (bool, string) {
			found, err := to.admin.Record(ctx, to.object, who.on(to))
			return err == nil && found.DeletedAt != nil, fmt.Sprintf("deleted at %v, error %v", found.DeletedAt, err)
		})
		have--
		w.awaitIdle(t)
		links = w.links(t, to, who.on(to))
		require.Len(t, links, 1)
		require.Equal(t, "tombstone", links[0].State)
		t.Logf("%s to %s: created after %s, edited after %s, deleted after %s", from.side, to.side,
			created.Round(time.Millisecond), edited.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
	}
	return have
}

// dayOfWebhooks lets nothing but webhooks tell of changes.
func dayOfWebhooks(t *testing.T, s *stack) {
	w := newWorld(t, s, withoutPolls())
	w.seed(t, 6, 5, 4)
	w.bringUp(t, 15)
	require.Equal(t, []int{6, 5}, []int{w.created(t, w.right), w.created(t, w.left)})
	now, err := w.status(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"active", "active"}, []string{now.Sides.Left.Webhook.State, now.Sides.Right.Webhook.State})
	have := w.bothWays(t, 15, false)

	// Fields of one record, edited on both sides at once, merge.
	who := w.pair(t, 1)
	want := person{"company": w.word("Esquerda"), "position": w.word("Direita"), "tags": "feira-" + w.canary + ",nova-" + w.canary + ",outra-" + w.canary}
	w.edit(t, w.left, who, map[string]any{"company": want["company"], "tags": []any{"feira-" + w.canary, "nova-" + w.canary}})
	w.edit(t, w.right, who, map[string]any{"job_title": want["position"], "labels": []any{"site-" + w.canary, "feira-" + w.canary, "outra-" + w.canary}})
	w.awaitBoth(t, who, want)
	t.Log("edits of different fields merged, labels by element")

	// Repeated and reordered deliveries change nothing.
	who = w.pair(t, 2)
	require.NoError(t, w.left.admin.RepeatWebhooks(t.Context(), 3, 2))
	require.NoError(t, w.left.admin.HoldWebhooks(t.Context()))
	w.edit(t, w.left, who, map[string]any{"company": w.word("Antes")})
	last := w.word("Depois")
	w.edit(t, w.left, who, map[string]any{"company": last})
	require.NoError(t, w.left.admin.ReleaseWebhooks(t.Context(), wire.Release{Order: wire.Reversed}))
	w.awaitBoth(t, who, person{"company": last})
	w.quiet(t)
	require.Empty(t, w.differences(t.Context(), have))
	history, err := all[historyEntry](t.Context(), s.api, w.path("/history"), map[string][]string{"stream": {"leads"}, "side": {"right"}, "id": {who.right}, "field": {"company"}})
	require.NoError(t, err)
	require.NotEmpty(t, history)
	require.Equal(t, last, text(history[0].New), "the newest entry of the history comes first: %+v", history)
}

// dayOfPolls has no webhooks.
func dayOfPolls(t *testing.T, s *stack) {
	w := newWorld(t, s, withoutWebhooks())
	w.seed(t, 3, 3, 2)
	w.bringUp(t, 8)
	w.bothWays(t, 8, true)
	for _, on := range w.systems() {
		hooks, err := on.admin.WebhookCounts(t.Context())
		require.NoError(t, err)
		require.Empty(t, hooks.Hooks, "a connection without webhook secrets registers none")
	}
	w.quiet(t)
}

// dayOfScheduledCompare loses a change for good: no webhook tells of it and no
// poll is due. The scheduled comparison finds it.
func dayOfScheduledCompare(t *testing.T, s *stack) {
	w := newWorld(t, s, withoutWebhooks(), withoutPolls(), variable("COMPARE_EVERY", "3s"))
	w.seed(t, 2, 2, 1)
	w.bringUp(t, 5)
	who := w.pair(t, 1)
	want := person{"company": w.word("Perdida")}
	w.edit(t, w.left, who, map[string]any{"company": want["company"]})
	w.awaitBoth(t, who, want)
	run := w.awaitRun(t, "compare")
	require.Equal(t, "succeeded", run.State)
	t.Logf("a scheduled comparison repaired a lost change: %s", run.WorkflowID)
}

// dayOfBadInput is refused in words.
func dayOfBadInput(t *testing.T, s *stack) {
	body := map[string]any{"integration": "integration: x\nsystems: {left: {conector: salesos}}\n", "variables": map[string]string{}, "secrets": map[string]string{}}
	status, _, raw, err := s.api.do(t.Context(), http.MethodPost, "/api/v1/connections", nil, body)
	require.NoError(t, err)
	require.Equal(t, http.StatusUnprocessableEntity, status, string(raw))
	require.Contains(t, string(raw), `"line"`)
	require.Contains(t, string(raw), "conector")
	stranger := newClient(s.api.root, "wrong-token")
	status, headers, raw, err := stranger.do(t.Context(), http.MethodGet, "/api/v1/connections", nil, nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusUnauthorized, status, string(raw))
	require.Contains(t, headers.Get("Content-Type"), "application/problem+json")

	// A wrong client secret fails the activation, with a reason that a person can use.
	w := newWorld(t, s)
	right := w.secrets["acme_client_secret"]
	w.secrets["acme_client_secret"] = "wrong-" + w.canary
	w.install(t)
	w.activate(t)
	eventually(t, "the connection is failing", func(ctx context.Context) (bool, string) {
		now, err := w.status(ctx)
		return now.State == "failing", fmt.Sprintf("%s, error %v", now.State, err)
	})
	w.secrets["acme_client_secret"] = right
	require.NoError(t, s.api.call(t.Context(), http.MethodPut, w.path(""), map[string]any{
		"integration": w.integration, "variables": w.variables, "secrets": w.secrets,
	}, nil))
	w.activate(t)
	eventually(t, "the connection is active", func(ctx context.Context) (bool, string) {
		now, err := w.status(ctx)
		return now.State == "active", fmt.Sprintf("%s, error %v", now.State, err)
	})
	t.Log("refused: bad file with line, wrong token, wrong client secret; corrected by PUT and activated")
}

// dayOfDeactivation deletes a connection.
func dayOfDeactivation(t *testing.T, s *stack) {
	w := newWorld(t, s)
	w.seed(t, 2, 2, 1)
	w.bringUp(t, 5)
	require.NoError(t, s.api.call(t.Context(), http.MethodDelete, w.path(""), nil, nil))
	eventually(t, "the connection and its webhooks are gone", func(ctx context.Context) (bool, string) {
		status, _, _, err := s.api.do(ctx, http.MethodGet, w.path(""), nil, nil)
		left, leftErr := w.left.admin.WebhookCounts(ctx)
		right, rightErr := w.right.admin.WebhookCounts(ctx)
		return status == http.StatusNotFound && len(left.Hooks)+len(right.Hooks) == 0 && leftErr == nil && rightErr == nil,
			fmt.Sprintf("status %d, %d and %d webhooks, error %v", status, len(left.Hooks), len(right.Hooks), err)
	})
	require.Empty(t, w.differences(t.Context(), 5), "deleting a connection touches no record")
}
