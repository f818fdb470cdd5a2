package ical_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/connector/caldav/ical"
)

// written is a text as calendar programs send it, with what nobody here knows.
const written = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nprodid:-//Somebody//EN\r\nX-WR-CALNAME:Work\r\n" +
	"BEGIN:VEVENT\r\nUID:1\r\nSUMMARY;LANGUAGE=pt-BR:Reuni\xc3\xa3o\\, curta\\; com\\nduas linhas e mais palavr\r\n as que dobram\r\n" +
	"X-FOO;BAR=\"a:b;c\",d:kept as it is; even, this\r\nthis is no property\r\nATTENDEE;CN=\"Lima, Ana\";X-A=^'q^':mailto:ana@example.com\r\n" +
	"BEGIN:VALARM\r\nTRIGGER:-PT15M\r\nACTION:DISPLAY\r\nEND:VALARM\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"

func TestNothingIsLost(t *testing.T) {
	calendar, err := ical.Parse(written)
	require.NoError(t, err)
	require.Equal(t, written, calendar.Text())
	unix, err := ical.Parse(strings.ReplaceAll(written, "\r\n", "\n"))
	require.NoError(t, err)
	require.Equal(t, written, unix.Text(), "lines that end in LF alone end in CR LF")

	event := calendar.Components("VEVENT")[0]
	require.Equal(t, "Reunião, curta; com\nduas linhas e mais palavras que dobram", event.TextOf("SUMMARY"))
	require.Equal(t, "-//Somebody//EN", calendar.TextOf("PRODID"))
	require.Equal(t, "Lima, Ana", event.First("ATTENDEE").Parameter("CN"))
	require.Equal(t, `"q"`, event.First("ATTENDEE").Parameter("X-A"))
	require.Equal(t, "a:b;c,d", event.First("X-FOO").Parameter("BAR"))

	event.Put("SUMMARY", ical.NewText("SUMMARY", "Short"))
	event.Put("LOCATION", ical.NewText("LOCATION", "Room; 1"))
	require.Equal(t, strings.Replace(strings.Replace(written,
		"SUMMARY;LANGUAGE=pt-BR:Reuni\xc3\xa3o\\, curta\\; com\\nduas linhas e mais palavr\r\n as que dobram", "SUMMARY:Short", 1),
		"BEGIN:VALARM", "LOCATION:Room\\; 1\r\nBEGIN:VALARM", 1), calendar.Text())
}

func TestWhatIsNoCalendar(t *testing.T) {
	for _, text := range []string{"", "hello", "BEGIN:VEVENT\nEND:VEVENT\n", "BEGIN:VCALENDAR\n", "BEGIN:VCALENDAR\nEND:VEVENT\n",
		"BEGIN:VCALENDAR\nEND:VCALENDAR\nBEGIN:VCALENDAR\nEND:VCALENDAR\n", "BEGIN:VCALENDAR\nEND:VCALENDAR\nmore\n", strings.Repeat("BEGIN:VCALENDAR\n", 1000)} {
		_, err := ical.Parse(text)
		require.ErrorIs(t, err, ical.ErrMalformed, text)
	}
	for _, text := range []string{strings.Repeat("x", ical.MaxBytes+1), "BEGIN:VCALENDAR\n" + strings.Repeat("X:\n", 100_000)} {
		_, err := ical.Parse(text)
		require.ErrorIs(t, err, ical.ErrTooLarge)
	}
}

func TestLongLinesFoldBetweenCharacters(t *testing.T) {
	text := strings.Repeat("ação; ", 100)
	calendar, err := ical.Parse("BEGIN:VCALENDAR\nEND:VCALENDAR\n")
	require.NoError(t, err)
	calendar.Put("X-LONG", ical.NewText("X-LONG", text).With("X-P", `a "quoted": word`+"\nand a line"))
	for line := range strings.SplitSeq(calendar.Text(), "\r\n") {
		require.LessOrEqual(t, len(line), 75)
		require.True(t, strings.ToValidUTF8(line, "") == line)
	}
	again, err := ical.Parse(calendar.Text())
	require.NoError(t, err)
	require.Equal(t, text, again.TextOf("X-LONG"))
	require.Equal(t, `a "quoted": word`+"\nand a line", again.First("X-LONG").Parameter("X-P"))
}

func TestNothingEndsALine(t *testing.T) {
	calendar := ical.New("VCALENDAR")
	calendar.Put("A", ical.NewProperty("A", "1\r\nB:2"))
	calendar.Put("C", ical.NewText("C", "1\r\nD:2\x00\x07").With("E", "3\r\nF:4"))
	require.Equal(t, "BEGIN:VCALENDAR\r\nA:1B:2\r\nC;E=\"3^nF:4\":1\\nD:2\r\nEND:VCALENDAR\r\n", calendar.Text())
}

const custom = `BEGIN:VCALENDAR
BEGIN:VTIMEZONE
TZID:Our own
BEGIN:STANDARD
DTSTART:16011028T030000
RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10
TZOFFSETFROM:+0200
TZOFFSETTO:+0100
END:STANDARD
BEGIN:DAYLIGHT
DTSTART:16010325T020000
RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3
TZOFFSETFROM:+0100
TZOFFSETTO:+0200
END:DAYLIGHT
END:VTIMEZONE
BEGIN:VTIMEZONE
TZID:Named
X-LIC-LOCATION:America/Sao_Paulo
END:VTIMEZONE
END:VCALENDAR
`

func TestZones(t *testing.T) {
	calendar, err := ical.Parse(custom)
	require.NoError(t, err)
	for _, row := range []struct{ id, value, want string }{
		{"America/Sao_Paulo", "20261201T100000", "2026-12-01T10:00:00-03:00"},
		{"America/New_York", "20261201T100000", "2026-12-01T10:00:00-05:00"},
		{"America/New_York", "20260701T100000", "2026-07-01T10:00:00-04:00"},
		{"/mozilla.org/20050126_1/Europe/Berlin", "20260701T100000", "2026-07-01T10:00:00+02:00"},
		{"Named", "20260701T100000", "2026-07-01T10:00:00-03:00"},
		{"Our own", "20260701T100000", "2026-07-01T10:00:00+02:00"},
		{"Our own", "20261201T100000", "2026-12-01T10:00:00+01:00"},
		{"Our own", "20260329T015959", "2026-03-29T01:59:59+01:00"},
		{"Our own", "20260329T030000", "2026-03-29T03:00:00+02:00"},
		{"Our own", "20261025T030000", "2026-10-25T03:00:00+01:00"},
		{"Our own", "20260101T100000", "2026-01-01T10:00:00+01:00"},
	} {
		p := ical.NewProperty("DTSTART", row.value).With("TZID", row.id)
		at, ok := ical.ParseMoment(calendar, p, p.Value)
		require.True(t, ok, row.id)
		require.Equal(t, row.want, at.Instant().Format(time.RFC3339), row.id)
		require.Equal(t, row.value, at.At(at.Instant().UTC()).Value(), "and back: %s", row.id)
	}
	for _, id := range []string{"Nowhere", "../../etc/passwd", "Local"} {
		_, ok := ical.ParseMoment(calendar, ical.NewProperty("DTSTART", "").With("TZID", id), "20261201T100000")
		require.False(t, ok, id)
	}
}

// TestDefinitionSaysWhatTheZoneDoes reads the written VTIMEZONE under another
// name, and compares every hour of some years.
func TestDefinitionSaysWhatTheZoneDoes(t *testing.T) {
	for _, name := range []string{"America/Sao_Paulo", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "Africa/Casablanca"} {
		zone, ok := ical.LoadZone(name)
		require.True(t, ok)
		from := time.Date(2018, 6, 1, 0, 0, 0, 0, time.UTC)
		text := "BEGIN:VCALENDAR\r\n" + strings.ReplaceAll(zone.Definition(from).Text(), name, "No name of a zone") + "END:VCALENDAR\r\n"
		calendar, err := ical.Parse(text)
		require.NoError(t, err)
		written, ok := ical.FindZone(calendar, "No name of a zone")
		require.True(t, ok, text)
		for at := from; at.Year() < 2024; at = at.Add(7 * time.Hour) {
			require.Equal(t, zone.Show(at).Format(time.RFC3339), written.Show(at).Format(time.RFC3339), name)
		}
	}
}

func TestDurations(t *testing.T) {
	for text, want := range map[string]time.Duration{"PT1H": time.Hour, "P1DT2H3M4S": 26*time.Hour + 3*time.Minute + 4*time.Second, "-P1W": -7 * 24 * time.Hour, "+PT90M": 90 * time.Minute} {
		got, ok := ical.ParseDuration(text)
		require.True(t, ok, text)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{"", "P", "1H", "PTH", "PT1", "P999999999W", "PT1X"} {
		got, ok := ical.ParseDuration(text)
		require.True(t, !ok || got == 0, text)
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{written, custom, "", "BEGIN:VCALENDAR\nA;B=\":C\nEND:VCALENDAR", "BEGIN:VCALENDAR\n x\nEND:VCALENDAR"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		calendar, err := ical.Parse(text)
		if err != nil {
			return
		}
		once := calendar.Text()
		again, err := ical.Parse(once)
		if err != nil || again.Text() != once {
			t.Fatalf("what was written is not read as it was: %v", err)
		}
		for _, p := range calendar.Properties("") {
			if at, ok := ical.ParseMoment(calendar, p, p.Value); ok && at.Value() == "" {
				t.Fatal("a moment without a value")
			}
			changed := p.With("X-A", "b\nc").With("X-A", "")
			if ical.NewText("X", ical.Unescape(changed.Value)).Name != "X" {
				t.Fatal("no property")
			}
		}
		for _, zone := range calendar.Components("VTIMEZONE") {
			if found, ok := ical.FindZone(calendar, zone.TextOf("TZID")); ok {
				at := time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)
				if !found.Show(at).Equal(at) {
					t.Fatal("a zone moves instants")
				}
			}
		}
	})
}

// TestAFoldAtEachSign: a line costs no more than its length, however it is folded. A
// stranger's invitation may be folded at every sign.
func TestAFoldAtEachSign(t *testing.T) {
	const folds = 1 << 20
	calendar, err := ical.Parse("BEGIN:VCALENDAR\r\nX-A:" + strings.Repeat("\n x", folds) + "\nEND:VCALENDAR\n")
	require.NoError(t, err)
	require.Len(t, calendar.First("X-A").Value, folds)
}
