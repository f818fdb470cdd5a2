package integration

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/accord-sync/accord/internal/record"
)

// ruleSentences tells a rule: when, then, and the rest.
func ruleSentences(i *Integration, rule *Rule) []Sentence {
	watch := i.Stream(rule.StreamName())
	if watch == nil {
		return nil
	}
	t := &teller{integration: i, stream: watch}
	for _, one := range rule.LookUps {
		t.say("look_up", "With %s of %s, the record of its %s that %s names is read as %s; nothing is written to it.", t.one(rule.Side), t.system(rule.Side), one.Object, one.ID, one.Name)
	}
	condition := ""
	if rule.If != "" {
		condition = " for which  " + rule.If
	}
	brought := ""
	if len(rule.Events) > 0 {
		brought = " (" + and(rule.Events) + ")"
	}
	begins := map[string]string{
		OnceMatch: "begins to be one" + condition, OnceRecord: "is there for the first time" + condition,
		OnceVersion: "is new or changes, and is one" + condition, OnceEvent: "has an event, and is one" + condition,
	}[rule.Once]
	if rule.If == "" {
		begins = map[string]string{OnceMatch: "is new", OnceRecord: "is new", OnceVersion: "is new or changes", OnceEvent: "has an event"}[rule.Once]
	}
	t.say("when", "When %s in %s %s%s, then %s.", t.one(rule.Side), t.system(rule.Side), begins, brought, and(t.effects(rule)))
	for _, ask := range rule.Asks {
		t.say("look_up", "Before that, %s is looked up: %s; an answer is good for %s%s.", ask.Name, t.asked(ask), short(ask.Cache), limited(ask.Limit))
	}
	for _, effect := range rule.Effects {
		if effect.Upsert == nil {
			continue
		}
		for _, field := range effect.Upsert.Fields {
			t.sayField("field", field.Path, "%s of the %s becomes  %s", field.Path, singular(effect.Upsert.Object), field.Expression)
		}
		if effect.Upsert.Marker != "" {
			t.say("marker", "%s of the %s carries the %s id of its source.", effect.Upsert.Marker, singular(effect.Upsert.Object), t.system(rule.Side))
		}
	}
	if !rule.Backfill {
		t.say("backfill", "%s that were like this before the rule was installed are left alone.", capital(rule.Object))
	}
	key := "Idempotency-Key"
	if slices.ContainsFunc(rule.Effects, func(effect Effect) bool { return effect.Publish != nil }) {
		key += " or message id"
	}
	t.say("error", "What does not answer is tried again, under the same %s; what is refused is parked with the answer and the field, and can be corrected, replayed or discarded.", key)
	heard := "by webhook at once, and"
	if i.System(rule.Side).Webhook.Secret == "" {
		heard = "only"
	}
	t.say("poll", "Changes in %s are noticed %s by asking %s.", t.system(rule.Side), heard, times(rule.Poll.Every, rule.Poll.Cron, rule.Poll.TimeZone))
	return t.said
}

// effects tells what a rule does.
func (t *teller) effects(rule *Rule) []string {
	var done []string
	for _, effect := range rule.Effects {
		switch {
		case effect.Upsert != nil:
			made := "a new one of the " + effect.Upsert.Object + " of " + t.system(rule.Side.Other()) + " is made"
			if len(effect.Upsert.Key) > 0 {
				made += " (or the one with the same " + and(effect.Upsert.Key) + " is taken)"
			}
			done = append(done, made+", which follows it from then on")
		case effect.Call != nil:
			signed := ""
			if effect.Call.Sign != nil {
				signed = "signed "
			}
			done = append(done, fmt.Sprintf("a %s%s is sent to %s", signed, effect.Call.Method, hostOf(effect.Call.URL)))
		case effect.Publish != nil:
			done = append(done, t.published(effect.Publish))
		case effect.Count != nil:
			by := make([]string, 0, len(effect.Count.Labels))
			for _, label := range effect.Count.Labels {
				by = append(by, label.Path)
			}
			text := "one is added to " + effect.Count.Metric
			if len(by) > 0 {
				text += ", by " + and(by)
			}
			done = append(done, text)
		}
	}
	return done
}

// asked tells what a further call asks for.
func (t *teller) asked(ask Ask) string {
	switch {
	case ask.Web != nil:
		return "a GET of " + hostOf(ask.Web.URL)
	case ask.ID != "":
		return fmt.Sprintf("the record of the %s of %s with the id  %s", ask.Object, t.system(ask.Side), ask.ID)
	}
	return fmt.Sprintf("the only record of the %s of %s whose %s is  %s", ask.Object, t.system(ask.Side), ask.FindPath, ask.FindValue)
}

func limited(limit Rate) string {
	if limit.Calls == 0 {
		return ""
	}
	return fmt.Sprintf(", with at most %d calls in %s", limit.Calls, short(limit.Per))
}

// hostOf is what may be told of an address: it may hold a secret.
func hostOf(address string) string {
	parsed, err := url.Parse(address)
	if err != nil || parsed.Host == "" || strings.Contains(parsed.Host, "$") {
		return "an address that is given when the connection is made"
	}
	return parsed.Host
}

func singular(object string) string {
	if stem, ok := strings.CutSuffix(object, "ies"); ok {
		return stem + "y"
	}
	return strings.TrimSuffix(object, "s")
}

func capital(text string) string {
	if text == "" {
		return text
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

// summary tells what holds for the whole file: the systems with their API pages,
// which way what goes, how often, who wins, what becomes of errors, and what differs
// between customers.
func summary(i *Integration) []Sentence {
	var said []Sentence
	say := func(about, format string, args ...any) {
		said = append(said, Sentence{About: about, Text: fmt.Sprintf(format, args...)})
	}
	for _, side := range record.Sides() {
		t := &teller{integration: i}
		var objects []string
		for n := range i.Streams {
			if object := i.Streams[n].End(side).Object; object != "" && !strings.Contains(" "+strings.Join(objects, " ")+" ", " "+object+" ") {
				objects = append(objects, object)
			}
		}
		used := and(objects)
		if used == "" {
			used = "nothing"
		}
		say("system", "%s (%s): %s. %s", t.system(side), side, used, pagesOf(i.System(side)))
	}
	var ways, polls, winners []string
	for n := range i.Streams {
		stream := &i.Streams[n]
		t := &teller{integration: i, stream: stream}
		if stream.OneSided() {
			polls = append(polls, stream.Name+" "+times(stream.Poll.Every, stream.Poll.Cron, stream.Poll.TimeZone))
			continue
		}
		arrow := map[string]string{Both: "⇄", LeftToRight: "→", RightToLeft: "←"}[stream.Direction]
		if stream.Mode == ModeMatchOnly {
			arrow = "="
		}
		ways = append(ways, fmt.Sprintf("%s: %s %s %s", stream.Name, t.place(record.Left), arrow, t.place(record.Right)))
		polls = append(polls, stream.Name+" "+times(stream.Poll.Every, stream.Poll.Cron, stream.Poll.TimeZone))
		if stream.Direction == Both && stream.Mode != ModeMatchOnly {
			winners = append(winners, stream.Name+" "+stream.Conflicts.Policy)
		}
	}
	if len(ways) > 0 {
		say("direction", "Which way: %s.", strings.Join(ways, "; "))
	}
	say("frequency", "Asked for changes: %s.", strings.Join(polls, "; "))
	if len(winners) > 0 {
		say("conflicts", "Who wins when both sides change a field: %s.", strings.Join(winners, "; "))
	}
	say("errors", "A system that does not answer is waited for, and the newest state is brought up to date when it comes back; a record that is refused is parked with the reason and the field, and holds up no other.")
	var variables []string
	for _, variable := range i.Variables() {
		text := variable.Name
		if variable.HasDefault {
			text += " (" + variable.Default + ")"
		}
		variables = append(variables, text)
	}
	say("customers", "What differs between customers: the variables %s; the secrets %s.", orNone(variables), orNone(i.SecretNames()))
	return said
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "(none)"
	}
	return strings.Join(names, ", ")
}

// pagesOf is where the vendor describes the API.
func pagesOf(system *System) string {
	pages := map[string]string{
		"salesos": "https://docs.play2sell.com", "tryton": "https://docs.tryton.org/6.0/", "caldav": "https://www.rfc-editor.org/rfc/rfc4791",
	}[system.Connector]
	switch {
	case system.Manifest != nil && system.Manifest.Docs != "":
		pages = system.Manifest.Docs
	case system.Connector == "acme":
		// Acme describes each of its objects at its own API.
		pages = strings.TrimRight(system.BaseURL, "/") + "/fields"
	}
	if pages == "" {
		return "Its API pages are not known."
	}
	return "API pages: " + pages
}
