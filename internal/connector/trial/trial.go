// Package trial tries a connector manifest against the live system, operation by
// operation, and says what to mend. It is for the person who writes a manifest;
// the conformance suite (connectortest) is for who can make a server misbehave.
package trial

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/manifest"
	"github.com/accord-sync/accord/internal/record"
)

// Options say what is tried.
type Options struct {
	Connector connector.Connector
	Manifest  *manifest.Manifest
	// Objects are the collections to try; none: all of the manifest.
	Objects []string
	// Write are the fields, by collection, of records that are created, edited and
	// deleted again. Collections without any are only read.
	Write map[string]map[string]any
	// Now is the clock.
	Now func() time.Time
}

// The outcomes of a Step.
const (
	Right   = "ok"
	Wrong   = "wrong"
	Skipped = "skipped"
)

// Step is one operation that was tried. It holds names of fields and ids of
// records, and no values.
type Step struct {
	// Object is the collection; empty for the whole system.
	Object string `json:"object,omitempty"`
	// Operation is token, list, next page, changes, get, missing, search, deleted,
	// create, update, stale, duplicate or delete.
	Operation string `json:"operation"`
	// Outcome is Right, Wrong or Skipped.
	Outcome string `json:"outcome"`
	// Text says what was seen, Mend what to do about it (only of wrong ones).
	Text string `json:"text"`
	Mend string `json:"mend,omitempty"`
}

// Run tries everything and answers one step for each operation. What failed does
// not keep the rest from being tried.
func Run(ctx context.Context, options Options) []Step {
	t := &trial{Options: options, ctx: ctx}
	report, err := t.Connector.Check(ctx, nil)
	switch {
	case err != nil:
		t.wrong("token", err, "try again")
		return t.steps
	case report.Token != "":
		t.say("token", Wrong, report.Token, "the credentials, token_url, auth.kinds and auth.token_body")
		return t.steps
	}
	t.say("token", Right, "credentials are there", "")
	names := t.Objects
	if len(names) == 0 {
		names = t.Manifest.Names()
	}
	for _, name := range names {
		t.name = name
		if t.object = t.Manifest.Objects[name]; t.object == nil {
			t.say("list", Wrong, "the manifest has no such object", "objects: "+strings.Join(t.Manifest.Names(), ", "))
			continue
		}
		t.reading()
		t.writing()
	}
	return t.steps
}

// Failed counts the steps that are wrong.
func Failed(steps []Step) int {
	failed := 0
	for _, one := range steps {
		if one.Outcome == Wrong {
			failed++
		}
	}
	return failed
}

type trial struct {
	Options
	ctx    context.Context
	steps  []Step
	name   string
	object *manifest.Object
}

func (t *trial) say(operation, outcome, text, mend string) {
	t.steps = append(t.steps, Step{Object: t.name, Operation: operation, Outcome: outcome, Text: text, Mend: mend})
}

func (t *trial) ok(operation, format string, args ...any) {
	t.say(operation, Right, fmt.Sprintf(format, args...), "")
}

func (t *trial) skip(operation, format string, args ...any) {
	t.say(operation, Skipped, fmt.Sprintf(format, args...), "")
}

// wrong tells an error, with what its kind points at.
func (t *trial) wrong(operation string, err error, part string) {
	mend := part
	coded := fault.As(err)
	if coded == nil {
		t.say(operation, Wrong, "an unexpected error", mend)
		return
	}
	switch {
	case coded.Code == fault.Forbidden && coded.Status == 0:
		// The call was never made: the address is private.
		mend = "base_url, or ACCORD_ALLOW_PRIVATE"
	case coded.Code == fault.Auth || coded.Code == fault.Forbidden:
		mend = "the credentials and their scopes; auth"
	case coded.Code == fault.Throttled:
		mend = "try again later; the plan is used up"
	case coded.Status == 404 || coded.Status == 405:
		mend = "the path and method of " + part + ", and base_url"
	case coded.Code == fault.Invalid:
		mend = "the query, the body and the fields of " + part
	case coded.Status == 0 && coded.Err != nil:
		mend = "base_url and the network"
	}
	t.say(operation, Wrong, coded.Error(), mend)
}

// reading tries what changes nothing.
func (t *trial) reading() {
	page, err := t.Connector.List(t.ctx, connector.ListRequest{Object: t.name, Limit: 2})
	if err != nil {
		t.wrong("list", err, "list: path, query and rows")
		return
	}
	if len(page.Records) == 0 {
		t.empty()
		return
	}
	t.listed(page)
	t.nextPage(page)
	first := page.Records[0]
	t.changes(first)
	t.get(first)
	t.missing(first)
	for _, path := range t.object.Searchable {
		t.search(page.Records, path)
	}
	if t.object.Deleted != nil {
		ids, _, err := t.Connector.Deleted(t.ctx, t.name, t.Now().Add(-time.Hour), "")
		if err != nil {
			t.wrong("deleted", err, "deleted")
		} else {
			t.ok("deleted", "%d ids of the last hour", len(ids))
		}
	}
}

// rower is a connector that shows rows as the server gave them.
type rower interface {
	FirstRows(ctx context.Context, object string) ([]any, error)
}

// empty tells a listing without records from one whose rows are not understood.
func (t *trial) empty() {
	if shows, ok := t.Connector.(rower); ok {
		if rows, err := shows.FirstRows(t.ctx, t.name); err == nil && len(rows) > 0 {
			fields, _ := rows[0].(map[string]any)
			t.say("list", Wrong, "no row has an id at "+t.object.Records.ID+"; a row has "+strings.Join(slices.Sorted(maps.Keys(fields)), ", "), "records.id and list: rows")
			return
		}
	}
	t.skip("list", "there is no record yet: put one into the system, so that the rest can be tried")
}

// listed looks at the rows of a page.
func (t *trial) listed(page connector.Page) {
	said := t.object.Records
	row := page.Records[0]
	keys := strings.Join(slices.Sorted(maps.Keys(row.Fields)), ", ")
	switch {
	case said.UpdatedAt != "" && row.UpdatedAt.IsZero():
		t.say("list", Wrong, "no time at "+said.UpdatedAt+"; a row has "+keys, "records.updated_at and records.times")
	case said.CreatedAt != "" && row.CreatedAt.IsZero():
		t.say("list", Wrong, "no time at "+said.CreatedAt+"; a row has "+keys, "records.created_at and records.times")
	case said.Version != "" && row.Version == "":
		t.say("list", Wrong, "no version at "+said.Version+"; a row has "+keys, "records.version")
	default:
		t.ok("list", "%d rows; a row has %s", len(page.Records), keys)
	}
}

// nextPage follows the listing once.
func (t *trial) nextPage(page connector.Page) {
	const operation = "next page"
	if page.Next == "" {
		t.skip(operation, "the first page is all there is; with more records than a page holds, or with {size} in the query, this can be tried")
		return
	}
	next, err := t.Connector.List(t.ctx, connector.ListRequest{Object: t.name, Cursor: page.Next})
	if err != nil {
		t.wrong(operation, err, "list.paging")
		return
	}
	read := map[string]bool{}
	for _, row := range page.Records {
		read[row.Ref.ID] = true
	}
	fresh := 0
	for _, row := range next.Records {
		if !read[row.Ref.ID] {
			fresh++
		}
	}
	if fresh == 0 && len(next.Records) > 0 && next.Next != "" {
		t.say(operation, Wrong, "the second page shows only rows of the first", "list.paging, and where {next}, {page} or {offset} stands")
		return
	}
	t.ok(operation, "%d rows that the first page did not have", fresh)
}

// changes asks for what changed since the row, and since a time to come.
func (t *trial) changes(row record.Record) {
	if t.object.ChangesBy() == nil {
		t.skip("changes", "the manifest has no filter by time: everything is read each time")
		return
	}
	future, err := t.Connector.List(t.ctx, connector.ListRequest{Object: t.name, Since: t.Now().AddDate(50, 0, 0)})
	if err != nil {
		t.wrong("changes", err, "{since} and its form")
		return
	}
	if len(future.Records) > 0 {
		t.say("changes", Wrong, "the filter is ignored: there are rows since a time to come", "the name of the parameter that holds {since}, and its form (since)")
		return
	}
	if row.UpdatedAt.IsZero() {
		t.skip("changes", "nothing is listed since a time to come; without records.updated_at the rest cannot be tried")
		return
	}
	request := connector.ListRequest{Object: t.name, Since: row.UpdatedAt}
	for range 20 {
		page, err := t.Connector.List(t.ctx, request)
		if err != nil {
			t.wrong("changes", err, "{since} and its form")
			return
		}
		if holds(page.Records, row.Ref.ID) {
			t.ok("changes", "what changed at the moment asked for is listed, and nothing since a time to come")
			return
		}
		if request.Cursor = page.Next; page.Next == "" {
			t.say("changes", Wrong, "a row is not listed since its own updated time", "after: true if the server leaves out the moment itself; the form of {since} (since); records.updated_at")
			return
		}
	}
	t.skip("changes", "the filter is obeyed; the row asked for lies behind 20 pages")
}

// get reads the row alone.
func (t *trial) get(row record.Record) {
	got, err := t.Connector.Get(t.ctx, t.name, row.Ref.ID)
	if err != nil {
		t.wrong("get", err, "get: path and row")
		return
	}
	var lacks []string
	for key := range got.Fields {
		if _, ok := row.Fields[key]; !ok {
			lacks = append(lacks, key)
		}
	}
	slices.Sort(lacks)
	switch {
	case got.Ref.ID != row.Ref.ID:
		t.say("get", Wrong, "another record answers than was asked for", "get.path and records.id")
	case got.UpdatedAt.Equal(row.UpdatedAt) && got.Version != row.Version:
		t.say("get", Wrong, "the same state has one version in a list and another alone", "records.version, version_form and etag")
	case len(lacks) > 0:
		t.say("get", Wrong, "a listed row lacks "+strings.Join(lacks, ", "), "ask for these fields in list (fields), or leave them out of the mapping")
	default:
		t.ok("get", "the same record as in the list")
	}
}

// missing asks for a record that there cannot be.
func (t *trial) missing(row record.Record) {
	_, err := t.Connector.Get(t.ctx, t.name, nobody(row.Ref.ID))
	switch code := fault.CodeOf(err); {
	case err == nil:
		t.say("missing", Wrong, "a record answers that should not exist", "get.path: where {id} stands")
	case code == fault.Gone:
		t.ok("missing", "the system's own answer for a record that does not exist is understood")
	default:
		t.say("missing", Wrong, fault.As(err).Error(), "errors.known: a path that only the system's own refusals have; or a row of errors.cases with means: gone. Without it no delete is ever seen")
	}
}

// nobody is an id of the same form that surely nobody has.
func nobody(id string) string {
	if strings.Trim(id, "0123456789") == "" {
		return strings.Repeat("9", max(len(id), 9))
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r >= '0' && r <= '9':
			return '9'
		case r >= 'a' && r <= 'f':
			return 'f'
		}
		return r
	}, id)
}

// search looks a row up by one of its values. A connector whose search is refused
// reads what was changed instead; since a time to come that is nothing, so that only
// the search itself can find the row.
func (t *trial) search(rows []record.Record, path string) {
	operation := "search by " + path
	for _, row := range rows {
		value, ok := row.Fields.Get(path)
		if text, isText := value.(string); !ok || (isText && text == "") || value == nil {
			continue
		}
		found, err := t.Connector.Search(t.ctx, connector.SearchRequest{Object: t.name, Path: path, Value: value, Since: t.Now().AddDate(50, 0, 0)})
		switch {
		case err != nil:
			t.wrong(operation, err, "search")
		case !holds(found, row.Ref.ID):
			t.say(operation, Wrong, "a record is not found by its own value", "search: path, query or body, where {field} (or {leaf}) and {value} stand, size and rows")
		default:
			t.ok(operation, "a record is found by its own value")
		}
		return
	}
	t.skip(operation, "no row at hand has a value there")
}

func holds(rows []record.Record, id string) bool {
	return slices.ContainsFunc(rows, func(row record.Record) bool { return row.Ref.ID == id })
}
