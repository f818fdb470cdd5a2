package integration

import (
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/accord-sync/accord/internal/mapping"
	"github.com/accord-sync/accord/internal/record"
)

const defaultAskCache = time.Minute

func (d *decoder) rules(i *Integration, v value) {
	all := v.object()
	if all == nil {
		return
	}
	for _, name := range all.keys {
		if !isName(name) || strings.Contains(name, ".") || len(name) > 40 {
			d.problem(all.key(name), "%q is not a name of a rule: letters, digits, - _, at most 40", name)
		}
		body := all.take(name)
		if !body.given() {
			d.problem(all.key(name), "the rule is empty")
			continue
		}
		if rule, ok := d.rule(i, name, body); ok {
			i.Rules = append(i.Rules, rule)
			i.Streams = append(i.Streams, rule.streams()...)
		}
	}
}

func (d *decoder) rule(i *Integration, name string, v value) (Rule, bool) {
	body := v.object()
	if body == nil {
		return Rule{}, false
	}
	rule := Rule{Name: name}
	d.when(i, &rule, body.need("when"))
	if once := body.take("once"); once.given() {
		rule.Once = once.choice(OnceMatch, OnceRecord, OnceVersion, OnceEvent)
	}
	rule.Backfill = body.take("backfill").choice("false", "true") == "true"
	if rule.Once == OnceEvent && i.System(rule.Side).Webhook.Secret == "" {
		d.problem(body.value, "once: event needs webhooks: the %s system has no webhook secret", rule.Side)
	}
	for _, element := range body.take("look_up").list() {
		if ask, ok := d.ask(&rule, element); ok {
			rule.Asks = append(rule.Asks, ask)
		}
	}
	then := body.need("then")
	for _, element := range then.list() {
		if effect, ok := d.effect(i, &rule, element); ok {
			rule.Effects = append(rule.Effects, effect)
		}
	}
	if then.given() && len(rule.Effects) == 0 && len(d.problems) == 0 {
		d.problem(then, "a rule needs at least one effect: upsert, call, publish or count")
	}
	body.done()
	return rule, true
}

// when reads the trigger of a rule.
func (d *decoder) when(i *Integration, rule *Rule, v value) {
	rule.Side, rule.Once = record.Left, OnceMatch
	body := v.object()
	if body == nil {
		return
	}
	if side := body.need("side"); side.given() {
		rule.Side = sideOf(side)
	}
	object := body.need("object")
	rule.Object = object.word("the name of an object", isName)
	rule.LookUps = body.take("look_up").lookUps()
	events := body.take("events")
	rule.Events = events.words("the name of an event", isName)
	given := body.take("if")
	if given.given() {
		rule.If = given.expression(mapping.CheckRead)
	}
	d.events(i, rule, events, given.given())
	rule.Poll = Poll{TimeZone: "UTC", Overlap: defaultOverlap}
	rule.Poll.Every, rule.Poll.Cron, rule.Poll.TimeZone = body.timetable(d, defaultPoll)
	rule.Poll.Overlap = body.take("overlap").duration(defaultOverlap, 0)
	body.done()
}

// events turns the events of a rule into what they say of the record, and into how
// often it fires.
func (d *decoder) events(i *Integration, rule *Rule, at value, conditioned bool) {
	var said []string
	created, changed := 0, 0
	for _, element := range at.list() {
		name, ok := element.literal()
		if !ok {
			continue
		}
		noun, verb, _ := strings.Cut(name, ".")
		if noun != rule.Object && noun != strings.TrimSuffix(rule.Object, "s") && noun+"ies" != strings.TrimSuffix(rule.Object, "ies")+"yies" {
			d.problem(element, "%s is no event of %s", name, rule.Object)
			continue
		}
		switch {
		case verb == "deleted":
			d.problem(element, "a rule reads the record, and a deleted one cannot be read")
		case verb == "created":
			created++
		case saysStatus(verb):
			said = append(said, "status == '"+verb+"'")
		default:
			changed++
		}
	}
	all := created + changed + len(said)
	switch {
	case all == 0:
	case created == all:
		rule.Once = OnceRecord
	case changed > 0 && !conditioned:
		rule.Once = OnceVersion
	}
	if len(said) > 0 && len(said) == all {
		condition := strings.Join(said, " || ")
		if rule.If != "" {
			condition = "(" + condition + ") && (" + rule.If + ")"
		}
		rule.If = condition
	}
}

// saysStatus reports whether an event says which status its record has. SalesOS
// names its events so (deal.won, lead.converted).
func saysStatus(verb string) bool {
	return verb == "won" || verb == "lost" || verb == "converted"
}

// ask reads one further call.
func (d *decoder) ask(rule *Rule, v value) (Ask, bool) {
	body := v.object()
	if body == nil {
		return Ask{}, false
	}
	name := body.need("name")
	ask := Ask{Name: name.word("a name: letters, digits, - _", func(text string) bool { return isName(text) && !strings.Contains(text, ".") })}
	for _, other := range rule.Asks {
		if other.Name == ask.Name && ask.Name != "" {
			d.problem(name, "%s appears twice", ask.Name)
		}
	}
	ask.Cache = body.take("cache").duration(defaultAskCache, 0)
	ask.Limit = body.take("limit").rate()
	if get := body.take("get"); get.given() {
		ask.Web = &Web{Method: http.MethodGet, URL: get.webAddress(), Query: body.take("query").expressions(isPath), Headers: body.take("headers").headers()}
		ask.OrNothing = body.take("not_found").choice("refused", "nothing") == "nothing"
		body.done()
		return ask, true
	}
	ask.Side = sideOf(body.need("side"))
	ask.Object = body.need("object").word("the name of an object", isName)
	id, find := body.take("id"), body.take("find")
	switch {
	case id.given() == find.given():
		d.problem(body.value, "a look-up needs either id, find or get")
	case id.given():
		ask.ID = id.expression(mapping.CheckRead)
	default:
		wanted := find.expressions(isPath)
		if len(wanted) != 1 {
			d.problem(find, "find looks for one field: {email: contact_email}")
		} else {
			ask.FindPath, ask.FindValue = wanted[0].Path, wanted[0].Expression
		}
	}
	body.done()
	return ask, true
}

// effect reads one thing that is done.
func (d *decoder) effect(i *Integration, rule *Rule, v value) (Effect, bool) {
	body := v.object()
	if body == nil {
		return Effect{}, false
	}
	upsert, call, publish, count := body.take("upsert"), body.take("call"), body.take("publish"), body.take("count")
	named := body.take("name")
	name := ""
	if named.given() {
		name = named.word("a name: letters, digits, - _", func(text string) bool { return isName(text) && !strings.Contains(text, ".") })
	}
	for _, other := range rule.Effects {
		if name != "" && other.Name == name {
			d.problem(named, "%s appears twice", name)
		}
	}
	body.done()
	given := 0
	for _, one := range []value{upsert, call, publish, count} {
		if one.given() {
			given++
		}
	}
	if given != 1 {
		d.problem(v, "an effect is one of upsert, call, publish and count")
		return Effect{}, false
	}
	switch {
	case upsert.given():
		one, ok := d.upsert(rule, upsert)
		return Effect{Name: name, Upsert: one}, ok
	case call.given():
		one, ok := call.web()
		return Effect{Name: name, Call: one}, ok
	case publish.given():
		one, ok := d.publish(i, publish)
		return Effect{Name: name, Publish: one}, ok
	}
	one, ok := count.count()
	return Effect{Name: name, Count: one}, ok
}

// web reads an HTTP call.
func (v value) web() (*Web, bool) {
	body := v.object()
	if body == nil {
		return nil, false
	}
	call := &Web{
		Method: body.take("method").choice(http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodGet),
		URL:    body.need("url").webAddress(), Query: body.take("query").expressions(isPath), Headers: body.take("headers").headers(),
	}
	if given := body.take("body"); given.given() {
		call.Body, call.Whole = given.content()
	}
	if sign := body.take("sign").object(); sign != nil {
		call.Sign = &Sign{Header: sign.need("header").word("the name of a header", isHeader), Secret: sign.need("secret").credential()}
		call.Sign.Prefix, _, _ = sign.take("prefix").text()
		sign.done()
	}
	body.done()
	return call, true
}

func (v value) count() (*Count, bool) {
	body := v.object()
	if body == nil {
		return nil, false
	}
	read := &Count{Metric: body.need("metric").word("the name of a metric: small letters, digits, _", isMetric), Labels: body.take("labels").expressions(isMetric)}
	body.done()
	return read, true
}

// expressions reads names with an expression each.
func (v value) expressions(valid func(string) bool) []Target {
	body := v.object()
	if body == nil {
		return nil
	}
	var read []Target
	for n, name := range body.keys {
		if !valid(name) {
			v.d.problem(body.key(name), "%q is not a name that can stand here", name)
		}
		for _, earlier := range body.keys[:n] {
			if overlap(name, earlier) {
				v.d.problem(body.key(name), "%s and %s are written to the same place", name, earlier)
			}
		}
		given := body.take(name)
		if !given.given() {
			v.d.problem(body.key(name), "the expression is missing")
			continue
		}
		read = append(read, Target{Path: name, Expression: given.expression(mapping.CheckRead)})
	}
	return read
}

// headers reads header lines.
func (v value) headers() []Header {
	body := v.object()
	if body == nil {
		return nil
	}
	var read []Header
	for _, name := range body.keys {
		if !isHeader(name) {
			v.d.problem(body.key(name), "%q is not the name of a header that can be set", name)
		}
		text, _, _ := body.take(name).text()
		read = append(read, Header{Name: name, Value: text})
	}
	return read
}

// webAddress reads a whole address; unlike that of a system it may have a query,
// and secrets in it. Its value never shows in a problem.
func (v value) webAddress() string {
	stored, now, ok := v.text()
	if !ok {
		return stored
	}
	parsed, err := url.Parse(now)
	if err != nil || parsed.Host == "" || (parsed.Scheme != "http" && parsed.Scheme != "https") || parsed.User != nil || parsed.Fragment != "" {
		v.d.problem(v, "must be an absolute http or https address without user and fragment")
	}
	return stored
}

// rate reads "60/min".
func (v value) rate() Rate {
	text, ok := v.scalar()
	if !ok {
		return Rate{}
	}
	calls, per, _ := strings.Cut(text, "/")
	spans := map[string]time.Duration{"s": time.Second, "min": time.Minute, "h": time.Hour}
	number, err := strconv.Atoi(calls)
	if err != nil || number < 1 || number > 1_000_000 || spans[per] == 0 {
		v.d.problem(v, "%q is not a limit: write 5/s, 60/min or 1000/h", text)
		return Rate{}
	}
	return Rate{Calls: number, Per: spans[per]}
}

func isHeader(text string) bool {
	if text == "" || len(text) > 100 || strings.ContainsFunc(text, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
	}) {
		return false
	}
	switch http.CanonicalHeaderKey(text) {
	case "Host", "Content-Length", "Transfer-Encoding", "Connection", "Idempotency-Key":
		return false
	}
	return true
}

func isMetric(text string) bool {
	return len(text) <= 60 && regexp.MustCompile(`^[a-z][a-z0-9_]*$`).MatchString(text)
}
