package caldav

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/caldav/ical"
	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/record"
)

// Get reads one event.
func (c *client) Get(ctx context.Context, object, id string) (record.Record, error) {
	if err := known(object); err != nil {
		return record.Record{}, err
	}
	found, e, err := c.get(ctx, id)
	if err != nil {
		return record.Record{}, err
	}
	return c.record(found, e), nil
}

// isName refuses what was never an event's name, and would lead elsewhere.
func (c *client) isName(id string) error {
	if _, ok := transport.ParseID(id); ok {
		return nil
	}
	return fault.New(fault.Invalid, "that is no name of an event").On(record.Ref{Side: c.cfg.Side, Object: objectName})
}

func pathOf(id string) string { return "/" + url.PathEscape(id) }

// get reads one object with its event.
func (c *client) get(ctx context.Context, id string) (resource, event, error) {
	if err := c.isName(id); err != nil {
		return resource{}, event{}, err
	}
	reply, err := c.do(ctx, transport.Call{Method: http.MethodGet, Path: pathOf(id), Subject: c.subject(id),
		Body: transport.Raw{Accept: "text/calendar"}})
	if err != nil {
		return resource{}, event{}, c.missing(ctx, id, err)
	}
	text := strings.TrimSpace(strings.TrimPrefix(string(reply.Body), "\ufeff"))
	const first = "BEGIN:VCALENDAR"
	if len(text) < len(first) || !strings.EqualFold(text[:len(first)], first) {
		coded := fault.New(fault.Transient, "%s answered something that is no event; is base_url the address of a calendar?", title)
		coded.Subject, coded.Status = c.subject(id), reply.Status
		return resource{}, event{}, coded
	}
	found := resource{name: id, etag: quoted(reply.Header.Get("ETag")), data: text}
	if at, err := http.ParseTime(reply.Header.Get("Last-Modified")); err == nil {
		found.modified = at.UTC()
	}
	e, isEvent, err := parseEvent(text)
	if err != nil || !isEvent {
		coded := fault.New(fault.Invalid, "what the calendar holds is no event that can be read; correct it there")
		if errors.Is(err, ical.ErrTooLarge) {
			coded.Code = fault.TooLarge
		}
		coded.Subject, coded.Status = c.subject(id), reply.Status
		return resource{}, event{}, coded
	}
	return found, e, nil
}

// missing tells a deleted event from any other 404: it is gone only if the
// calendar itself, asked for it in a listing, says so.
func (c *client) missing(ctx context.Context, id string, err error) error {
	coded := fault.As(err)
	if coded == nil || coded.Status != http.StatusNotFound && coded.Status != http.StatusGone {
		return err
	}
	found, reply, askErr := c.objects(ctx, []string{id}, c.subject(id))
	if askErr != nil {
		return askErr
	}
	if !found[id].gone {
		return err
	}
	gone := fault.New(fault.Gone, "%s has no such event", title)
	gone.Subject, gone.Status = c.subject(id), reply.Status
	return gone
}

func (c *client) record(found resource, e event) record.Record {
	fields := e.fields(found.name)
	fields["updated_at"] = nil
	if !found.modified.IsZero() {
		fields["updated_at"] = found.modified.Format("2006-01-02T15:04:05Z07:00")
	}
	return record.Record{Ref: record.Ref{Side: c.cfg.Side, Object: objectName, ID: found.name}, Version: found.version(),
		UpdatedAt: found.modified, Fields: fields}
}

// Search reads the events that changed since and compares: CalDAV's own search
// compares texts as they are written, with signs that calendars write differently.
// Only what is surely not older than Since is left out.
func (c *client) Search(ctx context.Context, request connector.SearchRequest) ([]record.Record, error) {
	if err := known(request.Object); err != nil {
		return nil, err
	}
	_, isText := texts()[request.Path]
	if _, isExtension := extensionName(request.Path); !isText && !isExtension && request.Path != "uid" {
		return nil, fault.New(fault.Usage, "%s cannot look events up by %s", title, request.Path)
	}
	wanted, ok := asText(request.Value)
	if !ok || strings.TrimSpace(wanted) == "" {
		return nil, nil
	}
	var found []record.Record
	listing := connector.ListRequest{Object: objectName, Since: request.Since}
	for {
		page, err := c.List(ctx, listing)
		if err != nil {
			return nil, err
		}
		for _, one := range page.Records {
			if held, has := one.Fields.Get(request.Path); has && transport.LooseEqual(held, wanted) {
				found = append(found, one)
			}
		}
		if listing.Cursor = page.Next; page.Next == "" {
			return found, nil
		}
	}
}
