package integration

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/accord-sync/accord/internal/record"
)

// Sentence says in plain English what one trigger, field or policy does.
type Sentence struct {
	// Stream is the stream it belongs to, a touch-point source or a field to write back, rules.NAME for a rule; empty: the whole file.
	Stream string `json:"stream"`
	// About is system, direction, frequency, conflicts, errors or customers of the whole
	// file, when, look_up, backfill or error of a rule, else create, edit, delete, allow, scope, match, marker, field, conflict, guard, poll, compare,
	// touch_point or write_back.
	About string `json:"about"`
	// Field is the field's name, for About field and conflict.
	Field string `json:"field,omitempty"`
	Text  string `json:"text"`
}

// Sentences describes an integration completely, for people who do not read the
// file: per stream the triggers, then the fields, then the policies.
func Sentences(i *Integration) []Sentence {
	var all []Sentence
	for n := range i.Streams {
		if i.Streams[n].OneSided() || i.Streams[n].Rule != "" {
			continue
		}
		t := &teller{integration: i, stream: &i.Streams[n]}
		t.scope()
		if t.stream.Mode == ModeMatchOnly {
			t.say("create", "The %s and the %s are matched with each other, and never created, changed or deleted.", t.place(record.Left), t.place(record.Right))
		} else {
			t.allowed()
			t.triggers()
			t.fields()
		}
		t.match()
		if t.stream.Mode != ModeMatchOnly {
			t.marker()
			t.conflicts()
			t.guard()
		}
		t.schedule()
		all = append(all, t.said...)
	}
	for n := range i.Rules {
		all = append(all, ruleSentences(i, &i.Rules[n])...)
	}
	all = append(all, touchSentences(i)...)
	return append(all, summary(i)...)
}

// teller collects the sentences of one stream.
type teller struct {
	integration *Integration
	stream      *Stream
	said        []Sentence
}

func (t *teller) say(about, format string, args ...any) {
	t.said = append(t.said, Sentence{Stream: t.stream.Name, About: about, Text: fmt.Sprintf(format, args...)})
}

func (t *teller) sayField(about, field, format string, args ...any) {
	t.say(about, format, args...)
	t.said[len(t.said)-1].Field = field
}

// system is the readable name of a side's system.
func (t *teller) system(side record.Side) string {
	system := t.integration.System(side)
	if system.Manifest != nil {
		return system.Manifest.Title
	}
	name := system.Connector
	switch name {
	case "salesos":
		return "SalesOS"
	case "caldav":
		return "CalDAV"
	case "":
		return "the " + string(side) + " system"
	}
	return strings.ToUpper(name[:1]) + name[1:]
}

// thing is one record of a side, "contact"; place is all of them, "contacts of Acme".
func (t *teller) thing(side record.Side) string {
	object := t.stream.End(side).Object
	if described := t.integration.System(side).Manifest; described != nil && described.Objects[object] != nil {
		return described.Objects[object].Singular
	}
	switch {
	case strings.HasSuffix(object, "ies"):
		return strings.TrimSuffix(object, "ies") + "y"
	case strings.HasSuffix(object, "ss"):
		return object
	}
	return strings.TrimSuffix(object, "s")
}

func (t *teller) place(side record.Side) string {
	return t.stream.End(side).Object + " of " + t.system(side)
}

// one is "a lead" or "an appointment".
func (t *teller) one(side record.Side) string {
	thing := t.thing(side)
	if strings.ContainsAny(thing[:min(1, len(thing))], "aeioAEIO") {
		return "an " + thing
	}
	return "a " + thing
}

func (t *teller) goes(from record.Side) bool { return goes(t.stream.Direction, from) }

func goes(direction string, from record.Side) bool {
	return direction == Both || (direction == LeftToRight) == (from == record.Left)
}

func (t *teller) scope() {
	for _, side := range record.Sides() {
		if where := t.stream.End(side).Where; where != "" {
			t.say("scope", "In %s, only %s for which  %s  are kept in step.", t.system(side), t.stream.End(side).Object, where)
		}
		for _, one := range t.stream.End(side).LookUps {
			t.say("look_up", "With %s of %s, the record of its %s that %s names is read as %s; nothing is written to it.", t.one(side), t.system(side), one.Object, one.ID, one.Name)
		}
	}
}

func (t *teller) allowed() {
	for _, side := range record.Sides() {
		if words := t.stream.End(side).Allow; len(words) > 0 {
			t.say("allow", "What reaches people in %s and is off elsewhere is allowed here, by name: %s.", t.system(side), and(words))
		}
	}
}

func (t *teller) triggers() {
	for _, side := range record.Sides() {
		if !t.goes(side) {
			t.say("create", "What happens in %s is not carried to %s.", t.system(side), t.system(side.Other()))
			continue
		}
		t.create(side)
		t.say("edit", "When %s is edited in %s, then the changed fields are written to the linked %s in %s, and no others.",
			t.one(side), t.system(side), t.thing(side.Other()), t.system(side.Other()))
		t.deleted(side)
	}
}

func (t *teller) create(side record.Side) {
	text := fmt.Sprintf("When %s is created in %s, then ", t.one(side), t.system(side))
	made := fmt.Sprintf("%s is created in %s and linked to it", t.one(side.Other()), t.system(side.Other()))
	if len(t.stream.Match) == 0 {
		t.say("create", "%s%s.", text, made)
		return
	}
	found := fmt.Sprintf("one with the same %s exists there", and(t.stream.Match))
	switch t.stream.Collision {
	case CollisionCreate:
		t.say("create", "%s%s, even if %s.", text, made, found)
	case CollisionIgnore:
		t.say("create", "%s%s; if %s, both are left alone.", text, made, found)
	default:
		t.say("create", "%s%s; if %s, and no other record has it too, that one is linked and brought in step instead.", text, made, found)
	}
	t.delay(side)
}

// delay says how long a new record waits for the search of the other system,
// which tells whether there is one like it.
func (t *teller) delay(side record.Side) {
	known := t.integration.System(side.Other()).Capabilities
	if known.SearchLag.Value <= 0 {
		return
	}
	for _, field := range t.stream.Fields {
		place := field.Left
		if side == record.Left {
			place = field.Right
		}
		if slices.Contains(t.stream.Match, field.Name) && slices.Contains(known.Unique.List, place.Path) {
			return
		}
	}
	t.say("create", "That waits until %s after the %s in %s was noticed: a search in %s may miss what was made there shortly before.",
		short(known.SearchLag.Value), t.thing(side), t.system(side), t.system(side.Other()))
}

func (t *teller) deleted(side record.Side) {
	other := side.Other()
	when := fmt.Sprintf("When %s is deleted in %s", t.one(side), t.system(side))
	if t.stream.Deletes.Policy == DeleteIgnore {
		t.say("delete", "%s, then the linked %s stays in %s and is unlinked for good.", when, t.thing(other), t.system(other))
		return
	}
	t.say("delete", "%s, and a second look %s later finds it gone too, then the linked %s is deleted in %s.",
		when, short(t.stream.Deletes.VerifyAfter), t.thing(other), t.system(other))
	edited := "it is kept, and a conflict asks a person what to do"
	switch t.stream.Deletes.Edited {
	case EditedDelete:
		edited = "it is deleted all the same"
	case EditedRecreate:
		edited = fmt.Sprintf("the %s is created again in %s", t.thing(side), t.system(side))
	}
	t.say("delete", "%s but the linked %s was edited in %s meanwhile, then %s.", when, t.thing(other), t.system(other), edited)
}

func (t *teller) fields() {
	for n := range t.stream.Fields {
		field := &t.stream.Fields[n]
		arrow := "and"
		switch field.Direction {
		case LeftToRight:
			arrow = "goes to"
		case RightToLeft:
			arrow = "comes from"
		}
		text := fmt.Sprintf("%s: %s in %s %s %s in %s", field.Name, field.Left.tell(), t.system(record.Left), arrow, field.Right.tell(), t.system(record.Right))
		if field.Direction == Both {
			text += " hold the same"
		}
		t.sayField("field", field.Name, "%s%s.", text, t.conversion(field))
	}
}

// tell names a place: a path, or the expressions in full.
func (p Place) tell() string {
	if p.Path != "" {
		return p.Path
	}
	if len(p.Write) == 0 {
		return fmt.Sprintf("( %s )", strings.TrimSpace(p.Read))
	}
	targets := make([]string, len(p.Write))
	for i, target := range p.Write {
		targets[i] = fmt.Sprintf("%s = %s", target.Path, strings.TrimSpace(target.Expression))
	}
	return fmt.Sprintf("( %s ), written as ( %s ),", strings.TrimSpace(p.Read), strings.Join(targets, "; "))
}

func (t *teller) conversion(field *Field) string {
	var text strings.Builder
	switch field.As.Name {
	case record.KindEmail:
		text.WriteString("; as e-mail addresses, whatever their case")
	case record.KindPhone:
		fmt.Fprintf(&text, "; as phone numbers, in %s unless they name a country", field.As.Region)
	case record.KindSet:
		text.WriteString("; as a set, in any order, edits on both sides merge by element")
	case record.KindNumber:
		text.WriteString("; as numbers, also where they are text")
	case record.KindDate:
		text.WriteString("; as dates and times")
	case record.KindRef:
		fmt.Fprintf(&text, "; as a reference to %s, translated to the other side's id, and left unset while it has no counterpart there", field.As.Stream)
	}
	t.values(&text, field)
	for _, side := range record.Sides() {
		if (side == record.Left && field.LossyLeft) || (side == record.Right && field.LossyRight) {
			fmt.Fprintf(&text, "; what %s stores shorter than it was sent does not come back", t.system(side))
		}
	}
	return text.String()
}

func (t *teller) match() {
	if len(t.stream.Match) == 0 {
		t.say("match", "Records that exist on both sides already are not matched: the stream has no match.")
		return
	}
	t.say("match", "Records that exist on both sides already are linked when they have the same %s and no other record on either side has it; where several do, they are reported.", and(t.stream.Match))
}

func (t *teller) marker() {
	for _, side := range record.Sides() {
		if path := t.stream.Marker.Of(side); path != "" {
			t.say("marker", "%s of %s carries the %s id of its counterpart; a value of somebody else's there is never overwritten.",
				path, t.one(side)+" in "+t.system(side), t.system(side.Other()))
		}
	}
}

// conflicts tells who wins, per field that can change on both sides.
func (t *teller) conflicts() {
	var twoWay bool
	for n := range t.stream.Fields {
		field := &t.stream.Fields[n]
		if field.Direction != Both {
			continue
		}
		twoWay = true
		if field.As.Name == record.KindSet {
			t.sayField("conflict", field.Name, "When %s is changed on both sides, then what was added and removed on either side is added and removed on both.", field.Name)
			continue
		}
		t.sayField("conflict", field.Name, "When %s is changed on both sides to different values, then %s.", field.Name, t.winner(t.stream.Conflicts.PolicyOf(field.Name)))
	}
	if !twoWay {
		return
	}
	t.say("conflict", "A value that loses can be found in the history.")
}

func (t *teller) winner(policy string) string {
	conflicts := t.stream.Conflicts
	switch policy {
	case PolicyLeft:
		return t.system(record.Left) + " wins"
	case PolicyRight:
		return t.system(record.Right) + " wins"
	case PolicyNewest:
		return fmt.Sprintf("the later edit wins; of two at the same time, the one in %s", t.system(conflicts.Tie))
	}
	return fmt.Sprintf("both sides keep theirs until a person decides, with reminders in the log at half and at nine tenths of the time; after %s %s",
		short(conflicts.Deadline), t.winner(conflicts.Fallback))
}

func (t *teller) guard() {
	guard := t.stream.Deletes.Guard
	switch {
	case t.stream.Deletes.Policy == DeleteIgnore:
	case guard.Off:
		t.say("guard", "Mass deletes are not held: the guard is off.")
	case guard.Max == 0:
		t.say("guard", "Every delete waits for an operator.")
	default:
		t.say("guard", "More than %d deletes in %s wait for an operator.", guard.Max, short(guard.Per))
	}
	t.guardEdits(t.stream.Guard.Clears, "clear a value", "cleared")
	t.guardEdits(t.stream.Guard.Rewrites, "replace a value", "replaced")
}

func (t *teller) guardEdits(guard Guard, what, done string) {
	switch {
	case guard.Off:
		t.say("guard", "Edits that %s in many records are not held.", what)
	case guard.Max == 0:
		t.say("guard", "Every edit that would %s on the other side waits for an operator.", what)
	default:
		t.say("guard", "When one field is %s in more than %d records of a side in %s, the rest waits for an operator.", done, guard.Max, short(guard.Per))
	}
}

func (t *teller) schedule() {
	for _, side := range record.Sides() {
		t.noticed(side)
	}
	when := times(t.stream.Compare.Every, t.stream.Compare.Cron, t.stream.Compare.TimeZone)
	t.say("compare", "All %s and %s are compared %s.", t.place(record.Left), t.place(record.Right), when)
}

// noticed says how changes of a side are found.
func (t *teller) noticed(side record.Side) {
	t.say("poll", "Changes in %s are noticed %s by asking %s, each time %s further back than the last.",
		t.system(side), t.heard(side), times(t.stream.Poll.Every, t.stream.Poll.Cron, t.stream.Poll.TimeZone), short(t.stream.Poll.Overlap))
}

func times(every time.Duration, line, zone string) string {
	if line != "" {
		return fmt.Sprintf("at %s (cron, %s)", line, zone)
	}
	return "every " + short(every)
}

// and joins names: "email", "email and phone".
func and(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}

// short writes a duration without trailing zeros: 24h, 1m30s.
func short(d time.Duration) string {
	if d == 0 {
		return "0s"
	}
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
