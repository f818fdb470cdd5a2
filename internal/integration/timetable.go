package integration

import (
	"time"

	"github.com/robfig/cron/v3"
)

// Next is when the poll after one at now is due. A local time that a change of the
// clocks leaves out is skipped to the next one of the line.
func (p Poll) Next(now time.Time) time.Time {
	if p.Cron == "" {
		return now.Add(p.Every)
	}
	line, err := cron.ParseStandard("TZ=" + p.TimeZone + " " + p.Cron)
	if err != nil {
		// Parse has checked both. A machine that has lost its time zones polls on.
		return now.Add(defaultPoll)
	}
	return line.Next(now)
}
