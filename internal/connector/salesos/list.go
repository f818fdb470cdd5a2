package salesos

import (
	"context"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/record"
)

// maxBack bounds how often one listing steps back because pages do not join up.
const maxBack = 20

// List reads one page.
//
// The API counts pages by offset, and those shift while people work. So:
//
//   - everything is read by created_after and sort=created_at, an order that
//     never changes: the filter moves to just below the last row;
//   - changes are read the same way by updated_after and sort=updated_at where
//     the server has that filter, else by sort=-updated_at from the newest
//     down, and from the newest down again until one page is enough;
//   - what has no updated time, or a server that ignores the order, is read
//     page by page.
//
// Wherever a second page of one query is needed (many rows of one second, the
// newest-first and page-by-page readings), it must contain one of the last rows
// of the page before, else that page is read again, which gives the rows that
// moved up meanwhile. Rows may repeat; none is left out.
func (c *client) List(ctx context.Context, request connector.ListRequest) (connector.Page, error) {
	object, err := c.object(request.Object)
	if err != nil {
		return connector.Page{}, err
	}
	at := c.start(object, request)
	if request.Cursor != "" {
		if at, err = decodePlace(request.Cursor); err != nil {
			return connector.Page{}, err
		}
	}
	return c.listAt(ctx, object, at)
}

// listAt reads the page at a place, in a simpler way if the server does not
// understand or obey the present one.
func (c *client) listAt(ctx context.Context, object object, at place) (connector.Page, error) {
	for {
		got, err := c.page(ctx, object, at.query(at.Page))
		if err != nil {
			simpler, ok := at.fallback(false)
			if ok && fault.Is(err, fault.Invalid) {
				at = simpler
				continue
			}
			return connector.Page{}, err
		}
		filter, order := at.honoured(got.rows)
		if filter && order {
			return c.turn(ctx, object, at, got)
		}
		simpler, ok := at.fallback(filter)
		if !ok {
			return c.turn(ctx, object, at, got)
		}
		at = simpler
	}
}

// turn makes the answer of a page and finds out where to go on.
func (c *client) turn(ctx context.Context, object object, at place, got listed) (connector.Page, error) {
	if at.Page == 1 && at.Total == 0 && at.Mode != newestFirst && got.total >= 0 {
		at.Total = got.total + 1
	}
	page := connector.Page{Records: got.rows, Total: at.Total - 1, ServerTime: got.serverTime, Whole: at.whole()}
	if at.Page > 1 && len(at.Tail) > 0 && !at.joins(got.rows) {
		before, err := c.page(ctx, object, at.query(at.Page-1))
		if err != nil {
			return connector.Page{}, err
		}
		page.Records = union(before.rows, got.rows)
		if !at.joins(before.rows) && at.Back < maxBack {
			at.Back++
			at.Page--
			at.Tail = nil
			page.Next = at.encode()
			return page, nil
		}
	}
	next, more, err := c.next(at, got)
	if err != nil {
		return connector.Page{}, err
	}
	if more {
		page.Next = next.encode()
	}
	if at.Mode == newestFirst {
		page.Records = c.since(at, page.Records)
	}
	return page, nil
}

// next is the place after a page that was read.
func (c *client) next(at place, got listed) (place, bool, error) {
	if at.Mode == newestFirst {
		return c.nextNewest(at, got)
	}
	if ended(at, got) {
		return place{}, false, nil
	}
	if stuck(at, got) {
		if at.Mode == scan || unpaged(at, got) {
			return place{}, false, nil
		}
		return place{}, false, standstill(at)
	}
	if at.Mode != scan && !unpaged(at, got) {
		if moved, ok := c.moveFilter(at, got.rows); ok {
			return moved, true, nil
		}
	}
	at.Page++
	at.Tail = tailOf(got.rows)
	return at, true, nil
}

// moveFilter goes on with a filter just below the last row. It does so only
// when at least half of the page lies behind the new bound: otherwise most of
// it would be read again, and the next page is cheaper.
func (c *client) moveFilter(at place, rows []record.Record) (place, bool) {
	bound := c.before(at.timeOf(rows[len(rows)-1]))
	if at.After != 0 && bound <= at.After {
		return place{}, false
	}
	behind := 0
	for _, row := range rows {
		if at.timeOf(row).Unix() < bound {
			behind++
		}
	}
	if 2*behind < len(rows) {
		return place{}, false
	}
	at.After, at.Page, at.Tail = bound, 1, nil
	return at, true
}

// nextNewest goes down until the rows are older than asked for. When that took
// several pages, rows may have jumped to the top meanwhile: the top is read
// again down to where this pass began, until nothing newer is found.
func (c *client) nextNewest(at place, got listed) (place, bool, error) {
	if at.Page == 1 && len(got.rows) > 0 {
		at.Top = got.rows[0].UpdatedAt.UnixMilli()
	}
	done := ended(at, got)
	if !done {
		oldest := got.rows[len(got.rows)-1].UpdatedAt
		done = oldest.UnixMilli() < c.bound(at)
	}
	switch {
	case !done && stuck(at, got):
		if unpaged(at, got) {
			return place{}, false, nil
		}
		return place{}, false, standstill(at)
	case !done:
		at.Page++
		at.Tail = tailOf(got.rows)
		return at, true, nil
	case at.Page > 1 && at.Top > at.Since:
		return place{Mode: newestFirst, Since: at.Top, Page: 1, Size: at.Size, Back: at.Back}, true, nil
	}
	return place{}, false, nil
}

// bound is the oldest time a newest-first pass must reach, unix ms.
func (c *client) bound(at place) int64 {
	return at.Since - c.cfg.Capabilities.Granularity.Milliseconds()
}

// since drops the rows that are older than asked for.
func (c *client) since(at place, rows []record.Record) []record.Record {
	kept := make([]record.Record, 0, len(rows))
	for _, row := range rows {
		if row.UpdatedAt.UnixMilli() >= c.bound(at) {
			kept = append(kept, row)
		}
	}
	return kept
}

// ended reports whether the query has no page after this one. Without meta
// only an empty page says so: the server's page may be smaller than asked for.
func ended(at place, got listed) bool {
	switch {
	case len(got.rows) == 0:
		return true
	case got.pages >= 0:
		return at.Page >= got.pages
	case got.size > 0:
		return len(got.rows) < min(got.size, at.Size)
	}
	return false
}

// unpaged reports whether a server that says nothing about pages gave less
// than a full one: perhaps everything, perhaps its own smaller page.
func unpaged(at place, got listed) bool {
	return got.pages < 0 && got.size < 0 && len(got.rows) < at.Size
}

// stuck reports whether the server gave the page before once more.
func stuck(at place, got listed) bool {
	return len(at.Tail) > 0 && len(got.rows) > 0 && got.rows[len(got.rows)-1].Ref.ID == at.Tail[len(at.Tail)-1]
}

func standstill(at place) error {
	return fault.New(fault.Transient, "%s gives page %d of a listing like the page before; the listing does not move on", title, at.Page)
}

// union joins two pages, each record once, the later reading winning.
func union(first, second []record.Record) []record.Record {
	place := make(map[string]int, len(first)+len(second))
	joined := make([]record.Record, 0, len(first)+len(second))
	for _, row := range append(append([]record.Record(nil), first...), second...) {
		if i, ok := place[row.Ref.ID]; ok {
			joined[i] = row
			continue
		}
		place[row.Ref.ID] = len(joined)
		joined = append(joined, row)
	}
	return joined
}
