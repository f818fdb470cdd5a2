package integration

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/fault"
)

func base(t testing.TB) string {
	t.Helper()
	src, err := os.ReadFile("testdata/base.yaml")
	require.NoError(t, err)
	return string(src)
}

// report writes problems as "line:column path: message".
func report(t testing.TB, err error) string {
	t.Helper()
	require.Equal(t, fault.Usage, fault.CodeOf(err), "%v", err)
	var lines []string
	for _, detail := range fault.As(err).Details {
		lines = append(lines, fmt.Sprintf("%d:%d %s: %s", detail.Line, detail.Column, detail.Path, detail.Message))
	}
	return strings.Join(lines, "\n") + "\n"
}

// mistake is one edit of base.yaml.
type mistake struct{ name, old, new string }

func mistakes() []mistake {
	return []mistake{
		{"unknown key at the top", "integration: base", "integration: base\nextra: 1"},
		{"unknown key in a system", "limits:", "limit:"},
		{"unknown key in auth of the other kind", "kind: bearer, token", "kind: bearer, client_id: x, token"},
		{"unknown key in a stream", "collision: upsert", "collide: upsert"},
		{"unknown key in a field", "lossy: right", "loss: right"},
		{"key twice", "    direction: both", "    direction: both\n    direction: both"},
		{"field twice", "      tags:", "      email: {left: a, right: b}\n      tags:"},
		{"missing name", "integration: base\n", ""},
		{"missing connector", "    connector: acme\n", ""},
		{"missing base_url", "    base_url: ${RIGHT_URL}\n", ""},
		{"missing token_url", "token_url: http://127.0.0.1:9001/oauth/token, ", ""},
		{"missing object", "{object: contacts}", "{}"},
		{"missing right of a field", "email: {left: email, right: email", "email: {left: email"},
		{"wrong type: text for an object", "limits: {requests_per_minute: 500, concurrency: 8}", "limits: many"},
		{"wrong type: object for text", "connector: salesos", "connector: {name: salesos}"},
		{"wrong type: number for text", "client_id: id", "client_id: 12"},
		{"wrong type: text for a list", "match: [email]\n    marker", "match: email\n    marker"},
		{"wrong type: list for an object", "marker: {left: custom_fields.external_id, right: external_ref}", "marker: [a]"},
		{"a look-up without an id", "{object: contacts}", "{object: contacts, look_up: {company: {object: companies}}}"},
		{"a look-up of an unknown key", "{object: contacts}", "{object: contacts, look_up: {company: {object: companies, id: company_id, where: 'true'}}}"},
		{"a look-up with a path for a name", "{object: contacts}", "{object: contacts, look_up: {a.b: {object: companies, id: company_id}}}"},
		{"a look-up that is written", "{object: contacts}", "{object: contacts, look_up: {email: {object: companies, id: company_id}}}"},
		{"wrong type: boolean for an expression", `where: "status != 'unqualified'"`, "where: true"},
		{"bad number", "requests_per_minute: 500", "requests_per_minute: lots"},
		{"number out of range", "concurrency: 8", "concurrency: 0"},
		{"bad duration", "every: 30s", "every: soon"},
		{"duration without a unit", "every: 30s", "every: 30"},
		{"duration too short", "every: 30s", "every: 100ms"},
		{"negative duration", "overlap: 2m", "overlap: -2m"},
		{"duration too long", "deadline: 72h", "deadline: 9999d"},
		{"bad word", "direction: both", "direction: sideways"},
		{"bad policy", "policy: newest", "policy: oldest"},
		{"bad tie", "tie: left", "tie: middle"},
		{"bad capability", "versions: false", "versions: maybe"},
		{"bad connector name", "connector: acme", "connector: 'a b'"},
		{"bad address", "base_url: http://127.0.0.1:9001/v1", "base_url: 127.0.0.1:9001"},
		{"address with a user", "base_url: http://127.0.0.1:9001/v1", "base_url: http://me:secret@127.0.0.1:9001"},
		{"bad read expression", `"first_name + last_name"`, `"first_name + (last_name"`},
		{"bad expression after escapes", `"first_name + last_name"`, `"\"a\" + first_name + (last_name"`},
		{"bad expression in single quotes", `last_name: "''"`, `last_name: '"it''s" + nosuch(value)'`},
		{"bad expression in a block", `" " + last_name`, `" " + nosuch(last_name)`},
		{"bad where", "status != 'unqualified'", "status !! 'unqualified'"},
		{"write sees value only", `first_name: "value"`, `first_name: "first_name"`},
		{"two-way without write", `, write: {first_name: "value", last_name: "''"}`, ""},
		{"empty write expression", `first_name: "value"`, `first_name:`},
		{"bad path", "left: custom_fields.note", "left: custom_fields..note"},
		{"unknown kind", "as: email", "as: mail"},
		{"phone without a country", "as: {phone: BR}", "as: phone"},
		{"unknown country", "as: {phone: BR}", "as: {phone: Brazil}"},
		{"reference to an unknown stream", "as: {ref: users}", "as: {ref: people}"},
		{"two kinds at once", "as: {ref: users}", "as: {ref: users, phone: BR}"},
		{"values not one-to-one", "won: customer", "won: lead"},
		{"empty value", "won: customer", "won: "},
		{"also without a place among values", "won: customer}", "won: customer}, also: {right: {churned: gone, lead: customer}, left: {cold: new}, both: {a: b}}"},
		{"also without values", "as: email", "as: email, also: {right: {a: b}}"},
		{"values of a reference", "as: {ref: users}", "as: {ref: users}, values: {a: b}"},
		{"match names no field", "match: [email]\n    marker", "match: [email, mail]\n    marker"},
		{"match twice", "match: [email]\n    marker", "match: [email, email]\n    marker"},
		{"policy for no field", "fields: {phone: manual}", "fields: {fone: manual}"},
		{"field turns the stream", "direction: both", "direction: left_to_right"},
		{"written twice", "right: labels", "right: email"},
		{"written inside another", "left: tags", "left: custom_fields"},
		{"every and cron", `compare: {cron: "0 3 * * *"`, `compare: {every: 24h, cron: "0 3 * * *"`},
		{"bad cron", `"0 3 * * *"`, `"0 3 * *"`},
		{"a day that never comes", `"0 3 * * *"`, `"0 3 31 2 *"`},
		{"poll every and cron", "poll: {every: 30s", "poll: {every: 30s, cron: \"0 6 * * *\""},
		{"poll in no zone", "poll: {every: 30s", "poll: {cron: \"0 6 * * *\", time_zone: Mars/Olympus"},
		{"bad time zone", "America/Sao_Paulo", "America/Nowhere"},
		{"time zone without cron", `cron: "0 3 * * *", `, ""},
		{"bad guard", "guard: {max: 10, per: 1h}", "guard: many"},
		{"bad guard on clears", "    poll: {every: 30s", "    guard: {clears: {max: many}, rewrites: sometimes, moves: off}\n    poll: {every: 30s"},
		{"bad guard number", "max: 10", "max: -1"},
		{"stream without fields", "mode: match_only", "poll: {every: 30s}"},
		{"match_only without match", "match: [email], mode", "mode"},
		{"match_only with a policy", "mode: match_only", "mode: match_only, deletes: {policy: ignore}"},
		{"match_only that allows", "{left: {object: users}", "{left: {object: users, allow: [invite]}"},
		{"allowed twice", "right: {object: contacts}", "right: {object: contacts, allow: [invite, invite]}"},
		{"something allowed that is no name", "right: {object: contacts}", "right: {object: contacts, allow: [in vite]}"},
		{"allow is no list", "right: {object: contacts}", "right: {object: contacts, allow: yes}"},
		{"bad mode", "mode: match_only", "mode: both"},
		{"bad placeholder", "${RIGHT_URL}", "${RIGHT URL}"},
		{"placeholder as a key", "connector: acme", "${KEY}: acme"},
		{"secret in an address", "${RIGHT_URL}", "${secret:url}"},
		{"bad default", "every: 30s", "every: ${EVERY:-soon}"},
		{"anchor", "connector: acme", "connector: &a acme"},
		{"alias", "connector: acme", "connector: *a"},
		{"merge key", "connector: acme", "<<: {connector: acme}"},
		{"tag", "connector: acme", "connector: !!str acme"},
		{"complex key", "integration: base", "? integration\n: base"},
		{"two documents", "integration: base", "a: 1\n---\nintegration: base"},
		{"broken YAML", "unique: [email]", "unique: [email"},
		{"bad indentation", "    direction: both", "   direction: both"},
		{"control character", "integration: base", "integration: ba\x01se"},
		{"private character", "integration: base", "integration: ba\ue07bse"},
		{"not UTF-8", "integration: base", "integration: ba\xffse"},
		{"no manifest", "connector: acme", "connector: rest"},
		{"broker without a stream", "connector: acme", "connector: acme\n    broker: {kind: nats, url: nats://127.0.0.1:4222}"},
		{"a kind of broker that there is not", "connector: acme", "connector: acme\n    broker: {kind: carrier, url: nats://127.0.0.1:4222, stream: CRM}"},
		{"a broker behind https", "connector: acme", "connector: acme\n    broker: {kind: nats, url: https://127.0.0.1:4222, stream: CRM}"},
		{"credentials in the address of a broker", "connector: acme", "connector: acme\n    broker: {kind: nats, url: 'nats://a:1,nats://u:p@b:2', stream: CRM}"},
		{"RabbitMQ without a queue", "connector: acme", "connector: acme\n    broker: {kind: rabbitmq, url: amqp://a:5672, auth: {kind: basic, username: u, password: p}}"},
		{"RabbitMQ with a topic but no exchange", "connector: acme", "connector: acme\n    broker: {kind: rabbitmq, url: amqp://a:5672, queue: q, topic: t}"},
		{"a topic of SNS that is no ARN", "connector: acme", "connector: acme\n    broker: {kind: sns, topic: crm, url: https://sns.eu-west-1.amazonaws.com}"},
		{"SQS without a region", "connector: acme", "connector: acme\n    broker: {kind: sqs, url: https://queue.example.com/1/crm, auth: {kind: aws, access_key_id: a}}"},
		{"Kafka without a topic", "connector: acme", "connector: acme\n    broker: {kind: kafka, url: 'kafka://a:9092,b:9092', auth: {kind: token, token: x}}"},
		{"unknown key of a broker", "connector: acme", "connector: acme\n    broker: {kind: nats, url: nats://a:1, stream: CRM, queue: q}"},
		{"a secret in the address of a broker", "connector: acme", "connector: acme\n    broker: {kind: nats, url: 'nats://${secret:b}:1', stream: CRM}"},
		{"half a log-in to a broker", "connector: acme", "connector: acme\n    broker: {kind: nats, url: nats://a:1, stream: CRM, auth: {kind: basic, username: u}}"},
		{"a topic with a space", "connector: acme", "connector: acme\n    broker: {kind: nats, url: nats://a:1, stream: ' CRM', topic: ''}"},
		{"a manifest of a connector in Go", "connector: acme", "connector: acme\n    manifest: acme"},
		{"unknown manifest", "connector: acme", "connector: rest\n    manifest: nobody"},
		{"manifest of another kind", "connector: acme", "connector: rest\n    manifest: [acme]"},
		{"mistakes in a manifest", "connector: acme", "connector: rest\n    manifest:\n      manifest: x\n      title: X\n      colour: red\n      auth: {kinds: [magic]}\n" +
			"      errors: {known: error}\n      get: {path: /a}\n      objects: {a: {list: {path: a}}}"},
		{"secret in a manifest", "connector: acme", "connector: rest\n    manifest: {manifest: x, title: '${secret:t}', headers: {A: '${RIGHT_URL}'}}"},
		{"half an authorization code", "kind: bearer, token", "kind: oauth2_authorization_code, token"},
		{"nothing with a token", "kind: bearer, token", "kind: none, token"},
		{"several at once", "    direction: both", "    direction: up\n    direktion: both\n    compare: {every: 1ms}"},
	}
}

// Every mistake is told with its place. UPDATE_GOLDEN=1 writes the file anew.
func TestMistakes(t *testing.T) {
	good := base(t)
	_, err := Parse([]byte(good))
	require.NoError(t, err)
	var told strings.Builder
	for _, one := range mistakes() {
		require.Equal(t, 1, strings.Count(good, one.old), "%s: %q must be in base.yaml once", one.name, one.old)
		_, err := Parse([]byte(strings.Replace(good, one.old, one.new, 1)))
		require.Error(t, err, one.name)
		fmt.Fprintf(&told, "# %s\n%s\n", one.name, report(t, err))
	}
	golden(t, "mistakes.golden", told.String())
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := "testdata/" + name
	if os.Getenv("UPDATE_GOLDEN") != "" {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}

func TestSentences(t *testing.T) {
	var told strings.Builder
	for _, parsed := range []*Integration{shipped(t), mustParse(t, base(t)), mustParse(t, variations(t))} {
		fmt.Fprintf(&told, "# %s\n", parsed.Name)
		for _, sentence := range Sentences(parsed) {
			fmt.Fprintf(&told, "%s, %s: %s\n", sentence.Stream, sentence.About, sentence.Text)
		}
		told.WriteString("\n")
	}
	golden(t, "sentences.golden", told.String())
}

// variations is base.yaml with the other choices.
func variations(t *testing.T) string {
	return strings.NewReplacer(
		"integration: base", "integration: variations", "collision: upsert", "collision: ignore", "edited: keep", "edited: recreate",
		"guard: {max: 10, per: 1h}", "guard: off", "policy: newest", "policy: right", `{cron: "0 3 * * *", time_zone: America/Sao_Paulo}`, "{every: 90s}",
		"    poll: {every: 30s", "    guard: {clears: {max: 0}, rewrites: {per: 2h}}\n    poll: {every: 30s",
		"    direction: both\n", "    direction: right_to_left\n", ", direction: left_to_right", "", "match: [email]\n    marker", "match: [email, phone]\n    marker",
	).Replace(base(t))
}

func mustParse(t *testing.T, src string) *Integration {
	t.Helper()
	parsed, err := Parse([]byte(src))
	require.NoError(t, err)
	return parsed
}

func TestSizeAndDepth(t *testing.T) {
	_, err := Parse([]byte(strings.Repeat("#", MaxSize+1)))
	require.Equal(t, fault.TooLarge, fault.CodeOf(err))
	for _, hostile := range []string{
		"", "# nothing\n", "null", "[]", "text", strings.Repeat("[", MaxSize), strings.Repeat("{a: ", MaxSize/4), strings.Repeat("- ", MaxSize/2),
		strings.Repeat("a: ", MaxSize/3), strings.Repeat("? ", MaxSize/2), strings.Repeat("a\n", MaxSize/2), strings.Repeat("!", 1000),
		"a: &a [x]\nb: [*a, *a]", `{"integration": "x", "integration": "y"}`, "\"" + strings.Repeat("\\u0041", 10000),
	} {
		_, err := Parse([]byte(hostile))
		require.Equal(t, fault.Usage, fault.CodeOf(err), "%.20q: %v", hostile, err)
	}
}

func TestCounts(t *testing.T) {
	many := func(count int, write func(i int) string) string {
		var all strings.Builder
		for i := range count {
			all.WriteString(write(i))
		}
		return all.String()
	}
	for want, edit := range map[string][2]string{
		"more than 1000 keys":                  {"won: customer", many(1001, func(i int) string { return fmt.Sprintf("k%d: v%d, ", i, i) })},
		"more than 1000 elements":              {"unique: [email]", "unique: [" + many(1001, func(i int) string { return fmt.Sprintf("k%d, ", i) }) + "]"},
		"more than 500 different placeholders": {"client_id: id", "client_id: '" + many(501, func(i int) string { return fmt.Sprintf("${V%d}", i) }) + "'"},
	} {
		_, err := Parse([]byte(strings.Replace(base(t), edit[0], edit[1], 1)))
		require.Contains(t, report(t, err), want)
	}
	_, err := Parse([]byte(strings.Replace(base(t), "won: customer", many(400, func(i int) string { return fmt.Sprintf("k%d: same, ", i) }), 1)))
	require.Len(t, fault.As(err).Details, maxProblems)
}

func TestDefaults(t *testing.T) {
	parsed := mustParse(t, strings.NewReplacer("    conflicts: {policy: newest, tie: left, deadline: 72h, fallback: left, fields: {phone: manual}}\n", "",
		"    deletes: {policy: propagate, edited: keep, verify_after: 2s, guard: {max: 10, per: 1h}}\n", "",
		"    poll: {every: 30s, overlap: 2m}\n", "", "    direction: both\n", "", "    collision: upsert\n", "",
		`    compare: {cron: "0 3 * * *", time_zone: America/Sao_Paulo}`+"\n", "").Replace(base(t)))
	stream := parsed.Stream("leads")
	require.Equal(t, Both, stream.Direction)
	require.Equal(t, CollisionUpsert, stream.Collision)
	require.Equal(t, Conflicts{Policy: PolicyManual, Tie: "left", Deadline: defaultDeadline, Fallback: PolicyLeft}, stream.Conflicts)
	require.Equal(t, Deletes{Policy: DeleteIgnore, Edited: EditedKeep, VerifyAfter: defaultVerifyAfter, Guard: Guard{Max: 10, Per: defaultGuardPer}}, stream.Deletes)
	require.Equal(t, Guards{Clears: Guard{Max: 500, Per: defaultGuardPer}, Rewrites: Guard{Off: true, Max: 1000, Per: defaultGuardPer}}, stream.Guard)
	require.Equal(t, Poll{Every: defaultPoll, TimeZone: "UTC", Overlap: defaultOverlap}, stream.Poll)
	require.Equal(t, Compare{Every: defaultCompare, TimeZone: "UTC"}, stream.Compare)
	require.Equal(t, LeftToRight, stream.field("note").Direction)
	require.Equal(t, PolicyManual, stream.Conflicts.PolicyOf("phone"))
	right := parsed.System("right")
	require.Equal(t, Limits{Concurrency: defaultConcurrency}, right.Limits)
	require.Equal(t, Capabilities{UpdatedFilter: Probe, Versions: Probe, IdempotencyKey: Probe, LateBy: Span{Value: defaultLateBy},
		Granularity: Span{Value: defaultGranularity}, CustomFields: "probe"}, right.Capabilities)
	require.Empty(t, right.Webhook.Secret)
	require.Nil(t, parsed.Stream("nobody"))
}

// Every typed setting may be a variable as a whole.
func TestVariablesOfEveryType(t *testing.T) {
	parsed := mustParse(t, strings.NewReplacer("search_lag: 0s", "search_lag: ${LAG:-probe}", "versions: false", "versions: ${VERSIONS}", "concurrency: 8", "concurrency: ${N}",
		"guard: {max: 10, per: 1h}", "guard: ${GUARD:-off}", "direction: both", "direction: ${WAY:-both}", "every: 30s", "every: ${EVERY}").Replace(base(t)))
	require.Equal(t, Span{Probe: true}, parsed.Systems.Left.Capabilities.SearchLag)
	require.True(t, parsed.Streams[0].Deletes.Guard.Off)
	resolved, err := parsed.Resolve(map[string]string{"RIGHT_URL": "https://right.example", "LAG": "3s", "VERSIONS": "true", "N": "2", "EVERY": "1s"},
		map[string]string{"left": "l", "hook": "h", "right": "r"})
	require.NoError(t, err)
	require.Equal(t, Span{Value: 3 * time.Second}, resolved.Systems.Left.Capabilities.SearchLag)
	require.Equal(t, Yes, resolved.Systems.Left.Capabilities.Versions)
	require.Equal(t, 2, resolved.Systems.Left.Limits.Concurrency)
	require.Equal(t, time.Second, resolved.Streams[0].Poll.Every)
	_, err = parsed.Resolve(map[string]string{"RIGHT_URL": "https://right.example", "VERSIONS": "perhaps", "N": "0", "EVERY": "1s", "GUARD": "on"}, map[string]string{"left": "l", "hook": "h", "right": "r"})
	require.Len(t, fault.As(err).Details, 3)
}

// A value cannot change the structure of a file.
func TestValuesAreOnlyText(t *testing.T) {
	resolved, err := mustParse(t, base(t)).Resolve(
		map[string]string{"RIGHT_URL": "http://127.0.0.1/a}, b: {c"},
		map[string]string{"left": "${secret:right}", "hook": "a\nb: c", "right": "\"'{}[]#"})
	require.NoError(t, err)
	require.Equal(t, "http://127.0.0.1/a}, b: {c", resolved.Systems.Right.BaseURL)
	require.Equal(t, "${secret:right}", resolved.Systems.Left.Auth.ClientSecret)
	require.Equal(t, "a\nb: c", resolved.Systems.Left.Webhook.Secret)
	require.Equal(t, "\"'{}[]#", resolved.Systems.Right.Auth.Token)
	_, err = mustParse(t, base(t)).Resolve(map[string]string{"RIGHT_URL": strings.Repeat("x", maxValue+1)}, map[string]string{"left": "", "hook": "h", "right": "r"})
	require.Contains(t, report(t, err), "longer than")
	require.Contains(t, report(t, err), "systems.left.auth.client_secret: must not be empty")
}

func FuzzParse(f *testing.F) {
	good := base(f)
	f.Add(good)
	for _, one := range mistakes() {
		f.Add(strings.Replace(good, one.old, one.new, 1))
	}
	f.Add(`{"integration": "x", "systems": {}, "streams": {"a": []}}`)
	f.Fuzz(func(t *testing.T, src string) {
		parsed, err := Parse([]byte(src))
		if err != nil {
			require.True(t, fault.Is(err, fault.Usage, fault.TooLarge), "%v", err)
			return
		}
		variables, secrets := map[string]string{}, map[string]string{}
		for _, variable := range parsed.Variables() {
			variables[variable.Name] = "http://127.0.0.1"
		}
		for _, name := range parsed.SecretNames() {
			secrets[name] = "s"
		}
		Sentences(parsed)
		resolved, err := parsed.Resolve(variables, secrets)
		if err != nil {
			require.Equal(t, fault.Usage, fault.CodeOf(err))
			return
		}
		_, err = resolved.Compile()
		require.NoError(t, err)
	})
}

// What only one side knows is told with what it counts as.
func TestSentencesTellWhatCountsAsAnother(t *testing.T) {
	parsed := mustParse(t, strings.Replace(base(t), "won: customer}", "won: customer}, also: {right: {churned: lead}}", 1))
	var told strings.Builder
	for _, sentence := range Sentences(parsed) {
		told.WriteString(sentence.Text)
	}
	require.Contains(t, told.String(), "churned of ")
	require.Contains(t, told.String(), " counts as lead and stays as it is until the field is edited on the other side")
}
