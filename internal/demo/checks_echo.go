package demo

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/accord-sync/accord/internal/sandbox/sandboxclient"
	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// quietPolls is how many polls must pass without a write.
const quietPolls = 2

func noEcho(ctx context.Context, p *Play) (string, error) {
	if err := p.awaitIdle(ctx); err != nil {
		return "", err
	}
	before, err := p.writes(ctx)
	if err != nil {
		return "", err
	}
	polls, err := p.awaitPolls(ctx)
	if err != nil {
		return "", err
	}
	p.out.did("touched nothing while the service polled both servers: %s", polls)
	if err := p.awaitIdle(ctx); err != nil {
		return "", err
	}
	after, err := p.writes(ctx)
	if err != nil {
		return "", err
	}
	quiet := total(after) - total(before)
	edits := 0
	for _, n := range p.causes {
		edits += n
	}
	echoes, examples := p.countEchoes(after)
	p.echoes = echoes
	now, err := p.api.status(ctx, p.connection.ID)
	if err != nil {
		return "", err
	}
	read := fmt.Sprintf("pending changes %d, intents %d, open conflicts %d, dead letters %d; writes of the service in the quiet time: %d\nwrites of the service to both servers: %d, of which the first load %d, asked for by users' acts at most %d; echo writes: %d",
		now.Pending.Changes, now.Pending.Intents, now.OpenConflicts, now.DeadLetters, quiet, total(after), onlyLeft+onlyRight, edits, echoes)
	waiting := now.Pending.Changes + now.Pending.Intents + now.OpenConflicts + now.DeadLetters + now.Held
	if quiet != 0 || echoes != 0 || waiting != 0 {
		return read, fmt.Errorf("expected nothing pending, open, parked or held, and no write without a cause; read: %d waiting, %d writes in the quiet time, %d echo writes %s",
			waiting, quiet, echoes, strings.Join(examples, "; "))
	}
	return read, nil
}

// writes gives the service's writes by side, as both servers count them.
func (p *Play) writes(ctx context.Context) (map[string][]wire.WriteCount, error) {
	by := map[string][]wire.WriteCount{}
	for _, one := range p.systems() {
		// Any object: a write to users would be one too many as well.
		found, err := one.admin.Writes(ctx, sandboxclient.Filter{Actor: service})
		if err != nil {
			return nil, fmt.Errorf("read the writes of %s: %w", one.name, err)
		}
		by[one.side] = found
	}
	return by, nil
}

func total(by map[string][]wire.WriteCount) int {
	sum := 0
	for _, writes := range by {
		for _, one := range writes {
			sum += one.Calls
		}
	}
	return sum
}

// countEchoes counts the writes that changed nothing and those beyond what
// people's acts asked for. The first load may create each missing record once.
func (p *Play) countEchoes(by map[string][]wire.WriteCount) (echoes int, examples []string) {
	for side, writes := range by {
		effects := map[string]int{}
		for _, one := range writes {
			key := side + "/" + one.ID
			if idle := one.Calls - one.Effects; idle > 0 {
				echoes += idle
				examples = append(examples, fmt.Sprintf("%s: %d %s without an effect", key, idle, one.Op))
			}
			effects[key] += one.Effects
		}
		for key, n := range effects {
			allowed := p.causes[key]
			if p.loaded[key] {
				allowed++
			}
			if extra := n - allowed; extra > 0 {
				echoes += extra
				examples = append(examples, fmt.Sprintf("%s: %d writes, asked for %d", key, n, n-extra))
			}
		}
	}
	return echoes, examples[:min(len(examples), 5)]
}

// awaitPolls waits until the service has polled a few times more.
func (p *Play) awaitPolls(ctx context.Context) (string, error) {
	var last time.Time
	seen := -1
	return p.await(ctx, "a few more polls", patience, func(ctx context.Context) (bool, string, error) {
		now, err := p.api.status(ctx, p.connection.ID)
		if err != nil {
			return false, "", err
		}
		if at := now.stream(leadsStream).LastPollAt; at != nil && !at.Equal(last) {
			last = *at
			seen++
		}
		return seen >= quietPolls, fmt.Sprintf("%d polls", max(seen, 0)), nil
	})
}
