package engine_test

import (
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/engine"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/mapping"
	"github.com/accord-sync/accord/internal/record"
)

// referee collects what a history got wrong, and ends it at the first thing.
type referee struct {
	messages []string
	log      []string
}

// stopped is what a referee panics with.
type stopped struct{}

// Errorf notes a failure, without the lines that it comes from.
func (r *referee) Errorf(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if _, rest, ok := strings.Cut(text, "Error:"); ok {
		text = rest
	}
	var kept []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			kept = append(kept, line)
		}
	}
	r.messages = append(r.messages, strings.Join(kept, "\n"))
}

// FailNow ends the history.
func (r *referee) FailNow() { panic(stopped{}) }

// Helper does nothing.
func (r *referee) Helper() {}

// Logf keeps a line.
func (r *referee) Logf(format string, args ...any) {
	r.log = append(r.log, fmt.Sprintf(format, args...))
}

// outcome is what playing a history came to.
type outcome struct {
	// failure is empty when all held.
	failure string
	// excused are edits of a moment that nobody could have seen.
	excused                                           int
	steps, edits, faults, crashes, deliveries, writes int
}

func (o *outcome) add(other outcome) {
	o.excused += other.excused
	o.steps += other.steps
	o.edits += other.edits
	o.faults += other.faults
	o.crashes += other.crashes
	o.deliveries += other.deliveries
	o.writes += other.writes
}

// event is a webhook that a user's edit caused.
type event struct {
	ref record.Ref
	// shown is the record as the event shows it.
	shown record.Fields
}

// player plays one history on the real engine with a real ledger between the
// two sandboxes.
type player struct {
	b     *bench
	h     history
	wrong *wrongEngine
	trace *trace
	// stream is the compiled mapping, refs translates the users' ids.
	stream engine.Stream
	users  map[record.Side]map[string]string

	made   map[record.Side]map[int][]string
	events []event
	later  []event
	// missed are refs with an event that never came, or not yet.
	missed map[record.Ref]bool
	races  []step
	storm  bool
	// emptied: a listing lied, so that only a full comparison is sure.
	emptied, paused, refusing bool
	slack                     int
	approved                  bool
	result                    outcome

	stepping sync.Mutex
	left     int
	armed    string
	freeze   step
	dead     bool
	nested   atomic.Bool
}

// play plays a history from its beginning, and says what it got wrong. wrong is
// nil for the real engine.
func play(h history, dir string, wrong *wrongEngine) (result outcome) {
	t := &referee{}
	p := &player{h: h, wrong: wrong, trace: newTrace(), users: map[record.Side]map[string]string{},
		made: map[record.Side]map[int][]string{record.Left: {}, record.Right: {}}, missed: map[record.Ref]bool{}}
	defer func() {
		cause := recover()
		if p.b != nil {
			p.b.end()
		}
		result = p.result
		if _, ours := cause.(stopped); cause != nil && !ours {
			t.Errorf("panic: %v\n%s", cause, debug.Stack())
		}
		result.failure = strings.Join(t.messages, "\n")
		if os.Getenv("ACCORD_TEST_LOG") != "" {
			fmt.Print(p.trace)
		}
	}()
	p.begin(t, dir)
	for _, one := range h.steps {
		p.result.steps++
		p.do(one)
	}
	p.finish()
	return p.result
}

func (p *player) no(err error) {
	p.b.t.Helper()
	require.NoError(p.b.t, err)
}

func (p *player) begin(t tb, dir string) {
	with := setup{
		edit: p.h.settings.yaml, clock: &clock{still: time.Now().Add(time.Hour).Truncate(time.Second)}, memory: true,
		variables: map[string]string{"GUARD_MAX": fmt.Sprint(p.h.settings.guard), "GUARD_PER": "24h", "ACME_SEARCH_LAG": "5s"},
		store: func(store ledger.Store) ledger.Store {
			store = &fragile{Store: store, p: p}
			if p.wrong != nil && p.wrong.store != nil {
				store = p.wrong.store(p, store)
			}
			return store
		},
		connector: func(in *engine.Installed, side record.Side, real connector.Connector) connector.Connector {
			p.stream, _ = in.Stream("leads")
			var seen connector.Connector = &observer{Connector: real, p: p, side: side}
			if p.wrong != nil && p.wrong.connector != nil {
				seen = p.wrong.connector(p, side, seen)
			}
			return seen
		},
	}
	if p.wrong != nil {
		with.front = p.wrong.front
	}
	p.b = newBenchWith(t, dir, with, func(b *bench) {
		p.b = b
		b.options.Probe = p.step
		left, right := p.h.settings.switches()
		p.no(b.left.SetSwitches(b.ctx, left))
		p.no(b.right.SetSwitches(b.ctx, right))
		p.seedUsers()
	})
}

// seedUsers makes two owners that both sides know, and one that only the left has.
func (p *player) seedUsers() {
	for _, side := range record.Sides() {
		p.users[side] = map[string]string{}
		client, _ := p.b.client(side)
		for _, name := range []string{"rep1", "rep2", "lonely"} {
			if name == "lonely" && side == record.Right {
				continue
			}
			made, err := client.CreateRecord(p.b.ctx, "users", map[string]any{"name": name, "email": name + "@acme.com"})
			p.no(err)
			p.users[side][name] = made.ID
		}
	}
}

// refs is how references are judged: the two owners that both sides have.
func (p *player) refs(_ string, from record.Side, id string) (string, bool) {
	for name, known := range p.users[from] {
		if other, ok := p.users[from.Other()][name]; ok && known == id {
			return other, true
		}
	}
	return "", false
}

var _ mapping.Resolver = (*player)(nil).refs

// step is called between any two steps of the engine and its ledger. It kills,
// or freezes, the process when its time has come.
func (p *player) step(name string) error {
	if p.nested.Load() {
		return nil
	}
	p.stepping.Lock()
	defer p.stepping.Unlock()
	if p.dead {
		return engine.Killed()
	}
	if p.armed == "" {
		return nil
	}
	if p.left > 0 {
		p.left--
		return nil
	}
	if p.armed == "kill" {
		p.dead = true
		return engine.Killed()
	}
	frozen := p.armed == "freeze"
	p.armed = ""
	p.nested.Store(true)
	defer p.nested.Store(false)
	if frozen {
		p.whileFrozen()
	}
	one := p.freeze
	one.event = "now"
	p.edit(one)
	return nil
}

// whileFrozen is what happens while a process stands still for longer than its
// lease: another one does the work.
func (p *player) whileFrozen() {
	p.leftOpen()
	p.b.clock.advance(11 * time.Second)
	options := p.b.options
	options.Probe = nil
	other := engine.New(options)
	_, err := other.Drain(p.b.ctx, p.b.key, engine.DrainRequest{})
	p.no(err)
}

// race is a user's edit between the service's read and its write.
func (p *player) race(side record.Side, id string) {
	for i, one := range p.races {
		if found, ok := p.resolve(one.side, one.who); one.side == side && ok && found == id {
			p.races = append(p.races[:i:i], p.races[i+1:]...)
			p.edit(one)
			return
		}
	}
}

// resolve finds the live record of a person on a side: the one that a user made
// there, or the counterpart of the one on the other side.
func (p *player) resolve(side record.Side, who int) (string, bool) {
	own := p.made[side][who]
	for i := len(own) - 1; i >= 0; i-- {
		if p.alive(side, own[i]) {
			return own[i], true
		}
	}
	others := p.made[side.Other()][who]
	for i := len(others) - 1; i >= 0; i-- {
		for _, link := range p.linksOf(side.Other(), others[i]) {
			if id := link.Ref(side).ID; p.alive(side, id) {
				return id, true
			}
		}
	}
	return "", false
}

func (p *player) alive(side record.Side, id string) bool {
	found := p.stored(side, id)
	return found.ID != "" && found.DeletedAt == nil && found.MergedInto == ""
}

func (p *player) linksOf(side record.Side, id string) []ledger.Link {
	links, _, err := p.b.store.Links(p.b.ctx, p.b.key, ledger.LinkFilter{Stream: "leads", Side: side, ID: id}, ledger.ListOptions{Limit: 50})
	p.no(err)
	return links
}

// deliver is what a webhook leaves in the inbox.
func (p *player) deliver(one event) {
	p.result.deliveries++
	if p.wrong != nil && p.wrong.delivered != nil && !p.wrong.delivered(p, one) {
		return
	}
	_, err := p.b.store.Enqueue(p.b.ctx, p.b.key, []ledger.Change{{Stream: "leads", Ref: one.ref}}, time.Second)
	p.no(err)
}

// emit brings the event of a user's edit on its way.
func (p *player) emit(how string, ref record.Ref, shown record.Fields) {
	one := event{ref: ref, shown: shown}
	p.events = append(p.events, one)
	if how != "now" && how != "thrice" {
		p.missed[ref] = true
	}
	switch how {
	case "now":
		p.deliver(one)
	case "thrice":
		p.deliver(one)
		p.deliver(one)
		p.later = append(p.later, one)
	case "later":
		p.later = append(p.later, one)
	}
}
