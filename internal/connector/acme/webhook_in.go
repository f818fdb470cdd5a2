package acme

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

const (
	// signatureHeader carries t=<epoch seconds>,v1=<hex>, with two v1 during rotation.
	signatureHeader = "X-Acme-Signature"
	// tolerance is how far t may be off.
	tolerance = 5 * time.Minute
	// maxSignatures bounds the v1 parts that are looked at.
	maxSignatures = 8
)

// ParseWebhook verifies the signature over "<t>.<raw body>" and reads the
// batch of thin events. Events of collections this driver does not know are
// left out without an error.
func (Driver) ParseWebhook(header http.Header, body []byte, secrets []string, now time.Time) ([]connector.Event, error) {
	signed, err := readSignature(header)
	if err != nil {
		return nil, err
	}
	if off := now.Sub(time.Unix(signed.at, 0)); off > tolerance || off < -tolerance {
		return nil, fault.New(fault.Unauthorized, "the webhook's signature is more than %s off; check this machine's clock", tolerance)
	}
	message := append([]byte(signed.atText+"."), body...)
	matched := false
	for _, sum := range signed.sums {
		matched = transport.Signed(message, sum, secrets) || matched
	}
	if !matched {
		return nil, fault.New(fault.Unauthorized, "the webhook's signature does not match; check the webhook secret")
	}
	return Driver{}.ReadMessage(header, body)
}

// ReadMessage reads the batch of thin events, or one of them.
func (Driver) ReadMessage(_ http.Header, body []byte) ([]connector.Event, error) {
	value, err := transport.DecodeJSON(body)
	if err != nil {
		return nil, fault.New(fault.Invalid, "the event's body is not JSON")
	}
	batch, ok := value.([]any)
	if !ok {
		batch = []any{value}
	}
	return readBatch(batch, transport.BodyHash(body))
}

type signature struct {
	at     int64
	atText string
	sums   [][]byte
}

func readSignature(header http.Header) (signature, error) {
	bad := fault.New(fault.Unauthorized, "the webhook's %s header is missing or not t=<seconds>,v1=<hex>", strings.ToLower(signatureHeader))
	values := header.Values(signatureHeader)
	if len(values) != 1 || len(values[0]) > 4096 {
		return signature{}, bad
	}
	var signed signature
	for part := range strings.SplitSeq(values[0], ",") {
		key, value, found := strings.Cut(strings.TrimSpace(part), "=")
		switch {
		case !found:
			return signature{}, bad
		case key == "t":
			at, err := strconv.ParseInt(value, 10, 64)
			if err != nil || signed.atText != "" || at < 0 || at > 1<<40 {
				return signature{}, bad
			}
			signed.at, signed.atText = at, value
		case key == "v1" && len(signed.sums) < maxSignatures:
			sum, err := hex.DecodeString(value)
			if err != nil || len(sum) != 32 {
				return signature{}, bad
			}
			signed.sums = append(signed.sums, sum)
		}
	}
	if signed.atText == "" || len(signed.sums) == 0 {
		return signature{}, bad
	}
	return signed, nil
}

func readBatch(batch []any, hash string) ([]connector.Event, error) {
	events := make([]connector.Event, 0, len(batch))
	broken := 0
	for i, item := range batch {
		body, ok := item.(map[string]any)
		if !ok {
			broken++
			continue
		}
		event, known, ok := readEvent(body, hash+"-"+strconv.Itoa(i))
		switch {
		case !ok:
			broken++
		case known:
			events = append(events, event)
		}
	}
	// One broken event must not cost the others; a batch of nothing else is refused.
	if broken > 0 && broken == len(batch) {
		return nil, fault.New(fault.Invalid, "the body holds no event that can be read")
	}
	return events, nil
}

// readEvent reads one thin event. known is false for other collections, ok is
// false when it names no record or no kind.
func readEvent(body map[string]any, fallbackID string) (event connector.Event, known, ok bool) {
	kind, _ := body["event"].(string)
	word, _, _ := strings.Cut(kind, ".")
	if named, isText := body["object"].(string); isText && named != "" {
		word = named
	}
	if word == "" {
		return event, false, false
	}
	object, known := objectOfWord(word)
	if !known {
		return event, false, true
	}
	id, ok := transport.ParseID(body["id"])
	if !ok {
		return event, true, false
	}
	event = connector.Event{ID: fallbackID, Object: object.Name, RecordID: id, Kind: transport.SafeToken(kind)}
	if own, has := transport.ParseID(body["event_id"]); has {
		event.ID = own
	}
	event.MergedInto, _ = transport.ParseID(body["merged_into"])
	// Only what an app wrote can be our own echo; a person's edit always asks for a look.
	actor, _ := body["actor"].(string)
	_, what, _ := strings.Cut(kind, ".")
	event.Deleted = what == "deleted"
	if strings.HasPrefix(actor, "app:") && (what == "created" || what == "updated") {
		if version, has := transport.ParseID(body["version"]); has {
			event.Shown = &record.Record{Version: etagOf(version)}
		}
	}
	return event, true, true
}
