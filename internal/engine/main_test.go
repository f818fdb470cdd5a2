package engine_test

import (
	"flag"
	"os"
	"testing"
)

// TestMain lets every run play the same random histories, so that a change is
// judged by what it does and not by luck; ACCORD_EXPLORE=1 plays new
// ones each time. Under -short, which the race detector needs, there are few.
func TestMain(m *testing.M) {
	flag.Parse()
	settings := map[string]string{}
	if testing.Short() {
		settings["rapid.checks"] = "12"
	}
	if seed := flag.Lookup("rapid.seed"); os.Getenv("ACCORD_EXPLORE") == "" && seed.Value.String() == seed.DefValue {
		settings["rapid.seed"] = "20261122"
	}
	for name, value := range settings {
		if err := flag.Set(name, value); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}
