package hooks

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// staleBy is older than any vendor's tolerance for a signed time.
const staleBy = 10 * time.Minute

// Spoil sends the next attempts wrongly. Errors name the field that is wrong.
func (q *Queue) Spoil(s wire.Spoil) error {
	switch s.Kind {
	case wire.SpoilSignature, wire.SpoilUnsigned, wire.SpoilStale, wire.SpoilPartial, wire.SpoilFields:
	default:
		return fmt.Errorf("kind is %q, not bad_signature, unsigned, stale, partial or fields", s.Kind)
	}
	s.Count = max(s.Count, 1)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.spoils = append(q.spoils, s)
	return nil
}

// Forge sends an event that never happened, once, to every hook that wants it,
// and says to how many. Holding and dropping do not concern it.
func (q *Queue) Forge(e Event, signed bool) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := 0
	for _, h := range q.hooks {
		if !h.Active || !h.Wants(e.Name) {
			continue
		}
		m := q.message(h.ID, []Event{e})
		m.Forged, m.honest = true, signed
		q.push([]*message{m})
		n++
	}
	return n
}

// encode makes an attempt's body and header, spoilt if one is armed for it.
func (q *Queue) encode(h Hook, m *message) ([]byte, http.Header, error) {
	spoil := q.takeSpoil(m)
	events, shift := m.events, time.Duration(0)
	if m.Forged && !m.honest {
		spoil.Kind = wire.SpoilSignature
	}
	switch spoil.Kind {
	case wire.SpoilSignature:
		h.Secret, h.OldSecret = "not the secret of "+h.ID, ""
	case wire.SpoilStale:
		shift = -staleBy
	case wire.SpoilPartial:
		events = events[:len(events)-1]
	case wire.SpoilFields:
		events = without(events, spoil.Fields)
	}
	body, header, err := q.opts.Encode(h, events, shift)
	if spoil.Kind == wire.SpoilUnsigned {
		maps.DeleteFunc(header, func(name string, _ []string) bool { return strings.Contains(strings.ToLower(name), "signature") })
	}
	return body, header, err
}

func (q *Queue) takeSpoil(m *message) wire.Spoil {
	q.mu.Lock()
	defer q.mu.Unlock()
	if m.Forged {
		return wire.Spoil{}
	}
	for i := range q.spoils {
		s := q.spoils[i]
		if s.Kind == wire.SpoilPartial && len(m.events) < 2 {
			continue
		}
		if q.spoils[i].Count--; q.spoils[i].Count == 0 {
			q.spoils = slices.Delete(q.spoils, i, i+1)
		}
		m.Spoilt = s.Kind
		return s
	}
	return wire.Spoil{}
}

// without leaves fields out of the events' data; none named: all but what
// says which record it is.
func without(events []Event, fields []string) []Event {
	keep := []string{"id", "object", "event", "event_id"}
	out := slices.Clone(events)
	for i := range out {
		data, ok := out[i].Data.(map[string]any)
		if !ok {
			continue
		}
		data = maps.Clone(data)
		maps.DeleteFunc(data, func(name string, _ any) bool {
			if len(fields) == 0 {
				return !slices.Contains(keep, name)
			}
			return slices.Contains(fields, name)
		})
		out[i].Data = data
	}
	return out
}

// lastOfEach keeps the last of several events of one hook, name and record.
func lastOfEach(held []heldEvent) []heldEvent {
	type key struct{ hook, name, record string }
	seen := map[key]bool{}
	var out []heldEvent
	for _, h := range slices.Backward(held) {
		k := key{h.hook, h.event.Name, h.event.Record}
		if !seen[k] {
			seen[k] = true
			out = append(out, h)
		}
	}
	slices.Reverse(out)
	return out
}
