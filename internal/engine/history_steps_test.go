package engine_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/accord-sync/accord/internal/engine"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// do plays one step.
func (p *player) do(one step) {
	switch one.do {
	case "create", "twins", "edit", "both", "delete":
		p.user(one)
	case "deliver", "repeat":
		p.deliverOld(one)
	case "drain":
		p.drain()
	case "settle":
		p.settle()
	case "poll":
		p.poll()
	case "compare":
		p.compare()
	case "crash", "freeze", "meanwhile":
		p.disturb(one)
	case "race":
		p.races = append(p.races, one)
	case "fault", "refuse", "calm":
		p.trouble(one)
	case "decide":
		p.decide(one)
	case "approve":
		p.approve()
	case "wait":
		p.b.clock.advance(time.Duration(one.n) * time.Second)
	case "pause":
		p.pause()
	}
}

func (p *player) user(one step) {
	switch one.do {
	case "create":
		p.create(one.side, one)
	case "twins":
		p.create(record.Left, one)
		p.create(record.Right, one)
	case "edit":
		p.edit(one)
	case "both":
		p.edit(one)
		other := one
		other.side = one.side.Other()
		pool := values(one.field)
		switch one.what {
		case "same":
			other.value = pool[(slices.Index(pool, one.value)+1)%len(pool)]
		case "other":
			other.field, other.value = "position", "Beta"
			if one.field == "position" {
				other.field = "company"
			}
		}
		p.edit(other)
	case "delete":
		p.remove(one)
	}
}

func (p *player) create(side record.Side, one step) {
	if _, there := p.resolve(side, one.who); there || len(p.made[side][one.who]) > 2 {
		return
	}
	mail := fmt.Sprintf("%d@x.com", one.who)
	fields := map[string]any{
		"name": "User " + strconv.Itoa(one.who), "email": strings.ToUpper(mail), "company": "Left Ltd",
		"custom_fields": map[string]any{"colour": "red"},
	}
	if side == record.Right {
		fields = map[string]any{
			"first_name": "User", "last_name": strconv.Itoa(one.who), "email": mail, "job_title": "Right",
			"properties": map[string]any{"colour": "blue"},
		}
	}
	if one.what == "anonymous" {
		delete(fields, "email")
	}
	client, object := p.b.client(side)
	made, err := client.CreateRecord(p.b.ctx, object, fields)
	if err != nil {
		return
	}
	p.made[side][one.who] = append(p.made[side][one.who], made.ID)
	p.note(ledger.OpCreate, side, made.ID, nil, made.Fields)
	p.emit(one.event, p.ref(side, made.ID), made.Fields)
}

func (p *player) ref(side record.Side, id string) record.Ref {
	return record.Ref{Side: side, Object: collection(side), ID: id}
}

func (p *player) note(op ledger.Op, side record.Side, id string, before, after record.Fields) {
	p.result.edits++
	p.trace.add(happening{at: p.b.clock.now(), user: true, op: op, side: side, id: id, before: before, after: after})
}

// edit is what a user types. What the server refuses a user leaves no trace.
func (p *player) edit(one step) {
	id, ok := p.resolve(one.side, one.who)
	fields := p.form(one)
	if !ok || fields == nil {
		return
	}
	before := p.stored(one.side, id).Fields
	client, object := p.b.client(one.side)
	edited, err := client.EditRecord(p.b.ctx, object, id, fields)
	if err != nil {
		return
	}
	p.note(ledger.OpUpdate, one.side, id, before, edited.Fields)
	p.emit(one.event, p.ref(one.side, id), edited.Fields)
}

func (p *player) remove(one step) {
	id, ok := p.resolve(one.side, one.who)
	if !ok {
		return
	}
	before := p.stored(one.side, id).Fields
	p.b.remove(one.side, id)
	p.note(ledger.OpDelete, one.side, id, before, nil)
	p.emit(one.event, p.ref(one.side, id), nil)
}

// places are where the two systems keep what a user types.
func places(field string, side record.Side) string {
	pair := map[string][2]string{
		"company": {"company", "company_name"}, "position": {"position", "job_title"}, "phone": {"phone", "phone"},
		"note": {"custom_fields.note", "note"}, "tags": {"tags", "labels"}, "score": {"custom_fields.score", "score"},
		"stage": {"status", "lifecycle"}, "owner": {"owner_id", "owner_id"}, "email": {"email", "email"},
		"source": {"source", "properties.source"}, "colour": {"custom_fields.colour", "properties.colour"}, "name": {"name", "first_name"},
	}[field]
	if side == record.Left {
		return pair[0]
	}
	return pair[1]
}

// form is what a value looks like on a side; nil where it cannot be typed.
func (p *player) form(one step) map[string]any {
	value := any(one.value)
	switch one.field {
	case "email":
		name := strconv.Itoa(one.who)
		value = strings.NewReplacer("{who}", name, "{WHO}", name).Replace(one.value)
	case "tags":
		list := []any{}
		for _, tag := range strings.FieldsFunc(one.value, func(r rune) bool { return r == ',' }) {
			list = append(list, tag)
		}
		value = list
	case "score":
		if value = json.Number(one.value); one.value == "" {
			value = nil
		}
	case "owner":
		if one.value == "lonely" && one.side == record.Right {
			return nil
		}
		if value = p.users[one.side][one.value]; value == "" {
			value = nil
		}
	case "stage":
		if one.side == record.Right {
			value = map[string]string{"new": "lead", "contacted": "contacted", "qualified": "qualified", "unqualified": "disqualified", "converted": "customer"}[one.value]
		}
	case "name":
		if one.side == record.Right {
			first, last, _ := strings.Cut(one.value, " ")
			return map[string]any{"first_name": first, "last_name": strings.TrimSpace(last)}
		}
	}
	fields := record.Fields{}
	fields.Set(places(one.field, one.side), value)
	return fields
}

func (p *player) deliverOld(one step) {
	waiting := p.later
	switch {
	case one.do == "repeat":
		if len(p.events) > 0 {
			p.deliver(p.events[one.n%len(p.events)])
		}
		return
	case len(waiting) == 0:
		return
	case one.what == "first":
		waiting, p.later = waiting[:1], waiting[1:]
	case one.what == "last":
		waiting, p.later = waiting[len(waiting)-1:], waiting[:len(waiting)-1]
	default:
		waiting, p.later = slices.Clone(waiting), nil
	}
	if one.what == "reversed" {
		slices.Reverse(waiting)
	}
	for _, old := range waiting {
		p.deliver(old)
	}
}

func (p *player) drain() engine.DrainResult {
	result, err := p.b.engine.Drain(p.b.ctx, p.b.key, engine.DrainRequest{})
	if !killed(err) {
		p.no(err)
	}
	return result
}

func (p *player) poll() {
	p.b.clock.advance(2 * time.Second)
	for _, stream := range []string{"users", "leads"} {
		if _, err := p.b.engine.Poll(p.b.ctx, p.b.key, stream); !killed(err) {
			p.no(err)
		}
	}
}

// settle drains until nothing waits. While everything answers 404 it would not end.
func (p *player) settle() {
	if !p.storm && !p.paused {
		p.b.settle()
	}
}

func (p *player) compare() {
	if !p.storm && !p.paused {
		p.b.run(ledger.RunCompare)
	}
}

// disturb kills or freezes the process at a step of some work.
func (p *player) disturb(one step) {
	if p.paused || p.storm && one.what == "compare" {
		return
	}
	p.left, p.armed, p.freeze = one.n, "kill", one
	if one.do != "crash" {
		p.armed = one.do
	}
	p.slack++
	var run ledger.Run
	switch one.what {
	case "poll":
		p.poll()
	case "compare":
		run = p.killedRun()
	default:
		p.drain()
	}
	if p.dead {
		p.result.crashes++
		p.trace.forget()
		p.leftOpen()
	}
	p.armed, p.dead = "", false
	p.b.restart()
	if run.ID != "" {
		p.b.finishRun(run)
	}
}

// leftOpen notes the writes that a killed process had planned.
func (p *player) leftOpen() {
	for _, link := range p.linksOf("", "") {
		state, err := p.b.store.Load(p.b.ctx, p.b.key, link.Stream, link.Left)
		p.no(err)
		for _, intent := range state.Intents {
			if intent.Op == ledger.OpUpdate {
				p.trace.planned(intent.Target)
			}
		}
	}
}

// killedRun begins a comparison that may not come to its end.
func (p *player) killedRun() ledger.Run {
	p.b.nextID++
	run, _, err := p.b.store.StartRun(p.b.ctx, ledger.Run{ID: fmt.Sprintf("killed%d", p.b.nextID), Key: p.b.key, Kind: ledger.RunCompare, State: ledger.RunRunning, Total: -1})
	p.no(err)
	for range 20 {
		listed, err := p.b.engine.ListStep(p.b.ctx, p.b.key, engine.ListRequest{RunID: run.ID, Kind: run.Kind})
		if killed(err) || listed.Finished {
			break
		}
		p.no(err)
		if wait := listed.RetryAt.Sub(p.b.clock.now()); wait > 0 {
			p.b.clock.advance(wait)
		}
	}
	if _, err := p.b.engine.Drain(p.b.ctx, p.b.key, engine.DrainRequest{RunID: run.ID}); !killed(err) {
		p.no(err)
	}
	return run
}

func (p *player) trouble(one step) {
	client, object := p.b.client(one.side)
	switch one.do {
	case "calm":
		p.calm()
		return
	case "refuse":
		p.refusing = true
		p.no(client.RejectField(p.b.ctx, wire.Rejection{Object: object, Field: places("company", one.side), Value: "refused", Message: "is not allowed"}))
		return
	}
	p.result.faults++
	p.slack += one.times
	armed := wire.Fault{Kind: one.what, Method: one.method, Path: "/", When: one.when, Times: one.times}
	switch one.what {
	case "storm":
		p.storm = true
		armed = wire.Fault{Kind: wire.FaultStatus, Status: 404, Method: "GET", Times: -1}
	case "empty_list":
		p.emptied, armed.Method = true, "GET"
	case "429":
		armed.Kind, armed.Status, armed.RetryAfter = wire.FaultStatus, 429, strconv.Itoa(retryAfter)
	case "408", "403", "500", "503":
		armed.Kind = wire.FaultStatus
		armed.Status, _ = strconv.Atoi(one.what)
	}
	_, err := client.InjectFault(p.b.ctx, armed)
	p.no(err)
}

// retryAfter is what a 429 asks for, in seconds.
const retryAfter = 7

func (p *player) calm() {
	p.storm = false
	p.no(p.b.left.ClearFaults(p.b.ctx))
	p.no(p.b.right.ClearFaults(p.b.ctx))
}

// decide is an operator who looks at an open conflict and chooses.
func (p *player) decide(one step) {
	open := p.b.openConflicts()
	if len(open) == 0 || p.storm {
		return
	}
	conflict := open[one.n%len(open)]
	decision := ledger.Decision{Choose: ledger.Choice(one.what), By: "operator", At: p.b.clock.now()}
	if one.what == "value" {
		if conflict.Field != "phone" && conflict.Field != "company" {
			return
		}
		decision.Value = "+5511900000009"
	}
	// Leases of killed processes end first.
	p.b.clock.advance(11 * time.Second)
	seen := &engine.SeenPrints{Left: record.Fingerprint(conflict.Left), Right: record.Fingerprint(conflict.Right)}
	err := p.b.engine.Decide(p.b.ctx, p.b.key, conflict.ID, decision, seen)
	if err != nil {
		if !fault.Is(err, fault.Conflict, fault.NotFound, fault.Transient, fault.Throttled, fault.Auth, fault.Forbidden, fault.Busy, fault.Stale) {
			p.no(err)
		}
		return
	}
	p.trace.decisions = append(p.trace.decisions, decided{seq: p.trace.next(), conflict: conflict, choice: decision.Choose})
}

func (p *player) approve() {
	p.approved = true
	_, err := p.b.store.DecideHeld(p.b.ctx, p.b.key, nil, ledger.HeldApproved)
	p.no(err)
}

func (p *player) pause() {
	p.paused = !p.paused
	state := ledger.Active
	if p.paused {
		state = ledger.Paused
	}
	p.no(p.b.store.SetConnectionState(p.b.ctx, p.b.key, state, "test"))
}
