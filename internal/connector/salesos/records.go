package salesos

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/record"
)

func (c *client) recordCall(method string, object object, id string, body any) transport.Call {
	return transport.Call{Method: method, Path: "/" + object.Name + "/" + url.PathEscape(id), Body: body, Record: true,
		Subject: record.Ref{Side: c.cfg.Side, Object: object.Name, ID: id}.String()}
}

// Get reads one record. One that says of itself that it was deleted is fault.Gone.
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

func (c *client) read(ctx context.Context, object object, id string) (record.Record, error) {
	if id == "" {
		return record.Record{}, fault.New(fault.Internal, "a %s without an id was asked for", object.Singular)
	}
	call := c.recordCall(http.MethodGet, object, id, nil)
	reply, err := c.api.Do(ctx, call)
	if err != nil {
		return record.Record{}, err
	}
	body, err := c.api.Decode(call, reply)
	if err != nil {
		return record.Record{}, err
	}
	item, _ := single(body, object)
	if got, ok := c.row(object, item); ok {
		return got, nil
	}
	return record.Record{}, c.api.Malformed(call, reply, "the "+object.Singular+" asked for")
}

// Create makes a record. Idempotency-Key is not sent: SalesOS does not know it,
// and Go would repeat such a POST after a lost connection.
func (c *client) Create(ctx context.Context, name string, fields map[string]any, _ connector.WriteOptions) (record.Record, error) {
	object, err := c.writable(name, allowInvite)
	if err != nil {
		return record.Record{}, err
	}
	set := make(map[string]any, len(fields))
	for path, value := range c.numbers.Refer(fields, references()) {
		if value != nil {
			set[path] = value
		}
	}
	if object.Name == "users" {
		if err := newcomer(set); err != nil {
			return record.Record{}, err
		}
	}
	if object.Name == "deals" {
		if set, err = c.born(ctx, set); err != nil {
			return record.Record{}, err
		}
	}
	call := transport.Call{Method: http.MethodPost, Path: "/" + object.Name, Body: transport.Nest(set), Subject: object.Name}
	reply, err := c.api.Do(ctx, call)
	if err != nil {
		return record.Record{}, err
	}
	return c.written(ctx, call, reply, object, wrote{sent: set})
}

// Update sends the paths given. Keys of custom_fields travel with all the
// others of the record as just read, since a PATCH may replace the whole
// object; a server known to merge gets only what changes. Tags are always whole.
// A deal's stage and status go by their own calls (CallOf).
func (c *client) Update(ctx context.Context, current record.Record, fields map[string]any, _ connector.WriteOptions) (record.Record, error) {
	object, err := c.writable(current.Ref.Object, allowDeactivate)
	if err != nil {
		return record.Record{}, err
	}
	if len(fields) == 0 {
		return current, nil
	}
	if object.Name == "users" {
		return c.deactivate(ctx, object, current, fields)
	}
	fields = c.numbers.Refer(fields, references())
	if c.CallOf(object.Name, fields) != callPatch {
		return c.updateDeal(ctx, object, current, fields)
	}
	body := transport.Nest(c.completed(current, fields))
	call := c.recordCall(http.MethodPatch, object, current.Ref.ID, body)
	reply, err := c.api.Do(ctx, call)
	if err != nil {
		return record.Record{}, err
	}
	return c.written(ctx, call, reply, object, wrote{current.Ref.ID, current.Fields, fields})
}

// completed replaces paths inside custom_fields by the whole merged object.
func (c *client) completed(current record.Record, fields map[string]any) map[string]any {
	if !c.cfg.Capabilities.CustomFieldsReplace {
		return fields
	}
	completed := make(map[string]any, len(fields))
	merged := record.Fields{}
	if held, ok := current.Fields.Get(customFields); ok {
		merged.Set(customFields, held)
		merged = merged.Clone()
	}
	touched := false
	for path, value := range fields {
		if strings.HasPrefix(path, customFields+".") {
			merged.Set(path, value)
			touched = true
			continue
		}
		completed[path] = value
	}
	if touched {
		completed[customFields] = merged[customFields]
	}
	return completed
}

// wrote is what is known of a record that was written: its id and fields before, if it
// was there, and what was sent by path.
type wrote struct {
	id     string
	before record.Fields
	sent   map[string]any
}

// told reports whether an answer shows the whole record, and not only what changed of
// it or its id: all that was there and all that was sent, but for what was cleared.
func (w wrote) told(answer record.Fields) bool {
	cleared := map[string]bool{}
	for path, value := range w.sent {
		top, _, nested := strings.Cut(path, ".")
		cleared[top] = cleared[top] || value == nil && !nested
		if _, shown := answer[top]; !shown && value != nil {
			return false
		}
	}
	for top, value := range w.before {
		if _, shown := answer[top]; !shown && value != nil && !cleared[top] {
			return false
		}
	}
	return true
}

// written reads the answer of a write. A server that answers less than the
// whole record is asked for it; when that fails the write still happened, so
// the outcome is told as unknown and the caller looks again.
func (c *client) written(ctx context.Context, call transport.Call, reply transport.Reply, object object, known wrote) (record.Record, error) {
	id := known.id
	if len(reply.Body) > 0 {
		body, err := c.api.Decode(call, reply)
		if err != nil {
			return record.Record{}, err
		}
		item, _ := single(body, object)
		if got, ok := c.row(object, item); ok {
			if (!got.CreatedAt.IsZero() || !got.UpdatedAt.IsZero()) && known.told(got.Fields) {
				got.RequestID = answeredBy(body, reply)
				return got, nil
			}
			id = got.Ref.ID
		}
	}
	return c.api.ReadBack(call, reply, id, "the new "+object.Singular, func(id string) (record.Record, error) { return c.Get(ctx, object.Name, id) })
}

// answeredBy is meta.request_id, else the header.
func answeredBy(body any, reply transport.Reply) string {
	outer, _ := body.(map[string]any)
	meta, _ := outer["meta"].(map[string]any)
	if id, ok := meta["request_id"].(string); ok {
		return transport.SafeToken(id)
	}
	return reply.RequestID()
}

// Delete removes a record; one already gone is no error.
func (c *client) Delete(ctx context.Context, name, id string, _ connector.WriteOptions) error {
	object, err := c.writable(name, allowDeactivate)
	if err != nil {
		return err
	}
	_, err = c.api.Do(ctx, c.recordCall(http.MethodDelete, object, id, nil))
	if fault.Is(err, fault.Gone) {
		return nil
	}
	return err
}

// writable gives a collection that may be written, or to which the integration
// allows what is about to be done.
func (c *client) writable(name, need string) (object, error) {
	found, err := c.object(name)
	if err != nil {
		return object{}, err
	}
	switch {
	case found.Creatable || slices.Contains(c.cfg.Allowed[name], need):
		return found, nil
	case slices.Contains(found.Allows, need):
		return object{}, fault.New(fault.Invalid, "the stream does not allow to %s %s of %s; `allow: [%s]` would", need, found.Name, title, need)
	}
	return object{}, fault.New(fault.Usage, "%s are only read in %s; nothing is written to them", found.Name, title)
}
