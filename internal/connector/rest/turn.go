package rest

import (
	"context"
	"time"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/manifest"
)

// turn goes on by number, which alone proves nothing: when rows before it vanish
// or move to the end, rows that nobody has read move up into pages that were read.
//
// An offset therefore goes on one row early: that row must have been read before.
// Of pages the one before is read once more: it must hold a row that was read
// before, and whatever moved up into it is in it. A page that does not join is
// kept, and the listing steps back until it finds rows that were read. An edited
// row counts as another one.
func (c *client) turn(ctx context.Context, object *manifest.Object, listing *manifest.Listing, at place, got answer, page connector.Page) (connector.Page, error) {
	rows := page.Records
	joined := len(at.Tail) == 0 || at.Page <= first(listing)
	switch {
	case joined:
	case listing.Paging.Kind == manifest.PagingOffset:
		joined = len(got.marks) > 0 && at.joins(got.marks[:1])
	default:
		before := at
		before.Page--
		again, seen, err := c.rows(ctx, object, listing, before)
		if err != nil {
			return connector.Page{}, err
		}
		joined = at.joins(seen.marks)
		page.Records = transport.Union(rows, again)
	}
	if !joined {
		back, err := c.stepBack(object, listing, at)
		page.Next = back.encode()
		return page, err
	}
	if last(listing, at, got, page.Total) {
		return page, nil
	}
	at.Same++
	if !at.ends(got.marks) {
		at.Same = 0
	}
	if at.Same >= maxSame {
		return connector.Page{}, c.standstill(object)
	}
	if window := listing.Paging.Window; window > 0 && at.Page+got.count+listing.Size > window {
		return c.nextWindow(object, at, page)
	}
	at.Back = 0
	at.Page, at.Tail = following(listing, at, got.count), tail(got.marks)
	if listing.Paging.Kind == manifest.PagingOffset && got.count <= 1 {
		at.Tail = nil // a page of one row cannot overlap: it goes on without proof
	}
	page.Next = at.encode()
	return page, nil
}

// following is the next page, or the offset of the last row that was read.
func following(listing *manifest.Listing, at place, count int) int {
	switch {
	case listing.Paging.Kind == manifest.PagingPage:
		return at.Page + 1
	case count > 1:
		return at.Page + count - 1
	}
	return at.Page + count
}

// stepBack goes one page back; a listing that does so again and again begins anew.
func (c *client) stepBack(object *manifest.Object, listing *manifest.Listing, at place) (place, error) {
	step := 1
	if listing.Paging.Kind == manifest.PagingOffset {
		step = max(1, at.Size-1)
	}
	at.Back++
	at.Page = max(first(listing), at.Page-step)
	if at.Back <= maxBack {
		return at, nil
	}
	if at.Anew < maxAnew {
		return at.again(listing), nil
	}
	return place{}, fault.New(fault.Transient, "the rows of %s move faster than %s can be read by pages; it is tried again", object.Name, c.title)
}

// last reports whether nothing comes after a page. Where the answer does not say,
// only a page without new rows ends the listing: the server's pages may be
// smaller than asked for.
func last(listing *manifest.Listing, at place, got answer, total int) bool {
	if more, said := manifest.Look(got.body, listing.Paging.More); said {
		if more, isBool := more.(bool); isBool {
			return !more || got.count == 0
		}
	}
	overlap := 0
	if listing.Paging.Kind == manifest.PagingOffset && len(at.Tail) > 0 && at.Size > 1 {
		overlap = 1
	}
	if got.count <= overlap {
		return true
	}
	if listing.Paging.Kind == manifest.PagingOffset {
		return total >= 0 && at.Page+got.count >= total
	}
	// Of later pages the number alone does not tell how many rows lie before them.
	return total >= 0 && at.Page == first(listing) && got.count >= total
}

// Deleted lists the ids deleted since. cursor and next are the vendor's own.
func (c *client) Deleted(ctx context.Context, name string, since time.Time, cursor string) (ids []string, next string, err error) {
	object, err := c.object(name)
	if err != nil || object.Deleted == nil {
		return nil, "", err
	}
	listing := object.Deleted
	values := valuesOf(object)
	values["size"] = listing.Size
	if !since.IsZero() {
		values["since"] = stamp(since, listing.Since)
	}
	if cursor != "" {
		values["next"] = cursor
	}
	call, err := c.call(&listing.Request, values, "deleted "+object.Name)
	if err != nil {
		return nil, "", err
	}
	items, got, err := c.items(ctx, call, object, listing)
	if err != nil {
		return nil, "", err
	}
	path := listing.ID
	if path == "" {
		path = object.Records.ID
	}
	for _, item := range items {
		if id, ok := idAt(item, path); ok {
			ids = append(ids, id)
		}
	}
	if listing.Paging.Kind == manifest.PagingCursor {
		next = cursorAt(got.body, listing.Paging.Next)
	}
	if next == cursor {
		next = ""
	}
	return ids, next, nil
}
