package salesos

import (
	"context"
	"net/url"
	"time"

	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/record"
)

// listed is one page as the server gave it.
type listed struct {
	rows []record.Record
	// total, pages and size are meta.total, total_pages and per_page; -1 when not said.
	total, pages, size int
	serverTime         time.Time
}

// page reads one page of a collection.
func (c *client) page(ctx context.Context, object object, query url.Values) (listed, error) {
	call := get("/"+object.Name, query, object.Name)
	reply, err := c.api.Do(ctx, call)
	if err != nil {
		return listed{}, err
	}
	body, err := c.api.Decode(call, reply)
	if err != nil {
		return listed{}, err
	}
	items, meta, ok := items(body, object.Name)
	if !ok {
		return listed{}, c.api.Malformed(call, reply, "a list of "+object.Name)
	}
	got := listed{total: -1, pages: -1, size: -1, serverTime: reply.ServerTime}
	got.readMeta(meta)
	for _, item := range items {
		// A row without an id cannot be linked to anything; the others count.
		if row, ok := c.row(object, item); ok {
			got.rows = append(got.rows, row)
		}
	}
	if got.pages == 0 && len(got.rows) > 0 {
		got.pages = -1 // a count that contradicts the rows is no count
	}
	return got, nil
}

func (l *listed) readMeta(meta map[string]any) {
	for key, target := range map[string]*int{"total": &l.total, "total_pages": &l.pages, "per_page": &l.size} {
		if number, ok := transport.ParseInt(meta[key]); ok && number >= 0 {
			*target = number
		}
	}
	if l.pages < 0 && l.total >= 0 && l.size > 0 {
		l.pages = (l.total + l.size - 1) / l.size
	}
	if l.serverTime.IsZero() {
		if at, ok := transport.ParseTime(meta["timestamp"]); ok {
			l.serverTime = at
		}
	}
}

// items finds the rows of a list answer: under data, under data.items or
// data.<collection>, or bare. A null under data is an empty list; a missing
// one is not.
func items(body any, name string) ([]any, map[string]any, bool) {
	switch typed := body.(type) {
	case []any:
		return typed, nil, true
	case map[string]any:
		meta, _ := typed["meta"].(map[string]any)
		data, present := typed["data"]
		if !present {
			return nil, nil, false
		}
		switch inner := data.(type) {
		case nil:
			return nil, meta, true
		case []any:
			return inner, meta, true
		case map[string]any:
			for _, key := range []string{"items", name} {
				if rows, ok := inner[key].([]any); ok {
					return rows, meta, true
				}
			}
		}
	}
	return nil, nil, false
}

// single finds the object of an answer about one record: under data,
// data.<singular>, or bare.
func single(body any, object object) (any, bool) {
	outer, ok := body.(map[string]any)
	if !ok {
		return nil, false
	}
	if data, present := outer["data"]; present {
		inner, ok := data.(map[string]any)
		if !ok {
			return nil, false
		}
		if nested, ok := inner[object.Singular].(map[string]any); ok && inner["id"] == nil {
			return nested, true
		}
		return inner, true
	}
	return outer, true
}

// row makes a record of one JSON object; false without an id.
func (c *client) row(object object, item any) (record.Record, bool) {
	fields, ok := item.(map[string]any)
	if !ok {
		return record.Record{}, false
	}
	id, ok := transport.ParseID(fields["id"])
	if !ok {
		return record.Record{}, false
	}
	row := record.Record{Ref: record.Ref{Side: c.cfg.Side, Object: object.Name, ID: id}, Fields: fields}
	row.CreatedAt, _ = transport.ParseTime(fields["created_at"])
	row.UpdatedAt, _ = transport.ParseTime(fields["updated_at"])
	c.numbers.See(object.Name, fields, references())
	if stage, ok := fields[stagePath].(map[string]any); ok {
		c.numbers.See("stages", stage, nil)
	}
	return row, true
}

// explain reads the error envelope {"error": {code, message, details}}. Its
// mark is error.code; the body of a 409 is not documented, so the existing
// record's id is looked for in the usual places.
func explain(body []byte) transport.VendorError {
	var said transport.VendorError
	value, err := transport.DecodeJSON(body)
	outer, ok := value.(map[string]any)
	if err != nil || !ok {
		return said
	}
	if meta, ok := outer["meta"].(map[string]any); ok {
		if id, ok := meta["request_id"].(string); ok {
			said.RequestID = transport.SafeToken(id)
		}
	}
	if inner, ok := outer["error"].(map[string]any); ok {
		if code, ok := inner["code"].(string); ok && code != "" {
			said.Known = true
			said.Code = transport.SafeToken(code)
		}
		said.Message, _ = inner["message"].(string)
		said.Field, said.ExistingID = explainDetails(inner["details"])
		said.ExistingID = firstID(inner, said.ExistingID, "existing_id", "duplicate_id", "conflicting_id")
	}
	said.ExistingID = firstID(outer, said.ExistingID, "existing_id")
	if data, ok := outer["data"].(map[string]any); ok {
		said.ExistingID = firstID(data, said.ExistingID, "existing_id", "id")
	}
	return said
}

func explainDetails(details any) (field, existing string) {
	list, ok := details.([]any)
	if !ok {
		if one, isObject := details.(map[string]any); isObject {
			list = []any{one}
		}
	}
	for _, item := range list {
		detail, ok := item.(map[string]any)
		if !ok {
			continue
		}
		if name, ok := detail["field"].(string); ok && field == "" {
			field = transport.SafeToken(name)
		}
		existing = firstID(detail, existing, "existing_id", "id")
	}
	return field, existing
}

func firstID(object map[string]any, found string, keys ...string) string {
	for _, key := range keys {
		if id, ok := transport.ParseID(object[key]); ok && found == "" {
			found = id
		}
	}
	return found
}
