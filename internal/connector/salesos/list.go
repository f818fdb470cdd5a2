package salesos

import (
	"context"
	"net/url"
	"time"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/record"
)

// maxBack bounds how often one listing steps back because pages do not join up.
const maxBack = 20

// maxSame is how many pages in a row may end with the same row before the
// server is taken for one that ignores `page`.
const maxSame = 3

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
// newest-first and page-by-page readings), the two pages must be seen to join:
// either rows only moved down and a last row of the page before appears again,
// or the count proves that nothing moved, or the page before is read once more,
// which gives the rows that moved up meanwhile. Rows may repeat; none is left out.
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
	page, err := c.listAt(ctx, object, at)
	page.Records = transport.Living(page.Records)
	return page, err
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
		filter, order := at.honoured(got.rows, c.cfg.Capabilities.Granularity)
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
	if at.Page == 1 && !got.serverTime.IsZero() {
		at.Begun = got.serverTime.UnixMilli()
	}
	// In the orders that grow at their end rows only move up: there the page
	// itself proves nothing, and the page before is read again, unless the count
	// says that nothing moved.
	grows := at.Mode == byCreated || at.Mode == byUpdated
	if at.Page > 1 && len(at.Tail) > 0 && !at.steady(got) && (grows || !at.joins(got.rows)) {
		before, err := c.page(ctx, object, at.query(at.Page-1))
		if err != nil {
			return connector.Page{}, err
		}
		page.Records = transport.Union(before.rows, got.rows)
		if !at.joins(before.rows) && at.Back < maxBack {
			at.Back++
			at.Page--
			at.Tail = nil
			page.Next = at.encode()
			return page, nil
		}
	}
	next, more, err := c.next(ctx, object, at, got)
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
func (c *client) next(ctx context.Context, object object, at place, got listed) (place, bool, error) {
	if at.Mode == newestFirst {
		return c.nextNewest(ctx, object, at, got)
	}
	if ended(at, got) {
		if at.disturbed(got) {
			at.Page, at.Tail, at.Same, at.Careful = 1, nil, 0, true
			return at, true, nil
		}
		return place{}, false, nil
	}
	at.Same = repeats(at, got)
	if at.Same >= maxSame {
		if at.Mode == scan || unpaged(at, got) {
			return place{}, false, nil
		}
		return place{}, false, standstill()
	}
	if at.Mode != scan && !unpaged(at, got) {
		moved, ok := c.moveFilter(at, got.rows)
		if ok {
			sorted, err := c.sorts(ctx, object, at)
			if sorted || err != nil {
				return moved, true, err
			}
		}
	}
	at.Page++
	at.Tail, at.Last = tailOf(got.rows), got.total+1
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
	at.After, at.Page, at.Tail, at.Same = bound, 1, nil, 0
	return at, true
}

// nextNewest goes down until the rows are older than asked for. When that took
// several pages, rows may have jumped to the top meanwhile: the top is read
// again down to where this pass began, until nothing newer is found.
func (c *client) nextNewest(ctx context.Context, object object, at place, got listed) (place, bool, error) {
	if at.Page == 1 && len(got.rows) > 0 {
		at.Top = got.rows[0].UpdatedAt.UnixMilli()
	}
	done := ended(at, got)
	if !done && got.rows[len(got.rows)-1].UpdatedAt.UnixMilli() < c.bound(at) {
		sorted, err := c.sorts(ctx, object, at)
		if err != nil {
			return place{}, false, err
		}
		if !sorted {
			return place{Mode: scan, Since: at.Since, Page: 1, Size: at.Size}, true, nil
		}
		done = true
	}
	at.Same = repeats(at, got)
	switch {
	case !done && at.Same >= maxSame:
		if unpaged(at, got) {
			return place{}, false, nil
		}
		return place{}, false, standstill()
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

// repeats counts how often in a row a page ended like the one before. Once
// happens when a whole page of rows moved to the top; a server that ignores
// `page` does it always.
func repeats(at place, got listed) int {
	if len(at.Tail) > 0 && len(got.rows) > 0 && mark(got.rows[len(got.rows)-1]) == at.Tail[len(at.Tail)-1] {
		return at.Same + 1
	}
	return 0
}

func standstill() error {
	return fault.New(fault.Transient, "%s gives the same page of a listing again and again; the listing does not move on", title)
}

// sorts reports whether the server surely sorts by the time a listing goes by:
// the first rows of both directions have different times. Rows in order may be
// so by chance, and a listing that leaves out what it takes for read or old
// must not rest on chance. A yes is remembered while the connector is open.
func (c *client) sorts(ctx context.Context, object object, at place) (bool, error) {
	field := "updated_at"
	if at.Mode == byCreated {
		field = "created_at"
	}
	known := object.Name + " " + field
	if _, yes := c.sorted.Load(known); yes {
		return true, nil
	}
	var firsts [2]time.Time
	for i, direction := range []string{"", "-"} {
		got, err := c.page(ctx, object, url.Values{"page": {"1"}, "per_page": {"1"}, "sort": {direction + field}})
		if fault.Is(err, fault.Invalid) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		if len(got.rows) == 0 {
			return false, nil
		}
		firsts[i] = at.timeOf(got.rows[0])
	}
	if firsts[0].IsZero() || !firsts[0].Before(firsts[1]) {
		return false, nil
	}
	c.sorted.Store(known, true)
	return true, nil
}
