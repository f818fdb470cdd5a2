//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/sandbox/sandboxclient"
	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// bargain is what a server says about one deal, in one spelling: people by their
// e-mail addresses, since each server has its own ids.
type bargain map[string]string

// market is a world with deals: all of them by their titles, which nobody edits.
type market struct {
	*world
	want map[string]bargain
	// desk is the server on which people edit a deal: two edits at once are not the
	// subject here.
	desk map[string]*system
	// made counts the deals that people made on each server.
	made map[*system]int
}

// TestDealsSurviveKills loads 200 leads, 100 deals and 20 users of each server
// while workers die, and lets people edit and make deals on both while they die
// again: each deal is there once, with the right lead and the right owner.
func TestDealsSurviveKills(t *testing.T) {
	onEachDatabase(t, func(t *testing.T, db string) {
		s := newStack(t, stackOptions{db: db})
		m := &market{world: newWorld(t, s), want: map[string]bargain{}, desk: map[string]*system{}, made: map[*system]int{}}
		m.seed(t, 80, 80, 40)
		m.hire(t)
		m.seedDeals(t)
		m.slow(t, 15)
		m.install(t)
		m.activate(t)
		at := m.awaitProgress(t, 60)
		s.strike(t, s.workers)
		require.Equal(t, "succeeded", m.awaitRun(t, "backfill").State)
		m.slow(t, 0)
		m.awaitAgreement(t, 200)
		m.awaitDeals(t)
		m.countDeals(t)
		t.Logf("killed the workers at %d%%: %d deals are in step, each made once", at, len(m.want))

		dice := rand.New(rand.NewPCG(20261122, 1))
		for round := range 90 {
			m.trade(t, dice, round)
			if round == 30 || round == 60 {
				s.strike(t, s.workers)
			}
		}
		m.awaitDeals(t)
		m.awaitIdle(t)
		m.countDeals(t)
		now, err := m.status(t.Context())
		require.NoError(t, err)
		require.Zero(t, now.OpenConflicts+now.DeadLetters+now.Held, "%+v", now)
		m.quiet(t)
		m.awaitDeals(t)
	})
}

// hire adds users: each server has 20, of whom 16 have the same e-mail on both.
func (m *market) hire(t *testing.T) {
	for _, on := range m.systems() {
		for n := 2; n < 20; n++ {
			email := m.owner(n)
			if n >= 16 {
				email = on.side + email
			}
			ids, err := on.admin.Seed(t.Context(), wire.Seed{Object: "users", Records: []map[string]any{{"name": "Rep " + m.canary, "email": email}}})
			require.NoError(t, err)
			on.users[ids[0]] = email
		}
	}
}

// seedDeals makes 50 deals on each server. Every tenth has no lead, and every
// seventh an owner whom the other server does not know.
func (m *market) seedDeals(t *testing.T) {
	for _, on := range m.systems() {
		_, ids, err := on.people(t.Context())
		require.NoError(t, err)
		emails := slices.Sorted(maps.Keys(ids))
		owners := slices.Sorted(maps.Keys(on.users))
		var deals []map[string]any
		for n := range 50 {
			wanted := bargain{"title": m.word("Casa"), "amount": fmt.Sprint(1000 + n), "stage": []string{"new", "proposal", "won", "lost"}[n%4]}
			if n%10 != 0 {
				wanted["lead"] = emails[(n*7)%len(emails)]
			}
			wanted["owner"] = on.users[owners[n%len(owners)]]
			m.expect(wanted)
			deals = append(deals, m.deal(on, wanted, ids))
		}
		m.made[on] += len(deals)
		require.NoError(t, on.admin.SetSwitches(t.Context(), map[string]any{"clock_offset_ms": -24 * 60 * 60 * 1000}))
		_, err = on.admin.Seed(t.Context(), wire.Seed{Object: "deals", Records: deals})
		require.NoError(t, err)
		require.NoError(t, on.admin.SetSwitches(t.Context(), map[string]any{"clock_offset_ms": 0}))
	}
}

// userID is the id of a user of this server by e-mail; nil for none.
func (on *system) userID(email string) any {
	for id, known := range on.users {
		if known == email {
			return id
		}
	}
	return nil
}

// deal is a deal in the form of a server.
func (m *market) deal(on *system, b bargain, ids map[string]string) map[string]any {
	var lead any
	if b["lead"] != "" {
		lead = ids[b["lead"]]
	}
	if on == m.right {
		return map[string]any{"title": b["title"], "amount": map[string]any{"value": number(b["amount"]), "currency": "BRL"}, "stage": b["stage"],
			"contact_id": lead, "owner_id": on.userID(b["owner"])}
	}
	fields := map[string]any{"name": b["title"], "value": number(b["amount"]), "lead_id": lead, "owner_id": on.userID(b["owner"])}
	if b["stage"] == "won" || b["stage"] == "lost" {
		fields["status"] = b["stage"]
	} else {
		fields["status"], fields["stage"] = "open", map[string]any{"id": "stage_" + b["stage"], "name": b["stage"]}
	}
	return fields
}

func number(text string) int {
	var n int
	_, _ = fmt.Sscan(text, &n) // digits only
	return n
}

// deals reads all live deals of a server by title; twice the same is a duplicate.
func (on *system) deals(ctx context.Context) (map[string]bargain, map[string]string, error) {
	_, ids, err := on.people(ctx)
	if err != nil {
		return nil, nil, err
	}
	emails := map[string]string{"": ""}
	for email, id := range ids {
		emails[id] = email
	}
	found, err := on.admin.Records(ctx, "deals")
	deals, own := map[string]bargain{}, map[string]string{}
	for _, one := range found {
		b, lead := on.bargain(one)
		email, known := emails[lead]
		if !known {
			return nil, nil, fmt.Errorf("deal %s of the %s has the lead %s, which is none", one.ID, on.side, lead)
		}
		b["lead"] = email
		if _, twice := deals[b["title"]]; twice {
			return nil, nil, fmt.Errorf("%s is there twice on the %s", b["title"], on.side)
		}
		deals[b["title"]], own[b["title"]] = b, one.ID
	}
	return deals, own, err
}

func (on *system) bargain(one wire.Record) (b bargain, lead string) {
	f := one.Fields
	owner := on.users[text(f["owner_id"])]
	if on.side == "right" {
		amount, _ := f["amount"].(map[string]any)
		return bargain{"title": text(f["title"]), "amount": text(amount["value"]), "stage": text(f["stage"]), "owner": owner}, text(f["contact_id"])
	}
	stage := text(f["status"])
	if stage == "open" {
		inner, _ := f["stage"].(map[string]any)
		stage = text(inner["id"])[len("stage_"):]
	}
	return bargain{"title": text(f["name"]), "amount": text(f["value"]), "stage": stage, "owner": owner}, text(f["lead_id"])
}

// dealsDiffer compares all deals of both servers with what people wanted. An
// owner whom a server does not know is unset there.
func (m *market) dealsDiffer(ctx context.Context) string {
	for _, on := range m.systems() {
		deals, _, err := on.deals(ctx)
		if err != nil {
			return err.Error()
		}
		if len(deals) != len(m.want) {
			return fmt.Sprintf("%d deals on the %s, %d wanted", len(deals), on.side, len(m.want))
		}
		for title, want := range m.want {
			for _, field := range []string{"amount", "stage", "lead", "owner"} {
				wanted := want[field]
				if field == "owner" && on.userID(wanted) == nil {
					wanted = ""
				}
				if deals[title][field] != wanted {
					return fmt.Sprintf("%s of %s on the %s is %q, %q wanted", field, title, on.side, deals[title][field], wanted)
				}
			}
		}
	}
	return ""
}

func (m *market) awaitDeals(t testing.TB) {
	t.Helper()
	eventually(t, "both servers hold all deals", func(ctx context.Context) (bool, string) {
		seen := m.dealsDiffer(ctx)
		if seen == "" {
			return true, ""
		}
		now, err := m.status(ctx)
		return false, fmt.Sprintf("%s; status %+v, error %v; %s", seen, now, err, m.parked(ctx))
	})
}

// countDeals checks that each deal was created once, and users never.
func (m *market) countDeals(t testing.TB) {
	t.Helper()
	for _, on := range m.systems() {
		calls, _, err := on.admin.WriteTotals(t.Context(), sandboxclient.Filter{Actor: service, Object: "deals", Op: "create"})
		require.NoError(t, err)
		require.Equal(t, m.made[m.across(on)], calls, "deals created on the %s", on.side)
		users, _, err := on.admin.WriteTotals(t.Context(), sandboxclient.Filter{Actor: service, Object: "users"})
		require.NoError(t, err)
		require.Zero(t, users, "writes to users of the %s", on.side)
	}
}

// trade is one thing that a person does on one server: mostly an edit of a deal,
// now and then a new deal of a lead who is new too.
func (m *market) trade(t *testing.T, dice *rand.Rand, round int) {
	t.Helper()
	titles := slices.Sorted(maps.Keys(m.want))
	title := titles[dice.IntN(len(titles))]
	on := m.desk[title]
	_, ids, err := on.people(t.Context())
	require.NoError(t, err)
	if round%6 == 0 {
		m.newcomer(t, on, 1000+round)
		return
	}
	emails := slices.Sorted(maps.Keys(ids))
	deals, own, err := on.deals(t.Context())
	require.NoError(t, err)
	if own[title] == "" {
		return // it has not come here yet
	}
	want := m.want[title]
	var full map[string]any
	changes := map[string]any{}
	switch names := map[string][3]string{"left": {"value", "lead_id", "owner_id"}, "right": {"amount", "contact_id", "owner_id"}}[on.side]; dice.IntN(3) {
	case 0:
		want["amount"] = fmt.Sprint(5000 + round)
		full = m.deal(on, want, ids)
		changes[names[0]] = full[names[0]]
	case 1:
		want["lead"] = emails[dice.IntN(len(emails))]
		if dice.IntN(4) == 0 {
			want["lead"] = ""
		}
		full = m.deal(on, want, ids)
		changes[names[1]] = full[names[1]]
	case 2:
		want["owner"] = m.owner(dice.IntN(16))
		full = m.deal(on, want, ids)
		changes[names[2]] = full[names[2]]
	}
	require.NotNil(t, deals[title])
	_, err = on.admin.EditRecord(t.Context(), "deals", own[title], changes)
	require.NoError(t, err)
}

// newcomer makes a lead and, at once, a deal with it.
func (m *market) newcomer(t *testing.T, on *system, n int) {
	t.Helper()
	fields := m.lead(n)
	if on == m.right {
		fields = m.contact(n)
	}
	made, err := on.admin.CreateRecord(t.Context(), on.object, fields)
	require.NoError(t, err)
	want := bargain{"title": m.word("Nova"), "amount": fmt.Sprint(n), "stage": "new", "lead": m.email(n), "owner": m.owner(n % 16)}
	_, err = on.admin.CreateRecord(t.Context(), "deals", m.deal(on, want, map[string]string{m.email(n): made.ID}))
	require.NoError(t, err)
	m.expect(want)
	m.made[on]++
}

func (m *market) expect(want bargain) {
	m.desk[want["title"]] = m.systems()[len(m.want)/3%2]
	m.want[want["title"]] = want
}
