package hubspot

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/accord-sync/accord/internal/sandbox/front"
	"github.com/accord-sync/accord/internal/sandbox/world"
)

// What a search may be, at most.
const (
	maxSearch      = 200
	maxResults     = 10_000
	maxGroups      = 5
	maxPerGroup    = 6
	maxFilters     = 18
	usualSearch    = 10
	maxSearchQuery = 3_000
)

type filter struct {
	Property string   `json:"propertyName"`
	Operator string   `json:"operator"`
	Value    any      `json:"value"`
	High     any      `json:"highValue"`
	Values   []string `json:"values"`
}

type query struct {
	Limit      any      `json:"limit"`
	After      any      `json:"after"`
	Query      string   `json:"query"`
	Properties []string `json:"properties"`
	Sorts      []struct {
		Property  string `json:"propertyName"`
		Direction string `json:"direction"`
	} `json:"sorts"`
	Groups []struct {
		Filters []filter `json:"filters"`
	} `json:"filterGroups"`
}

func textOf(value any) string {
	switch typed := value.(type) {
	case string:
		return typed
	case json.Number:
		return typed.String()
	}
	return ""
}

func number64(text string) json.Number { return json.Number(text) }

// checked is what is wrong with a search; "": nothing.
func (q *query) checked(schema *world.Schema) (limit, after int, wrong string) {
	limit, ok := limited(textOf(q.Limit), usualSearch, maxSearch)
	if !ok {
		return 0, 0, "limit must be a number from 1 to 200"
	}
	if words := textOf(q.After); words != "" {
		at, err := strconv.Atoi(words)
		if err != nil || at < 0 {
			return 0, 0, "after must be a number"
		}
		after = at
	}
	if after+limit > maxResults {
		return 0, 0, "Paging beyond 10000 search results is not supported"
	}
	filters := 0
	for _, group := range q.Groups {
		filters += len(group.Filters)
		if len(group.Filters) > maxPerGroup {
			return 0, 0, "a filter group has more than 6 filters"
		}
		for _, one := range group.Filters {
			if !exists(schema, one.Property) {
				return 0, 0, fmt.Sprintf("Property %q does not exist", one.Property)
			}
		}
	}
	switch {
	case len(q.Groups) > maxGroups || filters > maxFilters:
		return 0, 0, "there are more than 5 filter groups or 18 filters"
	case len(q.Sorts) > 1:
		return 0, 0, "only one sort is supported"
	case len(q.Sorts) == 1 && !exists(schema, q.Sorts[0].Property):
		return 0, 0, fmt.Sprintf("Property %q does not exist", q.Sorts[0].Property)
	case len(q.Query) > maxSearchQuery:
		return 0, 0, "query is longer than 3000 characters"
	}
	return limit, after, ""
}

func exists(schema *world.Schema, name string) bool {
	return name != associated && schema.Field(name) != nil || slices.Contains(kept(schema.Name), name)
}

// search looks in an index that trails behind (switches search_lag_ms for equal values of
// an exact property, visible_late_ms for all else), shows live records only, and counts
// its rows: after is an offset.
func (s *Server) search(t *world.Table) handler {
	return func(r *front.Request) front.Response {
		r.Call.Object = t.Schema.Name
		var in query
		if err := world.DecodeInto(r.Body, &in); err != nil {
			return badRequest("Invalid input JSON")
		}
		limit, after, wrong := in.checked(t.Schema)
		if wrong != "" {
			return badRequest("There was a problem with the request. " + wrong)
		}
		found, total, wrong := s.found(t, &in, limit, after)
		if wrong != "" {
			return badRequest("There was a problem with the request. " + wrong)
		}
		results := make([]any, 0, len(found))
		for _, one := range found {
			results = append(results, s.render(one, in.Properties))
		}
		body := map[string]any{"total": total, "results": results}
		if after+limit < total {
			body["paging"] = paging(strconv.Itoa(after + limit))
		}
		return front.Response{Status: http.StatusOK, Body: body}
	}
}

func (s *Server) found(t *world.Table, in *query, limit, after int) ([]*world.Record, int, string) {
	if one, ok := in.exact(t.Schema); ok {
		hits := t.Find(one.Property, textOf(one.Value))
		return hits[min(after, len(hits)):min(after+limit, len(hits))], len(hits), ""
	}
	wrong := ""
	asked := world.Query{Sort: world.ByCreated, Offset: after, Limit: limit}
	if len(in.Sorts) == 1 {
		asked.Desc = in.Sorts[0].Direction == "DESCENDING"
		switch name := in.Sorts[0].Property; name {
		case modified(t.Schema.Name):
			asked.Sort = world.ByUpdated
		case created(t.Schema.Name), "hs_object_id":
		default:
			asked.Sort = name
		}
	}
	asked.Keep = func(r *world.Record) bool {
		fits, problem := s.fits(r, in)
		wrong = cmp.Or(wrong, problem)
		return fits
	}
	if since, ok := in.since(t.Schema.Name); ok && asked.Sort == world.ByUpdated {
		asked.UpdatedFrom, asked.Keep = since, nil
	}
	page, total := t.List(asked)
	return page, total, wrong
}

// exact reports whether a search asks for nothing but one value of an exact property.
func (q *query) exact(schema *world.Schema) (filter, bool) {
	if len(q.Groups) != 1 || len(q.Groups[0].Filters) != 1 || q.Query != "" {
		return filter{}, false
	}
	one := q.Groups[0].Filters[0]
	return one, one.Operator == "EQ" && slices.Contains(schema.Exact, one.Property)
}

// since reports whether a search asks for nothing but what changed from a time on.
func (q *query) since(object string) (time.Time, bool) {
	if len(q.Groups) != 1 || len(q.Groups[0].Filters) != 1 || q.Query != "" {
		return time.Time{}, false
	}
	one := q.Groups[0].Filters[0]
	at := instant(textOf(one.Value))
	return at, one.Operator == "GTE" && one.Property == modified(object) && !at.IsZero()
}

// fits: groups are alternatives, the filters of a group hold together.
func (s *Server) fits(r *world.Record, in *query) (bool, string) {
	if in.Query != "" && !slices.ContainsFunc(usual(r.Object), func(name string) bool {
		words, _ := s.property(r, name).(string)
		return strings.Contains(strings.ToLower(words), strings.ToLower(in.Query))
	}) {
		return false, ""
	}
	for _, group := range in.Groups {
		all := true
		for _, one := range group.Filters {
			holds, wrong := one.holds(s.property(r, one.Property))
			if wrong != "" {
				return false, wrong
			}
			all = all && holds
		}
		if all {
			return true, ""
		}
	}
	return len(in.Groups) == 0, ""
}

func (f filter) holds(value any) (bool, string) {
	held := textOf(value)
	wanted := textOf(f.Value)
	switch f.Operator {
	case "HAS_PROPERTY":
		return held != "", ""
	case "NOT_HAS_PROPERTY":
		return held == "", ""
	case "EQ":
		return held != "" && compared(held, wanted) == 0, ""
	case "NEQ":
		return held != "" && compared(held, wanted) != 0, ""
	case "LT":
		return held != "" && compared(held, wanted) < 0, ""
	case "LTE":
		return held != "" && compared(held, wanted) <= 0, ""
	case "GT":
		return held != "" && compared(held, wanted) > 0, ""
	case "GTE":
		return held != "" && compared(held, wanted) >= 0, ""
	case "BETWEEN":
		return held != "" && compared(held, wanted) >= 0 && compared(held, textOf(f.High)) <= 0, ""
	case "IN":
		return slices.ContainsFunc(f.Values, func(one string) bool { return strings.EqualFold(one, held) }), ""
	case "NOT_IN":
		return held != "" && !slices.ContainsFunc(f.Values, func(one string) bool { return strings.EqualFold(one, held) }), ""
	case "CONTAINS_TOKEN":
		return slices.Contains(strings.Fields(strings.ToLower(held)), strings.ToLower(wanted)), ""
	}
	return false, fmt.Sprintf("operator %q is not known", f.Operator)
}

// compared goes by time, then by number, then by text without case.
func compared(held, wanted string) int {
	if at := heldTime(held); !at.IsZero() {
		return at.Compare(instant(wanted))
	}
	a, errA := strconv.ParseFloat(held, 64)
	b, errB := strconv.ParseFloat(wanted, 64)
	if errA == nil && errB == nil {
		return cmp.Compare(a, b)
	}
	return cmp.Compare(strings.ToLower(held), strings.ToLower(wanted))
}

// heldTime is a time in the form that HubSpot keeps; zero for all else.
func heldTime(text string) time.Time {
	at, err := time.Parse(millis, text)
	if err != nil {
		return time.Time{}
	}
	return at
}
