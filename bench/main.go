// Command bench measures what Accord costs, against what the same work costs
// without it, and says both sides of each ratio. Everything runs on loopback in
// processes of its own: Temporal, the workers, the API, the simulated systems,
// and each thing that is compared. `make bench` runs all parts;
//
//	go run ./bench -parts calls,plan      runs some
//	go run ./bench -quick                 runs all in a small form
//	go run ./bench -out bench/results     also writes JSON, and docs/performance.md with -doc
//
// The figures hold for one machine and one moment; the ratios, each measured side
// by side after a run of the control against itself, hold for longer.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// bench is one run of some parts.
type bench struct {
	// dir holds everything that the run leaves behind until its end; bin the programs under test.
	dir, bin string
	quick    bool
	out      io.Writer
	results  *results
	started  int
}

// part is a group of figures that can be measured alone.
type part struct {
	name, what string
	run        func(context.Context, *bench) error
}

func parts() []part {
	return []part{
		{"calls", "API calls per change, by kind", measureCalls},
		{"plan", "what a plan of SalesOS is spent on", measurePlans},
		{"backfill", "first loads against a plain HTTP loop", measureBackfill},
		{"live", "from a signed webhook to the write on the other side", measureLive},
		{"actions", "Temporal actions per 1,000 changes", measureActions},
		{"size", "cost and memory with growing ledgers", measureSizes},
	}
}

// tools are the programs that bench starts itself as, in processes of their own.
func tools() map[string]func(context.Context, []string) error {
	return map[string]func(context.Context, []string) error{"plain": runPlain, "perrecord": runPerRecord, "target": runTarget}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := start(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func start(ctx context.Context, args []string) error {
	if len(args) > 0 {
		if tool, ok := tools()[args[0]]; ok {
			return tool(ctx, args[1:])
		}
	}
	return run(ctx, args)
}

func run(ctx context.Context, args []string) (err error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	wanted := flags.String("parts", "", "the parts to measure, with commas between (default: all; none: only write -doc again)")
	quick := flags.Bool("quick", false, "a small form of each part, in a few minutes; its figures are rough")
	programs := flags.String("programs", "", "a folder with accord, worker and api (default: build them)")
	out := flags.String("out", "", "a folder for the results as JSON, one file for each part (default: none)")
	doc := flags.String("doc", "", "a Markdown file whose tables, between markers, are written again from the results in -out")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	chosen, err := choose(*wanted)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "accord-bench-")
	if err != nil {
		return fmt.Errorf("make a folder for the run: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	b := &bench{dir: dir, bin: *programs, quick: *quick, out: os.Stdout}
	if b.bin == "" {
		b.bin = filepath.Join(dir, "bin")
		if err := build(ctx, b.bin); err != nil {
			return err
		}
	}
	for _, one := range chosen {
		begun := time.Now()
		b.results = newResults(ctx, one, *quick)
		fmt.Fprintf(b.out, "\n== %s: %s\n", one.name, one.what)
		if err := one.run(ctx, b); err != nil {
			return fmt.Errorf("%s: %w", one.name, err)
		}
		b.results.Seconds = time.Since(begun).Seconds()
		b.results.print(b.out)
		if err := b.results.save(*out); err != nil {
			return err
		}
	}
	return document(*doc, *out)
}

func choose(wanted string) ([]part, error) {
	all := parts()
	switch wanted {
	case "":
		return all, nil
	case "none":
		return nil, nil // only the document is written again
	}
	var chosen []part
	var names []string
	for _, one := range all {
		names = append(names, one.name)
		if slices.Contains(strings.Split(wanted, ","), one.name) {
			chosen = append(chosen, one)
		}
	}
	for _, name := range strings.Split(wanted, ",") {
		if !slices.Contains(names, name) {
			return nil, fmt.Errorf("there is no part %q; the parts are %s", name, strings.Join(names, ", "))
		}
	}
	return chosen, nil
}

// build compiles the programs under test. The first time takes minutes: accord
// contains Temporal.
func build(ctx context.Context, bin string) error {
	if err := os.MkdirAll(bin, 0o700); err != nil {
		return fmt.Errorf("make the folder of the programs: %w", err)
	}
	command := exec.CommandContext(ctx, "go", "build", "-o", bin, "./cmd/accord", "./worker", "./api")
	command.Stdout, command.Stderr = os.Stderr, os.Stderr
	if err := command.Run(); err != nil {
		return fmt.Errorf("build the programs (run bench from the module's root): %w", err)
	}
	return nil
}

// folder makes a new folder of the run.
func (b *bench) folder(name string) (string, error) {
	b.started++
	dir := filepath.Join(b.dir, fmt.Sprintf("%02d-%s", b.started, name))
	return dir, os.MkdirAll(dir, 0o700)
}

// pick is large, or small in a quick run.
func (b *bench) pick(large, small int) int {
	if b.quick {
		return small
	}
	return large
}

func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(b.out, "   %s "+format+"\n", append([]any{time.Now().UTC().Format("15:04:05")}, args...)...)
}
