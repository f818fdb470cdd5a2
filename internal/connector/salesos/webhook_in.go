package salesos

import (
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/record"
)

// signatureHeader carries sha256=<hex HMAC-SHA256 of the raw body>.
const signatureHeader = "X-Salesos-Signature"

// ParseWebhook verifies the signature and reads both body forms: {type, data}
// and {id, type, version, ts, tenant, data}; a list of them is taken as well.
// An event of a kind this driver does not know gives no event and no error:
// refusing it would make the vendor switch the webhook off. A lead.converted that
// names the deal it became is an event of both. The signature has
// no time in it, so now is not used.
func (Driver) ParseWebhook(header http.Header, body []byte, secrets []string, _ time.Time) ([]connector.Event, error) {
	sum, err := signature(header)
	if err != nil {
		return nil, err
	}
	if !transport.Signed(body, sum, secrets) {
		return nil, fault.New(fault.Unauthorized, "the webhook's signature does not match; check the webhook secret")
	}
	return Driver{}.ReadMessage(header, body)
}

// ReadMessage reads the events of a body, whoever vouches for them.
func (Driver) ReadMessage(header http.Header, body []byte) ([]connector.Event, error) {
	value, err := transport.DecodeJSON(body)
	if err != nil {
		return nil, fault.New(fault.Invalid, "the event's body is not JSON")
	}
	hash := transport.BodyHash(body)
	switch typed := value.(type) {
	case map[string]any:
		return readEvent(header, typed, hash)
	case []any:
		var events []connector.Event
		for i, item := range typed {
			object, ok := item.(map[string]any)
			if !ok {
				return nil, fault.New(fault.Invalid, "the body holds something that is not an event")
			}
			read, err := readEvent(http.Header{}, object, hash+"-"+strconv.Itoa(i))
			if err != nil {
				return nil, err
			}
			events = append(events, read...)
		}
		return events, nil
	}
	return nil, fault.New(fault.Invalid, "the body is not an event")
}

// signature reads the header strictly: anything malformed is as bad as a wrong one.
func signature(header http.Header) ([]byte, error) {
	values := header.Values(signatureHeader)
	if len(values) != 1 {
		return nil, fault.New(fault.Unauthorized, "the webhook carries no (or more than one) %s header", strings.ToLower(signatureHeader))
	}
	text, found := strings.CutPrefix(strings.TrimSpace(values[0]), "sha256=")
	sum, err := hex.DecodeString(text)
	if !found || err != nil || len(sum) != 32 {
		return nil, fault.New(fault.Unauthorized, "the webhook's %s header is not sha256=<hex>", strings.ToLower(signatureHeader))
	}
	return sum, nil
}

func readEvent(header http.Header, body map[string]any, fallbackID string) ([]connector.Event, error) {
	kind, _ := body["type"].(string)
	if kind == "" {
		kind = header.Get("X-SalesOS-Event")
	}
	if kind == "" {
		return nil, fault.New(fault.Invalid, "the event has no type")
	}
	word, _, _ := strings.Cut(kind, ".")
	object, known := objectOfSingular(word)
	if !known {
		return nil, nil
	}
	id, shown, ok := eventRecord(body, object)
	if !ok {
		return nil, fault.New(fault.Invalid, "the %s event names no record", transport.SafeToken(kind))
	}
	event := connector.Event{Object: object.Name, RecordID: id, Kind: transport.SafeToken(kind), ID: fallbackID}
	if own, ok := transport.ParseID(body["id"]); ok {
		event.ID = own
	} else if sent, ok := transport.ParseID(header.Get("X-SalesOS-Event-Id")); ok {
		event.ID = sent
	}
	what := strings.TrimPrefix(kind, word+".")
	event.Deleted = what == "deleted" || transport.Removed(shown)
	if shown != nil && !event.Deleted && what != "deactivated" {
		event.Shown = &record.Record{Fields: shown}
		event.Shown.CreatedAt, _ = transport.ParseTime(shown["created_at"])
		event.Shown.UpdatedAt, _ = transport.ParseTime(shown["updated_at"])
	}
	events := []connector.Event{event}
	if deal, named := dealMade(kind, body); named {
		events = append(events, connector.Event{ID: event.ID + "-deal", Object: "deals", RecordID: deal, Kind: event.Kind})
	}
	return events, nil
}

// dealMade is the deal that a converted lead became, where the event names it:
// its own event may have been lost.
func dealMade(kind string, body map[string]any) (id string, named bool) {
	data, _ := body["data"].(map[string]any)
	if kind != "lead.converted" {
		return "", false
	}
	if deal, ok := data["deal"].(map[string]any); ok {
		if id, ok := transport.ParseID(deal["id"]); ok {
			return id, true
		}
	}
	return transport.ParseID(data["deal_id"])
}

// eventRecord finds the record's id: data.<singular>.id, data.id, data.object.id
// or data.<singular>_id; with it the object that it stands in, if that is the record.
func eventRecord(body map[string]any, object object) (id string, shown record.Fields, ok bool) {
	data, _ := body["data"].(map[string]any)
	for _, key := range []string{object.Singular, "object"} {
		if inner, ok := data[key].(map[string]any); ok {
			if id, ok := transport.ParseID(inner["id"]); ok {
				return id, inner, true
			}
		}
	}
	if id, ok := transport.ParseID(data["id"]); ok {
		return id, data, true
	}
	id, ok = transport.ParseID(data[object.Singular+"_id"])
	return id, nil, ok
}
