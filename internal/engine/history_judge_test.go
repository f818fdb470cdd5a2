package engine_test

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/mapping"
	"github.com/accord-sync/accord/internal/record"
)

// change is one value that a field of a record took on.
type change struct {
	happening
	canon string
}

// judge looks at everything that was done, in order, as the servers know it.
func (p *player) judge() {
	written := p.historyByValue()
	for _, one := range p.trace.happenings {
		switch {
		case one.user:
		case one.op == ledger.OpUpdate:
			p.judgeUpdate(one, written)
		case one.op == ledger.OpDelete:
			p.judgeDelete(one)
		case one.op == ledger.OpCreate:
			p.judgeCreate(one)
		}
	}
	require.Empty(p.b.t, p.trace.needless, "point 2: a write names only the fields that it means to change")
	p.judgeCounts()
	p.judgeTwins()
	p.judgeThrottle()
	p.judgeUsers()
}

// historyByValue counts what the history says was replaced, by record and field.
func (p *player) historyByValue() map[string]int {
	found := map[string]int{}
	options := ledger.ListOptions{Limit: 200}
	for {
		entries, next, err := p.b.store.ListHistory(p.b.ctx, p.b.key, ledger.HistoryFilter{Stream: "leads"}, options)
		p.no(err)
		for _, entry := range entries {
			require.False(p.b.t, entry.At.IsZero(), "point 2: the history says when")
			if entry.Field != "" {
				found[entry.Ref.String()+"/"+entry.Field+"="+p.canonOf(entry.Ref.Side, entry.Field, entry.Old)]++
			}
		}
		if next == "" {
			return found
		}
		options.Cursor = next
	}
}

// timeline lists the values of a field of a record, each when it came.
func (p *player) timeline(ref record.Ref, field string) []change {
	var line []change
	for _, one := range p.trace.happenings {
		if one.side != ref.Side || one.id != ref.ID || one.after == nil {
			continue
		}
		canon := p.canon(ref.Side, field, one.after)
		if one.op == ledger.OpUpdate && canon == p.canon(ref.Side, field, one.before) {
			continue
		}
		line = append(line, change{happening: one, canon: canon})
	}
	return line
}

// counterparts are the records that a record was ever linked with, or made from.
func (p *player) counterparts(ref record.Ref) []record.Ref {
	var refs []record.Ref
	for _, link := range p.linksOf(ref.Side, ref.ID) {
		refs = append(refs, link.Ref(ref.Side.Other()))
	}
	return refs
}

func last(line []change, before int, want func(change) bool) (change, bool) {
	for _, one := range slices.Backward(line) {
		if one.seq < before && (want == nil || want(one)) {
			return one, true
		}
	}
	return change{}, false
}

func (p *player) judgeUpdate(one happening, written map[string]int) {
	ref := p.ref(one.side, one.id)
	touched := false
	for _, field := range p.stream.Mapping.Fields() {
		name := field.Name()
		before, after := p.canon(one.side, name, one.before), p.canon(one.side, name, one.after)
		if before == after {
			touched = touched || p.respelled(field, one)
			continue
		}
		touched = true
		require.True(p.b.t, field.Writable(one.side), "point 11: %s of %s is one-way", name, ref)
		p.judgeWrite(one, ref, name, before, after, written)
	}
	marker := p.stream.Spec.Marker.Of(one.side)
	mark := func(fields record.Fields) any { v, _ := fields.Get(marker); return v }
	// A user may have typed the same between the read and the write.
	touched = touched || mark(one.before) != mark(one.after) || slices.ContainsFunc(p.trace.happenings, func(had happening) bool {
		return had.user && had.side == one.side && had.id == one.id && had.seq > one.read && had.seq < one.seq
	})
	require.True(p.b.t, touched || p.slack > 0, "point 5: a write to %s changed nothing", ref)
	for _, path := range differing(one.before, one.after, "") {
		mapped := path == marker
		for _, field := range p.stream.Mapping.Fields() {
			mapped = mapped || slices.Contains(field.Paths(one.side), path)
		}
		if !mapped && p.replacedWhole(one, path) {
			p.result.excused++
			continue
		}
		require.True(p.b.t, mapped, "point 11: %s of %s is not mapped, and was written", path, ref)
	}
}

// replacedWhole: the server takes an object only as a whole, has no versions, and a
// user edited another key of it between the service's read and its write.
func (p *player) replacedWhole(one happening, path string) bool {
	parent, _, nested := strings.Cut(path, ".")
	if !nested || parent != "custom_fields" || p.h.settings.customFields != "replace" {
		return false
	}
	return slices.ContainsFunc(p.trace.happenings, func(had happening) bool {
		return had.user && had.side == one.side && had.id == one.id && had.seq > one.read && had.seq < one.seq &&
			slices.Contains(differing(had.before, had.after, ""), path)
	})
}

// respelled reports whether a write changed what the judges do not look at, the spaces
// around a text: one side need not keep them, and they are no part of a normal form.
func (p *player) respelled(field *mapping.Field, one happening) bool {
	was, _, err := field.Read(one.side, one.before)
	is, _, errAfter := field.Read(one.side, one.after)
	return err == nil && errAfter == nil && !record.Equal(field.Kind(), was, is)
}

// differing lists the dotted paths in which two records differ.
func differing(a, b map[string]any, prefix string) []string {
	keys := maps.Clone(a)
	if keys == nil {
		keys = map[string]any{}
	}
	maps.Copy(keys, b)
	var paths []string
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		inner, okA := a[key].(map[string]any)
		other, okB := b[key].(map[string]any)
		if okA || okB {
			paths = append(paths, differing(inner, other, prefix+key+".")...)
			continue
		}
		if record.Fingerprint(a[key]) != record.Fingerprint(b[key]) {
			paths = append(paths, prefix+key)
		}
	}
	return paths
}

// judgeWrite judges one field that the service changed.
func (p *player) judgeWrite(one happening, ref record.Ref, name, before, after string, written map[string]int) {
	line := p.timeline(ref, name)
	prior, known := last(line, one.seq, nil)
	mine := known && prior.user && (prior.op != ledger.OpCreate || before != "")
	if mine && prior.seq > one.read {
		require.False(p.b.t, p.h.settings.versions && one.side == record.Right, "point 2: %s of %s was edited between read and write, and its version not used", name, ref)
		p.result.excused++
		return
	}
	if mine && prior.canon == before {
		key := ref.String() + "/" + name + "=" + before
		if written[key] == 0 && p.unknowable(ref, prior) {
			p.result.excused++
			return
		}
		require.Positive(p.b.t, written[key], "point 2: %s of %s: %q, set by a user, was replaced by %q, and the history does not know it", name, ref, before, after)
		written[key]--
	}
	origin, found := p.origin(ref, name, after, one.seq)
	choice, asked := p.decision(ref, name, prior.seq, one.seq)
	// With users that cannot be seen yet, an owner reaches the other side late.
	unmatched := name == "owner" && (p.lonely() || p.h.settings.late > 0)
	if name == "tags" || unmatched || asked && choice.choice == ledger.ChooseValue {
		return
	}
	if !found && p.happened(func(had step) bool { return had.do == "delete" }) && (p.typed(name, after) || p.typedAlike(name, after)) {
		return // it came from a record that was deleted since
	}
	require.True(p.b.t, found, "point 2: %s of %s became %q (from %q), which nobody set on the other side", name, ref, after, before)
	if mine && !asked {
		p.judgeReplaced(one, ref, name, prior, origin, line)
	}
	if mine && asked {
		seen := choice.conflict.Left
		if one.side == record.Right {
			seen = choice.conflict.Right
		}
		require.Equal(p.b.t, before, p.canonOf(one.side, name, seen), "point 6: the decision about %s of %s was made on another value", name, ref)
	}
}

// judgeReplaced: a user's edit may only give way to one of the other side that
// came after it, or to one that it met, by the policy.
func (p *player) judgeReplaced(one happening, ref record.Ref, name string, prior, origin change, line []change) {
	if p.unknowable(ref, prior) || p.unknowable(p.ref(origin.side, origin.id), origin) || p.coincided(one, name, p.ref(origin.side, origin.id), prior) {
		p.result.excused++
		return
	}
	back, older := last(line, prior.seq, func(c change) bool { return !c.user && c.canon == origin.canon && c.seq > origin.seq })
	require.False(p.b.t, older, "point 2: %s of %s: %q, set by a user at %d, gave way to the older %q of %d, which was there already at %d", name, ref, prior.canon, prior.seq, origin.canon, origin.seq, back.seq)
	other := p.ref(origin.side, origin.id)
	reached, delivered := last(p.timeline(other, name), origin.seq, func(c change) bool { return c.canon == prior.canon && c.seq > prior.seq })
	if origin.seq > prior.seq && delivered && reached.seq < origin.seq || p.agreedBefore(ref, other, name, min(prior.seq+1, origin.seq), prior.canon) {
		return
	}
	field := p.stream.Mapping.Field(name)
	if prior.canon == "" && !p.everAgreed(ref, other, name, one.seq) {
		// Blanks are filled when two records are first linked.
		return
	}
	if !field.Writable(record.Left) || !field.Writable(record.Right) {
		return
	}
	switch p.policyOf(name) {
	case "left":
		require.Equal(p.b.t, record.Right, one.side, "point 6: left wins, and %s of %s gave way", name, ref)
	case "right":
		require.Equal(p.b.t, record.Left, one.side, "point 6: right wins, and %s of %s gave way", name, ref)
	case "manual":
		require.Fail(p.b.t, "point 6: "+name+" of "+ref.String()+" was replaced without a decision: "+prior.canon+" by "+origin.canon)
	case "newest":
		p.judgeNewest(one, ref, other, name, prior)
	}
}

// lonely reports whether any user chose the owner who has no counterpart.
func (p *player) lonely() bool {
	pool := values("owner")
	beforeLonely := pool[slices.Index(pool, "lonely")-1]
	return p.typed("owner", "lonely") ||
		p.happened(func(one step) bool {
			return one.do == "both" && one.what == "same" && one.field == "owner" && one.value == beforeLonely
		})
}

// typed reports whether any user typed a value into a field.
func (p *player) typed(field, value string) bool {
	return slices.ContainsFunc(p.h.steps, func(one step) bool { return one.field == field && one.value == value })
}

// typedAlike reports whether any user typed a value that is the same in normal form.
func (p *player) typedAlike(field, canon string) bool {
	return slices.ContainsFunc(p.h.steps, func(one step) bool {
		return one.field == field && p.canon(one.side, field, p.form(one)) == canon
	})
}

// judgeNewest: what gave way was not clearly the later edit.
func (p *player) judgeNewest(one happening, ref, other record.Ref, name string, prior change) {
	var latest time.Time
	for _, had := range p.trace.happenings {
		if had.user && had.side == other.Side && had.id == other.ID && had.seq < one.seq {
			latest = had.at
		}
	}
	s := p.h.settings
	doubt := 10*time.Second + time.Duration(s.tick)*time.Millisecond + time.Duration(max(s.leftOff, -s.leftOff)+max(s.rightOff, -s.rightOff))*time.Millisecond
	require.False(p.b.t, prior.at.After(latest.Add(doubt)), "point 6: newest wins, and %s of %s gave way to an older edit", name, ref)
}

// agreedBefore reports whether value was what both sides last agreed on: a user
// who comes back to it unseen has changed nothing. What two users made equal
// may not have been seen, so that what they agreed on before counts as well.
func (p *player) agreedBefore(a, b record.Ref, name string, before int, value string) bool {
	one, two := p.timeline(a, name), p.timeline(b, name)
	var agreed []string
	for seq := 1; seq < before; seq++ {
		x, okX := last(one, seq+1, nil)
		y, okY := last(two, seq+1, nil)
		if !okX || !okY || x.canon != y.canon {
			continue
		}
		if x.seq == seq && !x.user || y.seq == seq && !y.user {
			agreed = nil
		}
		agreed = append(agreed, x.canon)
	}
	return slices.Contains(agreed, value)
}

// everAgreed reports whether two records ever held the same before a moment.
func (p *player) everAgreed(a, b record.Ref, name string, before int) bool {
	one, two := p.timeline(a, name), p.timeline(b, name)
	for seq := 1; seq < before; seq++ {
		x, okX := last(one, seq+1, nil)
		y, okY := last(two, seq+1, nil)
		if okX && okY && x.canon == y.canon {
			return true
		}
	}
	return false
}

// origin is the latest time that a user of the other side, or the making of a
// record there, set the value which the service wrote here.
func (p *player) origin(ref record.Ref, name, value string, before int) (change, bool) {
	var best change
	found := false
	for _, other := range p.counterparts(ref) {
		one, ok := last(p.timeline(other, name), before, func(c change) bool { return c.canon == value && (c.user || c.op == ledger.OpCreate) })
		if ok && one.seq > best.seq {
			best, found = one, true
		}
	}
	return best, found
}

// decision is the last one about a field of a record between two moments.
func (p *player) decision(ref record.Ref, name string, after, before int) (decided, bool) {
	for _, one := range slices.Backward(p.trace.decisions) {
		about := one.conflict.LeftRef == ref || one.conflict.RightRef == ref
		if about && one.conflict.Field == name && one.seq > after && one.seq < before {
			return one, true
		}
	}
	return decided{}, false
}

// judgeDelete: the service deletes what a user deleted on the other side, and
// nothing that was edited meanwhile unless the policy says so.
func (p *player) judgeDelete(one happening) {
	ref := p.ref(one.side, one.id)
	require.Equal(p.b.t, "propagate", p.h.settings.deletes, "point 4: deletes are ignored, and %s was deleted", ref)
	var gone happening
	for _, other := range p.counterparts(ref) {
		for _, had := range p.trace.happenings {
			if had.user && had.op == ledger.OpDelete && had.side == other.Side && had.id == other.ID && had.seq < one.seq {
				gone = had
			}
		}
	}
	require.NotZero(p.b.t, gone.seq, "point 4: %s was deleted, and nobody deleted its counterpart", ref)
	if _, asked := p.decision(ref, "", 0, one.seq); asked || p.h.settings.edited == "delete" {
		return
	}
	other := p.ref(gone.side, gone.id)
	for _, field := range p.stream.Mapping.Fields() {
		name := field.Name()
		mine, ok := last(p.timeline(ref, name), one.seq, nil)
		if !ok || !mine.user || mine.op == ledger.OpCreate || !field.Writable(other.Side) || name == "owner" {
			continue
		}
		if mine.seq > one.read {
			p.result.excused++
			continue
		}
		theirs := p.timeline(other, name)
		held, _ := last(theirs, mine.seq, nil)
		_, reached := last(theirs, one.seq, func(c change) bool { return c.seq > mine.seq && c.canon == mine.canon })
		known := reached || held.canon == mine.canon || p.agreedBefore(ref, other, name, mine.seq, mine.canon)
		require.True(p.b.t, known, "point 4: %s was deleted although %s was edited to %q", ref, name, mine.canon)
	}
}
