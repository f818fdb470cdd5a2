package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// machine is where the figures were measured.
type machine struct {
	CPU         string  `json:"cpu"`
	Cores       int     `json:"cores"`
	MemoryBytes int64   `json:"memory_bytes"`
	System      string  `json:"system"`
	Go          string  `json:"go"`
	LoadBefore  float64 `json:"load_before"`
}

// measure is one quantity: the median of its samples.
type measure struct {
	What    string    `json:"what"`
	Unit    string    `json:"unit"`
	Median  float64   `json:"median"`
	Samples []float64 `json:"samples"`
}

// figure is a line of the table: a quantity, and what it is compared with.
type figure struct {
	Name    string   `json:"name"`
	Value   measure  `json:"value"`
	Against *measure `json:"against,omitempty"`
	// Ratio is Value by Against where there is one.
	Ratio float64 `json:"ratio,omitempty"`
	Aim   string  `json:"aim,omitempty"`
	// Met says whether the aim was reached; absent without one.
	Met  *bool  `json:"met,omitempty"`
	Note string `json:"note,omitempty"`
}

// results are those of one part.
type results struct {
	Part    string    `json:"part"`
	What    string    `json:"what"`
	Machine machine   `json:"machine"`
	Commit  string    `json:"commit"`
	At      time.Time `json:"at"`
	Quick   bool      `json:"quick"`
	Seconds float64   `json:"seconds"`
	Figures []figure  `json:"figures"`
}

func newResults(ctx context.Context, one part, quick bool) *results {
	return &results{Part: one.name, What: one.what, Machine: thisMachine(), Commit: commit(ctx), At: time.Now().UTC().Truncate(time.Second), Quick: quick}
}

func thisMachine() machine {
	m := machine{Cores: runtime.NumCPU(), System: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version(), CPU: lineOf("/proc/cpuinfo", "model name")}
	kb, _, _ := strings.Cut(lineOf("/proc/meminfo", "MemTotal"), " ")
	if n, err := strconv.ParseInt(kb, 10, 64); err == nil {
		m.MemoryBytes = n << 10
	}
	if raw, err := os.ReadFile("/proc/loadavg"); err == nil {
		first, _, _ := strings.Cut(string(raw), " ")
		m.LoadBefore, _ = strconv.ParseFloat(first, 64) // 0 where it is not told
	}
	return m
}

// lineOf is the value of "name : value" in a file of /proc; empty if it is not there.
func lineOf(path, name string) string {
	file, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer func() { _ = file.Close() }()
	for scan := bufio.NewScanner(file); scan.Scan(); {
		key, value, ok := strings.Cut(scan.Text(), ":")
		if ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// commit is the revision that is measured, with "+" if files differ from it.
func commit(ctx context.Context) string {
	out, err := exec.CommandContext(ctx, "git", "describe", "--always", "--abbrev=12", "--dirty=+", "--exclude=*").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}

func median(samples []float64) float64 { return percentile(samples, 0.5) }

// percentile is the smallest sample that at least the share p of them does not exceed.
func percentile(samples []float64, p float64) float64 {
	if len(samples) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(samples))
	return sorted[max(0, int(math.Ceil(p*float64(len(sorted))))-1)]
}

func of(what, unit string, samples ...float64) measure {
	return measure{What: what, Unit: unit, Median: median(samples), Samples: samples}
}

// add notes a quantity without a limit to compare it with.
func (r *results) add(name string, value measure) *figure {
	r.Figures = append(r.Figures, figure{Name: name, Value: value})
	return &r.Figures[len(r.Figures)-1]
}

// compare notes a quantity and what it is compared with.
func (r *results) compare(name string, value, against measure) *figure {
	f := r.add(name, value)
	f.Against = &against
	f.Ratio = value.Median / against.Median
	return f
}

// aim notes what was aimed for and whether it was reached.
func (f *figure) aim(text string, met bool) *figure {
	f.Aim, f.Met = text, &met
	return f
}

func (f *figure) note(format string, args ...any) *figure {
	f.Note = fmt.Sprintf(format, args...)
	return f
}

// cells are the columns of the table.
func (f *figure) cells() []string {
	cells := []string{f.Name, f.Value.What + ": " + number(f.Value.Median) + " " + f.Value.Unit, "", "", f.Aim, "", f.Note}
	if f.Against != nil {
		cells[2] = f.Against.What + ": " + number(f.Against.Median) + " " + f.Against.Unit
		cells[3] = number(f.Ratio)
	}
	if f.Met != nil {
		cells[5] = map[bool]string{true: "yes", false: "**no**"}[*f.Met]
	}
	return cells
}

func headings() []string {
	return []string{"figure", "measured", "against", "ratio", "aim", "met", "note"}
}

// number shows three digits that count.
func number(x float64) string {
	switch size := math.Abs(x); {
	case math.IsNaN(x):
		return "none"
	case size >= 100 || x == math.Trunc(x):
		return strconv.FormatFloat(x, 'f', 0, 64)
	case size >= 10:
		return strconv.FormatFloat(x, 'f', 1, 64)
	case size >= 0.1:
		return strconv.FormatFloat(x, 'f', 2, 64)
	}
	return strconv.FormatFloat(x, 'g', 2, 64)
}

func (r *results) print(out io.Writer) {
	table := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(table, strings.Join(headings(), "\t"))
	for n := range r.Figures {
		fmt.Fprintln(table, strings.Join(r.Figures[n].cells(), "\t"))
	}
	_ = table.Flush() // a table on a terminal
	fmt.Fprintf(out, "(%s at %s, %.0f s, %s, %d cores, load %.1f before)\n", r.Part, r.Commit, r.Seconds, r.Machine.CPU, r.Machine.Cores, r.Machine.LoadBefore)
}

// save writes the results of a part; an empty folder saves nothing.
func (r *results) save(folder string) error {
	if folder == "" {
		return nil
	}
	raw, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the results of %s: %w", r.Part, err)
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("make the folder of the results: %w", err)
	}
	if err := os.WriteFile(filepath.Join(folder, r.Part+".json"), append(raw, '\n'), 0o644); err != nil {
		return fmt.Errorf("write the results of %s: %w", r.Part, err)
	}
	return nil
}
