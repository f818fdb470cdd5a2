//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// dayOfEdits: an integration is edited, once with a pause right behind it and once
// while the connection is paused. The pause holds, and each edit is taken over.
func dayOfEdits(t *testing.T, s *stack) {
	pause := func(w *world) { s.api.post(t, w.path("/pause"), nil, nil) }
	edit := func(w *world) {
		w.variables["POLL_OVERLAP"] = "6s"
		require.NoError(t, s.api.call(t.Context(), http.MethodPut, w.path(""), map[string]any{"variables": w.variables}, nil))
	}
	for name, steps := range map[string][]func(*world){"paused after it": {edit, pause}, "paused before it": {pause, edit}} {
		w := newWorld(t, s)
		w.seed(t, 2, 2, 1)
		w.bringUp(t, 5)
		for _, step := range steps {
			step(w)
		}
		resumed := name == "paused before it"
		if resumed {
			s.api.post(t, w.path("/resume"), nil, nil)
		}
		eventually(t, "the edit is taken over", func(ctx context.Context) (bool, string) {
			runs, err := all[runStatus](ctx, s.api, w.path("/runs"), nil)
			loads := 0
			for _, run := range runs {
				if run.Kind == "backfill" {
					loads++
				}
			}
			return loads == 2, fmt.Sprintf("%s: %d first loads, error %v", name, loads, err)
		})
		if !resumed {
			now, err := w.status(t.Context())
			require.NoError(t, err)
			require.Equal(t, "paused", now.State, "who pauses last has the last word")
			s.api.post(t, w.path("/activate"), nil, nil)
		}
		who, want := w.pair(t, 1), person{"company": w.word("Editada")}
		w.edit(t, w.left, who, map[string]any{"company": want["company"]})
		w.awaitBoth(t, who, want)
		w.awaitIdle(t)
	}
	t.Log("an edit before a pause and one during it: both taken over, and the pause held")
}
