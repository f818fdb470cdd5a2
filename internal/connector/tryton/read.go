package tryton

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/record"
)

const (
	// maxFound bounds a search.
	maxFound = 200
	// maxMerges bounds the chain of parties that were replaced by one another.
	maxMerges = 8
)

// Get reads one record with its children. A party that was replaced by another
// one answers the other one.
func (c *client) Get(ctx context.Context, name, id string) (record.Record, error) {
	o, err := c.object(name)
	if err != nil {
		return record.Record{}, err
	}
	for range maxMerges {
		got, replacedBy, err := c.read(ctx, o, id)
		if err != nil || replacedBy == "" {
			return got, err
		}
		id = replacedBy
	}
	return record.Record{}, fault.New(fault.Transient, "%s names more than %d replacements of one party; merge them there", title, maxMerges)
}

func (c *client) read(ctx context.Context, o object, id string) (got record.Record, replacedBy string, err error) {
	number, err := c.number(o, id)
	if err != nil {
		return record.Record{}, "", err
	}
	p := c.about(o, id, "read", []any{[]int{number}, o.names()})
	rows, reply, err := c.rows(ctx, p)
	if err != nil {
		return record.Record{}, "", err
	}
	if len(rows) == 0 {
		gone := fault.New(fault.Gone, "%s has no such record", title)
		gone.Subject, gone.Status = p.subject, reply.Status
		return record.Record{}, "", gone
	}
	got, ok := c.row(o, rows[0])
	if !ok || got.Ref.ID != id {
		return record.Record{}, "", p.broken(reply, "the "+o.Singular+" asked for")
	}
	if o.children {
		replacedBy, _ = transport.ParseID(rows[0]["replaced_by"])
	}
	return got, replacedBy, nil
}

// about is a call about one record.
func (c *client) about(o object, id, method string, params []any) procedure {
	return procedure{model: o.model, method: method, params: params, one: true,
		subject: record.Ref{Side: c.cfg.Side, Object: o.Name, ID: id}.String()}
}

// number is an id as Tryton has it. A text that is none was never a record here.
func (c *client) number(o object, id string) (int, error) {
	number, err := strconv.Atoi(id)
	if err != nil || number <= 0 || number > 1<<31-1 {
		return 0, fault.New(fault.Invalid, "an id of a %s in %s is a number", o.Singular, title).On(record.Ref{Side: c.cfg.Side, Object: o.Name, ID: id})
	}
	return number, nil
}

// place is where a listing stands: by id, which never changes, so that no edit
// and no delete can move a row across the pages.
type place struct {
	// since is what was asked for; zero: everything.
	since time.Time
	// after is the last id read, size the page.
	after, size int
}

// List reads a page in the order of ids. What changed since is what was itself
// written, or has a contact mechanism or an identifier that was: an edit of an
// e-mail address does not touch its party. What cannot be seen is an address
// deleted past its party, which only a full comparison finds.
func (c *client) List(ctx context.Context, request connector.ListRequest) (connector.Page, error) {
	o, err := c.object(request.Object)
	if err != nil {
		return connector.Page{}, err
	}
	at := place{since: request.Since, size: maxPage}
	if request.Limit > 0 && request.Limit < maxPage {
		at.size = request.Limit
	}
	if request.Cursor != "" {
		if at, err = readPlace(request.Cursor); err != nil {
			return connector.Page{}, err
		}
	}
	domain := []any{[]any{"id", ">", at.after}}
	if !at.since.IsZero() {
		domain = append(domain, o.changed(at.since))
	}
	p := procedure{model: o.model, method: "search_read", subject: o.Name, params: []any{domain, 0, at.size, byID(), o.names()}}
	rows, reply, err := c.rows(ctx, p)
	if err != nil {
		return connector.Page{}, err
	}
	page := connector.Page{Total: -1, ServerTime: reply.ServerTime}
	last := at.after
	for _, read := range rows {
		row, ok := c.row(o, read)
		id, isID := transport.ParseInt(read["id"])
		if !ok || !isID || id <= last {
			return connector.Page{}, p.broken(reply, "records in the order of their ids")
		}
		last = id
		page.Records = append(page.Records, row)
	}
	if len(rows) == at.size {
		page.Next = place{since: at.since, after: last, size: at.size}.text()
	}
	return page, nil
}

func byID() []any { return []any{[]any{"id", "ASC"}} }

// changed is the domain of records written or created at or after a moment.
func (o object) changed(since time.Time) []any {
	own := func() []any {
		return []any{"OR", []any{"write_date", ">=", datetime(since)}, []any{"create_date", ">=", datetime(since)}}
	}
	domain := own()
	if o.children {
		domain = append(domain, []any{mechanisms, "where", []any{own()}}, []any{identifiers, "where", []any{own()}})
	}
	return domain
}

func (p place) text() string {
	since := int64(0)
	if !p.since.IsZero() {
		since = p.since.UnixMicro()
	}
	return strings.Join([]string{"t1", strconv.FormatInt(since, 10), strconv.Itoa(p.after), strconv.Itoa(p.size)}, ".")
}

func readPlace(cursor string) (place, error) {
	parts := strings.Split(cursor, ".")
	numbers := make([]int64, 0, len(parts))
	for _, part := range parts[1:] {
		number, err := strconv.ParseInt(part, 10, 64)
		if err != nil || number < 0 {
			break
		}
		numbers = append(numbers, number)
	}
	if parts[0] != "t1" || len(parts) != 4 || len(numbers) != 3 || numbers[2] < 1 || numbers[2] > maxPage {
		return place{}, fault.New(fault.Usage, "the listing's cursor is not one of %s; start the listing anew", title)
	}
	at := place{after: int(numbers[1]), size: int(numbers[2])}
	if numbers[0] > 0 {
		at.since = time.UnixMicro(numbers[0]).UTC()
	}
	return at, nil
}

// Search looks records up by one value, inactive ones included. Letters are
// compared without case; a phone number by its last digits, however it is spaced.
func (c *client) Search(ctx context.Context, request connector.SearchRequest) ([]record.Record, error) {
	o, err := c.object(request.Object)
	if err != nil {
		return nil, err
	}
	wanted, ok := asText(request.Value)
	if wanted = strings.TrimSpace(wanted); !ok || wanted == "" {
		return nil, nil
	}
	domain, err := o.where(request.Path, wanted)
	if err != nil {
		return nil, err
	}
	rows, _, err := c.rows(ctx, procedure{model: o.model, method: "search_read", subject: o.Name,
		params: []any{domain, 0, maxFound, byID(), o.names()}})
	if err != nil {
		return nil, err
	}
	found := make([]record.Record, 0, len(rows))
	for _, read := range rows {
		if row, ok := c.row(o, read); ok && read["replaced_by"] == nil {
			found = append(found, row)
		}
	}
	return found, nil
}

func (o object) where(path, wanted string) ([]any, error) {
	if o.children && isMechanism(path) {
		return []any{[]any{mechanisms, "where", []any{[]any{"type", "=", path}, []any{"value", "ilike", pattern(path, wanted)}}}}, nil
	}
	if key, ok := identifierKey(path); ok && o.children {
		return []any{[]any{identifiers, "where", []any{[]any{"type", "=", identifierType(key)}, []any{"code", "=", identifierCode(key, wanted)}}}}, nil
	}
	known, ok := o.field(path)
	if !ok || known.kind != text {
		return nil, fault.New(fault.Usage, "%s cannot look %s up by %s; use %s", title, o.Name, path, strings.Join(o.Searchable, ", "))
	}
	return []any{[]any{path, "ilike", pattern(path, wanted)}}, nil
}

// pattern is a value for ilike: literally, or the last eight digits of a phone
// number with anything in between.
func pattern(path, wanted string) string {
	if path == "phone" || path == "mobile" || path == "fax" {
		var digits []string
		for _, r := range wanted {
			if r >= '0' && r <= '9' {
				digits = append(digits, string(r))
			}
		}
		const local = 8
		if len(digits) >= local {
			return "%" + strings.Join(digits[len(digits)-local:], "%") + "%"
		}
	}
	return strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(wanted)
}
