package admin

import (
	"net/http"
	"slices"
	"strings"

	"github.com/accord-sync/accord/internal/sandbox/wire"
)

func (s *server) reject(r *http.Request) (any, error) {
	var in wire.Rejection
	if err := read(r, &in); err != nil {
		return nil, err
	}
	t, err := s.tableOf(in.Object)
	if err != nil {
		return nil, err
	}
	if t.Schema.Field(in.Field) == nil {
		return nil, bad("%s has no field %q", in.Object, in.Field)
	}
	s.World.Reject(in)
	return nil, nil
}

func (s *server) clearRejections(*http.Request) (any, error) {
	s.World.ClearRejections()
	return nil, nil
}

func (s *server) race(r *http.Request) (any, error) {
	var in wire.Race
	if err := read(r, &in); err != nil {
		return nil, err
	}
	s.complete(in.Object, in.Fields)
	if err := s.World.AddRace(in); err != nil {
		return nil, bad("%v", err)
	}
	return nil, nil
}

func (s *server) setSwitches(r *http.Request) (any, error) {
	in := s.World.Switches()
	if err := read(r, &in); err != nil {
		return nil, err
	}
	for _, c := range []struct {
		name, value string
		allowed     []string
	}{
		{"updated_after", in.UpdatedAfter, []string{wire.FilterSupported, wire.FilterIgnored, wire.FilterRejected}},
		{"custom_fields", in.CustomFields, []string{wire.PatchMerge, wire.PatchReplace}},
		{"tags", in.Tags, []string{wire.PatchMerge, wire.PatchReplace}},
		{"retry_after", in.RetryAfter, []string{wire.RetrySeconds, wire.RetryDate, wire.RetryAbsent}},
		{"filter_bound", in.FilterBound, []string{wire.BoundInclusive, wire.BoundExclusive}},
		{"merged_ids", in.MergedIDs, []string{wire.MergedSurvivor, wire.MergedNotFound}},
		{"deal_writes", in.DealWrites, []string{wire.DealEndpoints, wire.DealBornOpen, wire.DealPatch}},
		{"encoding", in.Encoding, []string{"", wire.EncodingUTF8, wire.EncodingLatin, wire.EncodingWindows, wire.EncodingUTF16}},
		{"csv_delimiter", in.CSVDelimiter, []string{"", ",", ";"}},
		{"webhook_form", in.WebhookForm, []string{wire.FormEnvelope, wire.FormGuide}},
	} {
		if !slices.Contains(c.allowed, c.value) {
			return nil, bad("%s is %q, not one of %s", c.name, c.value, strings.Join(c.allowed, ", "))
		}
	}
	s.World.SetSwitches(in)
	return in, nil
}

func (s *server) alter(r *http.Request) (any, error) {
	var in wire.Alteration
	if err := read(r, &in); err != nil {
		return nil, err
	}
	if err := s.World.AddAlteration(in); err != nil {
		return nil, bad("%v", err)
	}
	return nil, nil
}

func (s *server) spoilRow(r *http.Request) (any, error) {
	var in wire.BadRow
	if err := read(r, &in); err != nil {
		return nil, err
	}
	if err := s.World.AddBadRow(in); err != nil {
		return nil, bad("%v", err)
	}
	return nil, nil
}

func (s *server) clearAlterations(r *http.Request) (any, error) {
	v := r.URL.Query()
	s.World.ClearAlterations(v.Get("object"), v.Get("field"))
	return nil, nil
}

func (s *server) setShape(r *http.Request) (any, error) {
	var in wire.Shape
	if err := read(r, &in); err != nil {
		return nil, err
	}
	if err := s.World.SetShape(in); err != nil {
		return nil, bad("%v", err)
	}
	return nil, nil
}

func (s *server) clearShapes(r *http.Request) (any, error) {
	v := r.URL.Query()
	s.World.ClearShapes(v.Get("object"), v.Get("field"))
	return nil, nil
}

func (s *server) unique(*http.Request) (any, error) {
	out := []wire.Unique{}
	for _, name := range s.World.Objects() {
		out = append(out, wire.Unique{Object: name, Fields: append([]string{}, s.World.Table(name).Unique()...)})
	}
	return out, nil
}

func (s *server) setUnique(r *http.Request) (any, error) {
	var in wire.Unique
	if err := read(r, &in); err != nil {
		return nil, err
	}
	t, err := s.tableOf(in.Object)
	if err != nil {
		return nil, err
	}
	if err := t.SetUnique(in.Fields); err != nil {
		return nil, bad("%v", err)
	}
	return nil, nil
}

func (s *server) setClock(r *http.Request) (any, error) {
	var in wire.Clock
	if err := read(r, &in); err != nil {
		return nil, err
	}
	if err := s.World.SetClock(in); err != nil {
		return nil, bad("%v", err)
	}
	return s.World.Clock(), nil
}
