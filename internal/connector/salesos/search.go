package salesos

import (
	"context"
	"net/url"
	"slices"
	"strconv"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/record"
)

// maxSearchPages bounds the rows of one search text: 1,000.
const maxSearchPages = 10

// Search asks with the API's `search`, which looks into texts of its own
// choice, and keeps the rows that roughly hold the value at the path. No page says
// how texts are compared, so where a path that `search` surely covers
// (Object.Searchable) finds nothing, the newest rows are read as well: what is spelled
// otherwise and older was shown by a listing. Any other path (the marker, say) and a
// server that refuses or ignores `search` are scanned from request.Since on by
// created_after.
func (c *client) Search(ctx context.Context, request connector.SearchRequest) ([]record.Record, error) {
	object, err := c.object(request.Object)
	if err != nil {
		return nil, err
	}
	found, err := c.search(ctx, object, request)
	return transport.Living(found), err
}

func (c *client) search(ctx context.Context, object object, request connector.SearchRequest) ([]record.Record, error) {
	covered := slices.Contains(object.Searchable, request.Path)
	for _, text := range transport.Spellings(request.Path, request.Value) {
		rows, obeyed, err := c.searchText(ctx, object, text)
		if err != nil {
			return nil, err
		}
		if found := transport.Matching(rows, request); len(found) > 0 {
			return found, nil
		}
		covered = covered && obeyed
	}
	if !covered {
		return c.scanFor(ctx, object, request)
	}
	newest, err := c.together.Read(ctx, object.Name, func(ctx context.Context) ([]record.Record, error) {
		page, err := c.page(ctx, object, url.Values{"page": {"1"}, "per_page": {strconv.Itoa(maxPage)}, "sort": {"-created_at"}})
		return page.rows, err
	})
	if fault.Is(err, fault.Invalid) {
		return c.scanFor(ctx, object, request)
	}
	return transport.Matching(newest, request), err
}

// searchText reads the rows the server finds for a text. obeyed is false when
// it refused the search or answered rows that do not hold the text at all.
func (c *client) searchText(ctx context.Context, object object, text string) (rows []record.Record, obeyed bool, err error) {
	query := url.Values{"search": {text}, "per_page": {strconv.Itoa(maxPage)}}
	for page := 1; page <= maxSearchPages; page++ {
		query.Set("page", strconv.Itoa(page))
		got, err := c.page(ctx, object, query)
		if fault.Is(err, fault.Invalid) {
			return rows, false, nil
		}
		if err != nil {
			return nil, false, err
		}
		if page > 1 && len(got.rows) > 0 && got.rows[0].Ref.ID == rows[0].Ref.ID {
			return rows, true, nil // the server does not page its searches
		}
		rows = append(rows, got.rows...)
		if page == 1 && !allHold(got.rows, text) {
			return rows, false, nil
		}
		last := ended(place{Page: page, Size: maxPage}, got)
		if last || got.pages < 0 && got.size < 0 && len(got.rows) < maxPage {
			return rows, true, nil
		}
	}
	return rows, true, nil
}

// scanFor reads what was created since, and keeps what matches.
func (c *client) scanFor(ctx context.Context, object object, request connector.SearchRequest) ([]record.Record, error) {
	at := place{Mode: byCreated, Page: 1, Size: maxPage, Filter: "created_after"}
	if !request.Since.IsZero() {
		at.Since, at.After = request.Since.UnixMilli(), c.before(request.Since)
	}
	if !object.UpdatedAt {
		at = c.start(object, connector.ListRequest{})
	}
	var found []record.Record
	for {
		page, err := c.listAt(ctx, object, at)
		if err != nil {
			return nil, err
		}
		found = transport.Union(found, transport.Matching(page.Records, request))
		if page.Next == "" {
			return found, nil
		}
		if at, err = decodePlace(page.Next); err != nil {
			return nil, err
		}
	}
}
