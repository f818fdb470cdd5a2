package demo

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// printer writes the story of the play as plain lines.
type printer struct {
	out io.Writer
	// bar draws progress; nil without a terminal.
	bar io.Writer
}

// line writes one line.
func (p *printer) line(format string, args ...any) { _, _ = fmt.Fprintf(p.out, format+"\n", args...) }

// begin names the check that starts.
func (p *printer) begin(number, of int, title string) { p.line("\n[%d/%d] %s", number, of, title) }

// did tells one action.
func (p *printer) did(format string, args ...any) { p.line("  did   "+format, args...) }

// end tells what was read back, or what went wrong, and how long it took.
func (p *printer) end(r result) {
	if r.readback != "" {
		for _, one := range strings.Split(r.readback, "\n") {
			p.line("  read  %s", one)
		}
	}
	if r.NotRun != "" {
		p.line("  ----  %s was not run: %s", r.Name, r.NotRun)
		return
	}
	if r.err != nil {
		p.line("  FAIL  %s after %s: %v", r.Name, took(r.MS), r.err)
		return
	}
	p.line("  ok    %s in %s", r.Name, took(r.MS))
}

// summary is the table at the end.
func (p *printer) summary(results []result, linked, echoes int) {
	width := 0
	for _, one := range results {
		width = max(width, len(one.Name))
	}
	p.line("\n%-6s %-*s %10s", "", width, "check", "took")
	failed, missing := 0, 0
	for _, one := range results {
		word, rest := "ok", took(one.MS)
		switch {
		case one.NotRun != "":
			word, rest = "----", "not run: "+one.NotRun
			missing++
		case !one.OK:
			word = "FAIL"
			failed++
		}
		p.line("%-6s %-*s %10s", word, width, one.Name, rest)
	}
	verdict := fmt.Sprintf("%d checks, %d failed", len(results), failed)
	if missing > 0 {
		verdict += fmt.Sprintf(", %d not run for want of what they need", missing)
	}
	p.line("\n%s. Leads in step: %d. Echo writes: %d.", verdict, linked, echoes)
}

// verdict is the last line of a play that ends by itself.
type verdict struct {
	OK         bool     `json:"ok"`
	Checks     []result `json:"checks"`
	Linked     int      `json:"linked"`
	EchoWrites int      `json:"echo_writes"`
	// NotRun counts the checks that were not played for want of what they need; the play
	// is not ok then, even if nothing failed.
	NotRun int `json:"not_run,omitempty"`
}

// judge says how the play went: well if there were checks, all of them did and nothing echoed.
func judge(results []result, linked, echoes int) verdict {
	v := verdict{OK: len(results) > 0 && echoes == 0, Checks: results, Linked: linked, EchoWrites: echoes}
	if v.Checks == nil {
		v.Checks = []result{}
	}
	for _, one := range results {
		v.OK = v.OK && one.OK
		if one.NotRun != "" {
			v.NotRun++
		}
	}
	return v
}

// failed counts the checks that were played and are not well.
func (v verdict) failed() int {
	failed := 0
	for _, one := range v.Checks {
		if !one.OK && one.NotRun == "" {
			failed++
		}
	}
	return failed
}

// json writes the verdict as one line.
func (p *printer) json(v verdict) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode the verdict: %w", err)
	}
	p.line("%s", raw)
	return nil
}
