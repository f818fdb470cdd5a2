package admin

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/accord-sync/accord/internal/sandbox/wire"
	"github.com/accord-sync/accord/internal/sandbox/world"
)

// maxSeed bounds the records of one seed call.
const maxSeed = 1_000_000

func (s *server) records(r *http.Request) (any, error) {
	t, err := s.table(r)
	if err != nil {
		return nil, err
	}
	all := r.URL.Query().Get("deleted") == "true"
	out := []wire.Record{}
	for _, rec := range t.All() {
		if all || rec.Live() {
			out = append(out, rec.Wire())
		}
	}
	return out, nil
}

// versions are never null in JSON, so that a client need not tell apart.
func (s *server) versions(r *http.Request) (any, error) {
	t, err := s.table(r)
	if err != nil {
		return nil, err
	}
	since, _ := strconv.ParseInt(r.URL.Query().Get("since"), 10, 64)
	return append([]wire.Version{}, t.Versions(since)...), nil
}

func (s *server) record(r *http.Request) (any, error) {
	t, err := s.table(r)
	if err != nil {
		return nil, err
	}
	rec := t.Raw(r.PathValue("id"))
	if rec == nil {
		return nil, world.ErrNotFound
	}
	return rec.Wire(), nil
}

func (s *server) edited(r *http.Request, creating bool) (*world.Table, wire.Edit, error) {
	var in wire.Edit
	t, err := s.table(r)
	if err != nil {
		return nil, in, err
	}
	if err := read(r, &in); err != nil {
		return nil, in, err
	}
	s.complete(t.Schema.Name, in.Fields)
	return t, in, s.check(t, in.Fields, creating)
}

func (s *server) complete(object string, fields map[string]any) {
	if s.Complete != nil {
		s.Complete(object, fields)
	}
}

// wrote counts and logs what a user did to a record.
func (s *server) wrote(r *http.Request, actor, op, id string, rec *world.Record, fields map[string]any, effect bool) {
	s.World.Log.Wrote(actor, rec.Object, id, op, effect)
	s.World.Log.Add(wire.Call{At: s.World.Now(), Method: r.Method, Path: r.URL.Path, Query: r.URL.RawQuery, Status: http.StatusOK, Actor: actor,
		Object: rec.Object, ID: id, Fields: slices.Sorted(maps.Keys(fields)), Effect: effect})
}

// check holds users to the vendor's rules, as its own screens would, but not to rejections.
func (s *server) check(t *world.Table, fields map[string]any, creating bool) error {
	problems := s.World.Check(t.Schema, fields, creating, false)
	if len(problems) == 0 {
		return nil
	}
	texts := make([]string, 0, len(problems))
	for _, p := range problems {
		texts = append(texts, p.Field+" "+p.Message)
	}
	return &problem{http.StatusUnprocessableEntity, strings.Join(texts, "; ")}
}

func (s *server) create(r *http.Request) (any, error) {
	t, in, err := s.edited(r, true)
	if err != nil {
		return nil, err
	}
	actor := world.UserActor(in.User)
	rec, err := t.Create(in.ID, actor, in.Fields)
	if err != nil {
		return nil, err
	}
	s.wrote(r, actor, "create", rec.ID, rec, in.Fields, true)
	return rec.Wire(), nil
}

func (s *server) edit(r *http.Request) (any, error) {
	t, in, err := s.edited(r, false)
	if err != nil {
		return nil, err
	}
	actor := world.UserActor(in.User)
	rec, effect, err := t.Update(r.PathValue("id"), actor, 0, world.MergePatch(t.Schema, in.Fields))
	if err != nil {
		return nil, err
	}
	s.wrote(r, actor, "update", rec.ID, rec, in.Fields, effect)
	return rec.Wire(), nil
}

func (s *server) remove(r *http.Request) (any, error) {
	t, err := s.table(r)
	if err != nil {
		return nil, err
	}
	actor := world.UserActor(r.URL.Query().Get("user"))
	rec, err := t.Delete(r.PathValue("id"), actor, 0)
	if err != nil {
		return nil, err
	}
	s.wrote(r, actor, "delete", rec.ID, rec, nil, true)
	return rec.Wire(), nil
}

func (s *server) merge(r *http.Request) (any, error) {
	var in wire.Merge
	if err := read(r, &in); err != nil {
		return nil, err
	}
	t, err := s.tableOf(in.Object)
	if err != nil {
		return nil, err
	}
	actor := world.UserActor(in.User)
	rec, err := t.Merge(in.Winner, in.Loser, actor)
	if err != nil {
		return nil, err
	}
	s.wrote(r, actor, "merge", in.Loser, rec, nil, true)
	return rec.Wire(), nil
}

func (s *server) seed(r *http.Request) (any, error) {
	var in wire.Seed
	if err := read(r, &in); err != nil {
		return nil, err
	}
	t, err := s.tableOf(in.Object)
	if err != nil {
		return nil, err
	}
	if in.Count < 0 || in.Count > maxSeed {
		return nil, bad("count must be 0 to %d", maxSeed)
	}
	if in.Template == nil {
		in.Template = s.Template(in.Object)
	}
	start := max(in.Start, 1)
	out := wire.Seeded{IDs: make([]string, 0, in.Count+len(in.Records))}
	add := func(fields map[string]any) error {
		s.complete(in.Object, fields)
		if err := s.check(t, fields, true); err != nil {
			return err
		}
		rec, err := t.Seed("", world.UserActor("seed"), fields)
		if err != nil {
			return fmt.Errorf("seed: %w", err)
		}
		out.IDs = append(out.IDs, rec.ID)
		return nil
	}
	for n := start; n < start+in.Count; n++ {
		fields, _ := fill(in.Template, strconv.Itoa(n)).(map[string]any)
		if err := add(fields); err != nil {
			return nil, err
		}
	}
	for _, fields := range in.Records {
		if err := add(fields); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// fill puts the number into every text of a template.
func fill(v any, n string) any {
	switch v := v.(type) {
	case string:
		return strings.ReplaceAll(v, "{n}", n)
	case []any:
		out := make([]any, 0, len(v))
		for _, e := range v {
			out = append(out, fill(e, n))
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = fill(e, n)
		}
		return out
	}
	return v
}
