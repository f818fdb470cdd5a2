package hubspot

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/accord-sync/accord/internal/sandbox/front"
	"github.com/accord-sync/accord/internal/sandbox/wire"
	"github.com/accord-sync/accord/internal/sandbox/world"
)

const (
	// maxList is the most rows of a page of a listing, maxBatch of a batch.
	maxList  = 100
	maxBatch = 100
)

type handler = func(*front.Request) front.Response

// modified is the property that holds the time of the last change; contacts have a name of their own for it.
func modified(object string) string {
	if object == "contacts" {
		return "lastmodifieddate"
	}
	return "hs_lastmodifieddate"
}

func created(object string) string {
	switch object {
	case "contacts", "companies", "deals":
		return "createdate"
	}
	return "hs_createdate"
}

// usual are the properties shown when none are asked for.
func usual(object string) []string {
	switch object {
	case "contacts":
		return []string{"email", "firstname", "lastname"}
	case "companies":
		return []string{"name", "domain"}
	case "deals":
		return []string{"dealname", "amount", "closedate", "pipeline", "dealstage"}
	}
	return nil
}

// kept are the properties that HubSpot keeps itself.
func kept(object string) []string { return []string{"hs_object_id", created(object), modified(object)} }

// property is one property of a record, null where it was never set.
func (s *Server) property(r *world.Record, name string) any {
	switch name {
	case "hs_object_id":
		return r.ID
	case created(r.Object):
		return stamp(r.CreatedAt)
	case modified(r.Object):
		return stamp(r.UpdatedAt)
	case associated:
		return nil
	case "num_associated_contacts":
		return strconv.Itoa(len(s.contactsOf(r)))
	}
	return r.Fields[name]
}

// render gives a record with the properties asked for and those that are always there.
func (s *Server) render(r *world.Record, asked []string) map[string]any {
	if len(asked) == 0 {
		asked = usual(r.Object)
	}
	properties := map[string]any{}
	for _, name := range append(kept(r.Object), asked...) {
		properties[name] = s.property(r, name)
	}
	shown := map[string]any{"id": r.ID, "properties": properties, "createdAt": stamp(r.CreatedAt), "updatedAt": stamp(r.UpdatedAt), "archived": !r.DeletedAt.IsZero()}
	if !r.DeletedAt.IsZero() {
		shown["archivedAt"] = stamp(r.DeletedAt)
	}
	return shown
}

func asked(v url.Values, key string) []string {
	var names []string
	for name := range strings.SplitSeq(v.Get(key), ",") {
		if name = strings.TrimSpace(name); name != "" {
			names = append(names, name)
		}
	}
	return names
}

// list goes by id, which never changes: after is the last one read.
func (s *Server) list(t *world.Table) handler {
	return func(r *front.Request) front.Response {
		r.Call.Object = t.Schema.Name
		v := r.URL.Query()
		limit, ok := limited(v.Get("limit"), 10, maxList)
		if !ok {
			return badRequest("limit must be a number from 1 to 100")
		}
		after, archived := v.Get("after"), v.Get("archived") == "true"
		var rows []*world.Record
		for _, one := range t.All() {
			if one.ID > after && one.MergedInto == "" && one.DeletedAt.IsZero() != archived {
				rows = append(rows, one)
			}
		}
		body := map[string]any{}
		if len(rows) > limit {
			rows = rows[:limit]
			body["paging"] = paging(rows[limit-1].ID)
		}
		results := make([]any, 0, len(rows))
		for _, one := range rows {
			results = append(results, s.with(one, s.render(one, asked(v, "properties")), asked(v, "associations")))
		}
		body["results"] = results
		return front.Response{Status: http.StatusOK, Body: body}
	}
}

func paging(after string) map[string]any {
	return map[string]any{"next": map[string]any{"after": after, "link": "?after=" + after}}
}

// limited reads a limit; false where it is none.
func limited(text string, usual, most int) (int, bool) {
	if text == "" {
		return usual, true
	}
	limit, err := strconv.Atoi(text)
	return limit, err == nil && limit >= 1 && limit <= most
}

func (s *Server) get(t *world.Table) handler {
	return func(r *front.Request) front.Response {
		id, v := r.PathValue("id"), r.URL.Query()
		r.Call.Object, r.Call.ID = t.Schema.Name, id
		found := t.Get(id)
		if v.Get("archived") == "true" {
			found = t.Raw(id)
			if found != nil && found.DeletedAt.IsZero() {
				found = nil
			}
		}
		if found == nil {
			return notFound()
		}
		res := front.Response{Status: http.StatusOK, Body: s.with(found, s.render(found, asked(v, "properties")), asked(v, "associations"))}
		s.World.Race(wire.AfterRead, t.Schema.Name, id)
		return res
	}
}

// batchRead leaves out what is not there, as a 207 with errors.
func (s *Server) batchRead(t *world.Table) handler {
	return func(r *front.Request) front.Response {
		r.Call.Object = t.Schema.Name
		var in struct {
			Properties []string              `json:"properties"`
			Inputs     []struct{ ID string } `json:"inputs"`
		}
		if err := world.DecodeInto(r.Body, &in); err != nil || len(in.Inputs) == 0 || len(in.Inputs) > maxBatch {
			return badRequest("inputs must be a list of 1 to 100 ids")
		}
		results, status := []any{}, http.StatusOK
		body := map[string]any{"status": "COMPLETE"}
		for _, input := range in.Inputs {
			if found := t.Get(input.ID); found != nil {
				results = append(results, s.render(found, in.Properties))
				continue
			}
			status = http.StatusMultiStatus
			body["numErrors"] = 1
			body["errors"] = []any{map[string]any{"status": "error", "category": "OBJECT_NOT_FOUND", "message": "Could not get some records, they may be deleted or not exist."}}
		}
		body["results"] = results
		return front.Response{Status: status, Body: body}
	}
}

// properties lists what an object has.
func (s *Server) properties(t *world.Table) handler {
	return func(*front.Request) front.Response {
		results := []any{}
		for i := range t.Schema.Fields {
			field := s.World.Shaped(t.Schema.Name, &t.Schema.Fields[i])
			if field == nil || field.Name == associated {
				continue
			}
			kind, control := "string", "text"
			switch field.Type {
			case world.Enum, world.Ref:
				kind, control = "enumeration", "select"
			case world.Instant:
				kind, control = "datetime", "date"
			}
			results = append(results, described(field, kind, control, slices.Contains(t.Schema.Unique, field.Name), false))
		}
		for _, name := range kept(t.Schema.Name) {
			results = append(results, described(&world.Field{Name: name}, "string", "text", false, true))
		}
		return front.Response{Status: http.StatusOK, Body: map[string]any{"results": results}}
	}
}

// described is a property as HubSpot describes it. What HubSpot keeps itself has a value that is read-only.
func described(field *world.Field, kind, control string, unique, own bool) map[string]any {
	options := []any{}
	for at, value := range field.Enum {
		options = append(options, map[string]any{"label": value, "value": value, "displayOrder": at, "hidden": false})
	}
	return map[string]any{"name": field.Name, "label": field.Name, "type": kind, "fieldType": control, "options": options, "hasUniqueValue": unique, "archived": false,
		"modificationMetadata": map[string]any{"archivable": !own, "readOnlyDefinition": own, "readOnlyValue": own}}
}

// sent reads the properties of a write. A null says nothing, the empty text empties.
func (s *Server) sent(r *front.Request, t *world.Table, creating bool) (map[string]any, []link, *front.Response) {
	refuse := func(res front.Response) (map[string]any, []link, *front.Response) { return nil, nil, &res }
	var in struct {
		Properties   map[string]any `json:"properties"`
		Associations []association  `json:"associations"`
	}
	if err := world.DecodeInto(r.Body, &in); err != nil {
		return refuse(badRequest("Invalid input JSON"))
	}
	if in.Properties == nil {
		return refuse(badRequest("Some required fields were not set: [properties]"))
	}
	for name, value := range in.Properties {
		// Whoever must send all there is (a switch, which HubSpot has not) sends these too.
		whole := s.World.Switches().CustomFields == wire.PatchReplace && slices.Contains(kept(t.Schema.Name), name)
		if value == nil || whole {
			delete(in.Properties, name)
		}
	}
	r.Fields(in.Properties)
	complete(t.Schema.Name, in.Properties)
	problems := s.World.Check(t.Schema, in.Properties, creating, true)
	if _, inside := in.Properties[associated]; inside {
		problems = append(problems, world.Problem{Field: associated, Message: "does not exist"})
	}
	if len(problems) > 0 {
		return refuse(front.Response{Status: http.StatusBadRequest, Body: invalidBody(problems)})
	}
	links, wrong := s.linksOf(t.Schema.Name, in.Associations)
	if wrong != "" {
		return refuse(badRequest(wrong))
	}
	return in.Properties, links, nil
}

// invalidBody is how values are refused.
func invalidBody(problems []world.Problem) map[string]any {
	errors := make([]any, 0, len(problems))
	for _, p := range problems {
		errors = append(errors, map[string]any{"message": p.Field + " " + p.Message, "code": "INVALID_PROPERTY", "context": map[string]any{"propertyName": []any{p.Field}}})
	}
	body := said("VALIDATION_ERROR", "Property values were not valid")
	body["errors"] = errors
	return body
}

// refused says why a write was not done.
func (s *Server) refused(t *world.Table, err error) front.Response {
	var dup *world.DuplicateError
	var wrong *world.InvalidError
	switch {
	case errors.Is(err, world.ErrNotFound):
		return notFound()
	case errors.As(err, &wrong):
		return front.Response{Status: http.StatusBadRequest, Body: invalidBody(wrong.Problems)}
	case errors.As(err, &dup):
		id := ""
		if s.World.Switches().ExistingID {
			id = dup.ExistingID
		}
		return failure(http.StatusConflict, "CONFLICT", existing(title(t.Schema.Name), id))
	}
	return failure(http.StatusInternalServerError, "INTERNAL_ERROR", "internal error")
}

// title is the word for one record at the begin of a sentence.
func title(object string) string {
	noun := nouns()[object]
	return strings.ToUpper(noun[:1]) + noun[1:]
}

func (s *Server) wrote(r *front.Request, rec *world.Record, op string, effect bool) {
	r.Call.ID = rec.ID
	r.Call.Effect = r.Call.Effect || effect
	s.World.Log.Wrote(r.Actor(), rec.Object, rec.ID, op, effect)
}

func (s *Server) create(t *world.Table) handler {
	return func(r *front.Request) front.Response {
		r.Call.Object = t.Schema.Name
		given, links, wrong := s.sent(r, t, true)
		if wrong != nil {
			return *wrong
		}
		if ids := contactIDs(links); len(ids) > 0 {
			given[associated] = ids
		}
		rec, err := t.Create("", r.Actor(), given)
		if err != nil {
			return s.refused(t, err)
		}
		s.wrote(r, rec, "create", true)
		return front.Response{Status: http.StatusCreated, Body: s.render(rec, nil)}
	}
}

func (s *Server) patch(t *world.Table) handler {
	return func(r *front.Request) front.Response {
		id := r.PathValue("id")
		r.Call.Object, r.Call.ID = t.Schema.Name, id
		given, _, wrong := s.sent(r, t, false)
		if wrong != nil {
			return *wrong
		}
		s.World.Race(wire.BeforeWrite, t.Schema.Name, id)
		rec, effect, err := t.Update(id, r.Actor(), 0, s.patchOf(t.Schema, given))
		if err != nil {
			return s.refused(t, err)
		}
		s.wrote(r, rec, "update", effect)
		return front.Response{Status: http.StatusOK, Body: s.render(rec, nil)}
	}
}

// patchOf changes the properties given; replaced, all others are emptied (a switch, which HubSpot has not).
func (s *Server) patchOf(schema *world.Schema, given map[string]any) world.Patch {
	merge := world.MergePatch(schema, given)
	return func(cur *world.Record) map[string]any {
		out := merge(cur)
		if s.World.Switches().CustomFields != wire.PatchReplace {
			return out
		}
		for name := range out {
			if _, sent := given[name]; !sent && name != associated {
				out[name] = nil
			}
		}
		return out
	}
}

// archive is HubSpot's delete. What is not there any more is no error.
func (s *Server) archive(t *world.Table) handler {
	return func(r *front.Request) front.Response {
		id := r.PathValue("id")
		r.Call.Object, r.Call.ID = t.Schema.Name, id
		s.World.Race(wire.BeforeWrite, t.Schema.Name, id)
		if rec, err := t.Delete(id, r.Actor(), 0); err == nil {
			s.wrote(r, rec, "delete", true)
		}
		return front.Response{Status: http.StatusNoContent}
	}
}

// merge joins two records: the merged one's id goes on answering with the primary one.
func (s *Server) merge(t *world.Table) handler {
	return func(r *front.Request) front.Response {
		r.Call.Object = t.Schema.Name
		var in struct {
			Primary string `json:"primaryObjectId"`
			Merged  string `json:"objectIdToMerge"`
		}
		if err := world.DecodeInto(r.Body, &in); err != nil || in.Primary == "" || in.Merged == "" {
			return badRequest("Some required fields were not set: [primaryObjectId, objectIdToMerge]")
		}
		rec, err := t.Merge(in.Primary, in.Merged, r.Actor())
		if err != nil {
			return s.refused(t, err)
		}
		s.World.Log.Wrote(r.Actor(), t.Schema.Name, in.Merged, "merge", true)
		r.Call.ID, r.Call.Effect = in.Merged, true
		return front.Response{Status: http.StatusOK, Body: s.render(rec, nil)}
	}
}
