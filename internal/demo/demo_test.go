package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/sandbox/wire"
)

func TestNormalSpellings(t *testing.T) {
	for _, one := range []struct{ field, a, b string }{
		{"email", " Ana.Lead0001@Example.COM ", "ana.lead0001@example.com"},
		{"phone", "(11) 98001-1001", "+55 11 980011001"},
		{"phone", "", ""},
	} {
		require.Equal(t, normalField(one.field, one.a), normalField(one.field, one.b), "%q and %q are the same %s", one.a, one.b, one.field)
	}
	require.NotEqual(t, normalPhone("+49 11 98001-1001"), normalPhone("(11) 98001-1001"), "another country is another number")
	require.NotEqual(t, normalField("company", "A"), normalField("company", "a"), "the case of a company counts")
	require.Equal(t, "fair, hot", normalTags([]any{"hot", "fair", "hot"}))
}

// TestSeedsAreTheSamePeople reads both forms of each lead as the checks do.
func TestSeedsAreTheSamePeople(t *testing.T) {
	owners := map[string]string{"beatriz": "b", "caio": "c", "dora": "d"}
	emails := map[string]string{"b": "b@x", "c": "c@x", "d": "d@x"}
	lefts, rights, seen := 0, 0, map[string]bool{}
	for n := 1; n <= allLeads; n++ {
		one := invented{n}
		require.True(t, one.left() || one.right())
		if one.left() {
			lefts++
		}
		if one.right() {
			rights++
		}
		require.False(t, seen[one.email()], "e-mails are unique")
		seen[one.email()] = true
		left := leadPerson(wire.Record{Fields: decoded(t, one.lead(owners))}, emails)
		right := contactPerson(wire.Record{Fields: decoded(t, one.contact(owners))}, emails)
		require.Empty(t, left.difference(right))
		for _, name := range fields() {
			require.NotEmpty(t, left[name], "every mapped field has a value: %s of %d", name, n)
		}
	}
	require.Equal(t, onlyLeft+onBoth, lefts)
	require.Equal(t, onlyRight+onBoth, rights)
	both := invented{allLeads}
	require.NotEqual(t, both.lead(owners)["email"], both.contact(owners)["email"], "people on both sides are spelled differently")
	require.NotEqual(t, both.lead(owners)["phone"], both.contact(owners)["phone"])
}

func TestDifferenceNamesTheField(t *testing.T) {
	left, right := person{"phone": "1", "name": "A"}, person{"phone": "2", "name": "A"}
	require.Equal(t, `phone: SalesOS "1", Acme "2"`, left.difference(right))
	require.Contains(t, readback(left, right, map[string]string{"name": ""}), "differs in phone")
	require.Contains(t, readback(left, left, map[string]string{"name": ""}), "all mapped fields equal")
}

func TestOwnValuesLeaveMappedFieldsOut(t *testing.T) {
	before := map[string]any{"source": "import", "custom_fields": map[string]any{"campaign": "x", "note": "a"}}
	after := map[string]any{"source": "import", "custom_fields": map[string]any{"campaign": "x", "note": "b", "score": 1, "external_id": "ct_1"}}
	require.Equal(t, ownOfLead(before), ownOfLead(after))
	after["custom_fields"] = map[string]any{"campaign": "y"}
	require.NotEqual(t, ownOfLead(before), ownOfLead(after))
	require.NotEqual(t, ownOfContact(map[string]any{"mobile": "1"}), ownOfContact(map[string]any{"mobile": nil}))
}

func TestCheckRunnerGoesOn(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var story bytes.Buffer
	p := &Play{out: &printer{out: &story}, now: time.Now}
	results := playAll(ctx, p, []check{
		{name: "good", title: "A good one", play: func(context.Context, *Play) (string, error) { return "first\nsecond", nil }},
		{name: "bad", title: "A bad one", play: func(context.Context, *Play) (string, error) { return "", errors.New("expected 1; read: 2") }},
		{name: "last", title: "One that stops the play", play: func(context.Context, *Play) (string, error) { cancel(); return "", nil }},
		{name: "never", title: "Not played", play: func(context.Context, *Play) (string, error) { t.Error("played after the end"); return "", nil }},
	})
	require.Len(t, results, 4)
	require.Equal(t, []bool{true, false, true, false}, []bool{results[0].OK, results[1].OK, results[2].OK, results[3].OK})
	require.ErrorIs(t, results[3].err, errStopped)
	require.Contains(t, story.String(), "[1/4] A good one\n  read  first\n  read  second\n  ok    good")
	require.Contains(t, story.String(), "FAIL  bad")
	require.Contains(t, story.String(), "expected 1; read: 2")
}

func TestNothingIsPlayedBehindAVitalCheckThatFailed(t *testing.T) {
	p := &Play{out: &printer{out: io.Discard}, now: time.Now}
	results := playAll(t.Context(), p, []check{
		{name: "vital", vital: true, play: func(context.Context, *Play) (string, error) { return "", errors.New("no") }},
		{name: "useless", play: func(context.Context, *Play) (string, error) { t.Error("played"); return "", nil }},
	})
	require.Len(t, results, 2)
	require.ErrorIs(t, results[1].err, errUseless)
	require.False(t, results[1].OK)
}

func TestVerdictIsTheLastLine(t *testing.T) {
	var out bytes.Buffer
	p := &printer{out: &out}
	results := []result{{Name: "backfill", OK: true, MS: 12, title: "no title in JSON", readback: "nor this"}}
	p.summary(results, 1000, 0)
	require.NoError(t, p.json(judge(results, 1000, 0)))
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	require.JSONEq(t, `{"ok":true,"checks":[{"name":"backfill","ok":true,"ms":12}],"linked":1000,"echo_writes":0}`, lines[len(lines)-1])
	require.Contains(t, out.String(), "1 checks, 0 failed. Leads in step: 1000. Echo writes: 0.")
}

func TestProgressIsALineNowAndThen(t *testing.T) {
	var out bytes.Buffer
	p := newProgress(&printer{out: &out})
	var now run
	total := 1000
	for now.Progress.Done = 0; now.Progress.Done <= 600; now.Progress.Done += 100 {
		p.show(now)
	}
	now.Progress.Done, now.Progress.Total = 1000, &total
	require.Equal(t, "1000 of 1000 records done", p.show(now))
	p.end()
	require.Equal(t, "  ...   300 records done\n  ...   500 records done\n  ...   1000 of 1000 records done\n", out.String())
}

func TestProgressIsABarOnATerminal(t *testing.T) {
	var out, bar bytes.Buffer
	p := newProgress(&printer{out: &out, bar: &bar})
	var now run
	total := 10
	now.Progress.Done, now.Progress.Total = 7, &total
	p.show(now)
	p.end()
	require.Contains(t, bar.String(), "/10)")
	require.Empty(t, out.String())
}

func TestJudge(t *testing.T) {
	good, bad := result{OK: true}, result{}
	for name, one := range map[string]struct {
		results []result
		echoes  int
		ok      bool
	}{
		"all well":        {[]result{good, good}, 0, true},
		"a failed check":  {[]result{good, bad}, 0, false},
		"an echo":         {[]result{good}, 1, false},
		"echoes unknown":  {[]result{good}, unknown, false},
		"nothing checked": {nil, 0, false},
	} {
		require.Equal(t, one.ok, judge(one.results, 1, one.echoes).OK, name)
	}
	raw, err := json.Marshal(judge(nil, 0, unknown))
	require.NoError(t, err)
	require.Contains(t, string(raw), `"checks":[]`, "a list, also when empty")
}

func TestEchoesAreWritesWithoutACause(t *testing.T) {
	p := &Play{causes: map[string]int{"left/a": 1}, loaded: map[string]bool{"right/b": true}}
	count := func(side, id string, calls, effects int) int {
		n, _ := p.countEchoes(map[string][]wire.WriteCount{side: {{ID: id, Op: "update", Calls: calls, Effects: effects}}})
		return n
	}
	require.Equal(t, 0, count("left", "a", 1, 1), "asked for")
	require.Equal(t, 1, count("left", "a", 2, 2), "one more than asked for")
	require.Equal(t, 1, count("left", "a", 1, 0), "without an effect")
	require.Equal(t, 0, count("right", "b", 1, 1), "created by the first load")
	require.Equal(t, 1, count("right", "c", 1, 1), "asked for by nobody")
}

func TestObedience(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	call := func(after time.Duration, status int) wire.Call { return wire.Call{At: at.Add(after), Status: status} }
	refused := call(0, http.StatusTooManyRequests)
	rested, early := obedience([]wire.Call{call(-time.Second, 200), refused, call(onTheWire/2, 200), call(2100*time.Millisecond, 200)})
	require.Equal(t, 2100*time.Millisecond, rested)
	require.Zero(t, early)
	_, early = obedience([]wire.Call{refused, call(time.Second, 200), call(3*time.Second, 200)})
	require.Equal(t, 1, early)
	rested, _ = obedience([]wire.Call{call(0, 200)})
	require.Zero(t, rested, "there was no 429")
}

func TestExplained(t *testing.T) {
	entry := historyEntry{Field: "phone", Old: "+55 11 95555-0001", New: "(11) 95555-0002"}
	entry.Cause.Kind = "decision"
	wanted := overwrite{field: "phone", old: "+5511955550001", new: "+5511955550002", cause: "decision"}
	_, ok := explained([]historyEntry{entry}, wanted, "5511955550002")
	require.True(t, ok)
	_, ok = explained([]historyEntry{entry}, wanted, "5511955550001")
	require.False(t, ok, "the server holds something else")
	wanted.cause = "change"
	_, ok = explained([]historyEntry{entry}, wanted, "5511955550002")
	require.False(t, ok, "another cause")
}

func TestAwaitTellsWhatItSaw(t *testing.T) {
	clock := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	p := &Play{now: func() time.Time { clock = clock.Add(patience / 2); return clock }}
	looks := 0
	read, err := p.await(t.Context(), "three looks", patience, func(context.Context) (bool, string, error) {
		looks++
		return false, "not yet", nil
	})
	require.Equal(t, "not yet", read)
	require.ErrorContains(t, err, "expected three looks within 20s; read: not yet")
	require.Greater(t, looks, 1)
	_, err = p.await(t.Context(), "nothing", patience, func(context.Context) (bool, string, error) { return true, "", nil })
	require.NoError(t, err)
}

func TestClientTellsProblemsAndFollowsPages(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("Authorization") != "Bearer secret":
			w.WriteHeader(http.StatusUnauthorized)
		case strings.HasSuffix(r.URL.Path, "/dead-letters") && r.URL.Query().Get("cursor") == "":
			_, _ = w.Write([]byte(`{"items":[{"id":"a"}],"next_cursor":"2"}`))
		case strings.HasSuffix(r.URL.Path, "/dead-letters"):
			_, _ = w.Write([]byte(`{"items":[{"id":"b"}],"next_cursor":null}`))
		default:
			w.WriteHeader(http.StatusConflict)
			_, _ = w.Write([]byte(`{"status":409,"code":"conflict","detail":"the values have moved","request_id":"rq_1"}`))
		}
	}))
	defer server.Close()
	api := newClient(server.URL+"/", "secret")
	letters, err := api.deadLetters(t.Context(), "cn")
	require.NoError(t, err)
	require.Len(t, letters, 2)
	var refused *problem
	require.ErrorAs(t, api.resolve(t.Context(), "cf", "left", 1, 2), &refused)
	require.Equal(t, http.StatusConflict, refused.Status)
	require.ErrorContains(t, refused, "the values have moved")
	require.ErrorAs(t, newClient(server.URL, "other").ready(t.Context()), &refused)
	require.Equal(t, http.StatusUnauthorized, refused.Status, "an answer without a body is told by its status")
}

func TestPortsThatAreTakenAreAllNamed(t *testing.T) {
	free, err := FreeAddresses(t.Context())
	require.NoError(t, err)
	require.NoError(t, free.check(t.Context()))
	taken, err := net.Listen("tcp", free.Acme)
	require.NoError(t, err)
	defer func() { require.NoError(t, taken.Close()) }()
	err = free.check(t.Context())
	require.Equal(t, fault.Usage, fault.CodeOf(err))
	require.ErrorContains(t, err, free.Acme+" for the Acme sandbox")
	require.ErrorContains(t, err, "--free-ports")
	require.NotContains(t, err.Error(), free.API)
}

func TestRunEndsWithTheVerdictWhenNothingStarts(t *testing.T) {
	at, err := FreeAddresses(t.Context())
	require.NoError(t, err)
	var out bytes.Buffer
	refused := fault.New(fault.Unavailable, "no Temporal today")
	err = Run(t.Context(), Options{
		Out: &out, Once: true, At: at, Now: time.Now,
		Start: func(context.Context) (Stack, error) { return Stack{}, refused },
	})
	require.ErrorIs(t, err, refused)
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	require.JSONEq(t, `{"ok":false,"checks":[],"linked":0,"echo_writes":-1}`, lines[len(lines)-1])
}

// decoded is a value as a server would give it back.
func decoded(t *testing.T, value map[string]any) map[string]any {
	t.Helper()
	raw, err := json.Marshal(value)
	require.NoError(t, err)
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var out map[string]any
	require.NoError(t, decoder.Decode(&out))
	return out
}
