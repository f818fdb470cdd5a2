package engine_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// happening is one thing that was done to a record, by a user or by the service.
type happening struct {
	seq  int
	at   time.Time
	user bool
	// op is create, update or delete.
	op   ledger.Op
	side record.Side
	id   string
	// before and after are the whole record; nil where there was none.
	before, after record.Fields
	// read is when the service last read the record before it wrote (a seq), and
	// failed that its call was answered with an error, effect or not.
	read   int
	failed bool
}

// decided is a decision of an operator that was accepted, with what was seen.
type decided struct {
	seq      int
	conflict ledger.Conflict
	choice   ledger.Choice
}

// trace is what really happened, in order, as the servers know it.
type trace struct {
	mu         sync.Mutex
	seq        int
	happenings []happening
	decisions  []decided
	reads      map[record.Ref]int
	// writes counts update calls by record that were answered well, those that
	// changed nothing included.
	writes map[record.Ref]int
	// doubts are the times in which nobody could say whether a write had arrived:
	// from its being sent to the next good read of the record.
	doubts map[record.Ref][]doubt
	// latest is the record that was written last.
	latest record.Ref
	// needless are fields that a write sent as they were read.
	needless []string
}

// doubt lasts from one moment to another; 0: until now. Where the server has answered
// it is none, unless the process died with the answer. seen is when the record was last
// read before it: what was edited since then, the service cannot tell from what was
// edited during the doubt.
type doubt struct {
	seen, from, to int
	answered       bool
}

func newTrace() *trace {
	return &trace{reads: map[record.Ref]int{}, writes: map[record.Ref]int{}, doubts: map[record.Ref][]doubt{}}
}

// sending opens a doubt, which an answer or a read ends.
func (t *trace) sending(ref record.Ref) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seq++
	t.latest = ref
	t.doubts[ref] = append(t.doubts[ref], doubt{seen: t.reads[ref], from: t.seq})
}

// forget is what a killed process does with the last answer it got.
func (t *trace) forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if doubts := t.doubts[t.latest]; len(doubts) > 0 {
		doubts[len(doubts)-1].to, doubts[len(doubts)-1].answered = 0, false
	}
}

// planned opens a doubt about a write that a killed process had planned: nobody can say
// whether it was sent.
func (t *trace) planned(ref record.Ref) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if doubts := t.doubts[ref]; len(doubts) > 0 && doubts[len(doubts)-1].to == 0 {
		return
	}
	t.seq++
	t.doubts[ref] = append(t.doubts[ref], doubt{seen: t.reads[ref], from: t.seq})
}

// answeredBy notes that the server said what became of the last write of a record:
// that it was made, or that it was surely not.
func (t *trace) answeredBy(ref record.Ref, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	coded := fault.As(err)
	doubts := t.doubts[ref]
	doubts[len(doubts)-1].answered = err == nil || coded != nil && !coded.MaybeApplied
}

// inDoubt finds the doubt about a record in which a moment lies.
func (t *trace) inDoubt(ref record.Ref, seq int) (doubt, bool) {
	for _, one := range t.doubts[ref] {
		begun := one.from
		if !one.answered {
			begun = one.seen
		}
		if seq > begun && (one.to == 0 || seq < one.to) {
			return one, true
		}
	}
	return doubt{}, false
}

// String lists what happened, a line each.
func (t *trace) String() string {
	var text strings.Builder
	for _, one := range t.happenings {
		who := "service"
		if one.user {
			who = "user"
		}
		fmt.Fprintf(&text, "%4d %s %-7s %s %s %s read=%d failed=%t\n", one.seq, one.at.Format("15:04:05.000"), who, one.op, one.side, one.id, one.read, one.failed)
		for _, path := range differing(one.before, one.after, "") {
			before, _ := one.before.Get(path)
			after, _ := one.after.Get(path)
			fmt.Fprintf(&text, "       %s: %v -> %v\n", path, before, after)
		}
	}
	return text.String()
}

func (t *trace) next() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seq++
	return t.seq
}

func (t *trace) add(one happening) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seq++
	one.seq = t.seq
	t.happenings = append(t.happenings, one)
}

func (t *trace) readAt(ref record.Ref) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seq++
	t.reads[ref] = t.seq
	for i, one := range t.doubts[ref] {
		if one.to == 0 {
			t.doubts[ref][i].to = t.seq
		}
	}
}

func (t *trace) lastRead(ref record.Ref) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.reads[ref]
}

func (t *trace) wrote(ref record.Ref) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.writes[ref]++
}

// observer notes what a connector does to its server. It stands right in front
// of the connector, behind whatever wrong engine is being played.
type observer struct {
	connector.Connector
	p    *player
	side record.Side
}

// Actor hands on what the connector knows of itself.
func (o *observer) Actor() string {
	known, ok := o.Connector.(connector.Actor)
	if !ok {
		return ""
	}
	return known.Actor()
}

func (o *observer) ref(id string) record.Ref {
	return record.Ref{Side: o.side, Object: collection(o.side), ID: id}
}

func collection(side record.Side) string {
	if side == record.Left {
		return "leads"
	}
	return "contacts"
}

// Get notes when a record was last read.
func (o *observer) Get(ctx context.Context, object, id string) (record.Record, error) {
	found, err := o.Connector.Get(ctx, object, id)
	if err == nil && object == collection(o.side) {
		o.p.trace.readAt(o.ref(id))
	}
	return found, err
}

// Update plays the race that waits for this write, and notes what it changed.
func (o *observer) Update(ctx context.Context, current record.Record, fields map[string]any, options connector.WriteOptions) (record.Record, error) {
	o.p.needless(o.side, current, fields)
	o.p.race(o.side, current.Ref.ID)
	read := o.p.trace.lastRead(current.Ref)
	before := o.p.stored(o.side, current.Ref.ID)
	if options.IfMatch == fmt.Sprintf(`"v%d"`, before.Version) {
		// Who names the version that is current knows what it replaces, read or not.
		read = o.p.trace.next()
	}
	o.p.trace.sending(current.Ref)
	answer, err := o.Connector.Update(ctx, current, fields, options)
	after := o.p.stored(o.side, current.Ref.ID)
	o.p.trace.answeredBy(current.Ref, err)
	if err == nil {
		o.p.trace.wrote(current.Ref)
		o.p.trace.readAt(current.Ref)
	}
	changed := before.Version != after.Version || record.Fingerprint(before.Fields) != record.Fingerprint(after.Fields)
	if err == nil || changed {
		o.p.trace.add(happening{
			at: o.p.b.clock.now(), op: ledger.OpUpdate, side: o.side, id: current.Ref.ID, before: before.Fields, after: after.Fields, read: read, failed: err != nil,
		})
	}
	return answer, err
}

// needless notes fields that a write sends as the service read them.
func (p *player) needless(side record.Side, current record.Record, patch map[string]any) {
	for _, field := range p.stream.Mapping.Fields() {
		same, sent := true, false
		for _, path := range field.Paths(side) {
			value, ok := patch[path]
			had, shown := current.Fields.Get(path)
			sent = sent || ok
			same = same && (!ok || shown && record.Fingerprint(had) == record.Fingerprint(value))
		}
		if sent && same {
			p.trace.mu.Lock()
			p.trace.needless = append(p.trace.needless, field.Name()+" of "+current.Ref.String())
			p.trace.mu.Unlock()
		}
	}
}

// Create notes the record that was made, also when the answer was lost.
func (o *observer) Create(ctx context.Context, object string, fields map[string]any, options connector.WriteOptions) (record.Record, error) {
	known := map[string]bool{}
	for _, one := range o.p.all(o.side) {
		known[one.ID] = true
	}
	answer, err := o.Connector.Create(ctx, object, fields, options)
	for _, one := range o.p.all(o.side) {
		if !known[one.ID] {
			o.p.trace.add(happening{at: o.p.b.clock.now(), op: ledger.OpCreate, side: o.side, id: one.ID, after: one.Fields, failed: err != nil})
		}
	}
	return answer, err
}

// Delete notes what was deleted.
func (o *observer) Delete(ctx context.Context, object, id string, options connector.WriteOptions) error {
	before := o.p.stored(o.side, id)
	read := o.p.trace.lastRead(o.ref(id))
	err := o.Connector.Delete(ctx, object, id, options)
	if after := o.p.stored(o.side, id); before.DeletedAt == nil && after.DeletedAt != nil {
		o.p.trace.add(happening{at: o.p.b.clock.now(), op: ledger.OpDelete, side: o.side, id: id, before: before.Fields, read: read, failed: err != nil})
	}
	return err
}

// stored is a record as its server has it, tombstones included.
func (p *player) stored(side record.Side, id string) wire.Record {
	client, object := p.b.client(side)
	found, err := client.Record(p.b.ctx, object, id)
	if err != nil {
		return wire.Record{}
	}
	return found
}

func (p *player) all(side record.Side) []wire.Record {
	client, object := p.b.client(side)
	found, err := client.AllRecords(p.b.ctx, object)
	p.no(err)
	return found
}

// fragile is a ledger whose process may die before and after each of its writes.
type fragile struct {
	ledger.Store
	p *player
}

// Commit may be killed on both sides.
func (f *fragile) Commit(ctx context.Context, key ledger.Key, commit ledger.Commit) error {
	if err := f.p.step("before store commit"); err != nil {
		return err
	}
	if err := f.Store.Commit(ctx, key, commit); err != nil {
		return err
	}
	return f.p.step("after store commit")
}

// CommitPage may be killed on both sides.
func (f *fragile) CommitPage(ctx context.Context, key ledger.Key, page ledger.PageCommit) (bool, error) {
	if err := f.p.step("before page"); err != nil {
		return false, err
	}
	nudge, err := f.Store.CommitPage(ctx, key, page)
	if err != nil {
		return nudge, err
	}
	return nudge, f.p.step("after page")
}

// Claim may be killed after it took the rows.
func (f *fragile) Claim(ctx context.Context, key ledger.Key, request ledger.ClaimRequest) ([]ledger.Work, error) {
	if err := f.p.step("before claim"); err != nil {
		return nil, err
	}
	rows, err := f.Store.Claim(ctx, key, request)
	if err != nil {
		return nil, err
	}
	if err := f.p.step("after claim"); err != nil {
		return nil, err
	}
	return rows, nil
}

// EnqueueUnseen may be killed before and after.
func (f *fragile) EnqueueUnseen(ctx context.Context, key ledger.Key, stream string, side record.Side, scanID string, lane ledger.Lane, limit int) (int, error) {
	if err := f.p.step("before unseen"); err != nil {
		return 0, err
	}
	count, err := f.Store.EnqueueUnseen(ctx, key, stream, side, scanID, lane, limit)
	if err != nil {
		return count, err
	}
	return count, f.p.step("after unseen")
}

// throttledTill tells when a side that answered 429 may be called again: the
// time it asked for, by the fault that was armed.
type throttledTill struct {
	calls []wire.Call
}

// breaches are calls of the service that came while a side was throttled, each
// behind the one that was answered so. One record that was claimed at that very
// moment may still be read: in this bench nothing but the claim asks whether a side
// waits, while a real connector's quota stops each call.
func (t throttledTill) breaches(pause time.Duration) []wire.Call {
	var asked wire.Call
	var early []wire.Call
	spared := false
	for _, call := range t.calls {
		if call.Actor != "app:accord" {
			continue
		}
		during := asked.Seq > 0 && call.At.Before(asked.At.Add(pause))
		switch {
		case during && !spared && call.Method == "GET" && call.At.Before(asked.At.Add(time.Second)):
			spared = true
		case during:
			early = append(early, asked, call)
		default:
			spared = false
		}
		if call.Status == 429 {
			asked = call
		}
	}
	return early
}

// killed reports whether an error is the end of a process.
func killed(err error) bool { return err != nil && fault.As(err) == nil && err.Error() == "killed" }
