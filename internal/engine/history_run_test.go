package engine_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// firstSeed is where the histories of every ordinary run begin, so that a
// change is judged by what it does and not by luck.
const firstSeed = 20261122

// histories is how many are played: ACCORD_HISTORIES (the step `histories` of
// the continuous integration plays 500), else few.
func histories(t *testing.T, few int) int {
	t.Helper()
	asked := os.Getenv("ACCORD_HISTORIES")
	if asked == "" {
		if testing.Short() {
			return few / 5
		}
		return few
	}
	count, err := strconv.Atoi(asked)
	require.NoError(t, err, "ACCORD_HISTORIES is a number")
	return count
}

// enough failures end a play: there is something to mend.
const enough = 3

// players is how many histories are played at once.
const players = 2

// TestHistories plays random histories and checks all eleven points of the
// contract after each. A failing one is shortened and printed.
func TestHistories(t *testing.T) {
	count := histories(t, 40)
	total, failed := playSeeds(t.TempDir(), firstSeed, func(played int) bool { return played < count })
	t.Log(report(count, total))
	for _, one := range failed {
		t.Error(explain(t, one))
	}
}

// TestSoak plays new random histories for as long as ACCORD_SOAK says
// (make soak SOAK=30m), and reports. ACCORD_SEED repeats those of another time.
func TestSoak(t *testing.T) {
	asked := os.Getenv("ACCORD_SOAK")
	if asked == "" {
		t.Skip("ACCORD_SOAK says for how long: make soak SOAK=30m")
	}
	long, err := time.ParseDuration(asked)
	require.NoError(t, err, "ACCORD_SOAK is a duration such as 30m")
	began := time.Now()
	seed := int(began.UnixNano() / int64(time.Millisecond) % 1_000_000_000_000)
	if given := os.Getenv("ACCORD_SEED"); given != "" {
		seed, err = strconv.Atoi(given)
		require.NoError(t, err, "ACCORD_SEED is a number")
	}
	fmt.Printf("new histories for %s, first seed %d\n", long, seed)
	count, told := 0, began
	total, failed := playSeeds(t.TempDir(), seed, func(played int) bool {
		if time.Since(told) > time.Minute {
			told = time.Now()
			fmt.Printf("%s: %d histories\n", told.Sub(began).Round(time.Second), played)
		}
		count = played
		return time.Since(began) < long
	})
	fmt.Println(report(count, total)+",", len(failed), "failures, in", time.Since(began).Round(time.Second))
	for _, one := range failed {
		t.Error(explain(t, one))
	}
}

// broken is a history that failed.
type broken struct {
	seed    int
	history history
	failure string
}

// playSeeds plays history after history while more says so.
func playSeeds(dir string, seed int, more func(played int) bool) (total outcome, failed []broken) {
	var mu sync.Mutex
	var all sync.WaitGroup
	played := 0
	next := func() (int, bool) {
		mu.Lock()
		defer mu.Unlock()
		if len(failed) >= enough || !more(played) {
			return 0, false
		}
		played++
		return seed + played - 1, true
	}
	for range players {
		all.Add(1)
		go func() {
			defer all.Done()
			for {
				one, ok := next()
				if !ok {
					return
				}
				h := randomHistory(one)
				result := play(h, dir, nil)
				mu.Lock()
				total.add(result)
				if result.failure != "" {
					failed = append(failed, broken{seed: one, history: h, failure: result.failure})
				}
				mu.Unlock()
			}
		}()
	}
	all.Wait()
	return total, failed
}

func report(count int, total outcome) string {
	return fmt.Sprintf("%d histories, %d steps, %d edits, %d deliveries, %d faults, %d crashes, %d writes, %d excused edits",
		count, total.steps, total.edits, total.deliveries, total.faults, total.crashes, total.writes, total.excused)
}

// explain shortens a failing history and says how to play it again.
func explain(t *testing.T, one broken) string {
	t.Helper()
	short := shorten(one.history, 120, func(h history) bool { return play(h, t.TempDir(), nil).failure != "" })
	failure := play(short, t.TempDir(), nil).failure
	if failure == "" {
		short, failure = one.history, one.failure+"\n(not every time)"
	}
	return fmt.Sprintf("history %d failed:\n%s\n\nSave these lines to a file and play it again with\nACCORD_HISTORY=FILE go test ./internal/engine -run TestHistory$ -count=1 -v\n\n%s", one.seed, failure, short)
}

// TestHistory plays one history again: ACCORD_HISTORY names its file, or
// ACCORD_SEED its seed.
func TestHistory(t *testing.T) {
	file, seed := os.Getenv("ACCORD_HISTORY"), os.Getenv("ACCORD_SEED")
	var h history
	switch {
	case file != "":
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		h, err = parseHistory(string(text))
		require.NoError(t, err)
	case seed != "":
		number, err := strconv.Atoi(seed)
		require.NoError(t, err)
		h = randomHistory(number)
	default:
		t.Skip("no history was named")
	}
	t.Log("\n" + h.String())
	began := time.Now()
	result := play(h, t.TempDir(), nil)
	t.Log(report(1, result), time.Since(began))
	require.Empty(t, result.failure)
}

// TestKnownHistories plays those that have failed once (testdata/histories).
func TestKnownHistories(t *testing.T) {
	files, err := filepath.Glob("testdata/histories/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			h, err := parseHistory(string(text))
			require.NoError(t, err)
			require.Empty(t, play(h, t.TempDir(), nil).failure)
		})
	}
}

// shorten takes away what a failure does not need: steps in halves, then one by
// one, then settings. It plays at most tries histories.
func shorten(h history, tries int, fails func(history) bool) history {
	for size := max(1, len(h.steps)/2); size > 0 && tries > 0; {
		shorter := false
		for from := 0; from < len(h.steps) && tries > 0; {
			fewer := h
			fewer.steps = append(append([]step{}, h.steps[:from]...), h.steps[min(from+size, len(h.steps)):]...)
			tries--
			if fails(fewer) {
				h, shorter = fewer, true
				continue
			}
			from += size
		}
		if !shorter || size > len(h.steps) {
			size /= 2
		}
	}
	usual := plain()
	for _, calmer := range []func(*settings){
		func(s *settings) { s.tick = usual.tick }, func(s *settings) { s.leftOff, s.rightOff = 0, 0 }, func(s *settings) { s.late = 0 },
		func(s *settings) { s.lag = 0 }, func(s *settings) { s.versions = true }, func(s *settings) { s.unique, s.keys = true, true },
		func(s *settings) { s.updatedAfter, s.customFields = usual.updatedAfter, usual.customFields }, func(s *settings) { s.guard = usual.guard },
		func(s *settings) { s.policy, s.phone = usual.policy, usual.phone }, func(s *settings) { s.retryAfter = usual.retryAfter },
	} {
		plainer := h
		if calmer(&plainer.settings); plainer.settings != h.settings && fails(plainer) {
			h = plainer
		}
	}
	return h
}
