package salesos

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/accord-sync/accord/internal/sandbox/front"
	"github.com/accord-sync/accord/internal/sandbox/wire"
	"github.com/accord-sync/accord/internal/sandbox/world"
)

const (
	defaultPerPage = 25
	maxPerPage     = 100
)

type handler = func(*front.Request) front.Response

func (s *Server) list(object string) handler {
	t := s.World.Table(object)
	return func(r *front.Request) front.Response {
		r.Call.Object = object
		v := r.URL.Query()
		q, page, problem := s.query(t, v)
		if problem != "" {
			return s.fail(http.StatusBadRequest, problem)
		}
		var recs []*world.Record
		var total int
		if words := v.Get("search"); words != "" {
			recs, total = searched(t.FindWords(words), q)
		} else {
			recs, total = t.List(q)
		}
		data := make([]any, 0, len(recs))
		for _, rec := range recs {
			data = append(data, render(rec))
		}
		m := s.meta()
		m["total"], m["page"], m["per_page"] = total, page, q.Limit
		m["total_pages"] = (total + q.Limit - 1) / q.Limit
		return front.Response{Status: http.StatusOK, Body: map[string]any{"data": data, "meta": m}}
	}
}

// searched pages through the records that a search found; they are few.
func searched(found []*world.Record, q world.Query) ([]*world.Record, int) {
	var kept []*world.Record
	for _, r := range found {
		after := q.UpdatedFrom.IsZero() || !r.UpdatedAt.Before(q.UpdatedFrom)
		born := (q.CreatedFrom.IsZero() || !r.CreatedAt.Before(q.CreatedFrom)) && (q.CreatedTo.IsZero() || r.CreatedAt.Before(q.CreatedTo))
		if after && born && (q.Keep == nil || q.Keep(r)) {
			kept = append(kept, r)
		}
	}
	from := min(q.Offset, len(kept))
	return kept[from:min(from+q.Limit, len(kept))], len(kept)
}

// query reads the listing's parameters; the text is what is wrong with them.
func (s *Server) query(t *world.Table, v url.Values) (q world.Query, page int, problem string) {
	page, ok := number(v.Get("page"), 1)
	if !ok || page < 1 {
		return q, 0, "page must be a number from 1"
	}
	per, ok := number(v.Get("per_page"), defaultPerPage)
	if !ok || per < 1 || per > maxPerPage {
		return q, 0, "per_page must be a number from 1 to 100"
	}
	q.Limit, q.Offset = per, (page-1)*per
	q.Sort, q.Desc = world.ByCreated, true
	if sort := v.Get("sort"); sort != "" {
		q.Sort, q.Desc = strings.CutPrefix(sort, "-")
		if q.Sort != world.ByCreated && q.Sort != world.ByUpdated && t.Schema.Field(q.Sort) == nil {
			return q, 0, "sort: there is no field " + q.Sort
		}
	}
	if problem = s.times(&q, v); problem != "" {
		return q, 0, problem
	}
	q.Keep = equals(v, "status", "owner_id", "team_id", "source", "role")
	return q, page, ""
}

// times reads the time filters. "After" excludes the moment itself, to the
// second, unless the switch filter_bound says otherwise.
func (s *Server) times(q *world.Query, v url.Values) string {
	for _, name := range []string{"created_after", "created_before", "updated_after"} {
		text := v.Get(name)
		if text == "" {
			continue
		}
		if name == "updated_after" {
			switch s.World.Switches().UpdatedAfter {
			case wire.FilterIgnored:
				continue
			case wire.FilterRejected:
				return "updated_after is not a parameter of this listing"
			}
		}
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return name + " must be an ISO 8601 time"
		}
		from := at
		if s.World.Switches().FilterBound == wire.BoundExclusive {
			from = at.Add(time.Nanosecond)
		}
		switch name {
		case "created_after":
			q.CreatedFrom = from
		case "created_before":
			q.CreatedTo = at
		default:
			q.UpdatedFrom = from
		}
	}
	return ""
}

func number(text string, otherwise int) (int, bool) {
	if text == "" {
		return otherwise, true
	}
	n, err := strconv.Atoi(text)
	return n, err == nil && n < 1_000_000
}

// equals filters by the fields named, comma separated values meaning any of them.
func equals(v url.Values, names ...string) func(*world.Record) bool {
	want := map[string][]string{}
	for _, name := range names {
		if text := v.Get(name); text != "" {
			want[name] = strings.Split(text, ",")
		}
	}
	if len(want) == 0 {
		return nil
	}
	return func(r *world.Record) bool {
		for name, values := range want {
			found := false
			for _, value := range values {
				found = found || r.Text(name) == value
			}
			if !found {
				return false
			}
		}
		return true
	}
}

func (s *Server) get(object string) handler {
	t := s.World.Table(object)
	return func(r *front.Request) front.Response {
		id := r.PathValue("id")
		r.Call.Object, r.Call.ID = object, id
		rec := t.Get(id)
		if rec == nil {
			return s.fail(http.StatusNotFound, "not found")
		}
		res := s.record(http.StatusOK, rec)
		s.World.Race(wire.AfterRead, object, id)
		return res
	}
}

// record answers with a record, and with its ETag when versions are switched on.
func (s *Server) record(status int, rec *world.Record) front.Response {
	res := s.ok(status, render(rec))
	if s.World.Switches().Versions {
		res.Header = map[string]string{"ETag": etag(rec)}
	}
	return res
}

func etag(rec *world.Record) string { return `"v` + strconv.FormatInt(rec.Version, 10) + `"` }

// seen reads If-Match; 0 means any version, -1 one that no record has.
func (s *Server) seen(r *front.Request) int64 {
	text := strings.Trim(r.Header.Get("If-Match"), `"`)
	if text == "" || text == "*" || !s.World.Switches().Versions {
		return 0
	}
	n, err := strconv.ParseInt(strings.TrimPrefix(text, "v"), 10, 64)
	if err != nil || n < 1 {
		return -1
	}
	return n
}

// fields reads the body of a write. Unknown and read-only names are left out, as the vendor does.
func (s *Server) fields(r *front.Request, t *world.Table, creating bool) (map[string]any, *front.Response) {
	given, err := world.Decode(r.Body)
	if err != nil {
		res := s.fail(http.StatusBadRequest, err.Error())
		return nil, &res
	}
	r.Fields(given)
	for name := range given {
		if readOnly(name) || t.Schema.Field(name) == nil {
			delete(given, name)
		}
	}
	if problems := s.World.Check(t.Schema, given, creating, true); len(problems) > 0 {
		res := s.invalid(problems)
		return nil, &res
	}
	return given, nil
}

func (s *Server) create(object string) handler {
	t := s.World.Table(object)
	return func(r *front.Request) front.Response {
		r.Call.Object = object
		given, bad := s.fields(r, t, true)
		if bad != nil {
			return *bad
		}
		if object == "deals" {
			s.dealFields(nil, given)
		}
		rec, err := t.Create("", r.Actor(), given)
		if err != nil {
			return s.refused(err)
		}
		s.wrote(r, rec, "create", true)
		return s.record(http.StatusCreated, rec)
	}
}

func (s *Server) wrote(r *front.Request, rec *world.Record, op string, effect bool) {
	r.Call.ID = rec.ID
	r.Call.Effect = effect
	s.World.Log.Wrote(r.Actor(), rec.Object, rec.ID, op, effect)
}

// refused says why a write was not done.
func (s *Server) refused(err error) front.Response {
	var dup *world.DuplicateError
	var wrong *world.InvalidError
	switch {
	case errors.Is(err, world.ErrNotFound):
		return s.fail(http.StatusNotFound, "not found")
	case errors.Is(err, world.ErrStale):
		return s.fail(http.StatusPreconditionFailed, "the record has changed")
	case errors.As(err, &wrong):
		return s.invalid(wrong.Problems)
	case errors.As(err, &dup):
		body := map[string]any{"code": "DUPLICATE", "message": "a record with this " + dup.Field + " exists"}
		if s.World.Switches().ExistingID {
			body["existing_id"] = dup.ExistingID
		}
		return front.Response{Status: http.StatusConflict, Body: map[string]any{"error": body, "meta": s.meta()}}
	}
	return s.fail(http.StatusInternalServerError, "internal error")
}

func (s *Server) patch(object string) handler {
	t := s.World.Table(object)
	return func(r *front.Request) front.Response {
		id := r.PathValue("id")
		r.Call.Object, r.Call.ID = object, id
		s.World.Race(wire.BeforeWrite, object, id)
		held := t.Get(id)
		if held == nil {
			return s.fail(http.StatusNotFound, "not found")
		}
		given, bad := s.fields(r, t, false)
		if bad != nil {
			return *bad
		}
		if object == "deals" {
			if problems := s.dealFields(held, given); len(problems) > 0 {
				return s.invalid(problems)
			}
		}
		rec, effect, err := t.Update(id, r.Actor(), s.seen(r), s.patchOf(t.Schema, given))
		if err != nil {
			return s.refused(err)
		}
		s.wrote(r, rec, "update", effect)
		return s.record(http.StatusOK, rec)
	}
}

// patchOf applies the switches for custom_fields and tags.
func (s *Server) patchOf(schema *world.Schema, given map[string]any) world.Patch {
	sw := s.World.Switches()
	merge := world.MergePatch(schema, given)
	return func(cur *world.Record) map[string]any {
		out := merge(cur)
		if v, sent := given["custom_fields"].(map[string]any); sent && sw.CustomFields == wire.PatchReplace {
			out["custom_fields"] = v
		}
		if v, sent := given["tags"].([]any); sent && sw.Tags == wire.PatchMerge {
			was, _ := cur.Fields["tags"].([]any)
			out["tags"] = world.Union(was, v)
		}
		if v, sent := given["stage"].(map[string]any); sent {
			out["stage"] = v
		}
		return out
	}
}

func (s *Server) remove(object string) handler {
	t := s.World.Table(object)
	return func(r *front.Request) front.Response {
		id := r.PathValue("id")
		r.Call.Object, r.Call.ID = object, id
		s.World.Race(wire.BeforeWrite, object, id)
		rec, err := t.Delete(id, r.Actor(), s.seen(r))
		if err != nil {
			return s.refused(err)
		}
		s.wrote(r, rec, "delete", true)
		return front.Response{Status: http.StatusNoContent}
	}
}
