package salesos

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/record"
)

// mode is how a collection is read; list.go says when which.
type mode string

const (
	// byUpdated: updated_after and sort=updated_at; the filter moves along.
	byUpdated mode = "u"
	// byCreated: created_after and sort=created_at; the filter moves along.
	byCreated mode = "c"
	// newestFirst: sort=-updated_at until older than asked for.
	newestFirst mode = "d"
	// scan: page after page.
	scan mode = "s"
)

// tailSize is how many marks of a page's end are kept to see that pages join up.
const tailSize = 5

// place is where a listing stands. It is the cursor, so it holds times, page
// numbers and ids only.
type place struct {
	Mode mode `json:"m"`
	// Since is what was asked for (newestFirst: by the present pass), unix ms; 0: everything.
	Since int64 `json:"s,omitempty"`
	// After is the filter's value, unix seconds; 0: no filter.
	After int64 `json:"f,omitempty"`
	// Filter is the query name After is sent as; empty: not sent.
	Filter string `json:"w,omitempty"`
	// Page and Size as sent.
	Page int `json:"p"`
	Size int `json:"l"`
	// Tail holds the marks of the last rows of the page before.
	Tail []string `json:"t,omitempty"`
	// Top is the newest time of a newestFirst pass, unix ms.
	Top int64 `json:"h,omitempty"`
	// Total is the whole listing's count plus one; 0: not said.
	Total int `json:"n,omitempty"`
	// Last is the count that the page before told, plus one; 0: not said.
	Last int `json:"k,omitempty"`
	// Begun is the server's time at the first page of this query, unix ms.
	Begun int64 `json:"g,omitempty"`
	// Careful: every page is read together with the one before.
	Careful bool `json:"y,omitempty"`
	// Unsorted: the server refuses to sort.
	Unsorted bool `json:"x,omitempty"`
	// Same counts the pages in a row that ended with the same row.
	Same int `json:"q,omitempty"`
	// Back counts the steps back for pages that did not join up.
	Back int `json:"b,omitempty"`
}

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
	known := at.Mode == byUpdated || at.Mode == byCreated || at.Mode == newestFirst || at.Mode == scan
	if err != nil || !known || at.Page < 1 || at.Size < 1 || at.Size > maxPage {
		return place{}, fault.New(fault.Usage, "the listing's cursor is not one of %s; start the listing anew", title)
	}
	return at, nil
}

// start chooses the way to read a collection.
func (c *client) start(object object, request connector.ListRequest) place {
	size := request.Limit
	if size <= 0 || size > maxPage {
		size = maxPage
	}
	switch {
	case !object.UpdatedAt:
		return place{Mode: scan, Page: 1, Size: size}
	case request.Since.IsZero():
		return place{Mode: byCreated, Page: 1, Size: size, Filter: "created_after"}
	case c.cfg.Capabilities.UpdatedFilter:
		return place{Mode: byUpdated, Since: request.Since.UnixMilli(), After: c.before(request.Since), Page: 1, Size: size, Filter: "updated_after"}
	}
	return place{Mode: newestFirst, Since: request.Since.UnixMilli(), Page: 1, Size: size}
}

// before is one step of the server's clock before at, in unix seconds, so that
// filters that include their bound and filters that do not both give at itself.
func (c *client) before(at time.Time) int64 {
	step := int64((c.cfg.Capabilities.Granularity + time.Second - 1) / time.Second)
	return at.Unix() - max(step, 1)
}

// query is what is sent for the page.
func (p place) query(page int) url.Values {
	query := url.Values{"page": {strconv.Itoa(page)}, "per_page": {strconv.Itoa(p.Size)}}
	switch {
	case p.Mode == byUpdated:
		query.Set("sort", "updated_at")
	case p.Mode == newestFirst:
		query.Set("sort", "-updated_at")
	case !p.Unsorted:
		query.Set("sort", "created_at")
	}
	if p.Filter != "" && p.After != 0 {
		query.Set(p.Filter, stamp(time.Unix(p.After, 0)))
	}
	return query
}

// fallback is the next simpler way after the server refused or ignored part of
// the present one; false when there is none.
func (p place) fallback(filterHonoured bool) (place, bool) {
	next := place{Mode: scan, Since: p.Since, Page: 1, Size: p.Size}
	switch {
	case p.Mode == byUpdated && filterHonoured:
		next.Filter, next.After = p.Filter, p.After
	case p.Mode == byUpdated:
		next.Mode = newestFirst
	case p.Mode == scan && p.Filter != "":
		next.Unsorted = p.Unsorted
	case p.Mode == scan && !p.Unsorted:
		next.Unsorted = true
	case p.Mode == scan:
		return place{}, false
	}
	return next, true
}

// whole reports whether the listing reads everything there is.
func (p place) whole() bool {
	return p.Mode == byCreated && p.Since == 0 || p.Mode == scan && p.Filter == ""
}

// steady reports whether nothing can have moved up since the page before: in
// the order of creation rows only move up when one is deleted, and then the
// count shrinks, unless one was created in the same moment (see disturbed).
func (p place) steady(got listed) bool {
	return p.Mode == byCreated && !p.Careful && p.Last > 0 && got.total+1 == p.Last
}

// disturbed reports whether rows were created while this query was read page by
// page, so that an equal count proved nothing.
func (p place) disturbed(got listed) bool {
	if p.Mode != byCreated || p.Careful || p.Page < 2 || len(got.rows) == 0 {
		return false
	}
	return p.Begun == 0 || got.rows[len(got.rows)-1].CreatedAt.UnixMilli() >= p.Begun
}

// timeOf is the time a listing goes by.
func (p place) timeOf(row record.Record) time.Time {
	if p.Mode == byCreated {
		return row.CreatedAt
	}
	return row.UpdatedAt
}

// honoured tells whether the rows obey the filter and the order asked for.
// step is the server's tick: a time may be shown that much earlier than the
// filter sees it.
func (p place) honoured(rows []record.Record, step time.Duration) (filter, order bool) {
	filter, order = true, true
	if p.Mode == scan {
		return true, true
	}
	for i, row := range rows {
		at := p.timeOf(row)
		if at.IsZero() {
			return false, false
		}
		if p.Filter != "" && p.After != 0 && at.Before(time.Unix(p.After, 0).Add(-step)) {
			filter = false
		}
		if i == 0 {
			continue
		}
		step := at.Compare(p.timeOf(rows[i-1]))
		if p.Mode == newestFirst {
			step = -step
		}
		order = order && step >= 0
	}
	return filter, order
}

// joins reports whether one of the rows was among the last of the page before,
// and was not edited since: an edited row stands elsewhere in the order.
func (p place) joins(rows []record.Record) bool {
	for _, row := range rows {
		if slices.Contains(p.Tail, mark(row)) {
			return true
		}
	}
	return false
}

// mark names a row in the state it was listed in.
func mark(row record.Record) string {
	return strconv.FormatInt(row.UpdatedAt.UnixMilli(), 36) + " " + row.Ref.ID
}

func tailOf(rows []record.Record) []string {
	tail := make([]string, 0, tailSize)
	for _, row := range rows[max(0, len(rows)-tailSize):] {
		tail = append(tail, mark(row))
	}
	return tail
}
