package engine_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/engine"
	"github.com/accord-sync/accord/internal/record"
	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// turnsWithin drains and lets pass the time that the clock of the bench says must
// pass, at most so much in all. It reports whether nothing waits any more.
func (b *bench) turnsWithin(most time.Duration) bool {
	b.t.Helper()
	for range 200 {
		result := b.drain()
		if result.Pending == 0 {
			return true
		}
		wait := max(result.NextDue.Sub(b.clock.now()), 0) + time.Millisecond
		if most -= wait; most < 0 {
			return false
		}
		b.clock.advance(wait)
	}
	return false
}

// The clock of the machine, which is the ledger's on SQLite, is set between an
// edit and its drain, between a failed try and the next, and between a worker's
// death and the next worker. What waited is done, at the latest after the longest
// pause that there is, and polls go on.
func TestOurOwnClockIsSet(t *testing.T) {
	for name, jump := range map[string]time.Duration{"an hour ahead": time.Hour, "an hour back": -time.Hour} {
		for state, before := range map[string]func(b *bench){
			"not yet tried": func(*bench) {},
			"a failed try": func(b *bench) {
				_, err := b.right.InjectFault(b.ctx, wire.Fault{Kind: wire.FaultStatus, Status: 503, Times: 1, Method: "PATCH"})
				require.NoError(b.t, err)
				b.drain()
			},
			"a killed create": func(b *bench) {
				b.hint(record.Right, b.create(record.Right, map[string]any{"first_name": "Bia", "email": "bia@x.com"}))
				b.crash = func(step string) error {
					if step == "before create" {
						return engine.Killed()
					}
					return nil
				}
				b.drain()
				b.crash = nil
			},
			"a killed worker": func(b *bench) {
				b.crash = func(step string) error {
					if step == "after update" {
						return engine.Killed()
					}
					return nil
				}
				b.drain()
				b.crash = nil
			},
		} {
			t.Run(name+" after "+state, func(t *testing.T) {
				b := start(t, setup{})
				lead, contact := b.pair("ana@x.com")
				b.edit(record.Left, lead, map[string]any{"company": "X"})
				b.hint(record.Left, lead)
				before(b)
				b.clock.advance(jump)
				b.restart()
				require.True(t, b.turnsWithin(25*time.Minute), "nothing waits for the old time to come again")
				require.Equal(t, "X", text(b.get(record.Right, contact), "company_name"))

				b.edit(record.Right, contact, map[string]any{"job_title": "CTO"})
				b.clock.advance(2 * time.Second)
				polls, err := b.store.ClaimDuePolls(b.ctx, time.Minute, 5)
				require.NoError(t, err)
				require.NotEmpty(t, polls, "the poll is due")
				b.hint(record.Right, contact)
				require.True(t, b.turnsWithin(time.Minute), "what comes after the jump waits for nothing")
				require.Equal(t, "CTO", text(b.get(record.Left, lead), "position"))
				b.quiet()
				people := 1
				if state == "a killed create" {
					people = 2
				}
				require.Len(t, b.live(record.Left), people)
				require.Len(t, b.live(record.Right), people)
			})
		}
	}
}

// slow gives the page of a listing some seconds after its server wrote it.
type slow struct {
	connector.Connector
	clock *clock
}

func (s *slow) List(ctx context.Context, request connector.ListRequest) (connector.Page, error) {
	page, err := s.Connector.List(ctx, request)
	if s.clock != nil {
		s.clock.advance(4 * time.Second)
	}
	return page, err
}

// TestASlowAnswerIsNoSlowClock: the newer of two edits wins by the servers' times, which
// are not set right by how long an answer took.
func TestASlowAnswerIsNoSlowClock(t *testing.T) {
	left := &slow{}
	b := start(t, onLeft(func(real connector.Connector) connector.Connector {
		left.Connector = real
		return left
	}))
	lead, contact := b.pair("ana@x.com")
	b.edit(record.Left, lead, map[string]any{"company": "Older"})
	b.clock.advance(3 * time.Second)
	b.edit(record.Right, contact, map[string]any{"company_name": "Newer"})
	left.clock = b.clock
	b.poll()
	left.clock = nil
	b.settle()
	require.Equal(t, "Newer", text(b.get(record.Left, lead), "company"))
	require.Equal(t, "Newer", text(b.get(record.Right, contact), "company_name"))
}
