package transport

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/fault"
)

// Pace is a limit that a vendor documents, and of whose window no header tells the
// end: so many calls in any stretch of time. It is kept by each process for itself.
type Pace struct {
	// Calls may be made in any Per.
	Calls int
	Per   time.Duration
	// Ending is the end of the paths that it holds for; empty: all that no other Pace names.
	Ending string
}

// PaceOf is what a driver's vendor documents; nil: nothing.
func PaceOf(driver connector.Driver) []Pace {
	if named, ok := driver.(interface{ Pace() []Pace }); ok {
		return named.Pace()
	}
	return nil
}

const (
	// longestPace is how long a call waits in place for its turn; longer waits go back
	// to the engine. A call under connector.WithPatience waits for half of its time.
	longestPace = time.Second
	// lookAgain is when a call that waits for answers of others looks again.
	lookAgain = 10 * time.Millisecond
)

// pace counts the calls of one Pace. A call counts from when it is sent until Per after
// its answer: the server counted it at some moment between.
type pace struct {
	Pace
	now func() time.Time

	mu       sync.Mutex
	underWay int
	answered []time.Time
}

// paces are the rules of one side, those with an ending first.
type paces []*pace

func newPaces(rules []Pace, now func() time.Time) paces {
	var made, rest paces
	for _, rule := range rules {
		if rule.Ending != "" {
			made = append(made, &pace{Pace: rule, now: now})
		} else {
			rest = append(rest, &pace{Pace: rule, now: now})
		}
	}
	return append(made, rest...)
}

// take waits for the turn of a call to path. done must be called when its answer has
// begun, or will not come. fault.Throttled: the turn is further off than a call waits.
func (p paces) take(ctx context.Context, path string) (done func(), err error) {
	for _, rule := range p {
		if strings.HasSuffix(path, rule.Ending) {
			return rule.take(ctx)
		}
	}
	return func() {}, nil
}

func (p *pace) take(ctx context.Context) (func(), error) {
	longest := longestPace
	if deadline, ok := ctx.Deadline(); ok && connector.Patient(ctx) {
		longest = max(longest, time.Until(deadline)/2)
	}
	for waited := time.Duration(0); ; {
		wait := p.try(connector.LaneOf(ctx))
		if wait <= 0 {
			return sync.OnceFunc(p.end), nil
		}
		if waited += wait; waited > longest {
			return nil, outOfTurn(wait)
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, outOfTurn(wait)
		}
	}
}

func outOfTurn(wait time.Duration) error {
	late := fault.New(fault.Throttled, "the calls that the system allows are used up; the side waits")
	late.After = wait
	return late
}

// try takes a turn, or tells how long to wait. Polls leave a tenth to live changes, first loads a fifth.
func (p *pace) try(lane connector.Lane) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	most := p.Calls
	switch lane {
	case connector.LanePoll:
		most -= p.Calls / 10
	case connector.LaneBackfill:
		most -= p.Calls / 5
	}
	now := p.now()
	for len(p.answered) > 0 && now.Sub(p.answered[0]) >= p.Per {
		p.answered = p.answered[1:]
	}
	over := p.underWay + len(p.answered) - most
	switch {
	case over < 0:
		p.underWay++
		return 0
	case over < len(p.answered):
		return max(p.answered[over].Add(p.Per).Sub(now), time.Millisecond)
	}
	return lookAgain
}

func (p *pace) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.underWay--
	p.answered = append(p.answered, p.now())
}
