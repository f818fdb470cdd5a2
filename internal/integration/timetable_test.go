package integration

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTheNextPoll(t *testing.T) {
	at := func(text string) time.Time {
		parsed, err := time.Parse(time.RFC3339, text)
		require.NoError(t, err)
		return parsed
	}
	sunday := at("2026-11-22T05:59:00Z")
	cases := map[string]struct {
		poll Poll
		now  time.Time
		next time.Time
	}{
		"an interval":                   {Poll{Every: 30 * time.Second}, sunday, sunday.Add(30 * time.Second)},
		"a line in UTC":                 {Poll{Cron: "0 6 * * *", TimeZone: "UTC"}, sunday, at("2026-11-22T06:00:00Z")},
		"a line in a zone":              {Poll{Cron: "0 6 * * 1-5", TimeZone: "America/Sao_Paulo"}, sunday, at("2026-11-23T06:00:00-03:00")},
		"not the same time twice":       {Poll{Cron: "0 6 * * *", TimeZone: "UTC"}, at("2026-11-22T06:00:00Z"), at("2026-11-23T06:00:00Z")},
		"an hour that is left out":      {Poll{Cron: "30 2 * * *", TimeZone: "Europe/Berlin"}, at("2026-03-28T12:00:00Z"), at("2026-03-30T02:30:00+02:00")},
		"the first of an hour of twice": {Poll{Cron: "30 2 * * *", TimeZone: "Europe/Berlin"}, at("2026-10-24T12:00:00Z"), at("2026-10-25T02:30:00+02:00")},
	}
	for name, one := range cases {
		t.Run(name, func(t *testing.T) {
			require.True(t, one.next.Equal(one.poll.Next(one.now)), "%s", one.poll.Next(one.now))
		})
	}
}
