package engine_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/engine"
	"github.com/accord-sync/accord/internal/record"
)

// TestAFrozenWorkerWritesNothingLate freezes a worker just before each of its
// writes for longer than its lease, while another one does the work and users
// go on editing: when it wakes up it must not write its old values.
func TestAFrozenWorkerWritesNothingLate(t *testing.T) {
	b := start(t, setup{})
	lead, contact := b.pair("ana@x.com")
	b.edit(record.Left, lead, map[string]any{"company": "old"})
	b.hint(record.Left, lead)

	frozen, thaw := make(chan struct{}), make(chan struct{})
	options := b.options
	options.Probe = func(step string) error {
		if step == "before update" {
			close(frozen)
			<-thaw
		}
		return nil
	}
	sleeper := engine.New(options)
	var asleep sync.WaitGroup
	asleep.Add(1)
	go func() {
		defer asleep.Done()
		_, _ = sleeper.Drain(b.ctx, b.key, engine.DrainRequest{})
	}()
	<-frozen
	b.clock.advance(11 * time.Second)
	b.quiet()
	require.Equal(t, "old", text(b.get(record.Right, contact), "company_name"), "the other worker settled it and wrote")
	b.edit(record.Right, contact, map[string]any{"company_name": "newer"})
	b.quiet()
	writes := b.writes(record.Right)
	close(thaw)
	asleep.Wait()
	b.quiet()
	require.Equal(t, writes, b.writes(record.Right), "the worker that slept wrote nothing")
	require.Equal(t, "newer", text(b.get(record.Right, contact), "company_name"))
	require.Equal(t, "newer", text(b.get(record.Left, lead), "company"))
}

// TestTwoWorkersShareTheWork lets two engines drain one connection at once.
func TestTwoWorkersShareTheWork(t *testing.T) {
	b := start(t, setup{})
	const records = 60
	for n := range records {
		b.hint(record.Left, b.create(record.Left, map[string]any{"name": "A", "email": fmt.Sprintf("u%d@x.com", n)}))
		b.hint(record.Right, b.create(record.Right, map[string]any{"first_name": "A", "email": fmt.Sprintf("v%d@x.com", n)}))
	}
	var both sync.WaitGroup
	done := make([]int, 2)
	for n := range done {
		both.Add(1)
		go func() {
			defer both.Done()
			worker := engine.New(b.options)
			result, err := worker.Drain(b.ctx, b.key, engine.DrainRequest{Shard: n, Shards: 1})
			if err == nil {
				done[n] = result.Done
			}
		}()
	}
	both.Wait()
	b.settle()
	require.Positive(t, done[0])
	require.Positive(t, done[1])
	require.Len(t, b.live(record.Left), 2*records)
	require.Len(t, b.live(record.Right), 2*records)
	require.Equal(t, records, b.writes(record.Left))
	require.Equal(t, records, b.writes(record.Right))
}
