package engine_test

import (
	"slices"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
	"github.com/accord-sync/accord/internal/sandbox/sandboxclient"
)

// judgeCreate: one counterpart per record, and a second one only for a deleted
// one that the policy or an operator makes anew.
func (p *player) judgeCreate(one happening) {
	ref := p.ref(one.side, one.id)
	source, _ := one.after.Get(p.stream.Spec.Marker.Of(one.side))
	require.NotEmpty(p.b.t, source, "point 3: %s was made without a marker", ref)
	for _, had := range p.trace.happenings {
		marker, _ := had.after.Get(p.stream.Spec.Marker.Of(had.side))
		if had.user || had.op != ledger.OpCreate || had.side != one.side || had.seq >= one.seq || marker != source {
			continue
		}
		deleted := slices.ContainsFunc(p.trace.happenings, func(end happening) bool {
			return end.op == ledger.OpDelete && end.side == had.side && end.id == had.id && end.seq < one.seq
		})
		require.True(p.b.t, deleted, "point 3: %s and %s are made from one record", p.ref(had.side, had.id), ref)
		_, asked := p.decision(p.ref(had.side, had.id), "", 0, one.seq)
		again := p.h.settings.edited == "recreate" && p.h.settings.deletes == "propagate"
		require.True(p.b.t, asked || again, "point 4: what was deleted (%s) came back as %s", p.ref(had.side, had.id), ref)
	}
}

// judgeCounts: one user's edit causes at most two writes on the other side and
// none on its own; linking may add one per side. A fault or a crash may repeat one.
func (p *player) judgeCounts() {
	for ref, count := range p.trace.writes {
		allowed := 1 + p.slack
		for _, other := range p.counterparts(ref) {
			for _, one := range p.trace.happenings {
				if one.user && one.op != ledger.OpDelete && one.side == other.Side && one.id == other.ID {
					allowed += 2
				}
			}
		}
		for _, one := range p.trace.decisions {
			if one.conflict.LeftRef == ref || one.conflict.RightRef == ref {
				allowed++
			}
		}
		require.LessOrEqual(p.b.t, count, allowed, "point 5: writes of %s", ref)
	}
}

// madeAfter reports whether a user made a record when the service had made the
// other, or so shortly before that no server showed it yet.
func (p *player) madeAfter(users, services record.Ref) bool {
	made := map[record.Ref]happening{}
	for _, one := range p.trace.happenings {
		if one.op == ledger.OpCreate {
			made[p.ref(one.side, one.id)] = one
		}
	}
	user, service := made[users], made[services]
	unseen := time.Duration(max(p.h.settings.late, p.h.settings.lag)) * time.Millisecond
	if p.h.settings.unique && users.Side == record.Right {
		unseen = 0
	}
	return user.user && !service.user && (user.seq > service.seq || service.at.Sub(user.at) < unseen)
}

// judgeTwins: records that were never given another key, nor outlived a pair,
// are there once per side.
func (p *player) judgeTwins() {
	if p.edited("email", record.Left) || p.edited("email", record.Right) || p.h.settings.deletes == "ignore" {
		return
	}
	now := p.situation()
	keys := map[string]record.Ref{}
	for ref, one := range now.records {
		if text(one, "email") == "" {
			continue
		}
		key := string(ref.Side) + "/" + strings.ToLower(text(one, "email"))
		if twin, there := keys[key]; there && (p.madeAfter(ref, twin) || p.madeAfter(twin, ref)) {
			continue
		}
		require.NotContains(p.b.t, keys, key, "point 3: %s and %s are one person", keys[key], ref)
		keys[key] = ref
	}
}

// judgeThrottle: nobody calls a side before the time that it asked for.
func (p *player) judgeThrottle() {
	for _, side := range record.Sides() {
		client, _ := p.b.client(side)
		calls, err := client.Calls(p.b.ctx, 0)
		p.no(err)
		pause := time.Duration(retryAfter) * time.Second
		require.Empty(p.b.t, throttledTill{calls: calls}.breaches(pause-2*time.Second), "point 10: calls while the %s side is throttled", side)
	}
}

// judgeUsers: users are matched and never made, changed or deleted.
func (p *player) judgeUsers() {
	for _, side := range record.Sides() {
		client, _ := p.b.client(side)
		calls, _, err := client.WriteTotals(p.b.ctx, sandboxclient.Filter{Actor: "app:accord", Object: "users"})
		p.no(err)
		require.Zero(p.b.t, calls, "point 11: users of the %s side were written", side)
	}
}
