//go:build e2e

// Package e2e starts the shipped programs as separate processes, connects them to
// sandboxes that it runs itself, and checks from outside, through the HTTP API and
// the servers' own data, that what the service promises holds.
//
//	go test -tags e2e ./e2e/...                                   everything
//	go test -tags e2e ./e2e -run TestRecordedDay -record          also writes workflows/testdata/replay
//	go test -tags e2e ./e2e -run TestChaos -args -chaos 2m -rate 100 -seed 7    a storm
//	go test -tags e2e ./e2e -run TestLargeFirstLoad -v -timeout 0 -args -leads 100000 -plan 30000
//
// E2E_KEEP=FOLDER keeps the logs of a stack whose test failed.
//
// ACCORD_TEST_POSTGRES (postgres://…, a server on which databases may be made) adds
// the runs on Postgres; without it a private server is used where one is installed.
package e2e

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"
)

var (
	record   = flag.Bool("record", false, "write the histories of TestRecordedDay to workflows/testdata/replay")
	chaos    = flag.Duration("chaos", 20*time.Second, "how long TestChaos lasts")
	rate     = flag.Float64("rate", 50, "edits a second in TestChaos, on both sides together")
	seed     = flag.Uint64("seed", 20261122, "what TestChaos plays; 0 takes a new one")
	chaosDB  = flag.String("chaosdb", "postgres", "the database of TestChaos: postgres or sqlite")
	leads    = flag.Int("leads", 600, "how many leads TestLargeFirstLoad loads")
	plan     = flag.Int("plan", 700, "the calls a minute that each server of TestLargeFirstLoad allows")
	programs = flag.String("programs", "", "folder with accord, worker and api to test; default: build them")
)

// bin is the folder with the programs under test.
var bin string

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if *programs != "" {
		bin = *programs
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "accord-e2e-bin-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "make a folder for the programs:", err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	build := exec.Command("go", "build", "-o", dir, "./cmd/accord", "./worker", "./api")
	build.Dir = ".."
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "build the programs:", err)
		return 1
	}
	bin = dir
	return m.Run()
}
