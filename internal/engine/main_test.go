package engine_test

import (
	"flag"
	"os"
	"testing"
)

// TestMain makes the random tests small under -short, which the race detector
// needs: it is some ten times slower.
func TestMain(m *testing.M) {
	flag.Parse()
	if testing.Short() {
		if err := flag.Set("rapid.checks", "12"); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}
