package cli

import (
	"fmt"
	"time"

	"github.com/accord-sync/accord/internal/ledger"
)

// progressOf tells how far a running run is, in the list of runs.
func progressOf(run ledger.Run) string {
	if run.State != ledger.RunRunning {
		return "-"
	}
	return howFar(ledger.ProgressOf(run))
}

// howFar tells a run's progress in one short line.
func howFar(p ledger.Progress) string {
	text := ""
	switch {
	case p.Total != nil:
		text = ofAll(p.Done, p.Total)
	case p.Listing != nil:
		text = fmt.Sprintf("lists %s on the %s: %s", p.Listing.Stream, p.Listing.Side, ofAll(p.Listing.Done, p.Listing.Total))
	default:
		text = fmt.Sprintf("%d done", p.Done)
	}
	if p.PerMinute != nil {
		text += fmt.Sprintf(", %.0f/min", *p.PerMinute)
	}
	if p.SecondsLeft != nil {
		text += ", about " + (time.Duration(*p.SecondsLeft) * time.Second).String() + " left"
	}
	return text
}

// problemOf tells what keeps a run from getting on, in the list of runs.
func problemOf(run ledger.Run) string {
	if run.Problem == nil {
		return orElse(run.Error, "-")
	}
	return waitsFor(*run.Problem)
}

// waitsFor tells a run's problem in one line.
func waitsFor(problem ledger.RunProblem) string {
	text := problem.Message + "; since " + clock(problem.Since)
	if !problem.NextTry.IsZero() {
		text += ", next try by " + clock(problem.NextTry)
	}
	return text
}

func ofAll(done int, total *int) string {
	if total == nil {
		return fmt.Sprint(done)
	}
	percent := 100
	if *total > 0 {
		percent = min(done*100 / *total, 100)
	}
	return fmt.Sprintf("%d of %d (%d%%)", done, *total, percent)
}
