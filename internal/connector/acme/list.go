package acme

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/record"
)

// place is our cursor around the vendor's, so that a listing whose cursor the
// vendor has forgotten can begin again.
type place struct {
	// Since is what was asked for, unix milliseconds; 0: everything.
	Since int64 `json:"s,omitempty"`
	// Vendor is next_cursor of the page before.
	Vendor string `json:"c,omitempty"`
	// Size is the limit sent.
	Size int `json:"l"`
	// Anew counts how often the listing began again.
	Anew int `json:"r,omitempty"`
	// Pages counts the pages, Known is the vendor's cursor behind the last page
	// whose number was a power of two: a listing that goes in circles meets it
	// again, however long the circle is.
	Pages int    `json:"n,omitempty"`
	Known string `json:"k,omitempty"`
}

// maxAnew bounds how often one listing begins again.
const maxAnew = 3

func (p place) encode() string {
	text, err := json.Marshal(p)
	if err != nil {
		return "" // a struct of numbers and texts always encodes
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

func decodePlace(cursor string) (place, error) {
	var at place
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	if err == nil {
		err = json.Unmarshal(text, &at)
	}
	if err != nil || at.Size < 1 || at.Size > maxPage || at.Pages < 0 {
		return place{}, fault.New(fault.Usage, "the listing's cursor is not one of %s; start the listing anew", title)
	}
	return at, nil
}

// List reads one page. The vendor's cursor goes by (updated_at, id), so rows
// that change during the listing move to its end and none is left out.
// updated_since includes its bound. A cursor that the vendor no longer takes
// begins the listing again.
func (c *client) List(ctx context.Context, request connector.ListRequest) (connector.Page, error) {
	object, err := c.object(request.Object)
	if err != nil {
		return connector.Page{}, err
	}
	at := place{Size: request.Limit}
	if at.Size <= 0 || at.Size > maxPage {
		at.Size = maxPage
	}
	if !request.Since.IsZero() && c.cfg.Capabilities.UpdatedFilter {
		at.Since = request.Since.UnixMilli()
	}
	if request.Cursor != "" {
		if at, err = decodePlace(request.Cursor); err != nil {
			return connector.Page{}, err
		}
	}
	got, err := c.page(ctx, object, at.query())
	if forgotten(err) && at.Vendor != "" && at.Anew < maxAnew {
		at = place{Since: at.Since, Size: at.Size, Anew: at.Anew + 1}
		got, err = c.page(ctx, object, at.query())
	}
	if err != nil {
		return connector.Page{}, err
	}
	page := connector.Page{Records: transport.Living(got.rows), Total: got.total, ServerTime: got.serverTime, Whole: at.Since == 0}
	if got.next == "" {
		return page, nil
	}
	if got.next == at.Vendor || got.next == at.Known {
		return connector.Page{}, fault.New(fault.Transient, "%s gives the same cursor twice; the listing of %s does not move on", title, object.Name)
	}
	at.Vendor = got.next
	if at.Pages++; at.Pages&(at.Pages-1) == 0 {
		at.Known = got.next
	}
	page.Next = at.encode()
	return page, nil
}

// forgotten reports whether the vendor refuses a cursor for good; no page says with which
// status it does.
func forgotten(err error) bool {
	coded := fault.As(err)
	return fault.Is(err, fault.Invalid) || coded != nil && coded.VendorCode != "" &&
		(coded.Status == http.StatusNotFound || coded.Status == http.StatusConflict || coded.Status == http.StatusGone)
}

func (p place) query() url.Values {
	query := url.Values{"limit": {strconv.Itoa(p.Size)}}
	if p.Since != 0 {
		query.Set("updated_since", stamp(time.UnixMilli(p.Since)))
	}
	if p.Vendor != "" {
		query.Set("cursor", p.Vendor)
	}
	return query
}

// Deleted lists the ids deleted since; the vendor remembers 30 days. cursor
// and next are the vendor's own.
func (c *client) Deleted(ctx context.Context, name string, since time.Time, cursor string) (ids []string, next string, err error) {
	object, err := c.object(name)
	if err != nil {
		return nil, "", err
	}
	query := url.Values{"object": {object.Name}}
	if !since.IsZero() {
		query.Set("since", stamp(since))
	}
	if cursor != "" {
		query.Set("cursor", cursor)
	}
	found, next, _, err := c.items(ctx, get("/deleted", query, "deleted "+object.Name))
	if err != nil {
		return nil, "", err
	}
	for _, item := range found {
		if row, ok := item.(map[string]any); ok {
			if id, ok := transport.ParseID(row["id"]); ok {
				ids = append(ids, id)
			}
		}
	}
	if next == cursor {
		next = ""
	}
	return ids, next, nil
}

// Search asks /search for the paths it knows, and otherwise reads what was
// changed since request.Since (a record created since was also changed since).
// A server without the search, or without it for this collection, is read the
// same way. No page says how the search compares, so where it finds nothing a page
// of what changed since is read too: it may be spelled otherwise.
func (c *client) Search(ctx context.Context, request connector.SearchRequest) ([]record.Record, error) {
	object, err := c.object(request.Object)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(object.Searchable, request.Path) {
		return transport.Scan(ctx, request, c.List)
	}
	if request.KeptUnique && !request.Since.IsZero() {
		return c.recent(ctx, request)
	}
	found, err := transport.Search(ctx, request, func(text string) ([]record.Record, error) {
		return c.searched(ctx, object, get("/"+object.Name+"/search", url.Values{request.Path: {text}}, "search in "+object.Name))
	}, c.List)
	if err != nil || len(found) > 0 || request.Since.IsZero() {
		return found, err
	}
	return c.recent(ctx, request)
}

// recentPages bounds what is read of the records that changed since.
const recentPages = 3

// recent looks for a value among the records that changed since.
func (c *client) recent(ctx context.Context, request connector.SearchRequest) ([]record.Record, error) {
	return c.together.Recent(ctx, request, recentPages, c.List)
}

// searched reads all pages of a search.
func (c *client) searched(ctx context.Context, object connector.Object, call transport.Call) ([]record.Record, error) {
	const maxPages = 10
	var found []record.Record
	for range maxPages {
		got, err := c.pageOf(ctx, object, call)
		if err != nil {
			return nil, err
		}
		found = append(found, transport.Living(got.rows)...)
		if got.next == "" || got.next == call.Query.Get("cursor") {
			break
		}
		call.Query.Set("cursor", got.next)
	}
	return found, nil
}
