package rest

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/manifest"
	"github.com/accord-sync/accord/internal/record"
)

// ParseWebhook is ParseWebhookAt without an address.
func (d Driver) ParseWebhook(header http.Header, body []byte, secrets []string, now time.Time) ([]connector.Event, error) {
	return d.ParseWebhookAt("", header, body, secrets, now)
}

// ParseWebhookAt verifies the signature that the manifest describes and reads one
// event or a batch. Events of collections that the manifest does not have are
// left out without an error.
func (d Driver) ParseWebhookAt(address string, header http.Header, body []byte, secrets []string, now time.Time) ([]connector.Event, error) {
	webhook := d.manifest.Webhook
	if webhook == nil {
		return nil, fault.New(fault.Unauthorized, "the manifest of %s has no webhook; whoever called is not known", d.manifest.Title)
	}
	fallbackID, err := verify(webhook.Signature, delivery{address: address, header: header, body: body}, secrets, now)
	if err != nil {
		return nil, err
	}
	return d.read(fallbackID, body)
}

// ReadMessage reads the events of a body, whoever vouches for them.
func (d Driver) ReadMessage(_ http.Header, body []byte) ([]connector.Event, error) {
	if d.manifest.Webhook == nil {
		return nil, fault.New(fault.Invalid, "the manifest of %s does not say what an event looks like", d.manifest.Title)
	}
	return d.read("", body)
}

// read reads one event or a batch.
func (d Driver) read(fallbackID string, body []byte) ([]connector.Event, error) {
	list := d.manifest.Webhook.Events.List
	value, err := transport.DecodeJSON(body)
	if err != nil {
		return nil, fault.New(fault.Invalid, "the event's body is not JSON")
	}
	found, present := manifest.Look(value, list)
	batch, isList := found.([]any)
	if !isList {
		batch = []any{found}
	}
	if !present {
		return nil, fault.New(fault.Invalid, "the event's body has no %s", list)
	}
	if fallbackID == "" {
		fallbackID = transport.BodyHash(body)
	}
	events := make([]connector.Event, 0, len(batch))
	broken := 0
	for i, item := range batch {
		event, known, ok := d.event(item, fallbackID+"-"+strconv.Itoa(i))
		switch {
		case !ok:
			broken++
		case known:
			events = append(append(events, event), d.merged(item, event)...)
		}
	}
	// One broken event must not cost the others; a batch of nothing else is refused.
	if broken > 0 && broken == len(batch) {
		return nil, fault.New(fault.Invalid, "the body holds no event that can be read")
	}
	return events, nil
}

// event reads one event. known is false for other collections, ok is false when
// it names no record or no kind.
func (d Driver) event(item any, fallbackID string) (event connector.Event, known, ok bool) {
	said := d.manifest.Webhook.Events
	kind := textAt(item, said.Kind)
	word := kind
	if end := strings.IndexAny(kind, "./:"); end >= 0 {
		word = kind[:end]
	}
	if named := textAt(item, said.Object); named != "" {
		word = named
	}
	if kind == "" {
		return event, false, false
	}
	object := d.manifest.Word(word)
	if object == nil {
		return event, false, true
	}
	id := ""
	for _, path := range said.Record {
		if id, ok = idAt(item, path); ok {
			break
		}
	}
	if !ok {
		return event, true, false
	}
	event = connector.Event{ID: fallbackID, Object: object.Name, RecordID: id, Kind: transport.SafeToken(kind)}
	if own, has := idAt(item, said.ID); has {
		event.ID = own
	}
	event.MergedInto, _ = idAt(item, said.MergedInto)
	gone := event.MergedInto != "" || slices.ContainsFunc(said.Deletes, func(ending string) bool { return ending != "" && strings.HasSuffix(kind, ending) })
	event.Deleted = gone && event.MergedInto == ""
	// Only what an app wrote can be our own echo; a person's edit always asks for a
	// look. Where events do not tell who acted, only what they show counts.
	if byApp := said.Actor == "" || strings.HasPrefix(textAt(item, said.Actor), said.Apps); !gone && byApp {
		event.Shown = d.shown(object, item, id)
	}
	return event, true, true
}

// merged are the events of the records that were merged into the one of an event.
func (d Driver) merged(item any, into connector.Event) []connector.Event {
	found, _ := manifest.Look(item, d.manifest.Webhook.Events.Merged)
	list, _ := found.([]any)
	var events []connector.Event
	for i, one := range list {
		if id, ok := transport.ParseID(one); ok && id != into.RecordID {
			events = append(events, connector.Event{ID: into.ID + "-" + strconv.Itoa(i), Object: into.Object, RecordID: id, Kind: into.Kind, MergedInto: into.RecordID})
		}
	}
	return events
}

// shown is what the event shows of the record; nil: nothing.
func (d Driver) shown(object *manifest.Object, item any, id string) *record.Record {
	said := d.manifest.Webhook.Events
	shown := record.Record{}
	if said.Actor != "" {
		shown.Version = versionAt(item, said.Version, object.Records)
	}
	row, _ := manifest.Look(item, said.Row)
	if fields, ok := row.(map[string]any); ok {
		if own, has := idAt(fields, object.Records.ID); has && own == id {
			shown.Fields = fields
			shown.CreatedAt = timeAt(fields, object.Records.CreatedAt, object.Records.Times)
			shown.UpdatedAt = timeAt(fields, object.Records.UpdatedAt, object.Records.Times)
		}
	}
	if shown.Version == "" && shown.Fields == nil {
		return nil
	}
	return &shown
}
