package engine

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/mapping"
	"github.com/accord-sync/accord/internal/record"
)

// view is one record as a stream sees it: the plain value of each mapped field.
type view struct {
	record record.Record
	values ledger.Values
	// print fingerprints the values.
	print string
	// match is the hash of the natural key, empty when blank.
	match   string
	inScope bool
}

// look reads the mapped fields out of a record. The error is a fault.Invalid of
// an expression that fails on it.
func (s Stream) look(side record.Side, found record.Record, refs mapping.Resolver) (view, error) {
	seen := view{record: found, values: ledger.Values{}}
	for _, field := range s.Mapping.Fields() {
		raw, _, err := field.Read(side, found.Fields)
		if err != nil {
			return view{}, err
		}
		seen.values[field.Name()] = raw
	}
	inScope, err := s.Mapping.InScope(side, found.Fields)
	if err != nil {
		return view{}, err
	}
	seen.inScope = inScope
	if key, ok := s.Mapping.MatchKey(side, found.Fields, refs); ok {
		seen.match = key
	}
	seen.print = record.Fingerprint(map[string]any(seen.values))
	return seen, nil
}

// restPrint fingerprints what a record holds beside the mapped fields and the paths
// of a patch, and beside its own version, actor and time, which each write moves.
// Empty where the record was not read.
func (s Stream) restPrint(side record.Side, found record.Record, patch map[string]any) string {
	if len(found.Fields) == 0 {
		return ""
	}
	known := slices.Collect(maps.Keys(patch))
	for _, field := range s.Mapping.Fields() {
		known = append(known, field.Paths(side)...)
	}
	return record.Fingerprint(rest(found, map[string]any(found.Fields), "", known))
}

func rest(found record.Record, node map[string]any, above string, known []string) map[string]any {
	left := map[string]any{}
	for key, value := range node {
		path := above + key
		if slices.Contains(known, path) || ownMark(found, value) {
			continue
		}
		if inner, ok := value.(map[string]any); ok {
			value = rest(found, inner, path+".", known)
		}
		left[key] = value
	}
	return left
}

// ownMark reports whether a value is the record's version, actor or a time of its
// own. What is blank tells nothing.
func ownMark(found record.Record, value any) bool {
	text := fmt.Sprint(value)
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at.Equal(found.UpdatedAt) || at.Equal(found.CreatedAt)
	}
	return record.IsBlank(value) || text == found.UpdatedBy || text == strings.Trim(found.Version, `v"`)
}

// seenRow is what the ledger remembers of a view.
func (s Stream) seenRow(v view) ledger.Seen {
	return ledger.Seen{
		Stream: s.Spec.Name, Ref: v.record.Ref, Print: v.print, MatchHash: v.match,
		InScope: v.inScope, UpdatedAt: v.record.UpdatedAt,
	}
}

// object is the collection of a side.
func (s Stream) object(side record.Side) string { return s.Spec.End(side).Object }

// sides are the sides that the stream looks at.
func (s Stream) sides() []record.Side { return s.Spec.Sides() }

// writes reports whether the stream's direction allows writing a side.
func (s Stream) writes(side record.Side) bool {
	switch s.Spec.Direction {
	case "left_to_right":
		return side == record.Right
	case "right_to_left":
		return side == record.Left
	}
	return true
}

// matchOnly reports whether records of this stream are linked and never written.
func (s Stream) matchOnly() bool { return s.Spec.Mode == "match_only" }

// changed reports whether a side's value differs in normal form from its base.
func changed(field *mapping.Field, now, base any) bool {
	return !record.Equal(field.Kind(), now, base)
}

// equalAcross reports whether the two sides hold the same in normal form.
func equalAcross(field *mapping.Field, left, right any, refs mapping.Resolver) bool {
	canonLeft, err := field.Canonical(record.Left, left, refs)
	if err != nil {
		return false
	}
	canonRight, err := field.Canonical(record.Right, right, refs)
	if err != nil {
		return false
	}
	return record.Fingerprint(canonLeft) == record.Fingerprint(canonRight)
}

// resolver translates references by the ledger's links, each id once. A ledger
// that fails is remembered in failed and makes the id look unknown; the caller
// checks before it acts.
type resolver struct {
	store ledger.Store
	key   ledger.Key
	ctx   context.Context //nolint:containedctx // lives as long as one pass; mapping.Resolver takes no context

	mu     sync.Mutex
	known  map[string]string
	failed error
}

func newResolver(ctx context.Context, store ledger.Store, key ledger.Key) *resolver {
	return &resolver{store: store, key: key, ctx: ctx, known: map[string]string{}}
}

// lookup is a mapping.Resolver.
func (r *resolver) lookup(stream string, from record.Side, id string) (string, bool) {
	if id == "" {
		return "", false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	memo := memoOf(stream, from, id)
	if counterpart, ok := r.known[memo]; ok {
		return counterpart, counterpart != ""
	}
	found, err := r.store.Counterparts(r.ctx, r.key, stream, from, []string{id})
	if err != nil {
		r.failed = err
		return "", false
	}
	r.known[memo] = found[id]
	return found[id], found[id] != ""
}

func (r *resolver) err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed
}
