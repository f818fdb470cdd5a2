package acme

import (
	"encoding/base64"
	"errors"
	"fmt"
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
	defaultLimit = 100
	maxLimit     = 200
	maxBatch     = 100
	// keepDeleted is how long /deleted remembers.
	keepDeleted = 30 * 24 * time.Hour
)

type handler = func(*front.Request) front.Response

func form(r *front.Request) (map[string]string, error) {
	v, err := url.ParseQuery(string(r.Body))
	if err != nil {
		return nil, fmt.Errorf("parse form: %w", err)
	}
	p := map[string]string{}
	for k := range v {
		p[k] = v.Get(k)
	}
	if id, secret, ok := r.BasicAuth(); ok {
		// RFC 6749, section 2.3.1: both are form-encoded inside Basic.
		p["client_id"], p["client_secret"] = unescape(id), unescape(secret)
	}
	return p, nil
}

func unescape(s string) string {
	if out, err := url.QueryUnescape(s); err == nil {
		return out
	}
	return s
}

// render gives a record as the API shows it.
func (s *Server) render(r *world.Record) map[string]any {
	out := s.World.Shown(r)
	out["id"] = r.ID
	out["created_at"], out["updated_at"], out["updated_by"] = stamp(r.CreatedAt), stamp(r.UpdatedAt), r.UpdatedBy
	if s.World.Switches().Versions {
		out["version"] = r.Version
	}
	return out
}

func (s *Server) renderAll(recs []*world.Record) []any {
	out := make([]any, 0, len(recs))
	for _, r := range recs {
		out = append(out, s.render(r))
	}
	return out
}

// record answers with a record and its ETag.
func (s *Server) record(status int, r *world.Record) front.Response {
	res := front.Response{Status: status, Body: s.render(r), Header: map[string]string{}}
	if s.World.Switches().Versions {
		res.Header["ETag"] = `"v` + strconv.FormatInt(r.Version, 10) + `"`
	}
	if status == http.StatusCreated {
		res.Header["Location"] = base + "/" + r.Object + "/" + r.ID
	}
	return res
}

// cursor is a position in a listing, as a text that clients need not understand.
func cursor(at time.Time, id string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatInt(at.UnixNano(), 10) + " " + id))
}

func position(text string) (*world.Position, bool) {
	if text == "" {
		return nil, true
	}
	raw, err := base64.RawURLEncoding.DecodeString(text)
	nanos, id, ok := strings.Cut(string(raw), " ")
	n, nerr := strconv.ParseInt(nanos, 10, 64)
	if err != nil || !ok || nerr != nil {
		return nil, false
	}
	return &world.Position{At: time.Unix(0, n).UTC(), ID: id}, true
}

// paging reads limit, cursor and a time; the text is what is wrong with them.
func paging(v url.Values, since string) (limit int, after *world.Position, from time.Time, wrong string) {
	limit = defaultLimit
	if text := v.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxLimit {
			return 0, nil, from, "limit must be a number from 1 to 200"
		}
		limit = n
	}
	after, ok := position(v.Get("cursor"))
	if !ok {
		return 0, nil, from, "cursor is not one of ours"
	}
	if text := v.Get(since); text != "" {
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return 0, nil, from, since + " must be an RFC 3339 time"
		}
		from = at
	}
	return limit, after, from, ""
}

func (s *Server) list(t *world.Table) handler {
	return func(r *front.Request) front.Response {
		r.Call.Object = t.Schema.Name
		v := r.URL.Query()
		limit, after, from, wrong := paging(v, "updated_since")
		if wrong != "" {
			return badRequest(wrong)
		}
		switch sw := s.World.Switches(); {
		case sw.UpdatedAfter == wire.FilterIgnored:
			from = time.Time{}
		case sw.UpdatedAfter == wire.FilterRejected && !from.IsZero():
			return badRequest("updated_since is not a parameter of this listing")
		case sw.FilterBound == wire.BoundExclusive && !from.IsZero():
			from = from.Add(time.Nanosecond)
		}
		recs, total := t.List(world.Query{Sort: world.ByUpdated, UpdatedFrom: from, After: after, Limit: limit})
		body := map[string]any{"items": s.renderAll(recs), "next_cursor": nil}
		if total > len(recs) {
			last := recs[len(recs)-1]
			body["next_cursor"] = cursor(last.UpdatedAt, last.ID)
		}
		return front.Response{Status: http.StatusOK, Body: body}
	}
}

func (s *Server) deleted(r *front.Request) front.Response {
	v := r.URL.Query()
	t := s.World.Table(v.Get("object"))
	if t == nil {
		return badRequest("object is missing or unknown")
	}
	if scope := t.Schema.Name + ".read"; !r.Token.Has(scope) {
		return missingScope(scope)
	}
	r.Call.Object = t.Schema.Name
	limit, after, from, wrong := paging(v, "since")
	if wrong != "" {
		return badRequest(wrong)
	}
	if oldest := s.World.Now().Add(-keepDeleted); from.Before(oldest) {
		from = oldest
	}
	recs, more := t.Deleted(from, after, limit)
	items := make([]any, 0, len(recs))
	for _, rec := range recs {
		items = append(items, map[string]any{"id": rec.ID, "deleted_at": stamp(rec.DeletedAt)})
	}
	body := map[string]any{"items": items, "next_cursor": nil}
	if more {
		last := recs[len(recs)-1]
		body["next_cursor"] = cursor(last.DeletedAt, last.ID)
	}
	return front.Response{Status: http.StatusOK, Body: body}
}

func (s *Server) search(t *world.Table) handler {
	return func(r *front.Request) front.Response {
		r.Call.Object = t.Schema.Name
		v := r.URL.Query()
		var found []*world.Record
		asked := false
		for _, field := range t.Schema.Exact {
			text := v.Get(field)
			if text == "" {
				continue
			}
			hits := t.Find(field, text)
			if asked {
				hits = both(found, hits)
			}
			found, asked = hits, true
		}
		if !asked {
			return badRequest("give one of " + strings.Join(t.Schema.Exact, ", "))
		}
		return front.Response{Status: http.StatusOK, Body: map[string]any{"items": s.renderAll(found[:min(len(found), maxLimit)])}}
	}
}

func both(a, b []*world.Record) []*world.Record {
	var out []*world.Record
	for _, r := range a {
		for _, o := range b {
			if r.ID == o.ID {
				out = append(out, r)
			}
		}
	}
	return out
}

func (s *Server) get(t *world.Table) handler {
	return func(r *front.Request) front.Response {
		id := r.PathValue("id")
		r.Call.Object, r.Call.ID = t.Schema.Name, id
		rec := t.Get(id)
		if rec == nil {
			return notFound()
		}
		res := s.record(http.StatusOK, rec)
		s.World.Race(wire.AfterRead, t.Schema.Name, id)
		return res
	}
}

// seen reads If-Match; 0 means any version, -1 one that no record has.
func (s *Server) seen(text string) int64 {
	text = strings.Trim(strings.TrimPrefix(text, "W/"), `"`)
	if text == "" || text == "*" || !s.World.Switches().Versions {
		return 0
	}
	n, err := strconv.ParseInt(strings.TrimPrefix(text, "v"), 10, 64)
	if err != nil || n < 1 {
		return -1
	}
	return n
}

// refused says why a write was not done.
func (s *Server) refused(err error) front.Response {
	var dup *world.DuplicateError
	var wrong *world.InvalidError
	switch {
	case errors.Is(err, world.ErrNotFound):
		return notFound()
	case errors.Is(err, world.ErrStale):
		return failure(http.StatusPreconditionFailed, "precondition", "stale", "the record has a newer version")
	case errors.As(err, &wrong):
		return invalid(wrong.Problems)
	case errors.As(err, &dup):
		body := map[string]any{"type": "conflict", "code": "duplicate", "message": "another record has the same " + dup.Field}
		if s.World.Switches().ExistingID {
			body["existing_id"] = dup.ExistingID
		}
		return front.Response{Status: http.StatusConflict, Body: map[string]any{"error": body}}
	}
	return failure(http.StatusInternalServerError, "server", "internal", "internal error")
}

func (s *Server) wrote(r *front.Request, rec *world.Record, op string, effect bool) {
	r.Call.ID = rec.ID
	r.Call.Effect = r.Call.Effect || effect
	s.World.Log.Wrote(r.Actor(), rec.Object, rec.ID, op, effect)
}

// write does one create, update or delete; single calls and batches share it.
func (s *Server) write(r *front.Request, t *world.Table, op, id, ifMatch string, given map[string]any) front.Response {
	if op != "create" {
		s.World.Race(wire.BeforeWrite, t.Schema.Name, id)
		if t.Get(id) == nil {
			return notFound()
		}
	}
	if op == "delete" {
		rec, err := t.Delete(id, r.Actor(), s.seen(ifMatch))
		if err != nil {
			return s.refused(err)
		}
		s.wrote(r, rec, op, true)
		return front.Response{Status: http.StatusNoContent}
	}
	if problems := s.World.Check(t.Schema, given, op == "create", true); len(problems) > 0 {
		return invalid(problems)
	}
	if op == "create" {
		rec, err := t.Create("", r.Actor(), given)
		if err != nil {
			return s.refused(err)
		}
		s.wrote(r, rec, op, true)
		return s.record(http.StatusCreated, rec)
	}
	rec, effect, err := t.Update(id, r.Actor(), s.seen(ifMatch), s.patchOf(t.Schema, given))
	if err != nil {
		return s.refused(err)
	}
	s.wrote(r, rec, op, effect)
	return s.record(http.StatusOK, rec)
}

// patchOf merges properties and replaces labels, unless the switches say otherwise.
func (s *Server) patchOf(schema *world.Schema, given map[string]any) world.Patch {
	sw := s.World.Switches()
	merge := world.MergePatch(schema, given)
	return func(cur *world.Record) map[string]any {
		out := merge(cur)
		if v, sent := given["properties"].(map[string]any); sent && sw.CustomFields == wire.PatchReplace {
			out["properties"] = v
		}
		if v, sent := given["labels"].([]any); sent && sw.Tags == wire.PatchMerge {
			was, _ := cur.Fields["labels"].([]any)
			out["labels"] = world.Union(was, v)
		}
		return out
	}
}

func (s *Server) create(t *world.Table) handler {
	return func(r *front.Request) front.Response { return s.single(r, t, "create") }
}

func (s *Server) patch(t *world.Table) handler {
	return func(r *front.Request) front.Response { return s.single(r, t, "update") }
}

func (s *Server) remove(t *world.Table) handler {
	return func(r *front.Request) front.Response { return s.single(r, t, "delete") }
}

func (s *Server) single(r *front.Request, t *world.Table, op string) front.Response {
	id := r.PathValue("id")
	r.Call.Object, r.Call.ID = t.Schema.Name, id
	var given map[string]any
	if op != "delete" {
		var err error
		if given, err = world.Decode(r.Body); err != nil {
			return badRequest(err.Error())
		}
		r.Fields(given)
	}
	return s.write(r, t, op, id, r.Header.Get("If-Match"), given)
}
