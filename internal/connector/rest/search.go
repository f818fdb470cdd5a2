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
	return transport.Search(ctx, request, func(text string) ([]record.Record, error) { return c.searched(ctx, object, request.Path, text) }, c.List)
}

// searched reads the pages of a search.
func (c *client) searched(ctx context.Context, object *manifest.Object, path, text string) ([]record.Record, error) {
	listing := object.Search
	var found []record.Record
	next, page := "", first(listing)
	for range maxSearchPages {
		values := valuesOf(object)
		values["field"], values["leaf"] = path, path[strings.LastIndexByte(path, '.')+1:]
		values["value"], values["size"] = text, listing.Size
		if next != "" {
			values["next"] = next
		}
		switch listing.Paging.Kind {
		case manifest.PagingPage:
			values["page"] = page
		case manifest.PagingOffset:
			values["offset"] = page
		}
		call, err := c.call(&listing.Request, values, "search in "+object.Name)
		if err != nil {
			return nil, err
		}
		items, got, err := c.items(ctx, call, object, listing)
		if err != nil {
			return nil, err
		}
		for _, item := range items {
			if row, ok := c.row(object, item, nil); ok {
				found = append(found, row)
			}
		}
		more := false
		switch listing.Paging.Kind {
		case manifest.PagingCursor:
			before := next
			next = cursorAt(got.body, listing.Paging.Next)
			more = next != "" && next != before
		case manifest.PagingPage:
			page++
			more = len(items) >= listing.Size
		case manifest.PagingOffset:
			page += len(items)
			more = len(items) >= listing.Size
		}
		if !more {
			break
		}
	}
	return found, c.batched(ctx, object, found)
}
