package rest

import (
	"context"
	"net/url"
	"strings"
	"time"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/manifest"
	"github.com/accord-sync/accord/internal/record"
)

// answer is a list answer as the server gave it.
type answer struct {
	call  transport.Call
	reply transport.Reply
	body  any
	// count is the number of rows, those without an id included; marks are theirs.
	count int
	marks []uint32
}

// List reads one page. Cursors, links and keysets are the vendor's promise that
// nothing is left out while rows move. Pages and offsets promise nothing: there
// each page must be seen to join the one before, or the listing steps back (turn).
// A cursor that the vendor no longer takes begins the listing again.
func (c *client) List(ctx context.Context, request connector.ListRequest) (connector.Page, error) {
	object, err := c.object(request.Object)
	if err != nil {
		return connector.Page{}, err
	}
	if isFile(object, &object.List.Request) {
		at, listing, err := c.fileAt(object, request)
		if err != nil {
			return connector.Page{}, err
		}
		return c.listFile(ctx, object, listing, at)
	}
	listing := object.List
	at := place{}
	if changes := object.ChangesBy(); changes != nil && !request.Since.IsZero() && c.cfg.Capabilities.UpdatedFilter {
		listing = changes
		at.Since = max(1, request.Since.UnixMilli())
	}
	at.Page, at.Size = first(listing), listing.Size
	if request.Limit > 0 {
		at.Size = min(request.Limit, listing.Size)
	}
	if request.Cursor != "" {
		if at, listing, err = c.resumed(object, request.Cursor); err != nil {
			return connector.Page{}, err
		}
	}
	rows, got, err := c.rows(ctx, object, listing, at)
	if fault.Is(err, fault.Invalid) && at.Next != "" && at.Anew < maxAnew {
		at = at.again(listing)
		rows, got, err = c.rows(ctx, object, listing, at)
	}
	if err != nil {
		return connector.Page{}, err
	}
	page := connector.Page{Records: rows, Total: -1, ServerTime: got.reply.ServerTime, Whole: at.Since == 0}
	if total, ok := manifest.Look(got.body, listing.Paging.Total); ok {
		if number, ok := transport.ParseInt(total); ok && number >= 0 {
			page.Total = number
		}
	}
	return c.goOn(ctx, object, listing, at, got, page)
}

// FirstRows reads the first rows of an object as the server gave them, those without an
// id included: for whoever writes a manifest.
func (c *client) FirstRows(ctx context.Context, name string) ([]any, error) {
	object, err := c.object(name)
	if err != nil {
		return nil, err
	}
	if isFile(object, &object.List.Request) {
		page, err := c.listFile(ctx, object, object.List, filePlace{Size: 2})
		var items []any
		for _, row := range page.Records {
			items = append(items, map[string]any(row.Fields))
		}
		return items, err
	}
	values := valuesOf(object)
	values["size"], values["page"], values["offset"] = 2, first(object.List), 0
	call, err := c.call(&object.List.Request, values, object.Name)
	if err != nil {
		return nil, err
	}
	items, _, err := c.items(ctx, call, object, object.List)
	return items, err
}

// resumed is the place of a cursor, and what it is a place of.
func (c *client) resumed(object *manifest.Object, cursor string) (place, *manifest.Listing, error) {
	at, err := c.decodePlace(cursor, &manifest.Listing{Size: 10_000})
	if err != nil {
		return place{}, nil, err
	}
	listing := object.List
	if changes := object.ChangesBy(); changes != nil && at.Since != 0 {
		listing = changes
	}
	at, err = c.decodePlace(cursor, listing)
	return at, listing, err
}

// goOn finds out where the listing goes on after a page that was read.
func (c *client) goOn(ctx context.Context, object *manifest.Object, listing *manifest.Listing, at place, got answer, page connector.Page) (connector.Page, error) {
	paging := listing.Paging
	if more, said := manifest.Look(got.body, paging.More); said && more == false && paging.Kind != manifest.PagingPage && paging.Kind != manifest.PagingOffset {
		return page, nil
	}
	next := ""
	switch paging.Kind {
	case manifest.PagingPage, manifest.PagingOffset:
		return c.turn(ctx, object, listing, at, got, page)
	case manifest.PagingCursor:
		next = cursorAt(got.body, paging.Next)
	case manifest.PagingKeyset:
		next = c.key(page.Records, paging.Field)
		if next == at.Next && got.count < at.Size {
			return page, nil // a bound that includes itself: the last row is read again at the end
		}
	case manifest.PagingLink:
		link, err := c.link(got, paging.Next)
		if err != nil {
			return connector.Page{}, err
		}
		next = link
	}
	if next == "" {
		return page, nil
	}
	if next == at.Next || next == at.Known || len(next) > maxNext {
		return connector.Page{}, c.standstill(object)
	}
	if at.Rows += got.count; paging.Window > 0 && at.Rows+listing.Size > paging.Window {
		return c.nextWindow(object, at, page)
	}
	at.Next = next
	if at.Pages++; at.Pages&(at.Pages-1) == 0 {
		at.Known = next
	}
	page.Next = at.encode()
	return page, nil
}

// nextWindow goes on from the updated time of the last row with a new query: the
// server shows no more of the present one.
func (c *client) nextWindow(object *manifest.Object, at place, page connector.Page) (connector.Page, error) {
	since := int64(0)
	if len(page.Records) > 0 {
		since = page.Records[len(page.Records)-1].UpdatedAt.UnixMilli()
	}
	if since <= at.Since {
		return connector.Page{}, c.standstill(object)
	}
	// What changed since may be asked with another call than what was listed so far.
	changes := object.ChangesBy()
	page.Next = place{Since: since, Size: min(at.Size, changes.Size), Page: first(changes), Anew: at.Anew}.encode()
	return page, nil
}

func (c *client) standstill(object *manifest.Object) error {
	return fault.New(fault.Transient, "%s does not go on where it was asked to; the listing of %s does not move", c.title, object.Name)
}

func cursorAt(body any, path string) string {
	found, _ := manifest.Look(body, path)
	if text, ok := found.(string); ok {
		return text
	}
	next, _ := transport.ParseID(found)
	return next
}

// key is the value of the last row that the next page begins behind.
func (c *client) key(rows []record.Record, path string) string {
	if len(rows) == 0 {
		return ""
	}
	return cursorAt(map[string]any(rows[len(rows)-1].Fields), path)
}

// rows reads one page of a listing.
func (c *client) rows(ctx context.Context, object *manifest.Object, listing *manifest.Listing, at place) ([]record.Record, answer, error) {
	if isFile(object, &listing.Request) {
		page, err := c.listFile(ctx, object, listing, filePlace{Since: at.Since, Size: at.Size})
		return page.Records, answer{reply: transport.Reply{ServerTime: page.ServerTime}}, err
	}
	values := valuesOf(object)
	values["size"] = at.Size
	if at.Since != 0 {
		since := time.UnixMilli(at.Since)
		if listing.After {
			// What is cut off goes further back still.
			since = since.Add(-max(c.cfg.Capabilities.Granularity, step(listing.Since)))
		}
		values["since"] = stamp(since, listing.Since)
	}
	switch listing.Paging.Kind {
	case manifest.PagingPage:
		values["page"] = at.Page
	case manifest.PagingOffset:
		values["offset"] = at.Page
	case manifest.PagingCursor, manifest.PagingKeyset:
		if at.Next != "" {
			values["next"] = at.Next
		}
	}
	call, err := c.call(&listing.Request, values, object.Name)
	if err != nil {
		return nil, answer{}, err
	}
	if listing.Paging.Kind == manifest.PagingLink && at.Next != "" {
		call.Path, call.Query = splitLink(at.Next)
	}
	items, got, err := c.items(ctx, call, object, listing)
	if err != nil {
		return nil, got, err
	}
	var rows []record.Record
	for _, item := range items {
		// A row without an id cannot be linked to anything; the others count.
		row, ok := c.row(object, item, nil)
		if !ok {
			got.marks = append(got.marks, sumOf(record.Fingerprint(item)))
			continue
		}
		rows, got.marks = append(rows, row), append(got.marks, mark(row))
	}
	if listing != object.List {
		err = c.batched(ctx, object, rows)
	}
	return rows, got, err
}

// items makes the call of a listing. An answer without a list is an error,
// never an empty listing; null stands for an empty list.
func (c *client) items(ctx context.Context, call transport.Call, object *manifest.Object, listing *manifest.Listing) ([]any, answer, error) {
	got := answer{call: call}
	var err error
	if got.reply, err = c.do(ctx, call, object, &listing.Request); err != nil {
		return nil, got, reads(err)
	}
	if got.body, err = c.decode(call, got.reply, object, &listing.Request); err != nil {
		return nil, got, reads(err)
	}
	items, ok := listed(got.body, listing.Rows, object.FormatOf(&listing.Request) == manifest.FormatXML)
	if !ok {
		return nil, got, reads(c.api.Malformed(call, got.reply, "a list"))
	}
	for _, item := range items {
		shaped(item, object, &listing.Request)
	}
	got.count = len(items)
	return items, got, nil
}

// reads takes the doubt off a read that is sent as POST: it changes nothing.
func reads(err error) error {
	coded := fault.As(err)
	if coded == nil || !coded.MaybeApplied {
		return err
	}
	sure := *coded
	sure.MaybeApplied = false
	return &sure
}

// link is the address of the next page, from base_url. One that leads to
// another system is an error: our credentials would go there.
func (c *client) link(got answer, path string) (string, error) {
	address := cursorAt(got.body, path)
	if path == "" {
		address = nextLink(got.reply.Header.Values("Link"))
	}
	if address == "" {
		return "", nil
	}
	here, err := url.Parse(c.api.Base + got.call.Path)
	if err == nil {
		here, err = here.Parse(address)
	}
	if err == nil && here.Host == c.base.Host && here.Scheme == c.base.Scheme {
		next := strings.TrimPrefix(here.EscapedPath(), strings.TrimRight(c.base.EscapedPath(), "/")) + "?" + here.RawQuery
		if c.ours(next) && strings.HasPrefix(here.EscapedPath(), strings.TrimRight(c.base.EscapedPath(), "/")+"/") {
			return next, nil
		}
	}
	return "", c.api.Malformed(got.call, got.reply, "a next page below base_url")
}

// ours reports whether an address is a path of this system.
func (c *client) ours(address string) bool {
	path, _, _ := strings.Cut(address, "?")
	return strings.HasPrefix(path, "/") && !strings.HasPrefix(path, "//") && !strings.Contains(path+"/", "/../") && !strings.ContainsAny(path, "#\\ ")
}

func splitLink(address string) (string, url.Values) {
	path, query, _ := strings.Cut(address, "?")
	values, err := url.ParseQuery(query)
	if err != nil {
		return path, nil // what could be read of a broken query is not what the server meant
	}
	return path, values
}

// nextLink finds rel="next" (RFC 8288).
func nextLink(headers []string) string {
	for _, header := range headers {
		for rest := header; ; {
			open, shut := strings.IndexByte(rest, '<'), strings.IndexByte(rest, '>')
			if open < 0 || shut < open {
				break
			}
			address := rest[open+1 : shut]
			rest = rest[shut+1:]
			parameters, _, _ := strings.Cut(rest, "<")
			for parameter := range strings.SplitSeq(strings.TrimRight(parameters, ", "), ";") {
				key, value, _ := strings.Cut(strings.TrimSpace(parameter), "=")
				if strings.EqualFold(key, "rel") && strings.EqualFold(strings.Trim(value, `" `), "next") {
					return address
				}
			}
		}
	}
	return ""
}
