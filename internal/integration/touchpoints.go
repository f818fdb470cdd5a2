package integration

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/accord-sync/accord/internal/mapping"
	"github.com/accord-sync/accord/internal/record"
)

// TouchPoints says which records of the two systems are e-mails and calls, and how
// they are counted: per user, customer, kind and day.
type TouchPoints struct {
	// TimeZone is the IANA zone in which a touch-point has its day. Default UTC.
	TimeZone string
	// Sources are where touch-points are logged, in the order of the file.
	Sources []TouchSource
	// WriteBacks are the fields that hold a customer's count.
	WriteBacks []WriteBack
}

// TouchSource is a collection of which each record is a touch-point.
type TouchSource struct {
	// Name is the key under `sources`; no stream has it.
	Name string
	// Side is where the collection is.
	Side record.Side
	// End names the collection and which of its records count.
	End End
	// Kind is the word that its records are counted under.
	Kind string
	// At is the path of the time, User and Customer of the ids.
	At             string
	User, Customer Party
	// VerifyAfter is the pause between the two checks of a delete. Default 10s.
	VerifyAfter time.Duration
	Poll        Poll
	Compare     Compare
}

// The fields of the stream of a source.
const (
	TouchAt       = "at"
	TouchUser     = "user"
	TouchCustomer = "customer"
)

// Party says who takes part in a touch-point. The zero value: nobody.
type Party struct {
	// ID is the path of the id, Stream the stream whose links translate it.
	ID, Stream string
}

// WriteBack is a field that holds how many touch-points a customer has.
type WriteBack struct {
	// Name is the key under `write_back`; no stream has it.
	Name string
	// Stream is that of the customers, Side where the field is: what is counted are
	// the sources of the other side whose customers are of this stream.
	Stream string
	Side   record.Side
	// Field is its dotted path.
	Field string
	// Kinds are counted; empty: all.
	Kinds []string
}

// Location is the zone in which a touch-point has its day.
func (t *TouchPoints) Location() *time.Location {
	zone, err := time.LoadLocation(t.TimeZone)
	if err != nil {
		return time.UTC // the file was checked
	}
	return zone
}

// Source returns the source of that name, or nil.
func (t *TouchPoints) Source(name string) *TouchSource {
	for n := range t.Sources {
		if t.Sources[n].Name == name {
			return &t.Sources[n]
		}
	}
	return nil
}

// WriteBack returns the one of that name, or nil.
func (t *TouchPoints) WriteBack(name string) *WriteBack {
	for n := range t.WriteBacks {
		if t.WriteBacks[n].Name == name {
			return &t.WriteBacks[n]
		}
	}
	return nil
}

// Counts reports whether the touch-points of a source go into the field.
func (w *WriteBack) Counts(source *TouchSource) bool {
	return source.Side == w.Side.Other() && source.Customer.Stream == w.Stream && (len(w.Kinds) == 0 || slices.Contains(w.Kinds, source.Kind))
}

// LastOf is the name of the last source that goes into a field.
func (t *TouchPoints) LastOf(back *WriteBack) string {
	last := ""
	for n := range t.Sources {
		if back.Counts(&t.Sources[n]) {
			last = t.Sources[n].Name
		}
	}
	return last
}

func (d *decoder) touchPoints(i *Integration, v value) {
	body := v.object()
	if body == nil {
		return
	}
	read := TouchPoints{TimeZone: "UTC"}
	if zone := body.take("time_zone"); zone.given() {
		read.TimeZone = zone.word("an IANA time zone, such as America/Sao_Paulo", isZone)
	}
	if sources := body.need("sources").object(); sources != nil {
		if len(sources.keys) == 0 {
			d.problem(sources.value, "at least one source is needed")
		}
		for _, name := range sources.keys {
			if given := d.named(i, &read, sources, name); given != nil {
				read.Sources = append(read.Sources, d.touchSource(i, name, given))
			}
		}
	}
	if backs := body.take("write_back").object(); backs != nil {
		for _, name := range backs.keys {
			if given := d.named(i, &read, backs, name); given != nil {
				read.WriteBacks = append(read.WriteBacks, d.writeBack(i, &read, name, given))
			}
		}
	}
	body.done()
	i.TouchPoints = &read
	for n := range read.Sources {
		i.Streams = append(i.Streams, read.Sources[n].stream())
	}
}

// named takes a member of a section whose names are told apart from those of
// streams, as they are used in the same places.
func (d *decoder) named(i *Integration, read *TouchPoints, all *object, name string) *object {
	at := all.key(name)
	if !isName(name) {
		d.problem(at, "%q is not a name: letters, digits, - _ .", name)
	}
	if i.Stream(name) != nil || read.Source(name) != nil || read.WriteBack(name) != nil {
		d.problem(at, "the name %s is taken: streams, sources and fields to write back have different names", name)
	}
	given := all.take(name)
	if !given.given() {
		d.problem(at, "%s is empty", name)
	}
	return given.object()
}

func (d *decoder) touchSource(i *Integration, name string, body *object) TouchSource {
	source := TouchSource{Name: name, Side: sideOf(body.need("side"))}
	source.End.Object = body.need("object").word("the name of an object", isName)
	if where := body.take("where"); where.given() {
		source.End.Where = where.expression(mapping.CheckRead)
	}
	source.Kind = body.need("kind").word("a word to count under: letters, digits, - _ .", isName)
	source.At = body.need("at").word("a path", isPath)
	source.User = d.party(i, body.take("user"))
	source.Customer = d.party(i, body.take("customer"))
	source.VerifyAfter = body.take("verify_after").duration(defaultVerifyAfter, 0)
	source.Poll = body.take("poll").poll()
	source.Compare = body.take("compare").compare()
	body.done()
	return source
}

func (d *decoder) party(i *Integration, v value) Party {
	body := v.object()
	if body == nil {
		return Party{}
	}
	party := Party{ID: body.need("id").word("a path", isPath)}
	ref := body.need("ref")
	party.Stream = ref.word("the name of a stream", isName)
	body.done()
	d.known(i, ref, party.Stream)
	return party
}

// known checks that a stream is one of the file.
func (d *decoder) known(i *Integration, at value, name string) {
	if name == "" || i.Stream(name) != nil {
		return
	}
	names := make([]string, 0, len(i.Streams))
	for n := range i.Streams {
		names = append(names, i.Streams[n].Name)
	}
	d.problem(at, "there is no stream %s: the streams are %s", name, strings.Join(names, ", "))
}

func (d *decoder) writeBack(i *Integration, read *TouchPoints, name string, body *object) WriteBack {
	back := WriteBack{Name: name, Side: sideOf(body.need("side"))}
	stream, field, kinds := body.need("stream"), body.need("field"), body.take("kinds")
	back.Stream = stream.word("the name of a stream", isName)
	back.Field = field.word("a dotted path", isPath)
	back.Kinds = kinds.words("a kind", isName)
	body.done()
	d.known(i, stream, back.Stream)
	if !slices.ContainsFunc(read.Sources, func(source TouchSource) bool { return back.Counts(&source) }) {
		d.problem(body.value, "there is nothing to count: no source of the %s side has customers of the stream %s%s", back.Side.Other(), back.Stream, ofKinds(back.Kinds))
	}
	if of := i.Stream(back.Stream); of != nil {
		for _, owner := range of.writersOf(back.Side, back.Field) {
			d.problem(field, "%s is written on the %s side by %s too", back.Field, back.Side, owner)
		}
	}
	for _, other := range read.WriteBacks {
		if other.Stream == back.Stream && other.Side == back.Side && overlap(other.Field, back.Field) {
			d.problem(field, "%s is written on the %s side by %s too", back.Field, back.Side, other.Name)
		}
	}
	return back
}

// writersOf are the parts of a stream that write a path of a side.
func (s *Stream) writersOf(side record.Side, path string) []string {
	var owners []string
	if marker := s.Marker.Of(side); marker != "" && overlap(marker, path) {
		owners = append(owners, "the marker of the stream "+s.Name)
	}
	if s.Mode == ModeMatchOnly {
		return owners
	}
	for n := range s.Fields {
		for _, written := range s.Fields[n].Written(side) {
			if overlap(written, path) {
				owners = append(owners, "the field "+s.Fields[n].Name+" of the stream "+s.Name)
			}
		}
	}
	return owners
}

func ofKinds(kinds []string) string {
	if len(kinds) == 0 {
		return ""
	}
	return " and is of the kind " + strings.Join(kinds, " or ")
}

// touchSentences tells what is counted, and where counts are written.
func touchSentences(i *Integration) []Sentence {
	if i.TouchPoints == nil {
		return nil
	}
	var all []Sentence
	for n := range i.TouchPoints.Sources {
		source := &i.TouchPoints.Sources[n]
		stream := source.stream()
		t := &teller{integration: i, stream: &stream}
		t.source(source)
		all = append(all, t.said...)
	}
	for n := range i.TouchPoints.WriteBacks {
		back := &i.TouchPoints.WriteBacks[n]
		t := &teller{integration: i, stream: i.Stream(back.Stream)}
		all = append(all, Sentence{Stream: back.Name, About: "write_back", Field: back.Field, Text: fmt.Sprintf(
			"When the number of touch-points%s of %s in %s changes, then %s of the linked %s in %s is set to it, and nothing else; a customer who never had one is left alone.",
			inKinds(back.Kinds), t.one(back.Side.Other()), t.system(back.Side.Other()), back.Field, t.thing(back.Side), t.system(back.Side))})
	}
	return all
}

func inKinds(kinds []string) string {
	if len(kinds) == 0 {
		return ""
	}
	return " (" + and(kinds) + ")"
}

// stream is the one-sided stream that a source is made into. What is counted by is
// read as its fields, so that an edit of anything else is no news.
func (s *TouchSource) stream() Stream {
	none := value{}
	stream := Stream{
		Name: s.Name, Mode: ModeTouchPoints, Poll: s.Poll, Compare: s.Compare,
		Conflicts: none.conflicts(nil), Deletes: none.deletes(), Guard: none.guards(),
	}
	stream.Deletes.VerifyAfter = s.VerifyAfter
	add := func(name, path string, kind record.Kind) {
		if path != "" {
			place := Place{Path: path}
			stream.Fields = append(stream.Fields, Field{Name: name, Left: place, Right: place, As: kind})
		}
	}
	add(TouchAt, s.At, record.Kind{Name: record.KindDate})
	add(TouchUser, s.User.ID, record.Kind{})
	add(TouchCustomer, s.Customer.ID, record.Kind{})
	if s.Side == record.Left {
		stream.Left = s.End
	} else {
		stream.Right = s.End
	}
	return stream
}

func (t *teller) source(source *TouchSource) {
	if source.End.Where != "" {
		t.say("scope", "In %s, only %s for which  %s  are counted.", t.system(source.Side), source.End.Object, source.End.Where)
	}
	parties := ""
	for _, party := range []struct {
		word string
		Party
	}{{"user", source.User}, {"customer", source.Customer}} {
		if party.ID != "" {
			parties += fmt.Sprintf(", by its %s (%s, one of %s)", party.word, party.ID, party.Stream)
		}
	}
	t.say("touch_point", "When %s is logged or edited in %s, then it is counted once as %s%s and by its day (%s, in %s), however often it is told; under the id of %s while who took part has no counterpart in %s.",
		t.one(source.Side), t.system(source.Side), source.Kind, parties, source.At, t.integration.TouchPoints.TimeZone, t.system(source.Side), t.system(source.Side.Other()))
	t.say("touch_point", "When %s is deleted in %s, and a second look %s later finds it gone too, then it is not counted any more.",
		t.one(source.Side), t.system(source.Side), short(source.VerifyAfter))
	t.noticed(source.Side)
	t.say("compare", "All %s are compared with what is counted %s.", t.place(source.Side), times(source.Compare.Every, source.Compare.Cron, source.Compare.TimeZone))
}
