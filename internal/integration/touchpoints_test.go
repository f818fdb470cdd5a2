package integration

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/record"
)

// counted is base.yaml with touch-points.
const counted = `touch_points:
  time_zone: America/Sao_Paulo
  sources:
    calls:
      side: right
      object: calls
      kind: call
      at: at
      user: {id: owner_id, ref: users}
      customer: {id: contact_id, ref: leads}
      where: "direction == 'out'"
      verify_after: 3s
      poll: {every: 5s}
    emails: {side: right, object: emails, kind: email, at: at, customer: {id: contact_id, ref: leads}}
  write_back:
    total: {stream: leads, side: left, field: custom_fields.touch_points}
    mails: {stream: leads, side: left, field: custom_fields.mails, kinds: [email]}
`

func withTouchPoints(t testing.TB) string { return base(t) + counted }

func TestTouchPoints(t *testing.T) {
	i := mustParse(t, withTouchPoints(t))
	points := i.TouchPoints
	require.Equal(t, "America/Sao_Paulo", points.Location().String())
	require.Equal(t, TouchSource{
		Name: "calls", Side: record.Right, End: End{Object: "calls", Where: "direction == 'out'"}, Kind: "call", At: "at",
		User: Party{ID: "owner_id", Stream: "users"}, Customer: Party{ID: "contact_id", Stream: "leads"}, VerifyAfter: 3 * time.Second,
		Poll: Poll{Every: 5 * time.Second, TimeZone: "UTC", Overlap: 2 * time.Minute}, Compare: Compare{Every: 24 * time.Hour, TimeZone: "UTC"},
	}, *points.Source("calls"))
	emails := points.Source("emails")
	require.Equal(t, 10*time.Second, emails.VerifyAfter)
	require.Zero(t, emails.User)
	require.True(t, points.WriteBack("total").Counts(emails))
	require.False(t, points.WriteBack("mails").Counts(points.Source("calls")))
	require.Nil(t, points.Source("leads"))
	require.Nil(t, points.WriteBack("calls"))
	require.Nil(t, mustParse(t, base(t)).TouchPoints)
	plain := mustParse(t, strings.Replace(withTouchPoints(t), "  time_zone: America/Sao_Paulo\n", "", 1))
	require.Equal(t, time.UTC, plain.TouchPoints.Location())
}

func TestTouchPointMistakes(t *testing.T) {
	for name, tt := range map[string]struct{ old, new, want string }{
		"no source":                {counted[strings.Index(counted, "  sources:"):strings.Index(counted, "  write_back:")], "  sources: {}\n", "touch_points.sources: at least one source is needed"},
		"an unknown key":           {"  time_zone: America", "  zone: America", "touch_points.zone: unknown key zone"},
		"an unknown key in one":    {"      at: at\n", "      at: at\n      when: at\n", "touch_points.sources.calls.when: unknown key when"},
		"an unknown zone":          {"America/Sao_Paulo", "America/Atlantis", "\"America/Atlantis\" is not an IANA time zone"},
		"a stream's name":          {"    emails: {side", "    leads: {side", "touch_points.sources.leads: the name leads is taken"},
		"the name of a write-back": {"    total: {stream", "    calls: {stream", "touch_points.write_back.calls: the name calls is taken"},
		"no side":                  {"      side: right\n", "", "touch_points.sources.calls: the key side is missing"},
		"a kind that is none":      {"kind: call\n", "kind: 'a call'\n", "touch_points.sources.calls.kind: \"a call\" is not a word"},
		"a stream that is none":    {"user: {id: owner_id, ref: users}", "user: {id: owner_id, ref: people}", "touch_points.sources.calls.user.ref: there is no stream people: the streams are leads, users"},
		"a bad expression":         {"direction == 'out'", "direction = 'out'", "touch_points.sources.calls.where: bad expression"},
		"a party without a stream": {"user: {id: owner_id, ref: users}", "user: {id: owner_id}", "touch_points.sources.calls.user: the key ref is missing"},
		"a kind nobody counts":     {"kinds: [email]", "kinds: [visit]", "touch_points.write_back.mails: there is nothing to count: no source of the right side has customers of the stream leads and is of the kind visit"},
		"the wrong side":           {"mails: {stream: leads, side: left", "mails: {stream: leads, side: right", "there is nothing to count: no source of the left side"},
		"a mapped field":           {"custom_fields.mails", "email", "email is written on the left side by the field email of the stream leads too"},
		"the marker":               {"custom_fields.mails", "custom_fields.external_id", "custom_fields.external_id is written on the left side by the marker of the stream leads too"},
		"a whole object":           {"custom_fields.mails", "custom_fields", "custom_fields is written on the left side by"},
		"one field twice":          {"custom_fields.mails", "custom_fields.touch_points", "custom_fields.touch_points is written on the left side by total too"},
		"a list":                   {counted, "touch_points: [calls]\n", "touch_points: must be an object"},
	} {
		t.Run(name, func(t *testing.T) {
			text := withTouchPoints(t)
			require.Contains(t, text, tt.old)
			_, err := Parse([]byte(strings.Replace(text, tt.old, tt.new, 1)))
			require.Error(t, err)
			require.Contains(t, report(t, err), tt.want)
			require.NotContains(t, report(t, err), "0:0")
		})
	}
}

func TestTouchPointSentences(t *testing.T) {
	var said []string
	for _, one := range Sentences(mustParse(t, withTouchPoints(t))) {
		if one.Stream != "" && one.Stream != "leads" && one.Stream != "users" {
			said = append(said, fmt.Sprintf("%s %s: %s", one.Stream, one.About, one.Text))
		}
	}
	want, err := os.ReadFile("testdata/touch_sentences.golden")
	require.NoError(t, err)
	require.Equal(t, string(want), strings.Join(said, "\n")+"\n")
}
