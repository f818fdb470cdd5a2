package rest

import (
	"context"
	"slices"
	"strings"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/manifest"
	"github.com/accord-sync/accord/internal/record"
)

// maxSearchPages bounds the pages of one search.
const maxSearchPages = 10

// Search asks the server for the paths it can look up, and otherwise reads what
// was changed since request.Since (a record created since was also changed
// since). A server that turns out to have no such search is read the same way.
func (c *client) Search(ctx context.Context, request connector.SearchRequest) ([]record.Record, error) {
	object, err := c.object(request.Object)
	if err != nil {
		return nil, err
	}
	if object.Search == nil || !slices.Contains(object.Searchable, request.Path) {
		return transport.Scan(ctx, request, c.List)
	}
	if request.KeptUnique {
		return nil, nil // searches are dear
	}
	return transport.Search(ctx, request, func(text string) ([]record.Record, error) { return c.searched(ctx, object, request.Path, text) }, c.List)
}

// searched reads the pages of a search. A row that two pages show counts once.
func (c *client) searched(ctx context.Context, object *manifest.Object, path, text string) ([]record.Record, error) {
	values := valuesOf(object)
	values["field"], values["leaf"], values["value"] = path, path[strings.LastIndexByte(path, '.')+1:], text
	items, _, err := c.pages(ctx, object, object.Search, values, "search in "+object.Name, maxSearchPages)
	if err != nil {
		return nil, err
	}
	var found []record.Record
	seen := map[string]bool{}
	for _, item := range items {
		if row, ok := c.row(object, item, nil); ok && !seen[row.Ref.ID] {
			seen[row.Ref.ID] = true
			found = append(found, row)
		}
	}
	return found, c.batched(ctx, object, found)
}

// pages reads a short listing at one go, at most so many pages of it; whole is false
// where the server has more.
func (c *client) pages(ctx context.Context, object *manifest.Object, listing *manifest.Listing, values manifest.Values, subject string, most int) (rows []any, whole bool, err error) {
	values["size"] = listing.Size
	next, page := "", first(listing)
	for range most {
		switch listing.Paging.Kind {
		case manifest.PagingPage:
			values["page"] = page
		case manifest.PagingOffset:
			values["offset"] = page
		case manifest.PagingCursor, manifest.PagingKeyset:
			if next != "" {
				values["next"] = next
			}
		}
		call, err := c.call(&listing.Request, values, subject)
		if err != nil {
			return nil, false, err
		}
		if listing.Paging.Kind == manifest.PagingLink && next != "" {
			call.Path, call.Query = splitLink(next)
		}
		items, got, err := c.items(ctx, call, object, listing)
		if err != nil {
			return nil, false, err
		}
		rows = append(rows, items...)
		before := next
		switch listing.Paging.Kind {
		case manifest.PagingPage:
			page++
		case manifest.PagingOffset:
			page += len(items)
		default:
			if next, err = c.behind(listing, got, items); err != nil {
				return nil, false, err
			}
		}
		if endOf(listing, got, before, next) {
			return rows, true, nil
		}
	}
	return rows, false, nil
}

// behind is where a listing goes on after a page by the vendor's own word: its cursor,
// the last row's key, or the next page's address; empty: nowhere.
func (c *client) behind(listing *manifest.Listing, got answer, items []any) (string, error) {
	switch listing.Paging.Kind {
	case manifest.PagingCursor:
		return cursorAt(got.body, listing.Paging.Next), nil
	case manifest.PagingKeyset:
		if len(items) > 0 {
			return cursorAt(items[len(items)-1], listing.Paging.Field), nil
		}
	case manifest.PagingLink:
		return c.link(got, listing.Paging.Next)
	}
	return "", nil
}

// endOf reports whether a short listing has no further page.
func endOf(listing *manifest.Listing, got answer, before, next string) bool {
	if more, said := manifest.Look(got.body, listing.Paging.More); said && more == false {
		return true
	}
	if listing.Paging.Kind == manifest.PagingPage || listing.Paging.Kind == manifest.PagingOffset {
		return got.count < listing.Size
	}
	return next == "" || next == before
}
