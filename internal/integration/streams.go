package integration

import (
	"strings"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/accord-sync/accord/internal/mapping"
	"github.com/accord-sync/accord/internal/record"
)

// Defaults of a stream.
const (
	defaultPoll        = 30 * time.Second
	defaultOverlap     = 2 * time.Minute
	defaultCompare     = 24 * time.Hour
	defaultCheck       = 24 * time.Hour
	defaultVerifyAfter = 10 * time.Second
	defaultGuardMax    = 10
	defaultGuardPer    = time.Hour
	defaultClearsMax   = 500
	defaultRewritesMax = 1000
	defaultDeadline    = 72 * time.Hour
)

// leastInterval is the shortest duration of a setting that must not be zero.
const leastInterval = time.Second

func (d *decoder) stream(name string, v value) (Stream, bool) {
	body := v.object()
	if body == nil {
		return Stream{}, false
	}
	stream := Stream{Name: name}
	stream.Mode = body.mode()
	stream.Left, stream.Right = body.need("left").end(), body.need("right").end()
	if stream.Mode == ModeMatchOnly {
		if len(stream.Left.Allow)+len(stream.Right.Allow) > 0 {
			d.problem(body.value, "a match_only stream writes nothing, so there is nothing to allow")
		}
		stream.Direction, stream.Collision = Both, CollisionIgnore
		stream.Conflicts, stream.Deletes = value{d: d}.conflicts(nil), value{d: d}.deletes()
	} else {
		stream.Direction = body.take("direction").choice(Both, LeftToRight, RightToLeft)
		stream.Collision = body.take("collision").choice(CollisionUpsert, CollisionIgnore, CollisionCreate)
		stream.Marker = body.take("marker").marker()
	}
	match := body.take("match")
	stream.Match = match.words("the name of a field", isPath)
	fields := body.take("fields")
	if !fields.given() && stream.Mode != ModeMatchOnly {
		d.problem(body.value, "a stream needs fields, unless it is match_only")
	}
	stream.Fields = d.fields(&stream, fields)
	if stream.Mode != ModeMatchOnly {
		stream.Conflicts = body.take("conflicts").conflicts(&stream)
		stream.Deletes = body.take("deletes").deletes()
		stream.Guard = body.take("guard").guards()
	}
	stream.Poll = body.take("poll").poll()
	stream.Compare = body.take("compare").compare()
	body.done()
	d.matched(&stream, body, match, fields)
	d.targets(&stream, fields)
	return stream, true
}

func (o *object) mode() string {
	mode := o.take("mode")
	if !mode.given() {
		return ModeSync
	}
	return mode.choice(ModeMatchOnly)
}

func (v value) end() End {
	body := v.object()
	if body == nil {
		return End{}
	}
	end := End{Object: body.need("object").word("the name of an object", isName)}
	if where := body.take("where"); where.given() {
		end.Where = where.expression(mapping.CheckRead)
	}
	if allow := body.take("allow"); allow.given() {
		end.Allow = allow.words("what is allowed, such as invite", isName)
	}
	end.LookUps = body.take("look_up").lookUps()
	body.done()
	return end
}

func (v value) lookUps() []LookUp {
	all := v.object()
	if all == nil {
		return nil
	}
	var read []LookUp
	for _, name := range all.keys {
		if !isName(name) || strings.Contains(name, ".") {
			v.d.problem(all.key(name), "%q is not a name: letters, digits, - _", name)
		}
		if body := all.take(name).object(); body != nil {
			read = append(read, LookUp{Name: name, Object: body.need("object").word("the name of an object", isName), ID: body.need("id").word("a path", isPath)})
			body.done()
		}
	}
	return read
}

func (v value) marker() Marker {
	body := v.object()
	if body == nil {
		return Marker{}
	}
	var marker Marker
	if left := body.take("left"); left.given() {
		marker.Left = left.word("a path", isPath)
	}
	if right := body.take("right"); right.given() {
		marker.Right = right.word("a path", isPath)
	}
	body.done()
	return marker
}

// matched checks the natural key, and gives a match_only stream without fields
// the fields that its key names.
func (d *decoder) matched(stream *Stream, body *object, match, fields value) {
	if stream.Mode == ModeMatchOnly && len(stream.Match) == 0 {
		d.problem(body.value, "a match_only stream needs match")
	}
	if stream.Mode == ModeMatchOnly && !fields.given() {
		for _, path := range stream.Match {
			stream.Fields = append(stream.Fields, Field{
				Name: path, Left: Place{Path: path}, Right: Place{Path: path}, As: impliedKind(path), Direction: Both})
		}
		return
	}
	for _, element := range match.list() {
		if name, ok := element.literal(); ok && isPath(name) && stream.field(name) == nil && fields.object() != nil {
			d.problem(element, "there is no field %s under fields", name)
		}
	}
}

// impliedKind compares a path that ends in "email" as an address.
func impliedKind(path string) record.Kind {
	if path[strings.LastIndex(path, ".")+1:] == "email" {
		return record.Kind{Name: record.KindEmail}
	}
	return record.Kind{}
}

func (s *Stream) field(name string) *Field {
	for i := range s.Fields {
		if s.Fields[i].Name == name {
			return &s.Fields[i]
		}
	}
	return nil
}

// conflicts reads who wins; stream is nil where the key is not allowed.
func (v value) conflicts(stream *Stream) Conflicts {
	read := Conflicts{Policy: PolicyManual, Tie: record.Left, Deadline: defaultDeadline, Fallback: PolicyLeft}
	body := v.object()
	if body == nil {
		return read
	}
	read.Policy = body.take("policy").choice(PolicyManual, PolicyLeft, PolicyRight, PolicyNewest)
	read.Tie = sideOf(body.take("tie"))
	read.Deadline = body.take("deadline").duration(defaultDeadline, leastInterval)
	read.Fallback = body.take("fallback").choice(PolicyLeft, PolicyRight, PolicyNewest)
	if fields := body.take("fields").object(); fields != nil {
		read.Fields = map[string]string{}
		for _, name := range fields.keys {
			if stream.field(name) == nil {
				v.d.problem(fields.key(name), "there is no field %s under fields", name)
			}
			read.Fields[name] = fields.take(name).choice(PolicyManual, PolicyLeft, PolicyRight, PolicyNewest)
		}
	}
	body.done()
	return read
}

func (v value) deletes() Deletes {
	read := Deletes{Policy: DeleteIgnore, Edited: EditedKeep, VerifyAfter: defaultVerifyAfter,
		Guard: Guard{Max: defaultGuardMax, Per: defaultGuardPer}}
	body := v.object()
	if body == nil {
		return read
	}
	read.Policy = body.take("policy").choice(DeleteIgnore, DeletePropagate)
	read.Edited = body.take("edited").choice(EditedKeep, EditedDelete, EditedRecreate)
	read.VerifyAfter = body.take("verify_after").duration(defaultVerifyAfter, 0)
	read.Guard = body.take("guard").guard(read.Guard)
	body.done()
	return read
}

// guards reads the guard on clears and rewrites.
func (v value) guards() Guards {
	read := Guards{Clears: Guard{Max: defaultClearsMax, Per: defaultGuardPer}, Rewrites: Guard{Off: true, Max: defaultRewritesMax, Per: defaultGuardPer}}
	body := v.object()
	if body == nil {
		return read
	}
	read.Clears = body.take("clears").guard(read.Clears)
	read.Rewrites = body.take("rewrites").guard(read.Rewrites)
	body.done()
	return read
}

// guard reads one limit: {max, per} or off.
func (v value) guard(fallback Guard) Guard {
	read := fallback
	if _, single := v.literal(); single {
		text, ok := v.scalar()
		if read.Off = text == "off"; ok && !read.Off {
			v.d.problem(v, "must be {max, per} or off")
		}
		return read
	}
	if limits := v.object(); limits != nil {
		read.Off = false
		read.Max = limits.take("max").integer(fallback.Max, 0, 1_000_000_000)
		read.Per = limits.take("per").duration(fallback.Per, leastInterval)
		limits.done()
	}
	return read
}

func (v value) poll() Poll {
	read := Poll{Every: defaultPoll, TimeZone: "UTC", Overlap: defaultOverlap}
	body := v.object()
	if body == nil {
		return read
	}
	read.Every, read.Cron, read.TimeZone = body.timetable(v.d, defaultPoll)
	read.Overlap = body.take("overlap").duration(defaultOverlap, 0)
	body.done()
	return read
}

func (v value) check() Check {
	read := Check{Every: defaultCheck}
	if body := v.object(); body != nil {
		read.Every = body.take("every").duration(defaultCheck, leastInterval)
		body.done()
	}
	return read
}

func (v value) compare() Compare {
	body := v.object()
	if body == nil {
		return Compare{Every: defaultCompare, TimeZone: "UTC"}
	}
	var read Compare
	read.Every, read.Cron, read.TimeZone = body.timetable(v.d, defaultCompare)
	body.done()
	return read
}

// timetable reads `every`, or `cron` with `time_zone`.
func (o *object) timetable(d *decoder, fallback time.Duration) (every time.Duration, line, zone string) {
	interval, cronLine, timeZone := o.take("every"), o.take("cron"), o.take("time_zone")
	zone = "UTC"
	switch {
	case interval.given() && cronLine.given():
		d.problem(cronLine, "every and cron exclude each other: keep one")
	case cronLine.given():
		line = cronLine.word("a cron line of five fields, such as \"0 3 * * *\"", isCron)
	default:
		every = interval.duration(fallback, leastInterval)
	}
	if timeZone.given() {
		zone = timeZone.word("an IANA time zone, such as America/Sao_Paulo", isZone)
		if !cronLine.given() {
			d.problem(timeZone, "time_zone belongs to cron")
		}
	}
	return every, line, zone
}

func isCron(text string) bool {
	if len(strings.Fields(text)) != 5 || strings.Contains(text, "TZ=") {
		return false
	}
	line, err := cron.ParseStandard(text)
	// A day such as 31 February never comes.
	return err == nil && !line.Next(time.Unix(0, 0)).IsZero()
}

func isZone(text string) bool {
	if text == "" || text == "Local" {
		return false
	}
	_, err := time.LoadLocation(text)
	return err == nil
}
