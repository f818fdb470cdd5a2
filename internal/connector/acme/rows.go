package acme

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/record"
)

// listed is one page as the server gave it.
type listed struct {
	rows []record.Record
	// next is the vendor's cursor; empty: the end.
	next       string
	total      int
	serverTime time.Time
}

// page reads one page of a collection.
func (c *client) page(ctx context.Context, object connector.Object, query url.Values) (listed, error) {
	return c.pageOf(ctx, object, get("/"+object.Name, query, object.Name))
}

func (c *client) pageOf(ctx context.Context, object connector.Object, call transport.Call) (listed, error) {
	found, next, reply, err := c.items(ctx, call)
	if err != nil {
		return listed{}, err
	}
	got := listed{next: next, total: -1, serverTime: reply.ServerTime}
	for _, item := range found {
		// A row without an id cannot be linked to anything; the others count.
		if row, ok := c.row(object, item, nil); ok {
			got.rows = append(got.rows, row)
		}
	}
	return got, nil
}

// items reads a list answer: {"items", "next_cursor"}, or a bare list.
func (c *client) items(ctx context.Context, call transport.Call) ([]any, string, transport.Reply, error) {
	reply, err := c.api.Do(ctx, call)
	if err != nil {
		return nil, "", reply, err
	}
	body, err := c.api.Decode(call, reply)
	if err != nil {
		return nil, "", reply, err
	}
	switch typed := body.(type) {
	case []any:
		return typed, "", reply, nil
	case map[string]any:
		for _, key := range []string{"items", "data"} {
			value, present := typed[key]
			rows, isList := value.([]any)
			if present && (isList || value == nil) {
				next, _ := transport.ParseID(typed["next_cursor"])
				if text, ok := typed["next_cursor"].(string); ok {
					next = text
				}
				return rows, next, reply, nil
			}
		}
	}
	return nil, "", reply, c.api.Malformed(call, reply, "a list")
}

// row makes a record of one JSON object; false without an id. The version is
// the ETag where there is one, else made of the version number in its form.
func (c *client) row(object connector.Object, item any, header http.Header) (record.Record, bool) {
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
	row.UpdatedBy, _ = fields["updated_by"].(string)
	c.numbers.See(object.Name, fields, references())
	row.Version = header.Get("ETag")
	if number, ok := transport.ParseID(fields["version"]); ok && row.Version == "" {
		row.Version = etagOf(number)
	}
	return row, true
}

// explain reads the error envelope {"error": {type, code, message, fields,
// existing_id}}. Its mark is error.type.
func explain(body []byte) transport.VendorError {
	var said transport.VendorError
	value, err := transport.DecodeJSON(body)
	outer, ok := value.(map[string]any)
	if err != nil || !ok {
		return said
	}
	inner, ok := outer["error"].(map[string]any)
	if !ok {
		return said
	}
	if kind, ok := inner["type"].(string); ok && kind != "" {
		said.Known = true
		said.Code = transport.SafeToken(kind)
	}
	if code, ok := inner["code"].(string); ok && code != "" {
		said.Code = transport.SafeToken(code)
	}
	said.Message, _ = inner["message"].(string)
	said.ExistingID, _ = transport.ParseID(inner["existing_id"])
	if id, ok := outer["request_id"].(string); ok {
		said.RequestID = transport.SafeToken(id)
	}
	fields, _ := inner["fields"].(map[string]any)
	for name := range fields {
		// Several refused fields: the first by name, so that it does not change from try to try.
		if safe := transport.SafeToken(name); said.Field == "" || safe < said.Field {
			said.Field = safe
			said.Message = transport.WithReasons(said.Message, fields[name])
		}
	}
	return said
}

// etagOf is the version number of a body in the form of the ETag header.
func etagOf(number string) string { return `"v` + strings.Trim(number, `"v`) + `"` }
