//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/ledger/ledgertest"
	"github.com/accord-sync/accord/internal/sandbox/sandboxclient"
)

// onEachDatabase runs a test on SQLite and, where there is one, on Postgres.
func onEachDatabase(t *testing.T, test func(t *testing.T, db string)) {
	t.Run("sqlite", func(t *testing.T) { test(t, "") })
	t.Run("postgres", func(t *testing.T) {
		test(t, ledgertest.NewPostgresDatabase(t, ledgertest.StartPostgres(t)))
	})
}

// victims are the programs that are killed together.
func (s *stack) victims() map[string][]*process {
	return map[string][]*process{
		"workers": s.workers, "api": s.apis, "temporal": {s.temporal}, "everything": s.all(),
	}
}

// strike kills programs with SIGKILL, all of them before the first is started again.
func (s *stack) strike(t testing.TB, programs []*process) {
	t.Helper()
	for _, p := range programs {
		p.kill(t)
	}
	for _, p := range programs {
		p.start(t)
	}
	s.awaitReady(t)
}

// TestBackfillSurvivesKills kills programs at 37 % of a first load of 300 records.
func TestBackfillSurvivesKills(t *testing.T) {
	onEachDatabase(t, func(t *testing.T, db string) {
		s := newStack(t, stackOptions{db: db})
		for name, programs := range s.victims() {
			t.Run(name, func(t *testing.T) {
				w := newWorld(t, s, withoutPolls())
				w.seed(t, 180, 80, 40)
				w.slow(t, 300)
				w.install(t)
				w.activate(t)
				at := w.awaitProgress(t, 37)
				s.strike(t, programs)
				run := w.awaitRun(t, "backfill")
				require.Equal(t, "succeeded", run.State)
				w.slow(t, 0)
				w.awaitAgreement(t, 300)
				w.awaitIdle(t)
				require.Equal(t, []int{180, 80}, []int{w.created(t, w.right), w.created(t, w.left)}, "creates on the right and left")
				pages := w.pagesListedOnce(t)
				t.Logf("killed %s at %d%%: each record created once, %d pages listed once, counts %+v", name, at, pages, run.Counts)
				w.quiet(t)
			})
		}
	})
}

// TestListingSurvivesKills kills the workers while the first load lists.
func TestListingSurvivesKills(t *testing.T) {
	s := newStack(t, stackOptions{})
	w := newWorld(t, s, withoutPolls())
	w.seed(t, 700, 30, 20)
	w.slow(t, 300)
	w.install(t)
	w.activate(t)
	eventually(t, "three pages are listed", func(ctx context.Context) (bool, string) {
		pages := w.pages(ctx, t, w.left)
		return len(pages) >= 3, fmt.Sprint(pages)
	})
	s.strike(t, s.workers)
	w.slow(t, 0)
	require.Equal(t, "succeeded", w.awaitRun(t, "backfill").State)
	w.awaitAgreement(t, 750)
	require.Equal(t, []int{700, 30}, []int{w.created(t, w.right), w.created(t, w.left)})
	twice := []string{}
	for page, times := range w.pages(t.Context(), t, w.left) {
		if times > 1 {
			twice = append(twice, page)
		}
	}
	require.LessOrEqual(t, len(twice), 1, "only the page that was under way may be listed again: %v", twice)
	t.Logf("killed the workers in the middle of the listing: pages listed again: %v", twice)
}

// slow makes both servers take their time.
func (w *world) slow(t testing.TB, ms int) {
	t.Helper()
	for _, on := range w.systems() {
		require.NoError(t, on.admin.SetSwitches(t.Context(), map[string]any{"latency_ms": ms}))
	}
}

// awaitProgress waits until the first load has created percent of what it will, and
// gives how far it is: the servers know, also before the total is known.
func (w *world) awaitProgress(t testing.TB, percent int) int {
	t.Helper()
	var at int
	eventually(t, fmt.Sprintf("the backfill is at %d%%", percent), func(ctx context.Context) (bool, string) {
		run, _, err := w.run(ctx, "backfill")
		require.Nil(t, run.EndedAt, "the backfill was over before it could be disturbed: %+v", run)
		made := 0
		for _, on := range w.systems() {
			_, effects, failed := on.admin.WriteTotals(ctx, sandboxclient.Filter{Actor: service, Object: on.object, Op: "create"})
			made, err = made+effects, errors.Join(err, failed)
		}
		at = made * 100 / w.single
		return err == nil && at >= percent, fmt.Sprintf("%d%%, error %v", at, err)
	})
	return at
}

// pages counts the pages of full listings that the service has read from a server.
func (w *world) pages(ctx context.Context, t testing.TB, on *system) map[string]int {
	t.Helper()
	calls, err := on.admin.Calls(ctx, 0)
	require.NoError(t, err)
	pages := map[string]int{}
	for _, one := range calls {
		if one.Actor == service && one.Method == "GET" && one.Path == on.lists && one.Status == 200 && !partial(one.Query) {
			pages[one.Query]++
		}
	}
	return pages
}

// pagesListedOnce checks that no page was read twice and gives their number.
func (w *world) pagesListedOnce(t testing.TB) int {
	t.Helper()
	count := 0
	for _, on := range w.systems() {
		pages := w.pages(t.Context(), t, on)
		require.NotEmpty(t, pages)
		for page, times := range pages {
			require.Equal(t, 1, times, "%s %s was listed %d times: %v", on.lists, page, times, pages)
		}
		count += len(pages)
	}
	return count
}

// TestAcknowledgedWebhooksSurvive posts events and kills the API right after its
// 2xx. Nothing but these events tells of the edits.
func TestAcknowledgedWebhooksSurvive(t *testing.T) {
	onEachDatabase(t, func(t *testing.T, db string) {
		s := newStack(t, stackOptions{db: db})
		w := newWorld(t, s, withoutPolls())
		w.seed(t, 5, 5, 20)
		w.bringUp(t, 30)
		for _, on := range w.systems() {
			require.NoError(t, on.admin.DropWebhooks(t.Context(), 1000))
		}
		wanted := map[pair]string{}
		for n := 1; n <= 30; n++ {
			from, who := w.systems()[n%2], w.pair(t, n)
			wanted[who] = w.word("Vivo")
			w.edit(t, from, who, map[string]any{map[string]string{"left": "company", "right": "company_name"}[from.side]: wanted[who]})
			status := w.postEvent(t, from, who.on(from))
			require.True(t, status >= 200 && status < 300, "event answered %d", status)
			if n%10 == 0 {
				s.strike(t, s.apis)
			}
		}
		s.strike(t, s.all())
		for who, company := range wanted {
			w.awaitBoth(t, who, person{"company": company})
		}
		t.Log("30 acknowledged events, the API killed after each tenth, everything after the last: none lost")
		require.Equal(t, 401, w.postForged(t, w.left, w.pair(t, 1).left))
		w.quiet(t)
	})
}
