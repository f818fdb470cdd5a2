package transport

import (
	"context"
	"net/http"
	"slices"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/record"
)

// Lister reads one page of an object, as connector.Connector does.
type Lister func(ctx context.Context, request connector.ListRequest) (connector.Page, error)

// Search asks a server for each spelling of the value until one is found. Where the
// value has none, or the server turns out to have no such search, what changed since
// is read instead.
func Search(ctx context.Context, request connector.SearchRequest, ask func(text string) ([]record.Record, error), list Lister) ([]record.Record, error) {
	texts := Spellings(request.Path, request.Value)
	if len(texts) == 0 {
		return Scan(ctx, request, list)
	}
	for _, text := range texts {
		found, err := ask(text)
		if fault.Is(err, fault.Invalid) || absent(err) {
			return Scan(ctx, request, list)
		}
		if err != nil || len(found) > 0 {
			return found, err
		}
	}
	return nil, nil
}

// Scan reads what was changed since request.Since (a record created since was also
// changed since), and keeps what roughly matches.
func Scan(ctx context.Context, request connector.SearchRequest, list Lister) ([]record.Record, error) {
	pages := connector.ListRequest{Object: request.Object, Since: request.Since}
	var found []record.Record
	unread := 0
	for {
		page, err := list(ctx, pages)
		if err != nil {
			return nil, err
		}
		found = append(found, Matching(page.Records, request)...)
		unread += len(page.Bad)
		if page.Next == "" && unread > 0 && len(found) == 0 {
			return nil, fault.New(fault.Invalid, "%d rows of %s cannot be read: whether one of them is this record is not known; correct the file", unread, request.Object)
		}
		if page.Next == "" {
			return found, nil
		}
		pages.Cursor = page.Next
	}
}

// Matching keeps the rows that roughly hold the value at the path.
func Matching(rows []record.Record, request connector.SearchRequest) []record.Record {
	var kept []record.Record
	for _, row := range rows {
		if value, ok := row.Fields.Get(request.Path); ok && LooseEqual(value, request.Value) {
			kept = append(kept, row)
		}
	}
	return kept
}

// absent reports whether the server has no such path.
func absent(err error) bool {
	coded := fault.As(err)
	return coded != nil && (coded.Status == http.StatusNotFound || coded.Status == http.StatusMethodNotAllowed || coded.Status == http.StatusNotImplemented)
}

// Union joins two pages, each record once, the later reading winning.
func Union(first, second []record.Record) []record.Record {
	place := make(map[string]int, len(first)+len(second))
	joined := make([]record.Record, 0, len(first)+len(second))
	for _, row := range slices.Concat(first, second) {
		if i, ok := place[row.Ref.ID]; ok {
			joined[i] = row
			continue
		}
		place[row.Ref.ID] = len(joined)
		joined = append(joined, row)
	}
	return joined
}

// ReadBack reads a record whose write was answered with less than the whole of it.
// id is what is known of its id; empty: the Location header tells. When the read
// fails the write still happened, so the outcome is told as unknown and the caller
// looks again. what names the record in the error ("the new contact").
func (a *API) ReadBack(call Call, reply Reply, id, what string, get func(id string) (record.Record, error)) (record.Record, error) {
	if id == "" {
		id = LocationID(reply.Header)
	}
	if id == "" {
		return record.Record{}, a.Malformed(call, reply, what)
	}
	got, err := get(id)
	if err != nil {
		return record.Record{}, AfterWrite(err, a.Title)
	}
	return got, nil
}
