package demo

import (
	"fmt"
	"time"

	"github.com/schollz/progressbar/v3"
)

// progressLine is how many records lie between two lines of progress.
const progressLine = 250

// progress shows how far a run is: a bar on a terminal, else a line now and then.
type progress struct {
	out *printer
	bar *progressbar.ProgressBar
	// told is the number of the last line.
	told int
}

func newProgress(out *printer) *progress {
	p := &progress{out: out}
	if out.bar != nil {
		p.bar = progressbar.NewOptions(-1, progressbar.OptionSetWriter(out.bar), progressbar.OptionSetDescription("  backfill"),
			progressbar.OptionShowCount(), progressbar.OptionClearOnFinish(), progressbar.OptionThrottle(100*time.Millisecond))
	}
	return p
}

// show tells the state of a run and returns it in words.
func (p *progress) show(now run) string {
	done := now.Progress.Done
	words := fmt.Sprintf("%d records done", done)
	if total := now.Progress.Total; total != nil && *total > 0 {
		words = fmt.Sprintf("%d of %d records done", done, *total)
		if p.bar != nil {
			p.bar.ChangeMax(max(*total, done))
		}
	}
	if p.bar != nil {
		// A bar that cannot be drawn is no reason to stop.
		_ = p.bar.Set(done)
		return words
	}
	if done/progressLine > p.told {
		p.told = done / progressLine
		p.out.line("  ...   %s", words)
	}
	return words
}

// end takes the bar away.
func (p *progress) end() {
	if p.bar != nil {
		_ = p.bar.Finish()
	}
}
