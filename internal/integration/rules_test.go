package integration

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/record"
)

const ruleText = `
rules:
  won:
    when:
      side: left
      object: deals
      look_up: {owner: {object: users, id: owner_id}}
      events: [deal.won]
      if: "value > 10"
      cron: "0 6 * * 1-5"
      time_zone: America/Sao_Paulo
    once: record
    backfill: true
    look_up:
      - {name: customer, side: right, object: contacts, find: {email: contact_email}, cache: 5m, limit: 60/min}
      - {name: rate, get: "https://rates.example.com/v1?key=${secret:rate_key}", query: {base: '"BRL"'}}
    then:
      - upsert: {object: deals, key: [title], marker: external_ref, fields: {title: name, contact_id: customer.id, close_date: {value: expected_close_date, as: date}}}
      - call: {url: "${secret:chat}", headers: {Authorization: "Bearer ${secret:chat_token}"}, body: {text: '"Won: " + name'}, sign: {header: X-Sig, secret: "${secret:chat_sign}"}}
      - count: {metric: deals_won, labels: {stage: stage.name}}
`

func TestRule(t *testing.T) {
	parsed, err := Parse([]byte(base(t) + ruleText))
	require.NoError(t, err)
	rule := parsed.Rule("won")
	require.NotNil(t, rule)
	require.Equal(t, record.Left, rule.Side)
	require.Equal(t, "(status == 'won') && (value > 10)", rule.If)
	require.Equal(t, OnceRecord, rule.Once)
	require.True(t, rule.Backfill)
	require.Equal(t, Poll{Cron: "0 6 * * 1-5", TimeZone: "America/Sao_Paulo", Overlap: defaultOverlap}, rule.Poll)
	require.Equal(t, "email", rule.Asks[0].FindPath)
	require.Equal(t, Rate{Calls: 60, Per: 60e9}, rule.Asks[0].Limit)
	require.Equal(t, defaultAskCache, rule.Asks[1].Cache)
	watch, follow := parsed.Stream("rules.won"), parsed.Stream("rules.won.upsert")
	require.True(t, watch.OneSided())
	require.Equal(t, []record.Side{record.Left}, watch.Sides())
	require.Equal(t, ModeRule, watch.Mode)
	var paths []string
	for _, field := range watch.Fields {
		paths = append(paths, field.Name)
	}
	require.Equal(t, []string{"contact_email", "expected_close_date", "name", "stage.name", "status", "value"}, paths, "what it reads, and not what it looked up")
	require.Equal(t, LeftToRight, follow.Direction)
	require.Equal(t, "external_ref", follow.Marker.Right)
	require.False(t, follow.Writes(record.Left))
	require.True(t, follow.Writes(record.Right))
	require.False(t, watch.Writes(record.Left))
	_, err = parsed.Compile()
	require.NoError(t, err)
	require.Subset(t, parsed.SecretNames(), []string{"rate_key", "chat", "chat_token", "chat_sign"})
}

func TestWhatEventsSay(t *testing.T) {
	for events, want := range map[string][2]string{
		"[deal.won]":                     {"status == 'won'", OnceMatch},
		"[deal.won, deal.lost]":          {"status == 'won' || status == 'lost'", OnceMatch},
		"[deal.created]":                 {"", OnceRecord},
		"[deal.updated]":                 {"", OnceVersion},
		"[deal.stage_changed, deal.won]": {"", OnceVersion},
	} {
		parsed, err := Parse([]byte(base(t) + "\nrules:\n  r: {when: {side: left, object: deals, events: " + events + "}, then: [{count: {metric: n}}]}\n"))
		require.NoError(t, err, events)
		require.Equal(t, want, [2]string{parsed.Rules[0].If, parsed.Rules[0].Once}, events)
	}
}

func TestMistakesOfRules(t *testing.T) {
	const good = `r: {when: {side: left, object: deals}, then: [{count: {metric: n}}]}`
	_, err := Parse([]byte(base(t) + "\nrules:\n  " + good + "\n"))
	require.NoError(t, err)
	for text, want := range map[string]string{
		`r: {then: [{count: {metric: n}}]}`:                "the key when is missing",
		`r: {when: {side: left, object: deals}}`:           "the key then is missing",
		`r: {when: {side: left, object: deals}, then: []}`: "at least one effect",
		`r: {when: {side: left, object: deals}, then: [{count: {metric: n}, call: {url: "https://x.example"}}]}`:                                            "one of upsert, call, publish and count",
		`r.s: {when: {side: left, object: deals}, then: [{count: {metric: n}}]}`:                                                                            "is not a name of a rule",
		`r: {when: {side: left, object: deals, events: [lead.won]}, then: [{count: {metric: n}}]}`:                                                          "lead.won is no event of deals",
		`r: {when: {side: left, object: deals, events: [deal.deleted]}, then: [{count: {metric: n}}]}`:                                                      "a deleted one cannot be read",
		`r: {when: {side: left, object: deals, if: "status =="}, then: [{count: {metric: n}}]}`:                                                             "bad expression",
		`r: {when: {side: left, object: deals, every: 1s, cron: "0 3 * * *"}, then: [{count: {metric: n}}]}`:                                                "every and cron exclude each other",
		`r: {when: {side: left, object: deals}, then: [{count: {metric: Deals Won}}]}`:                                                                      "is not the name of a metric",
		`r: {when: {side: left, object: deals}, then: [{call: {url: "ftp://x.example"}}]}`:                                                                  "absolute http or https address",
		`r: {when: {side: left, object: deals}, then: [{call: {url: "https://x.example", body: {text: "${secret:s}"}}}]}`:                                   "a secret is only allowed in",
		`r: {when: {side: left, object: deals}, then: [{call: {url: "https://x.example", headers: {Idempotency-Key: "1"}}}]}`:                               "is not the name of a header",
		`r: {when: {side: left, object: deals}, then: [{upsert: {object: orders, key: [number], fields: {title: name}}}]}`:                                  "there is no field number under fields",
		`r: {when: {side: left, object: deals}, then: [{upsert: {object: orders, marker: title, fields: {title: name}}}]}`:                                  "title is written by the marker too",
		`r: {when: {side: left, object: deals}, look_up: [{name: a, side: left, object: users}], then: [{count: {metric: n}}]}`:                             "either id, find or get",
		`r: {when: {side: left, object: deals}, look_up: [{name: a, get: "https://x.example", limit: often}], then: [{count: {metric: n}}]}`:                "is not a limit",
		`r: {when: {side: left, object: deals}, once: twice, then: [{count: {metric: n}}]}`:                                                                 "is not one of match, record, version, event",
		`r: {when: {side: left, object: deals}, then: [{name: a, count: {metric: n}}, {name: a, count: {metric: m}}]}`:                                      "a appears twice",
		`r: {when: {side: left, object: deals}, look_up: [{name: a, side: left, object: users, id: id, not_found: nothing}], then: [{count: {metric: n}}]}`: "unknown key not_found",
		`r: {when: {side: left, object: deals, where: "true"}, then: [{count: {metric: n}}]}`:                                                               "unknown key where",
	} {
		_, err := Parse([]byte(base(t) + "\nrules:\n  " + text + "\n"))
		require.Error(t, err, text)
		require.Contains(t, report(t, err), want, text)
	}
}
