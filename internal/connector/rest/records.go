package rest

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/manifest"
	"github.com/accord-sync/accord/internal/record"
)

// recordCall is a call about one record.
func (c *client) recordCall(request *manifest.Request, object *manifest.Object, id string, options connector.WriteOptions) (transport.Call, error) {
	if id == "" {
		return transport.Call{}, fault.New(fault.Internal, "a %s without an id was asked for", object.Singular)
	}
	values := valuesOf(object)
	values["id"] = id
	call, err := c.call(request, values, record.Ref{Side: c.cfg.Side, Object: object.Name, ID: id}.String())
	call.Record = true
	if options.IfMatch != "" && c.cfg.Capabilities.Versions {
		call.Header.Set("If-Match", options.IfMatch)
	}
	return call, err
}

// Get reads one record. An id that was merged away answers the survivor where
// the system does so.
func (c *client) Get(ctx context.Context, name, id string) (record.Record, error) {
	object, err := c.object(name)
	if err != nil {
		return record.Record{}, err
	}
	if isFile(object, &object.Get.Request) {
		return c.getFile(ctx, object, id)
	}
	call, err := c.recordCall(&object.Get.Request, object, id, connector.WriteOptions{})
	if err != nil {
		return record.Record{}, err
	}
	got, err := c.got(ctx, call, object)
	return got, reads(err)
}

func (c *client) got(ctx context.Context, call transport.Call, object *manifest.Object) (record.Record, error) {
	reply, err := c.do(ctx, call, object, &object.Get.Request)
	if err != nil {
		return record.Record{}, err
	}
	body, err := c.decode(call, reply, object, &object.Get.Request)
	if err != nil {
		return record.Record{}, err
	}
	item, _ := manifest.Look(body, object.Get.Row)
	if got, ok := c.row(object, shaped(item, object, &object.Get.Request), reply.Header); ok {
		return got, nil
	}
	return record.Record{}, c.api.Malformed(call, reply, "the "+object.Singular+" asked for")
}

// Create makes a record. Idempotency-Key is sent only to servers that honour
// it, since Go repeats a POST that carries one after a lost connection.
func (c *client) Create(ctx context.Context, name string, fields map[string]any, options connector.WriteOptions) (record.Record, error) {
	object, err := c.object(name)
	if err != nil {
		return record.Record{}, err
	}
	if object.Create == nil {
		return record.Record{}, c.readOnly(object)
	}
	set := make(map[string]any, len(fields))
	for path, value := range fields {
		if value != nil {
			set[path] = value
		}
	}
	call, err := c.call(&object.Create.Request, valuesOf(object), object.Name)
	if err != nil {
		return record.Record{}, err
	}
	call.Body, set = withRelations(object, call.Body, set)
	call.Body = wrapped(call.Body, object.Create.Wrap, transport.Nest(set))
	if options.IdempotencyKey != "" && c.cfg.Capabilities.IdempotencyKey {
		call.Header.Set("Idempotency-Key", options.IdempotencyKey)
	}
	reply, err := c.do(ctx, call, object, &object.Create.Request)
	if err != nil {
		return record.Record{}, err
	}
	return c.written(ctx, call, reply, object, object.Create, "")
}

// wrapped puts the fields into a body where the manifest wants them.
func wrapped(body any, wrap string, fields map[string]any) any {
	around, ok := body.(map[string]any)
	if !ok {
		around = map[string]any{}
	}
	if wrap == "." {
		for key, value := range fields {
			around[key] = value
		}
		return around
	}
	held := record.Fields(around)
	held.Set(wrap, fields)
	return map[string]any(held)
}

// Update sends the paths given. An object that the server would replace as a
// whole is sent whole; and with PUT, so is the record, which is read first by whoever
// knows only its version.
func (c *client) Update(ctx context.Context, current record.Record, fields map[string]any, options connector.WriteOptions) (record.Record, error) {
	object, err := c.object(current.Ref.Object)
	if err != nil {
		return record.Record{}, err
	}
	if object.Update == nil {
		return record.Record{}, c.readOnly(object)
	}
	if len(fields) == 0 {
		return current, nil
	}
	if (related{c}).CallOf(object.Name, fields) > 0 {
		return c.relink(ctx, object, current, fields)
	}
	if object.Update.Method == http.MethodPut && len(current.Fields) == 0 {
		if current, err = c.unread(ctx, current, options); err != nil {
			return record.Record{}, err
		}
	}
	call, err := c.recordCall(&object.Update.Request, object, current.Ref.ID, options)
	if err != nil {
		return record.Record{}, err
	}
	call.Body = wrapped(call.Body, object.Update.Wrap, c.completed(object, current, fields))
	reply, err := c.do(ctx, call, object, &object.Update.Request)
	if err != nil {
		return record.Record{}, err
	}
	return c.written(ctx, call, reply, object, object.Update, current.Ref.ID)
}

// unread reads a record of which only the version is known, if it is still that one.
func (c *client) unread(ctx context.Context, current record.Record, options connector.WriteOptions) (record.Record, error) {
	held, err := c.Get(ctx, current.Ref.Object, current.Ref.ID)
	if err != nil {
		return record.Record{}, err
	}
	if held.Ref.ID != current.Ref.ID || options.IfMatch != "" && held.Version != options.IfMatch {
		return record.Record{}, fault.New(fault.Stale, "the record has changed in %s meanwhile; it is read again", c.title).On(current.Ref)
	}
	return held, nil
}

// completed nests the paths and adds what the server would otherwise lose.
func (c *client) completed(object *manifest.Object, current record.Record, fields map[string]any) map[string]any {
	merged := record.Fields{}
	if object.Update.Method == http.MethodPut {
		merged = current.Fields.Clone()
		said := object.Records
		for _, path := range slices.Concat([]string{said.ID, said.Version, said.CreatedAt, said.UpdatedAt, said.UpdatedBy}, object.Update.Omit) {
			remove(merged, path)
		}
	} else {
		for path := range fields {
			top, _, nested := strings.Cut(path, ".")
			merges := slices.Contains(c.manifest.Capabilities.Merged, top) && !c.cfg.Capabilities.CustomFieldsReplace
			if held, ok := current.Fields[top].(map[string]any); ok && nested && !merges {
				merged[top] = held
			}
		}
		merged = merged.Clone()
	}
	for path, value := range fields {
		if value == nil && object.Update.Clear == "empty" {
			value = ""
		}
		merged.Set(path, value)
	}
	if said := object.Records.ID; isFile(object, &object.Update.Request) && slices.Contains(object.CSV.Columns, said) {
		merged.Set(said, current.Ref.ID) // a row of a file tells by itself whose it is
	}
	return merged
}

// remove takes a path out of an object.
func remove(object map[string]any, path string) {
	top, rest, nested := strings.Cut(path, ".")
	if !nested {
		delete(object, top)
		return
	}
	if inner, ok := object[top].(map[string]any); ok {
		remove(inner, rest)
	}
}

// written reads the answer of a write; a server that answers less than the
// whole record is asked for it. When that fails the write still happened, so
// the outcome is told as unknown and the caller looks again.
func (c *client) written(ctx context.Context, call transport.Call, reply transport.Reply, object *manifest.Object, said *manifest.Writing, id string) (record.Record, error) {
	if len(reply.Body) > 0 && said.Returns != "nothing" {
		body, err := c.decode(call, reply, object, &said.Request)
		if err != nil {
			return record.Record{}, err
		}
		item, _ := manifest.Look(body, said.Row)
		if got, ok := c.row(object, shaped(item, object, &said.Request), reply.Header); ok {
			if said.Returns == "record" && (object.Records.UpdatedAt == "" || !got.UpdatedAt.IsZero()) {
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
	object, err := c.object(name)
	if err != nil {
		return err
	}
	if object.Delete == nil {
		return fault.New(fault.Usage, "the manifest of %s does not say how %s are deleted; nothing is deleted", c.title, object.Name)
	}
	call, err := c.recordCall(object.Delete, object, id, options)
	if err != nil {
		return err
	}
	if _, err = c.do(ctx, call, object, object.Delete); fault.Is(err, fault.Gone) {
		return nil
	}
	return err
}

func (c *client) readOnly(object *manifest.Object) error {
	return fault.New(fault.Usage, "%s are only read in %s; nothing is written to them", object.Name, c.title)
}
