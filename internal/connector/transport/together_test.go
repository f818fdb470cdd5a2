package transport_test

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/record"
)

// numbered makes readings that say which one they are, the first of which waits.
type numbered struct {
	count          atomic.Int32
	begun, release chan struct{}
	fails          error
}

func newNumbered() *numbered {
	return &numbered{begun: make(chan struct{}), release: make(chan struct{})}
}

func (n *numbered) read(context.Context) ([]record.Record, error) {
	number := n.count.Add(1)
	if number == 1 {
		close(n.begun)
		<-n.release
		if n.fails != nil {
			return nil, n.fails
		}
	}
	return []record.Record{{Ref: record.Ref{ID: strconv.Itoa(int(number))}}}, nil
}

// Those who ask while a reading is under way share the next one: what is under way
// may have passed by what they look for.
func TestOneReadingServesThoseWhoAskedBeforeIt(t *testing.T) {
	synctest.Test(t, oneReadingForMany)
}

func oneReadingForMany(t *testing.T) {
	var together transport.Together
	readings := newNumbered()
	var all sync.WaitGroup
	ask := func(want string) {
		rows, err := together.Read(t.Context(), "contacts", readings.read)
		assert.NoError(t, err)
		assert.Len(t, rows, 1)
		assert.Equal(t, want, rows[0].Ref.ID)
	}
	all.Go(func() { ask("1") })
	<-readings.begun
	for range 20 {
		all.Go(func() { ask("2") })
	}
	rows, err := together.Read(t.Context(), "deals", func(context.Context) ([]record.Record, error) { return nil, nil })
	require.NoError(t, err, "something else is read at any time")
	require.Empty(t, rows)
	synctest.Wait() // all have asked
	close(readings.release)
	all.Wait()
	require.EqualValues(t, 2, readings.count.Load())
}

func TestWhoReadsForAllIsStopped(t *testing.T) {
	var together transport.Together
	readings := newNumbered()
	var all sync.WaitGroup
	all.Go(func() {
		_, err := together.Read(t.Context(), "contacts", readings.read)
		assert.NoError(t, err)
	})
	<-readings.begun
	stopped, stop := context.WithCancel(t.Context())
	stop()
	_, err := together.Read(stopped, "contacts", readings.read)
	require.Equal(t, fault.Transient, fault.CodeOf(err), "it gathered the others, and had no time to read")
	close(readings.release)
	all.Wait()
	rows, err := together.Read(t.Context(), "contacts", readings.read)
	require.NoError(t, err)
	require.Equal(t, "2", rows[0].Ref.ID)
}

func TestAReadingThatFails(t *testing.T) {
	for name, one := range map[string]struct {
		fails error
		reads int32
	}{
		"asks to slow down: nobody asks again": {fault.New(fault.Throttled, "slow down"), 2},
		"failed for the one that read":         {errors.New("broken"), 5},
	} {
		synctest.Test(t, func(t *testing.T) {
			t.Log(name)
			var together transport.Together
			first, second := newNumbered(), newNumbered()
			second.fails = one.fails
			var all sync.WaitGroup
			all.Go(func() { _, _ = together.Read(t.Context(), "contacts", first.read) }) // its rows are not looked at here
			<-first.begun
			var failed atomic.Int32
			for range 4 {
				all.Go(func() {
					if _, err := together.Read(t.Context(), "contacts", second.read); err != nil {
						failed.Add(1)
					}
				})
			}
			synctest.Wait() // all have asked
			close(first.release)
			<-second.begun
			close(second.release)
			all.Wait()
			require.Equal(t, one.reads, first.count.Load()+second.count.Load())
			if one.reads == 2 {
				require.EqualValues(t, 4, failed.Load())
			} else {
				require.EqualValues(t, 1, failed.Load(), "the others read for themselves")
			}
		})
	}
}

// A reading that ends in a panic has not found "nothing".
func TestAReadingThatPanics(t *testing.T) {
	var together transport.Together
	require.Panics(t, func() {
		_, _ = together.Read(t.Context(), "contacts", func(context.Context) ([]record.Record, error) { panic("a defect") })
	})
	rows, err := together.Read(t.Context(), "contacts", func(context.Context) ([]record.Record, error) { return []record.Record{{}}, nil })
	require.NoError(t, err)
	require.Len(t, rows, 1)
}

func TestRecentReadsSoManyPages(t *testing.T) {
	var together transport.Together
	var asked []connector.ListRequest
	list := func(_ context.Context, request connector.ListRequest) (connector.Page, error) {
		asked = append(asked, request)
		id := strconv.Itoa(len(asked))
		return connector.Page{Next: id, Records: []record.Record{{Ref: record.Ref{ID: id}, Fields: record.Fields{"email": id + "@x.com"}}}}, nil
	}
	since := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	found, err := together.Recent(t.Context(), connector.SearchRequest{Object: "contacts", Path: "email", Value: "2@X.com", Since: since}, 3, list)
	require.NoError(t, err)
	require.Len(t, found, 1)
	require.Equal(t, "2", found[0].Ref.ID)
	require.Equal(t, []connector.ListRequest{
		{Object: "contacts", Since: since}, {Object: "contacts", Since: since, Cursor: "1"}, {Object: "contacts", Since: since, Cursor: "2"},
	}, asked)
}
