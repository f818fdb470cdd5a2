package scenario_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/record"
	"github.com/accord-sync/accord/internal/scenario"
)

// everything has each kind of line once, in the form that String prints.
const everything = `# Everything at once.
#
# More about it.

settings
GUARD_MAX="2"
VERIFY_AFTER="1s"
replace "edited: keep" with "edited: \"recreate\" <now>"

given
left creates ana company=null email="ana@x.com" name="Ana Lima" score=0 tags=["a","b"]
service settles

when
right edits ana position="CTO & more"
left clears ana company note
left deletes ana
right merges ana into bia
left delivers ana
left holds webhooks
right drops 2 webhooks
left repeats webhooks 3
left releases webhooks reversed
left fails {"kind":"status","method":"PATCH","status":503,"when":"after"}
left recovers
left switches {"versions":false}
right races ana position="CEO"
service drains
service settles
service polls
service compares
service dies 2 "before update"
service dies 17
person decides ana phone left
person decides ana phone value="+5511912345678"
person approves
person rejects
person replays
wait 1m5s
`

func TestWhatIsPrintedIsRead(t *testing.T) {
	parsed, err := scenario.Parse(everything)
	require.NoError(t, err)
	require.Equal(t, everything, parsed.String())
	require.Equal(t, []string{"Everything at once.", "", "More about it."}, parsed.About)
	require.Equal(t, map[string]string{"GUARD_MAX": "2", "VERIFY_AFTER": "1s"}, parsed.Variables)
	require.Equal(t, []scenario.Replacement{{Old: "edited: keep", New: `edited: "recreate" <now>`}}, parsed.Replace)
	require.Len(t, parsed.Given, 2)
	require.Equal(t, scenario.Step{
		Verb: scenario.Creates, Side: record.Left, Record: "ana",
		Fields: map[string]any{"company": nil, "email": "ana@x.com", "name": "Ana Lima", "score": json.Number("0"), "tags": []any{"a", "b"}},
	}, parsed.Given[0])
	last := parsed.When[len(parsed.When)-1]
	require.Equal(t, scenario.Step{Verb: scenario.Waits, For: 65 * time.Second}, last)
	again, err := scenario.Parse(parsed.String())
	require.NoError(t, err)
	require.Equal(t, parsed, again)
}

func TestStepsThatMeanNothing(t *testing.T) {
	for line, want := range map[string]string{
		"ana edits company":                       "not \"ana\"",
		"left eats ana":                           "\"eats\" is none of",
		"service deletes ana":                     "\"deletes\" is none of",
		"left edits ana company":                  "name=value is wanted",
		"left edits ana company=Casa":             "JSON value",
		"left edits":                              "too early",
		"left deletes ana bia":                    "\"bia\" is too much",
		"left merges ana bia":                     "\"into\" is wanted",
		"left drops no webhooks":                  "no number",
		"left fails 5":                            "JSON object",
		"service dies 0":                          "no number above zero",
		"service dies 2 before":                   "JSON value",
		"person decides ana phone both":           "not \"both\"",
		"wait a while":                            "no duration",
		"left releases webhooks in_order at once": "too much",
	} {
		_, err := scenario.ParseStep(line)
		require.ErrorContains(t, err, want, line)
	}
	_, err := scenario.Parse("# fine\n\nwhen\nleft deletes ana\nleft eats ana\n")
	require.ErrorContains(t, err, "line 5")
	_, err = scenario.Parse("left deletes ana\n")
	require.ErrorContains(t, err, "under no heading")
	_, err = scenario.Parse("settings\nreplace \"a\" by \"b\"\n")
	require.Error(t, err)
}

func TestSettingsAreReplacedOrRefused(t *testing.T) {
	story, err := scenario.Parse("settings\nGUARD_MAX=\"2\"\nreplace \"policy: a\" with \"policy: b\"\n")
	require.NoError(t, err)
	variables := map[string]string{"GUARD_MAX": "10", "POLL_EVERY": "1s"}
	text, err := story.SettingsOn("x: {policy: a}", variables)
	require.NoError(t, err)
	require.Equal(t, "x: {policy: b}", text)
	require.Equal(t, map[string]string{"GUARD_MAX": "2", "POLL_EVERY": "1s"}, variables)
	_, err = story.SettingsOn("x: {policy: c}", variables)
	require.Error(t, err, "a replacement that replaces nothing is a mistake")
}
