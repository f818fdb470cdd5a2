package transport

import (
	"context"
	"sync"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/record"
)

// Together has one reading of rows serve all who ask for it before it begins: while
// one is under way, those who ask gather for the next. So each answer is as fresh as
// if it had been asked for alone (x/sync/singleflight would also hand out one that
// began earlier). The zero value is ready to use.
type Together struct {
	mu sync.Mutex
	// gathering has not begun, reading has; by what is read.
	gathering, reading map[string]*reading
}

// reading is one reading for several.
type reading struct {
	done chan struct{}
	rows []record.Record
	err  error
}

// Read returns what read gives, of a call of it that begins after this one of Read.
// what names the thing that is read. The rows are shared: callers do not change them.
// It ends early with ctx (fault.Transient); where the one that reads for all was
// stopped, the others read for themselves.
func (t *Together) Read(ctx context.Context, what string, read func(context.Context) ([]record.Record, error)) ([]record.Record, error) {
	mine, before, first := t.join(what)
	if !first {
		select {
		case <-mine.done:
		case <-ctx.Done():
			return nil, gaveUp(ctx)
		}
		if mine.err != nil && ctx.Err() == nil && !fault.Is(mine.err, fault.Throttled) {
			return read(ctx)
		}
		return mine.rows, mine.err
	}
	if before != nil {
		select {
		case <-before.done:
		case <-ctx.Done():
		}
	}
	t.begin(what, mine)
	defer t.end(what, mine)
	if err := gaveUp(ctx); err != nil {
		mine.err = err
		return nil, err
	}
	mine.rows, mine.err = read(ctx)
	return mine.rows, mine.err
}

// join finds the reading that has not begun, or opens one behind that which has.
func (t *Together) join(what string) (mine, before *reading, first bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.gathering == nil {
		t.gathering, t.reading = map[string]*reading{}, map[string]*reading{}
	}
	if there, ok := t.gathering[what]; ok {
		return there, nil, false
	}
	// Whatever ends it before there is an answer: nobody takes that for "there is none".
	mine = &reading{done: make(chan struct{}), err: fault.New(fault.Transient, "the reading for several calls did not end; it is tried again")}
	t.gathering[what] = mine
	return mine, t.reading[what], true
}

func (t *Together) begin(what string, one *reading) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.gathering, what)
	t.reading[what] = one
}

func (t *Together) end(what string, one *reading) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.reading[what] == one {
		delete(t.reading, what)
	}
	close(one.done)
}

func gaveUp(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fault.Wrap(fault.Transient, err, "the time for the call was over before it was sent; it is tried again")
	}
	return nil
}

// Recent reads rows that changed since request.Since, oldest first, at most pages
// pages, for several searches at once, and keeps what roughly matches.
func (t *Together) Recent(ctx context.Context, request connector.SearchRequest, pages int, list Lister) ([]record.Record, error) {
	rows, err := t.Read(ctx, request.Object+"@"+request.Since.UTC().Format(timeKey), func(ctx context.Context) ([]record.Record, error) {
		var rows []record.Record
		next := connector.ListRequest{Object: request.Object, Since: request.Since}
		for range pages {
			page, err := list(ctx, next)
			if err != nil {
				return nil, err
			}
			if rows = append(rows, page.Records...); page.Next == "" {
				break
			}
			next.Cursor = page.Next
		}
		return rows, nil
	})
	return Matching(rows, request), err
}

// timeKey tells two moments apart as exactly as any vendor does.
const timeKey = "20060102150405.000000"
