package engine_test

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// budget is how many histories a mistake may live through.
const budget = 150

// mistake makes an engine with one mistake anew for each history, since some
// remember things. first is a history that finds it, tried before all others:
// when histories are drawn in another way, it costs a search and no more.
type mistake struct {
	first int
	make  func() *wrongEngine
}

// mistakes are those that the proofs must find.
func mistakes() map[string]mistake {
	return map[string]mistake{
		"no base":                               {0, noBase},
		"echoes told by time":                   {9, echoesByTime},
		"base moved before the write":           {0, baseBeforeWrite},
		"base from the whole answer":            {0, baseFromAnswer},
		"no marker search":                      {16, noMarkerSearch},
		"payload believed":                      {0, payloadBelieved},
		"absence is a delete":                   {6, absenceDeletes},
		"forbidden is a delete":                 {6, forbiddenDeletes},
		"lease not checked at commit":           {53, noLease},
		"history not written":                   {0, noHistory},
		"create without key or marker":          {0, bareCreate},
		"retry without reading":                 {1, staleRetry},
		"deletes without a guard":               {0, noGuard},
		"tombstones forgotten":                  {1, noTombstones},
		"decision not bound to the seen values": {0, unboundDecision},
		"Retry-After ignored":                   {1, noRetryAfter},
		"versions not used":                     {33, noVersions},
		"whole records written":                 {0, wholeRecords},
		"polls without overlap":                 {31, noOverlap},
		"references not translated":             {7, rawReferences},
		"intents forgotten":                     {0, noIntents},
	}
}

// TestWrongEngines proves the proofs: every engine with a mistake is found out
// by one of the histories that the real engine plays without a fault.
func TestWrongEngines(t *testing.T) {
	if os.Getenv("ACCORD_HISTORIES") == "" {
		t.Skip("the step `histories` of the continuous integration looks for them: ACCORD_HISTORIES=1 go test ./internal/engine -run TestWrongEngines")
	}
	slots := make(chan struct{}, players)
	for _, name := range slices.Sorted(maps.Keys(mistakes())) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			slots <- struct{}{}
			defer func() { <-slots }()
			found, tried, failure := search(t, mistakes()[name])
			require.NotEmpty(t, failure, "not found in %d histories", tried)
			require.Empty(t, play(randomHistory(firstSeed+found), t.TempDir(), nil).failure, "the real engine makes no mistake in history %d", found)
			t.Logf("found by history %d, the %d. tried: %s", found, tried, strings.ReplaceAll(failure, "\n", " "))
		})
	}
}

// search plays histories with a mistake until one finds it.
func search(t *testing.T, one mistake) (found, tried int, failure string) {
	t.Helper()
	order := []int{one.first}
	for n := range budget {
		if n != one.first {
			order = append(order, n)
		}
	}
	for tried, n := range order {
		wrong := one.make()
		if failure := play(randomHistory(firstSeed+n), t.TempDir(), wrong).failure; failure != "" {
			return n, tried + 1, failure
		}
	}
	return 0, len(order), ""
}
