package rest

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/fault"
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
	texts := transport.Spellings(request.Path, request.Value)
	if object.Search == nil || !slices.Contains(object.Searchable, request.Path) || len(texts) == 0 {
		return c.scanFor(ctx, object, request)
	}
	for _, text := range texts {
		found, err := c.searched(ctx, object, request.Path, text)
		if fault.Is(err, fault.Invalid) || absent(err) {
			return c.scanFor(ctx, object, request)
		}
		if err != nil || len(found) > 0 {
			return found, err
		}
	}
	return nil, nil
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
		items, got, err := c.items(ctx, call, listing)
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
	return found, nil
}

// absent reports whether the server has no such path.
func absent(err error) bool {
	coded := fault.As(err)
	return coded != nil && (coded.Status == http.StatusNotFound || coded.Status == http.StatusMethodNotAllowed || coded.Status == http.StatusNotImplemented)
}

func (c *client) scanFor(ctx context.Context, object *manifest.Object, search connector.SearchRequest) ([]record.Record, error) {
	request := connector.ListRequest{Object: object.Name, Since: search.Since}
	var found []record.Record
	for {
		page, err := c.List(ctx, request)
		if err != nil {
			return nil, err
		}
		for _, row := range page.Records {
			if value, ok := row.Fields.Get(search.Path); ok && transport.LooseEqual(value, search.Value) {
				found = append(found, row)
			}
		}
		if page.Next == "" {
			return found, nil
		}
		request.Cursor = page.Next
	}
}
