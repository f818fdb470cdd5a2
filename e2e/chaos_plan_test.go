//go:build e2e

package e2e

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/accord-sync/accord/internal/ledger/ledgertest"
)

// blow is something that befalls programs at a time of the storm: they are killed
// with SIGKILL and started again after a while, or frozen for that long.
type blow struct {
	at, away time.Duration
	kind     string
	programs []*process
	postgres bool
	frozen   bool
}

// String is its line in the plan.
func (b blow) String() string {
	what := "kill"
	if b.frozen {
		what = "freeze"
	}
	return fmt.Sprintf("%7.1fs %-6s %-10s for %4.1fs", b.at.Seconds(), what, b.kind, b.away.Seconds())
}

// planned are the blows of a storm. In each round every program is hit once and a
// worker is frozen for longer than its lease; long storms also strike all at once.
func planned(dice *rand.Rand, s *stack, postgres bool, length time.Duration) []blow {
	pace := max(min(length/9, 4*time.Second), time.Second)
	var plan []blow
	for round, at := 0, pace/2; at < length; round++ {
		hits := []blow{{kind: "freeze", programs: s.workers[round%2 : round%2+1], frozen: true}}
		for _, p := range s.all() {
			hits = append(hits, blow{kind: p.name, programs: []*process{p}})
		}
		if postgres {
			hits = append(hits, blow{kind: "postgres", postgres: true})
		}
		if round%2 == 1 {
			hits = append(hits, blow{kind: "workers", programs: s.workers}, blow{kind: "everything", programs: s.all(), postgres: postgres})
		}
		dice.Shuffle(len(hits), func(i, j int) { hits[i], hits[j] = hits[j], hits[i] })
		for _, hit := range hits {
			hit.at, hit.away = at, time.Duration(dice.Int64N(int64(2*time.Second)))
			if hit.frozen {
				hit.kind, hit.away = hit.programs[0].name, lease+time.Second+hit.away
			}
			if hit.at < length {
				plan = append(plan, hit)
			}
			at += pace/2 + time.Duration(dice.Int64N(int64(pace)))
		}
	}
	return plan
}

// lease is how long a record is held in these tests.
const lease = 2 * time.Second

// storm is a plan at work.
type storm struct {
	server *ledgertest.PostgresServer
	began  time.Time
	hits   map[string]int
	sleeps []sleep
}

type sleep struct{ from, to time.Time }

// strike carries the plan out and comes back when it is over and the time is up.
func (o *storm) strike(t *testing.T, plan []blow, length time.Duration) {
	t.Helper()
	o.began, o.hits = time.Now(), map[string]int{}
	for _, one := range plan {
		time.Sleep(time.Until(o.began.Add(one.at)))
		if one.frozen {
			o.freeze(t, one)
			continue
		}
		o.kill(t, one)
	}
	time.Sleep(time.Until(o.began.Add(length)))
}

func (o *storm) freeze(t *testing.T, one blow) {
	t.Helper()
	from := time.Now()
	for _, p := range one.programs {
		p.suspend(t)
		defer func() {
			p.resume(t)
			o.sleeps = append(o.sleeps, sleep{from, time.Now()})
		}()
	}
	o.hits["frozen "+one.kind]++
	time.Sleep(one.away)
}

func (o *storm) kill(t *testing.T, one blow) {
	t.Helper()
	if one.postgres {
		o.server.Kill()
		o.hits["postgres"]++
	}
	for _, p := range one.programs {
		if !p.running() {
			t.Fatalf("%s ended by itself:\n%s", p.name, p.tail())
		}
		p.signal(syscall.SIGKILL)
		o.hits[p.name]++
	}
	time.Sleep(one.away)
	if one.postgres {
		o.server.Start(t)
	}
	for _, p := range one.programs {
		p.start(t)
	}
}

func tellPlan(plan []blow) string {
	var lines []string
	for _, one := range plan {
		lines = append(lines, "    "+one.String())
	}
	return strings.Join(lines, "\n")
}
