package engine

import (
	"github.com/accord-sync/accord/internal/integration"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// The integration may be edited while a firing has something left to send. An effect
// keeps its own meaning then: it is known by its name, or by where it goes and what it
// says, and never by its place alone. One that is not there any more is cancelled.

// sentAs is the kind of an effect that sends something; "" for others.
func sentAs(effect integration.Effect) string {
	switch {
	case effect.Call != nil:
		return kindCall
	case effect.Publish != nil:
		return kindPublish
	}
	return ""
}

// identify fingerprints where an effect goes, and by which expressions it says what;
// what is empty where it says nothing. Addresses may be secrets: they are hashed.
func identify(effect integration.Effect) (to, what string) {
	switch {
	case effect.Call != nil:
		call := effect.Call
		return record.Hash(kindCall, call.Method, call.URL), said(call.Whole, call.Body, call.Query)
	case effect.Publish != nil:
		publish := effect.Publish
		return record.Hash(kindPublish, string(publish.Broker.Kind), publish.Broker.URL, publish.Broker.Exchange, publish.To), said(publish.Whole, publish.Body, nil)
	}
	return "", ""
}

func said(whole string, body, query []integration.Target) string {
	parts := []string{whole}
	for _, targets := range [][]integration.Target{body, query} {
		parts = append(parts, "")
		for _, target := range targets {
			parts = append(parts, target.Path, target.Expression)
		}
	}
	if whole == "" && len(body)+len(query) == 0 {
		return ""
	}
	return record.Hash(parts...)
}

// standing finds the effects of a firing in the rule as it is now: the place of each,
// -1 for one that sends nothing or is not there any more. By name; then by both what
// it says and where it goes, by where it goes, by what it says. No two are the same one.
func standing(rule integration.Rule, effects []ledger.FiringEffect) []int {
	places, taken := make([]int, len(effects)), map[int]bool{}
	for n := range places {
		places[n] = -1
	}
	match := func(same func(effect ledger.FiringEffect, now integration.Effect, n, place int) bool) {
		for n, effect := range effects {
			for place, now := range rule.Effects {
				if places[n] < 0 && !taken[place] && effect.Kind == sentAs(now) && same(effect, now, n, place) {
					places[n], taken[place] = place, true
				}
			}
		}
	}
	match(func(effect ledger.FiringEffect, now integration.Effect, _, _ int) bool {
		return effect.Name != "" && effect.Name == now.Name
	})
	for _, by := range []struct{ to, what bool }{{true, true}, {true, false}, {false, true}} {
		match(func(effect ledger.FiringEffect, now integration.Effect, _, _ int) bool {
			if effect.Name != "" && now.Name != "" || effect.To == "" {
				return false
			}
			to, what := identify(now)
			return (!by.to || effect.To == to) && (!by.what || effect.What == what && (by.to || what != ""))
		})
	}
	match(func(effect ledger.FiringEffect, _ integration.Effect, n, place int) bool {
		// One of an older ledger is known by its place alone.
		return effect.To == "" && n == place
	})
	return places
}
