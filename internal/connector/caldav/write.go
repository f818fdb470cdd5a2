package caldav

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"net/http"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/record"
)

// Create makes an event at an address that follows from the key of the create, on
// the condition that there is none yet: a create that is repeated finds its own.
func (c *client) Create(ctx context.Context, object string, fields map[string]any, options connector.WriteOptions) (record.Record, error) {
	if err := known(object); err != nil {
		return record.Record{}, err
	}
	set := map[string]any{}
	for path, value := range fields {
		if value != nil && value != "" {
			set[path] = value
		}
	}
	if _, given := set["starts_at"]; !given {
		return record.Record{}, refused("starts_at", "an event begins at some time")
	}
	secret := options.IdempotencyKey
	if secret == "" {
		secret = rand.Text()
	}
	sum := sha256.Sum256([]byte(secret))
	uid := "accord-" + hex.EncodeToString(sum[:16])
	e := newEvent(uid, c.cfg.Now())
	if _, err := e.edit(set, c.cfg.Now()); err != nil {
		return record.Record{}, err
	}
	id := uid + ".ics"
	etag, err := c.put(ctx, id, e, http.Header{"If-None-Match": {"*"}}, set)
	if fault.Is(err, fault.Stale) {
		return c.written(ctx, id, "")
	}
	if err != nil {
		return record.Record{}, err
	}
	return c.written(ctx, id, etag)
}

// Update reads the event, writes the fields given into it, and puts it back on the
// condition that it is still what was read.
func (c *client) Update(ctx context.Context, current record.Record, fields map[string]any, options connector.WriteOptions) (record.Record, error) {
	if err := known(current.Ref.Object); err != nil {
		return record.Record{}, err
	}
	if len(fields) == 0 {
		return current, nil
	}
	id := current.Ref.ID
	held, e, err := c.get(ctx, id)
	if err != nil {
		return record.Record{}, err
	}
	if options.IfMatch != "" && options.IfMatch != held.version() {
		stale := fault.New(fault.Stale, "the event has changed in the calendar meanwhile; it is read again")
		stale.Subject = c.subject(id)
		return record.Record{}, stale
	}
	changed, err := e.edit(fields, c.cfg.Now())
	if err != nil {
		return record.Record{}, c.about(err, id)
	}
	if !changed {
		return c.record(held, e), nil
	}
	condition := http.Header{}
	if held.etag != "" {
		condition.Set("If-Match", held.etag)
	}
	etag, err := c.put(ctx, id, e, condition, fields)
	if err != nil {
		return record.Record{}, err
	}
	return c.written(ctx, id, etag)
}

// put sends an event and answers its new ETag, if the server tells it: one that
// changed what it was sent does not (RFC 4791, 5.3.4).
func (c *client) put(ctx context.Context, id string, e event, condition http.Header, fields map[string]any) (string, error) {
	reply, err := c.do(ctx, transport.Call{Method: http.MethodPut, Path: pathOf(id), Subject: c.subject(id), Header: condition,
		Body: transport.Raw{Type: "text/calendar; charset=utf-8", Accept: "*/*", Text: e.calendar.Text()}})
	coded := fault.As(err)
	if coded != nil && coded.Code == fault.Invalid && coded.Field == "" && len(fields) == 1 {
		// Calendars name no field; only one can be meant.
		named := *coded
		named.Field = paths(fields)[0]
		return "", &named
	}
	return quoted(reply.Header.Get("ETag")), err
}

// written reads what a write left. When that fails, or shows a later edit, the
// write still happened.
func (c *client) written(ctx context.Context, id, etag string) (record.Record, error) {
	found, e, err := c.get(ctx, id)
	if err == nil && etag != "" && found.etag != etag {
		err = fault.New(fault.Transient, "the event was changed by somebody else right after")
	}
	if err != nil {
		return record.Record{}, c.about(transport.AfterWrite(err, title), id)
	}
	return c.record(found, e), nil
}

func (c *client) about(err error, id string) error {
	coded := fault.As(err)
	if coded == nil || coded.Subject != "" {
		return err
	}
	named := *coded
	named.Subject = c.subject(id)
	return &named
}

// Delete removes an event, with its series.
func (c *client) Delete(ctx context.Context, object, id string, options connector.WriteOptions) error {
	if err := known(object); err != nil {
		return err
	}
	if err := c.isName(id); err != nil {
		return err
	}
	condition := http.Header{}
	if etag := etagOf(options.IfMatch); etag != "" {
		condition.Set("If-Match", etag)
	}
	_, err := c.do(ctx, transport.Call{Method: http.MethodDelete, Path: pathOf(id), Subject: c.subject(id), Header: condition,
		Body: transport.Raw{Accept: "*/*"}})
	if err = c.missing(ctx, id, err); fault.Is(err, fault.Gone) {
		return nil
	}
	return err
}
