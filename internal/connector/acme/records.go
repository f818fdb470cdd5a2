package acme

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/record"
)

func (c *client) recordCall(method string, object connector.Object, id string, body any, options connector.WriteOptions) transport.Call {
	call := transport.Call{Method: method, Path: "/" + object.Name + "/" + url.PathEscape(id), Body: body, Record: true, Header: http.Header{},
		Subject: record.Ref{Side: c.cfg.Side, Object: object.Name, ID: id}.String()}
	if options.IfMatch != "" && c.cfg.Capabilities.Versions {
		call.Header.Set("If-Match", options.IfMatch)
	}
	return call
}

// Get reads one record. An id that was merged away answers the survivor; one that says
// of itself that it was deleted is fault.Gone.
func (c *client) Get(ctx context.Context, name, id string) (record.Record, error) {
	object, err := c.object(name)
	if err != nil {
		return record.Record{}, err
	}
	got, err := c.read(ctx, object, id)
	if err != nil {
		return record.Record{}, err
	}
	return transport.Present(got, title, func(id string) (record.Record, error) { return c.read(ctx, object, id) })
}

func (c *client) read(ctx context.Context, object connector.Object, id string) (record.Record, error) {
	if id == "" {
		return record.Record{}, fault.New(fault.Internal, "a %s without an id was asked for", object.Singular)
	}
	call := c.recordCall(http.MethodGet, object, id, nil, connector.WriteOptions{})
	reply, err := c.api.Do(ctx, call)
	if err != nil {
		return record.Record{}, err
	}
	body, err := c.api.Decode(call, reply)
	if err != nil {
		return record.Record{}, err
	}
	if got, ok := c.row(object, body, reply.Header); ok {
		return got, nil
	}
	return record.Record{}, c.api.Malformed(call, reply, "the "+object.Singular+" asked for")
}

// Create makes a record. Idempotency-Key is sent only to servers that honour
// it, since Go repeats a POST that carries one after a lost connection.
func (c *client) Create(ctx context.Context, name string, fields map[string]any, options connector.WriteOptions) (record.Record, error) {
	object, err := c.writable(name)
	if err != nil {
		return record.Record{}, err
	}
	set := make(map[string]any, len(fields))
	for path, value := range c.numbers.Refer(fields, references()) {
		if value != nil {
			set[path] = value
		}
	}
	call := transport.Call{Method: http.MethodPost, Path: "/" + object.Name, Body: transport.Nest(set), Subject: object.Name, Header: http.Header{}}
	if options.IdempotencyKey != "" && c.cfg.Capabilities.IdempotencyKey {
		call.Header.Set("Idempotency-Key", options.IdempotencyKey)
	}
	reply, err := c.api.Do(ctx, call)
	if err != nil {
		return record.Record{}, err
	}
	return c.written(ctx, call, reply, object, "")
}

// Update sends the paths given. properties merge by key at the server; other
// objects (a deal's amount) are sent whole, since only top-level keys are
// promised to be left alone.
func (c *client) Update(ctx context.Context, current record.Record, fields map[string]any, options connector.WriteOptions) (record.Record, error) {
	object, err := c.writable(current.Ref.Object)
	if err != nil {
		return record.Record{}, err
	}
	if len(fields) == 0 {
		return current, nil
	}
	call := c.recordCall(http.MethodPatch, object, current.Ref.ID, c.completed(current, c.numbers.Refer(fields, references())), options)
	reply, err := c.api.Do(ctx, call)
	if err != nil {
		return record.Record{}, err
	}
	return c.written(ctx, call, reply, object, current.Ref.ID)
}

// completed nests the paths and fills the objects that the server would
// replace as a whole with what the record holds.
func (c *client) completed(current record.Record, fields map[string]any) map[string]any {
	merged := record.Fields{}
	for path := range fields {
		top, _, nested := strings.Cut(path, ".")
		if !nested || top == properties && !c.cfg.Capabilities.CustomFieldsReplace {
			continue
		}
		if held, ok := current.Fields[top].(map[string]any); ok {
			merged[top] = held
		}
	}
	merged = merged.Clone()
	for path, value := range fields {
		merged.Set(path, value)
	}
	return merged
}

// written reads the answer of a write; a server that answers less than the
// whole record is asked for it. When that fails the write still happened, so
// the outcome is told as unknown and the caller looks again.
func (c *client) written(ctx context.Context, call transport.Call, reply transport.Reply, object connector.Object, id string) (record.Record, error) {
	if len(reply.Body) > 0 {
		body, err := c.api.Decode(call, reply)
		if err != nil {
			return record.Record{}, err
		}
		if got, ok := c.row(object, body, reply.Header); ok {
			if !got.CreatedAt.IsZero() || !got.UpdatedAt.IsZero() {
				got.RequestID = reply.RequestID()
				return got, nil
			}
			id = got.Ref.ID
		}
	}
	return c.api.ReadBack(call, reply, id, "the new "+object.Singular, func(id string) (record.Record, error) { return c.Get(ctx, object.Name, id) })
}

// Delete removes a record, if the version still holds; one already gone is no error.
func (c *client) Delete(ctx context.Context, name, id string, options connector.WriteOptions) error {
	object, err := c.writable(name)
	if err != nil {
		return err
	}
	_, err = c.api.Do(ctx, c.recordCall(http.MethodDelete, object, id, nil, options))
	if fault.Is(err, fault.Gone) {
		return nil
	}
	return err
}

func (c *client) writable(name string) (connector.Object, error) {
	found, err := c.object(name)
	if err != nil {
		return connector.Object{}, err
	}
	if !found.Creatable {
		return connector.Object{}, fault.New(fault.Usage, "%s are only read in %s; nothing is written to them", found.Name, title)
	}
	return found, nil
}
